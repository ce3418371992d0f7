"""Divergences, against integrals and means of samples."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import dtorch
import dtorch.distributions as dist
from dtorch.distributions import kl_divergence, register_kl


def tensor(value: Any) -> Any:
    return dtorch.tensor(value, dtype=dtorch.float64)


CONTINUOUS = [
    dist.Beta(tensor(1.5), tensor(2.5)),
    dist.ContinuousBernoulli(tensor(0.3)),
    dist.Exponential(tensor(1.5)),
    dist.Gamma(tensor(2.5), tensor(1.5)),
    dist.Gumbel(tensor(0.5), tensor(1.5)),
    dist.Laplace(tensor(0.5), tensor(0.8)),
    dist.Normal(tensor(0.5), tensor(0.7)),
    dist.Pareto(tensor(0.5), tensor(3.5)),
    dist.Uniform(tensor(0.6), tensor(0.9)),
]
OTHERS = [
    dist.Beta(tensor(2.0), tensor(1.2)),
    dist.ContinuousBernoulli(tensor(0.7)),
    dist.Exponential(tensor(0.7)),
    dist.Gamma(tensor(1.5), tensor(2.5)),
    dist.Gumbel(tensor(-0.5), tensor(1.2)),
    dist.Laplace(tensor(0.1), tensor(1.8)),
    dist.Normal(tensor(0.1), tensor(1.7)),
    dist.Pareto(tensor(0.4), tensor(2.5)),
    dist.Uniform(tensor(0.0), tensor(1.0)),
]
SAME = [
    (dist.Cauchy(tensor(0.5), tensor(0.7)), dist.Cauchy(tensor(0.0), tensor(1.5))),
    (dist.HalfNormal(tensor(0.7)), dist.HalfNormal(tensor(1.5))),
    (dist.LogNormal(tensor(0.7), tensor(0.5)), dist.LogNormal(tensor(0.2), tensor(0.5))),
]


def is_registered(p: Any, q: Any) -> bool:
    try:
        kl_divergence(p, q)
    except NotImplementedError:
        return False
    return True


PAIRS = [(p, q) for p in CONTINUOUS for q in OTHERS if is_registered(p, q)] + SAME
NAMES = [f"{type(p).__name__}-{type(q).__name__}" for p, q in PAIRS]


def grid_for(p: Any) -> np.ndarray:
    """Points that hold almost all of p, closer where its density is large."""
    if isinstance(p, dist.Cauchy):
        return np.sinh(np.linspace(-18, 18, 40_001))
    if isinstance(p, (dist.Gumbel, dist.Laplace, dist.Normal)):
        return np.linspace(-15, 40, 60_001)
    if isinstance(p, (dist.Beta, dist.ContinuousBernoulli)):
        return (1 - np.cos(np.linspace(1e-4, math.pi - 1e-4, 40_001))) / 2
    if isinstance(p, dist.Uniform):
        return np.linspace(p.low.item() + 1e-9, p.high.item() - 1e-9, 10_001)
    if isinstance(p, dist.Pareto):
        return p.scale.item() * np.exp(np.linspace(0, 15, 40_001))
    return np.exp(np.linspace(-20, 5, 40_001))


@pytest.mark.parametrize(("p", "q"), PAIRS, ids=NAMES)
def test_of_numbers_equals_the_integral(p: Any, q: Any) -> None:
    x = grid_for(p)
    own = p.log_prob(tensor(x)).numpy()
    inside = q.support.check(tensor(x)).numpy()
    found = kl_divergence(p, q).item()
    if not inside[own > -30].all():
        assert found == math.inf
        return
    other = q.log_prob(tensor(np.where(inside, x, x[inside][0]))).numpy()
    terms = np.exp(own) * (own - other)
    np.testing.assert_allclose(found, np.trapezoid(terms, x), rtol=2e-4, atol=1e-6)


def test_pairs_of_the_reference_api_are_there() -> None:
    names = set(NAMES)
    assert {"Uniform-Beta", "Normal-Laplace", "Gamma-Gumbel", "Beta-Pareto"} <= names
    assert len(PAIRS) == 71


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (dist.Bernoulli(tensor(0.3)), dist.Bernoulli(tensor(0.6))),
        (dist.Binomial(5, tensor(0.3)), dist.Binomial(5, tensor(0.6))),
        (dist.Categorical(tensor([0.2, 0.8])), dist.Categorical(tensor([0.5, 0.5]))),
        (dist.OneHotCategorical(tensor([0.2, 0.8])), dist.OneHotCategorical(tensor([0.5, 0.5]))),
        (dist.Bernoulli(tensor(0.3)), dist.Poisson(tensor(0.6))),
    ],
    ids=["Bernoulli", "Binomial", "Categorical", "OneHotCategorical", "Poisson"],
)  # fmt: skip
def test_of_few_values_equals_the_sum(p: Any, q: Any) -> None:
    x = p.enumerate_support()
    own = p.log_prob(x)
    expected = (own.exp() * (own - q.log_prob(x))).sum()
    np.testing.assert_allclose(kl_divergence(p, q).item(), expected.item(), rtol=1e-9)


@pytest.mark.parametrize(("p", "q"), [
    (dist.Geometric(tensor(0.3)), dist.Geometric(tensor(0.6))),
    (dist.Poisson(tensor(2.0)), dist.Poisson(tensor(3.0))),
])  # fmt: skip
def test_of_counts_equals_the_sum(p: Any, q: Any) -> None:
    x = dtorch.arange(200.0, dtype=dtorch.float64)
    own = p.log_prob(x)
    expected = (own.exp() * (own - q.log_prob(x))).sum()
    np.testing.assert_allclose(kl_divergence(p, q).item(), expected.item(), rtol=1e-9)


COVARIANCE = tensor([[2.0, 0.3], [0.3, 1.0]])
VECTORS = [
    dist.MultivariateNormal(tensor([0.5, 1.0]), COVARIANCE),
    dist.MultivariateNormal(tensor([[0.0, 0.0], [1.0, 1.0]]), scale_tril=dtorch.eye(2).double()),
    dist.LowRankMultivariateNormal(tensor([0.1, 0.2]), tensor([[1.0], [0.5]]), tensor([1.0, 2.0])),
]


@pytest.mark.parametrize("p", [*VECTORS, dist.Dirichlet(tensor([1.5, 2.0, 3.0])),
                               dist.Wishart(tensor(4.0), COVARIANCE)])  # fmt: skip
def test_of_vectors_and_matrices_equals_the_mean_of_samples(p: Any) -> None:
    dtorch.manual_seed(0)
    others = VECTORS if p in VECTORS else [
        dist.Dirichlet(tensor([2.0, 2.0, 2.0])) if isinstance(p, dist.Dirichlet)
        else dist.Wishart(tensor(5.0), COVARIANCE + dtorch.eye(2))
    ]  # fmt: skip
    for q in others:
        x = p.expand(q.batch_shape).sample((10_000,)) if q.batch_shape else p.sample((10_000,))
        terms = p.log_prob(x) - q.log_prob(x)
        error = (terms.std(0) / 100).max().item()
        expected = terms.mean(0).numpy()
        np.testing.assert_allclose(kl_divergence(p, q).numpy(), expected, atol=5 * error + 1e-9)


def test_of_itself_is_zero_and_of_other_supports_infinite() -> None:
    for p in [*CONTINUOUS, *VECTORS]:
        np.testing.assert_allclose(kl_divergence(p, p).numpy(), 0, atol=1e-9)
    assert kl_divergence(dist.Bernoulli(0.5), dist.Bernoulli(0.0)).item() == math.inf
    assert kl_divergence(dist.Poisson(1.0), dist.Binomial(3, 0.5)).item() == math.inf
    assert kl_divergence(dist.Normal(0.0, 1.0), dist.Gamma(dtorch.ones(3), 1.0)).shape == (3,)


def test_of_transformed_and_independent_ones_is_that_of_their_bases() -> None:
    p, q = dist.Normal(dtorch.zeros(2, 3), 1.0), dist.Normal(dtorch.ones(2, 3), 1.0)
    by_rows = kl_divergence(dist.Independent(p, 1), dist.Independent(q, 1))
    dtorch.testing.assert_close(by_rows, kl_divergence(p, q).sum(-1))
    with pytest.raises(NotImplementedError, match="reinterpreted_batch_ndims"):
        kl_divergence(dist.Independent(p, 1), dist.Independent(q, 2))
    with pytest.raises(NotImplementedError, match="transformed differently"):
        kl_divergence(dist.Weibull(1.0, 2.0), dist.Weibull(2.0, 2.0))


def test_others_register_their_classes() -> None:
    class Left(dist.Normal):
        pass

    class Right(dist.Normal):
        pass

    plain, left, right = dist.Normal(0.0, 1.0), Left(0.0, 1.0), Right(0.0, 1.0)
    assert kl_divergence(left, right) == 0

    @register_kl(Left, dist.Normal)
    def _(p: Any, q: Any) -> Any:
        return dtorch.tensor(1.0)

    @register_kl(dist.Normal, Right)
    def _(p: Any, q: Any) -> Any:
        return dtorch.tensor(2.0)

    assert [kl_divergence(left, plain).item(), kl_divergence(plain, right).item()] == [1, 2]
    with pytest.warns(RuntimeWarning, match="Ambiguous"):
        assert kl_divergence(left, right) == 1
    with pytest.raises(TypeError, match="Distribution subclass"):
        register_kl(int, dist.Normal)
    with pytest.raises(NotImplementedError, match=r"No KL\(p \|\| q\)"):
        kl_divergence(dist.StudentT(1.0), plain)


def test_divergences_have_gradients() -> None:
    loc = dtorch.zeros(2, requires_grad=True)
    kl_divergence(dist.Normal(loc, 1.0), dist.Normal(1.0, 2.0)).sum().backward()
    np.testing.assert_allclose(loc.grad.numpy(), -0.25)
