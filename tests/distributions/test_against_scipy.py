"""Densities, distribution functions, quantiles, moments and samples of every distribution that SciPy
has too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats

import dtorch
import dtorch.distributions as dist

COUNT = 4000


def tensor(value: Any) -> Any:
    return dtorch.tensor(value, dtype=dtorch.float64)


def matrix(size: int) -> np.ndarray:
    root = np.sin(np.arange(size * size)).reshape(size, size)
    return root @ root.T + np.eye(size)


COVARIANCE = matrix(3)
FACTOR, DIAGONAL = np.array([[1.0], [-0.5], [2.0]]), np.array([0.5, 1.0, 2.0])
LOW_RANK = FACTOR @ FACTOR.T + np.diag(DIAGONAL)

# Distributions of numbers: ours, SciPy's, and a name.
NUMBERS = [
    (dist.Bernoulli(tensor(0.3)), stats.bernoulli(0.3)),
    (dist.Beta(tensor(0.6), tensor(2.5)), stats.beta(0.6, 2.5)),
    (dist.Binomial(7, tensor(0.3)), stats.binom(7, 0.3)),
    (dist.Cauchy(tensor(1.0), tensor(2.0)), stats.cauchy(1, 2)),
    (dist.Chi2(tensor(3.0)), stats.chi2(3)),
    (dist.Exponential(tensor(2.0)), stats.expon(scale=0.5)),
    (dist.FisherSnedecor(tensor(3.0), tensor(9.0)), stats.f(3, 9)),
    (dist.Gamma(tensor(0.4), tensor(2.0)), stats.gamma(0.4, scale=0.5)),
    (dist.Gamma(tensor(30.0), tensor(2.0)), stats.gamma(30, scale=0.5)),
    (dist.GeneralizedPareto(tensor(1.0), tensor(2.0), tensor(0.2)), stats.genpareto(0.2, 1, 2)),
    (dist.GeneralizedPareto(tensor(1.0), tensor(2.0), tensor(-0.5)), stats.genpareto(-0.5, 1, 2)),
    (dist.GeneralizedPareto(tensor(1.0), tensor(2.0), tensor(0.0)), stats.genpareto(0, 1, 2)),
    (dist.Geometric(tensor(0.3)), stats.geom(0.3, loc=-1)),
    (dist.Gumbel(tensor(1.0), tensor(2.0)), stats.gumbel_r(1, 2)),
    (dist.HalfCauchy(tensor(2.0)), stats.halfcauchy(scale=2)),
    (dist.HalfNormal(tensor(2.0)), stats.halfnorm(scale=2)),
    (dist.InverseGamma(tensor(3.0), tensor(2.0)), stats.invgamma(3, scale=2)),
    (dist.Kumaraswamy(tensor(1.0), tensor(3.0)), stats.beta(1, 3)),
    (dist.Laplace(tensor(1.0), tensor(2.0)), stats.laplace(1, 2)),
    (dist.LogNormal(tensor(0.5), tensor(0.7)), stats.lognorm(0.7, scale=np.exp(0.5))),
    (dist.NegativeBinomial(tensor(2.5), tensor(0.4)), stats.nbinom(2.5, 0.6)),
    (dist.Normal(tensor(1.0), tensor(2.0)), stats.norm(1, 2)),
    (dist.Pareto(tensor(2.0), tensor(3.0)), stats.pareto(3, scale=2)),
    (dist.Poisson(tensor(3.5)), stats.poisson(3.5)),
    (dist.StudentT(tensor(4.0), tensor(1.0), tensor(2.0)), stats.t(4, 1, 2)),
    (dist.Uniform(tensor(-1.0), tensor(3.0)), stats.uniform(-1, 4)),
    (dist.VonMises(tensor(0.5), tensor(3.0)), stats.vonmises(3, loc=0.5)),
    (dist.Weibull(tensor(2.0), tensor(1.5)), stats.weibull_min(1.5, scale=2)),
]
IDS = [repr(ours) for ours, _ in NUMBERS]
both = pytest.mark.parametrize(("ours", "theirs"), NUMBERS, ids=IDS)


def is_discrete(theirs: Any) -> bool:
    return hasattr(theirs.dist, "pmf")


def values_of(theirs: Any) -> np.ndarray:
    if is_discrete(theirs):
        return np.unique(theirs.ppf([0.05, 0.3, 0.5, 0.8, 0.99]))
    return theirs.ppf([0.001, 0.05, 0.3, 0.5, 0.8, 0.999])


@both
def test_log_prob(ours: Any, theirs: Any) -> None:
    x = values_of(theirs)
    expected = theirs.logpmf(x) if is_discrete(theirs) else theirs.logpdf(x)
    np.testing.assert_allclose(ours.log_prob(tensor(x)).numpy(), expected, rtol=1e-9, atol=1e-11)


@both
def test_cdf_and_icdf(ours: Any, theirs: Any) -> None:
    x = tensor(values_of(theirs))
    try:
        probability = ours.cdf(x)
    except NotImplementedError:
        return
    np.testing.assert_allclose(probability.numpy(), theirs.cdf(x.numpy()), rtol=1e-9)
    try:
        back = ours.icdf(probability)
    except NotImplementedError:
        return
    np.testing.assert_allclose(back.numpy(), x.numpy(), rtol=1e-7)


@both
def test_moments_and_entropy(ours: Any, theirs: Any) -> None:
    if isinstance(ours, dist.VonMises):
        mean, variance = 0.5, None
    else:
        mean, variance = theirs.stats("mv")
    np.testing.assert_allclose(ours.mean.item(), mean, rtol=1e-9)
    if variance is not None:
        variance = np.inf if isinstance(ours, dist.Cauchy) else variance
        np.testing.assert_allclose(ours.variance.item(), variance, rtol=1e-9)
        np.testing.assert_allclose(ours.stddev.item(), np.sqrt(variance), rtol=1e-9)
    try:
        entropy = ours.entropy()
    except NotImplementedError:
        return
    np.testing.assert_allclose(entropy.item(), theirs.entropy(), rtol=1e-6, atol=1e-9)


@both
def test_mode_is_most_probable(ours: Any, theirs: Any) -> None:
    mode = ours.mode
    x = tensor(values_of(theirs))
    if bool(mode.isnan()) or isinstance(ours, (dist.Uniform, dist.Beta, dist.Kumaraswamy)):
        return
    if float(mode) == 0 and not ours.support.check(mode):
        return
    assert (ours.log_prob(mode) >= ours.log_prob(x) - 1e-12).all()


@both
def test_samples_are_distributed_like_that(ours: Any, theirs: Any) -> None:
    dtorch.manual_seed(1)
    drawn = ours.sample((COUNT,)).numpy()
    assert ours.support.check(tensor(drawn)).all()
    if is_discrete(theirs):
        values, counts = np.unique(drawn, return_counts=True)
        expected = theirs.pmf(values) * COUNT
        often = expected > 10
        statistic = ((counts - expected) ** 2 / expected)[often].sum()
        assert stats.chi2(often.sum()).sf(statistic) > 1e-3
    else:
        assert stats.kstest(drawn, theirs.cdf).pvalue > 1e-3


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (
            dist.MultivariateNormal(tensor([1.0, 2.0, 3.0]), tensor(COVARIANCE)),
            stats.multivariate_normal([1, 2, 3], COVARIANCE),
        ),
        (
            dist.MultivariateNormal(
                tensor([1.0, 2.0, 3.0]), precision_matrix=tensor(np.linalg.inv(COVARIANCE))
            ),
            stats.multivariate_normal([1, 2, 3], COVARIANCE),
        ),
        (
            dist.LowRankMultivariateNormal(tensor([1.0, 2.0, 3.0]), tensor(FACTOR), tensor(DIAGONAL)),
            stats.multivariate_normal([1, 2, 3], LOW_RANK),
        ),
        (dist.Dirichlet(tensor([0.5, 2.0, 3.0])), stats.dirichlet([0.5, 2, 3])),
        (
            dist.Wishart(tensor(5.5), tensor(COVARIANCE)),
            stats.wishart(5.5, COVARIANCE),
        ),
        (dist.Multinomial(5, tensor([0.2, 0.3, 0.5])), stats.multinomial(5, [0.2, 0.3, 0.5])),
    ],
    ids=["MultivariateNormal", "of precision", "LowRank", "Dirichlet", "Wishart", "Multinomial"],
)  # fmt: skip
def test_vectors_and_matrices(ours: Any, theirs: Any) -> None:
    dtorch.manual_seed(0)
    drawn = ours.sample((5, COUNT))
    x = drawn[0, :6].numpy()
    log_density = getattr(theirs, "logpdf", None) or theirs.logpmf
    columns = ours.event_shape[0] > 1 and isinstance(ours, (dist.Dirichlet, dist.Wishart))
    expected = [log_density(row) for row in x] if columns else log_density(x)
    np.testing.assert_allclose(ours.log_prob(tensor(x)).numpy(), expected, rtol=1e-9)
    np.testing.assert_allclose(ours.entropy().item(), theirs.entropy(), rtol=1e-9)
    scale = ours.stddev.max().item()
    tolerance = 0.05 * scale
    mean, variance = drawn.mean((0, 1)), drawn.var((0, 1))
    np.testing.assert_allclose(mean.numpy(), ours.mean.numpy(), atol=tolerance)
    np.testing.assert_allclose(variance.numpy(), ours.variance.numpy(), atol=3 * tolerance * scale)


def test_factors_of_correlation_matrices_have_a_density_that_integrates_to_one() -> None:
    # Of two rows there is one number, the correlation r = L[1, 0]; dr = d(L[1, 0]).
    r = np.linspace(-1, 1, 20_001)[1:-1]
    factors = np.zeros((len(r), 2, 2))
    factors[:, 0, 0], factors[:, 1, 0], factors[:, 1, 1] = 1, r, np.sqrt(1 - r * r)
    for concentration in (1.0, 2.5):
        density = dist.LKJCholesky(2, tensor(concentration)).log_prob(tensor(factors)).exp()
        np.testing.assert_allclose(np.trapezoid(density.numpy(), r), 1, rtol=2e-4)
    dtorch.manual_seed(0)
    drawn = dist.LKJCholesky(3, tensor(2.0)).sample((COUNT,)).numpy()
    correlation = (drawn @ drawn.transpose(0, 2, 1))[:, 2, 1]
    # A correlation r is 2 b - 1 of a beta number b; section 3.2 of the reference.
    assert stats.kstest((correlation + 1) / 2, stats.beta(2.5, 2.5).cdf).pvalue > 1e-3


@pytest.mark.parametrize("probs", [0.1, 0.4999, 0.5, 0.8])
def test_continuous_bernoulli_against_integrals(probs: float) -> None:
    ours = dist.ContinuousBernoulli(tensor(probs))
    x = np.linspace(0, 1, 20_001)
    density = ours.log_prob(tensor(x)).exp().numpy()
    mean = np.trapezoid(density * x, x)
    np.testing.assert_allclose(np.trapezoid(density, x), 1, rtol=1e-8)
    np.testing.assert_allclose(ours.mean.item(), mean, rtol=1e-7)
    np.testing.assert_allclose(
        ours.variance.item(), np.trapezoid(density * (x - mean) ** 2, x), rtol=1e-7
    )
    entropy = -np.trapezoid(density * np.log(density), x)
    np.testing.assert_allclose(ours.entropy().item(), entropy, atol=1e-8)
    area = np.trapezoid(density[:6001], x[:6001])
    np.testing.assert_allclose(ours.cdf(tensor(0.3)).item(), area, rtol=1e-7)
    np.testing.assert_allclose(ours.icdf(ours.cdf(tensor(0.3))).item(), 0.3, rtol=1e-6)


def test_categories_are_drawn_in_proportion() -> None:
    dtorch.manual_seed(0)
    weights = tensor([[1.0, 2.0, 0.0, 5.0], [1.0, 1.0, 1.0, 1.0]])
    drawn = dist.Categorical(weights).sample((COUNT,))
    assert drawn.shape == (COUNT, 2)
    for column in range(2):
        counts = np.bincount(drawn[:, column].numpy(), minlength=4)
        np.testing.assert_allclose(
            counts / COUNT, (weights[column] / weights[column].sum()).numpy(), atol=0.03
        )
    one_hot = dist.OneHotCategorical(weights).sample((COUNT,))
    np.testing.assert_allclose(
        one_hot.mean(0).numpy(), (weights / weights.sum(-1, keepdim=True)).numpy(), atol=0.03
    )


@pytest.mark.parametrize("temperature", [0.4, 2.0])
def test_relaxed_distributions_have_densities_that_integrate_to_one(temperature: float) -> None:
    x = np.linspace(0, 1, 200_001)[1:-1]
    ours: Any = dist.RelaxedBernoulli(tensor(temperature), tensor(0.3))
    # Near its ends the density of a low temperature has poles that can be integrated.
    logits = np.linspace(-60, 60, 20_001)
    density = ours.base_dist.log_prob(tensor(logits)).exp().numpy()
    np.testing.assert_allclose(np.trapezoid(density, logits), 1, rtol=1e-5)
    dtorch.manual_seed(0)
    drawn = ours.sample((COUNT,)).numpy()
    # Above one half as often as the Bernoulli number is 1.
    np.testing.assert_allclose((drawn > 0.5).mean(), 0.3, atol=0.03)
    both_of = dist.RelaxedOneHotCategorical(tensor(temperature), tensor([0.3, 0.7]))
    pairs = tensor(np.stack([x, 1 - x], -1)[::1000])
    # Two categories are a Bernoulli number.
    np.testing.assert_allclose(
        both_of.log_prob(pairs).numpy(), ours.log_prob(pairs[:, 0]).numpy(), rtol=1e-6
    )
