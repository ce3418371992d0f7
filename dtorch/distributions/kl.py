"""The Kullback-Leibler divergence of one distribution from another.

``kl_divergence(p, q)`` is the expectation, under p, of ``log p(x) - log q(x)``. There is a formula
for some pairs of classes; others register theirs::

    @register_kl(Mine, Normal)
    def _(p, q):
        return ...
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import singledispatch
from typing import Any

from dtorch.core.functions import (
    diag_embed,
    digamma,
    erf,
    exp,
    lgamma,
    log,
    log1p,
    matmul,
    softplus,
    solve_triangular,
    where,
    xlogy,
)
from dtorch.core.ops.view import common_shape
from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.distributions.bernoulli import Bernoulli, ContinuousBernoulli
from dtorch.distributions.categorical import Categorical, OneHotCategorical
from dtorch.distributions.counts import Binomial, Geometric, Poisson
from dtorch.distributions.distribution import Distribution
from dtorch.distributions.exp_family import ExponentialFamily
from dtorch.distributions.gamma import Beta, Dirichlet, Exponential, Gamma
from dtorch.distributions.independent import Independent
from dtorch.distributions.location_scale import Cauchy, Gumbel, Laplace, Uniform
from dtorch.distributions.multivariate_normal import (
    LowRankMultivariateNormal,
    MultivariateNormal,
    half_log_det,
    low_rank_log_det,
    low_rank_square_lengths,
    square_lengths,
)
from dtorch.distributions.normal import HalfNormal, Normal
from dtorch.distributions.power_law import Pareto
from dtorch.distributions.transformed_distribution import TransformedDistribution
from dtorch.distributions.utils import broadcast_all, euler_constant, sum_rightmost

__all__ = ["kl_divergence", "register_kl"]

Formula = Callable[[Any, Any], Tensor]

_KL_REGISTRY: dict[tuple[type, type], Formula] = {}
_KL_MEMOIZE: dict[tuple[type, type], Formula | None] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Formula], Formula]:
    """Register the formula for two classes; decorates it.

    A pair without a formula of its own gets that of the nearest classes above.

    Raises:
        TypeError: a class that is no Distribution.
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type) or not issubclass(kind, Distribution):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def register(formula: Formula) -> Formula:
        _KL_REGISTRY[type_p, type_q] = formula
        _KL_MEMOIZE.clear()
        return formula

    return register


def _formula_for(type_p: type, type_q: type) -> Formula | None:
    """The formula of the nearest pair of classes, counted from p first; counted from q first it is
    the same one, or there is a warning."""
    pairs = [
        pair for pair in _KL_REGISTRY if issubclass(type_p, pair[0]) and issubclass(type_q, pair[1])
    ]
    if not pairs:
        return None

    def distances(pair: tuple[type, type]) -> tuple[int, int]:
        return type_p.__mro__.index(pair[0]), type_q.__mro__.index(pair[1])

    by_p = _KL_REGISTRY[min(pairs, key=distances)]
    by_q = _KL_REGISTRY[min(pairs, key=lambda pair: distances(pair)[::-1])]
    if by_p is not by_q:
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please "
            "register_kl for this pair",
            RuntimeWarning,
            stacklevel=3,
        )
    return by_p


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """Divergence of q from p: the expectation under p of ``log p(x) - log q(x)``.

    Returns: one number for each distribution of the batch.

    Raises:
        NotImplementedError: there is no formula for the classes of p and q.
    """
    key = type(p), type(q)
    if key not in _KL_MEMOIZE:
        _KL_MEMOIZE[key] = _formula_for(*key)
    formula = _KL_MEMOIZE[key]
    if formula is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {key[0].__name__} and q type "
            f"{key[1].__name__}"
        )
    return formula(p, q)


# -- two of one class -------------------------------------------------------------------------------


@register_kl(ExponentialFamily, ExponentialFamily)
def _kl_expfamily_expfamily(p: Any, q: Any) -> Tensor:
    """The Bregman divergence of the log normalizer; Nielsen and Nock 2010."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed "
            f"using Bregman divergences: {type(p).__name__} and {type(q).__name__}"
        )
    normalizer, slopes = p._normalizer_and_slopes()
    result = q._log_normalizer(*q._natural_params) - normalizer
    for own, other, slope in zip(p._natural_params, q._natural_params, slopes, strict=True):
        result = result - sum_rightmost((other - own) * slope, own.dim() - normalizer.dim())
    return result


@register_kl(Bernoulli, Bernoulli)
def _(p: Any, q: Any) -> Tensor:
    on = p.probs * (softplus(-q.logits) - softplus(-p.logits))
    on = where(p.probs == 0, 0.0, where(q.probs == 0, math.inf, on))
    off = (1 - p.probs) * (softplus(q.logits) - softplus(p.logits))
    off = where(p.probs == 1, 0.0, where(q.probs == 1, math.inf, off))
    return on + off


@register_kl(Beta, Beta)
def _(p: Any, q: Any) -> Tensor:
    of_p = p.concentration1 + p.concentration0
    of_q = q.concentration1 + q.concentration0
    normalizers = lgamma(q.concentration1) + lgamma(q.concentration0) + lgamma(of_p)
    normalizers = normalizers - lgamma(p.concentration1) - lgamma(p.concentration0) - lgamma(of_q)
    return (
        normalizers
        + (p.concentration1 - q.concentration1) * digamma(p.concentration1)
        + (p.concentration0 - q.concentration0) * digamma(p.concentration0)
        + (of_q - of_p) * digamma(of_p)
    )


@register_kl(Binomial, Binomial)
def _(p: Any, q: Any) -> Tensor:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    of_one = p.probs * (p.logits - q.logits) + log1p(-p.probs) - log1p(-q.probs)
    return where(p.total_count > q.total_count, math.inf, p.total_count * of_one)


@register_kl(Categorical, Categorical)
def _kl_categorical_categorical(p: Any, q: Any) -> Tensor:
    terms = p.probs * (p.logits - q.logits)
    terms = where(q.probs == 0, math.inf, terms)
    return where(p.probs == 0, 0.0, terms).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _(p: Any, q: Any) -> Tensor:
    return _kl_categorical_categorical(p._categorical, q._categorical)


@register_kl(Cauchy, Cauchy)
def _(p: Any, q: Any) -> Tensor:
    """Chyzak and Nielsen 2019, "A closed-form formula for the Kullback-Leibler divergence between
    Cauchy distributions"."""
    above = (p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)
    return log(above) - log(4 * p.scale * q.scale)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _(p: Any, q: Any) -> Tensor:
    of_p = p._log_factor() - softplus(p.logits)
    of_q = q._log_factor() - softplus(q.logits)
    return p.mean * (p.logits - q.logits) + of_p - of_q


@register_kl(Dirichlet, Dirichlet)
def _(p: Any, q: Any) -> Tensor:
    of_p, of_q = p.concentration.sum(-1), q.concentration.sum(-1)
    totals = lgamma(of_p) - lgamma(of_q)
    parts = (lgamma(p.concentration) - lgamma(q.concentration)).sum(-1)
    away = p.concentration - q.concentration
    slopes = digamma(p.concentration) - digamma(of_p).unsqueeze(-1)
    return totals - parts + (away * slopes).sum(-1)


@register_kl(Exponential, Exponential)
def _(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - log(ratio) - 1


@register_kl(Gamma, Gamma)
def _(p: Any, q: Any) -> Tensor:
    return (
        q.concentration * log(p.rate / q.rate)
        + lgamma(q.concentration)
        - lgamma(p.concentration)
        + (p.concentration - q.concentration) * digamma(p.concentration)
        + (q.rate - p.rate) * (p.concentration / p.rate)
    )


@register_kl(Geometric, Geometric)
def _(p: Any, q: Any) -> Tensor:
    return -p.entropy() - log1p(-q.probs) / p.probs - q.logits


@register_kl(Gumbel, Gumbel)
def _(p: Any, q: Any) -> Tensor:
    return _by_moments(p, q)


@register_kl(HalfNormal, HalfNormal)
def _(p: Any, q: Any) -> Tensor:
    return _kl_normal_normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _(p: Any, q: Any) -> Tensor:
    ratio = p.scale / q.scale
    away = (p.loc - q.loc).abs()
    return -log(ratio) + away / q.scale + ratio * exp(-away / p.scale) - 1


@register_kl(Normal, Normal)
def _kl_normal_normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    away = ((p.loc - q.loc) / q.scale).pow(2)
    return 0.5 * (ratio + away - 1 - log(ratio))


@register_kl(Pareto, Pareto)
def _(p: Any, q: Any) -> Tensor:
    ratio = q.alpha / p.alpha
    result = q.alpha * log(p.scale / q.scale) - log(ratio) + ratio - 1
    return where(p.scale < q.scale, math.inf, result)


@register_kl(Poisson, Poisson)
def _(p: Any, q: Any) -> Tensor:
    return xlogy(p.rate, p.rate / q.rate) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _(p: Any, q: Any) -> Tensor:
    return _by_moments(p, q)


# -- made of others ---------------------------------------------------------------------------------


@register_kl(Independent, Independent)
def _(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError(
            "kl_divergence: the two Independent have different reinterpreted_batch_ndims: "
            f"{p.reinterpreted_batch_ndims} and {q.reinterpreted_batch_ndims}"
        )
    result = kl_divergence(p.base_dist, q.base_dist)
    return sum_rightmost(result, p.reinterpreted_batch_ndims)


@register_kl(TransformedDistribution, TransformedDistribution)
def _(p: Any, q: Any) -> Tensor:
    """One and the same bijection leaves it as it is."""
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(
            "kl_divergence: the two distributions are transformed differently"
        )
    return kl_divergence(p.base_dist, q.base_dist)


# -- normal vectors ---------------------------------------------------------------------------------


def _log_det(d: Any) -> Tensor:
    """Of the covariances."""
    if isinstance(d, LowRankMultivariateNormal):
        return low_rank_log_det(d._unbroadcasted_cov_diag, d._capacitance_tril)
    return 2 * half_log_det(d._unbroadcasted_scale_tril)


def _square_lengths(d: Any, x: Tensor) -> Tensor:
    """``x^T C^-1 x`` with the covariances ``C``."""
    if isinstance(d, LowRankMultivariateNormal):
        w, diagonal = d._unbroadcasted_cov_factor, d._unbroadcasted_cov_diag
        return low_rank_square_lengths(w, diagonal, x, d._capacitance_tril)
    return square_lengths(d._unbroadcasted_scale_tril, x)


def _sum_of_square_lengths(d: Any, columns: Tensor) -> Tensor:
    """The sum of ``f^T C^-1 f`` over the columns: the trace of ``C^-1 F F^T``."""
    batch = Size(common_shape(columns.shape[:-2], d.batch_shape))

    def solved(factor: Tensor, right: Tensor) -> Tensor:
        left = factor.expand(batch + factor.shape[-2:])
        right = right.expand(batch + right.shape[-2:])
        return solve_triangular(left, right, upper=False).pow(2).sum((-2, -1))

    if not isinstance(d, LowRankMultivariateNormal):
        return solved(d._unbroadcasted_scale_tril, columns)
    diagonal = d._unbroadcasted_cov_diag
    inner = matmul(d._unbroadcasted_cov_factor.mT / diagonal.unsqueeze(-2), columns)
    own = (columns.pow(2) / diagonal.unsqueeze(-1)).sum((-2, -1))
    return own - solved(d._capacitance_tril, inner)


@register_kl(MultivariateNormal, MultivariateNormal)
@register_kl(MultivariateNormal, LowRankMultivariateNormal)
@register_kl(LowRankMultivariateNormal, MultivariateNormal)
@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _(p: Any, q: Any) -> Tensor:
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two (Low Rank) Multivariate Normals with different event shapes "
            f"cannot be computed: {p.event_shape} and {q.event_shape}"
        )
    if isinstance(p, LowRankMultivariateNormal):
        trace = _sum_of_square_lengths(q, p._unbroadcasted_cov_factor)
        own = diag_embed(p._unbroadcasted_cov_diag.sqrt())
        trace = trace + _sum_of_square_lengths(q, own)
    else:
        trace = _sum_of_square_lengths(q, p._unbroadcasted_scale_tril)
    away = _square_lengths(q, q.loc - p.loc)
    return 0.5 * (_log_det(q) - _log_det(p) + trace + away - p.event_shape[0])


# -- of different classes: minus the entropy of p, plus what q expects of it ------------------------


@singledispatch
def _mean_log(p: Any) -> Any:
    """The expectation of the logarithm."""
    raise NotImplementedError(f"kl_divergence: no expectation of the logarithm of {p!r}")


@_mean_log.register
def _(p: Beta) -> Any:
    return digamma(p.concentration1) - digamma(p.concentration1 + p.concentration0)


@_mean_log.register
def _(p: Exponential) -> Any:
    return -euler_constant - log(p.rate)


@_mean_log.register
def _(p: Gamma) -> Any:
    return digamma(p.concentration) - log(p.rate)


@_mean_log.register
def _(p: Pareto) -> Any:
    return log(p.scale) + p.alpha.reciprocal()


@_mean_log.register
def _(p: Uniform) -> Any:
    return _mean_log_between(p.low, p.high)


def _mean_log_between(low: Any, high: Any) -> Any:
    return (xlogy(high, high) - xlogy(low, low)) / (high - low) - 1


@singledispatch
def _mean_exp(p: Any, rate: Any) -> Any:
    """The expectation of ``exp(-rate * x)``."""
    raise NotImplementedError(f"kl_divergence: no expectation of the exponential of {p!r}")


@_mean_exp.register
def _(p: Exponential, rate: Any) -> Any:
    return p.rate / (p.rate + rate)


@_mean_exp.register
def _(p: Gamma, rate: Any) -> Any:
    return exp(-p.concentration * log1p(rate / p.rate))


@_mean_exp.register
def _(p: Normal, rate: Any) -> Any:
    return exp(rate * (rate * p.variance / 2 - p.loc))


@_mean_exp.register
def _(p: Uniform, rate: Any) -> Any:
    return (exp(-rate * p.low) - exp(-rate * p.high)) / (rate * (p.high - p.low))


@_mean_exp.register
def _(p: Gumbel, rate: Any) -> Any:
    return exp(lgamma(1 + rate * p.scale) - rate * p.loc)


def _bounds(p: Any) -> tuple[Any, Any]:
    """Of the values of p, as far as they are bounded."""
    if isinstance(p, Uniform):
        return p.low, p.high
    if isinstance(p, (Beta, ContinuousBernoulli)):
        return 0.0, 1.0
    if isinstance(p, Pareto):
        return p.scale, math.inf
    return (0.0, math.inf) if isinstance(p, (Exponential, Gamma)) else (-math.inf, math.inf)


def _unless_within(p: Any, low: Any, high: Any, result: Any) -> Any:
    """Infinite where p has values outside of ``low`` to ``high``."""
    least, most = _bounds(p)
    low, high, least, most, result = broadcast_all(low, high, least, most, result)
    return where((least < low) | (most > high), math.inf, result)


@singledispatch
def _cross_entropy(q: Any, p: Any) -> Any:
    """The expectation, under p, of ``-log q(x)``."""
    raise NotImplementedError(
        f"kl_divergence: no expectation of the logarithm of the density of {q!r}"
    )


@_cross_entropy.register
def _(q: Beta, p: Any) -> Any:
    normalizer = lgamma(q.concentration1) + lgamma(q.concentration0)
    normalizer = normalizer - lgamma(q.concentration1 + q.concentration0)
    of_rest = _mean_log_between(1 - p.high, 1 - p.low)
    terms = (q.concentration1 - 1) * _mean_log(p) + (q.concentration0 - 1) * of_rest
    return _unless_within(p, 0.0, 1.0, normalizer - terms)


@_cross_entropy.register
def _(q: ContinuousBernoulli, p: Any) -> Any:
    result = softplus(q.logits) - p.mean * q.logits - q._log_factor()
    return _unless_within(p, 0.0, 1.0, result)


@_cross_entropy.register
def _(q: Exponential, p: Any) -> Any:
    return _unless_within(p, 0.0, math.inf, q.rate * p.mean - log(q.rate))


@_cross_entropy.register
def _(q: Gamma, p: Any) -> Any:
    normalizer = lgamma(q.concentration) - q.concentration * log(q.rate)
    result = normalizer + q.rate * p.mean - (q.concentration - 1) * _mean_log(p)
    return _unless_within(p, 0.0, math.inf, result)


@_cross_entropy.register
def _(q: Gumbel, p: Any) -> Any:
    rate = q.scale.reciprocal()
    return log(q.scale) + (p.mean - q.loc) * rate + exp(q.loc * rate) * _mean_exp(p, rate)


@_cross_entropy.register
def _(q: Laplace, p: Normal) -> Any:
    away = p.loc - q.loc
    z = away / (math.sqrt(2) * p.scale)
    distance = math.sqrt(2 / math.pi) * p.scale * exp(-z.pow(2)) + away * erf(z)
    return log(2 * q.scale) + distance / q.scale


@_cross_entropy.register
def _(q: Normal, p: Any) -> Any:
    square = p.variance + (p.mean - q.loc).pow(2)
    return log(q.scale) + 0.5 * (math.log(2 * math.pi) + square / q.scale.pow(2))


@_cross_entropy.register
def _(q: Pareto, p: Any) -> Any:
    result = (q.alpha + 1) * _mean_log(p) - log(q.alpha) - q.alpha * log(q.scale)
    return _unless_within(p, q.scale, math.inf, result)


@_cross_entropy.register
def _(q: Uniform, p: Any) -> Any:
    return _unless_within(p, q.low, q.high, log(q.high - q.low))


@_cross_entropy.register
def _(q: Poisson, p: Bernoulli) -> Any:
    return q.rate - p.probs * log(q.rate)


def _by_moments(p: Any, q: Any) -> Tensor:
    return _cross_entropy(q, p) - p.entropy()


def _infinite(p: Any, q: Any) -> Tensor:
    """p has values where q has none."""
    return p.mean.new_full(common_shape(p.batch_shape, q.batch_shape), math.inf)


for _types, _function in (
    ((Bernoulli, Poisson), _by_moments),
    ((Beta, ContinuousBernoulli, Exponential, Gamma, Normal, Uniform), _by_moments),
    ((ContinuousBernoulli, Exponential, Normal, Uniform), _by_moments),
    ((Exponential, Gamma, Gumbel, Normal), _by_moments),
    ((Gamma, Exponential, Gumbel, Normal), _by_moments),
    ((Gumbel, Normal), _by_moments),
    ((Laplace, Normal), _by_moments),
    ((Normal, Gumbel, Laplace), _by_moments),
    ((Pareto, Exponential, Gamma, Normal), _by_moments),
    ((Uniform, Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Normal, Pareto), _by_moments),
    ((Beta, Pareto), _infinite),
    ((ContinuousBernoulli, Pareto), _infinite),
    ((Exponential, Beta, ContinuousBernoulli, Pareto, Uniform), _infinite),
    ((Gamma, Beta, ContinuousBernoulli, Pareto, Uniform), _infinite),
    ((Gumbel, Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform), _infinite),
    ((Laplace, Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform), _infinite),
    ((Normal, Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform), _infinite),
    ((Pareto, Beta, ContinuousBernoulli, Uniform), _infinite),
    ((Poisson, Bernoulli, Binomial), _infinite),
):
    for _other in _types[1:]:
        register_kl(_types[0], _other)(_function)
