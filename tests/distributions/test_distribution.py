"""What all distributions have in common: shapes, expansion, checks, gradients, representations."""

from __future__ import annotations

import copy
import math
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from scipy import stats

import dtorch
import dtorch.distributions as dist
from dtorch.autograd import gradcheck
from dtorch.distributions import constraints
from dtorch.distributions.bernoulli import LogitRelaxedBernoulli
from dtorch.distributions.utils import (
    broadcast_all,
    lazy_property,
    tril_matrix_to_vec,
    vec_to_tril_matrix,
)


def tensor(value: Any) -> Any:
    return dtorch.tensor(value, dtype=dtorch.float64)


# Every class, with parameters for a batch of two.
EXAMPLES: dict[Any, dict[str, Any]] = {
    dist.Bernoulli: {"probs": [0.3, 0.6]},
    dist.Beta: {"concentration1": [0.5, 2.0], "concentration0": [1.5, 3.0]},
    dist.Binomial: {"total_count": [3.0, 3.0], "probs": [0.3, 0.6]},
    dist.Categorical: {"logits": [[0.1, 0.2, 0.5], [1.0, 0.0, -1.0]]},
    dist.Cauchy: {"loc": [0.0, 1.0], "scale": [1.0, 2.0]},
    dist.Chi2: {"df": [1.5, 3.0]},
    dist.ContinuousBernoulli: {"probs": [0.3, 0.6]},
    dist.Dirichlet: {"concentration": [[0.5, 1.0, 2.0], [2.0, 2.0, 3.0]]},
    dist.Exponential: {"rate": [0.5, 2.0]},
    dist.FisherSnedecor: {"df1": [5.0, 6.0], "df2": [7.0, 9.0]},
    dist.Gamma: {"concentration": [0.5, 2.0], "rate": [1.5, 3.0]},
    dist.GeneralizedPareto: {"loc": [0.0, 1.0], "scale": [1.0, 2.0], "concentration": [0.2, -0.3]},
    dist.Geometric: {"probs": [0.3, 0.6]},
    dist.Gumbel: {"loc": [0.0, 1.0], "scale": [1.0, 2.0]},
    dist.HalfCauchy: {"scale": [1.0, 2.0]},
    dist.HalfNormal: {"scale": [1.0, 2.0]},
    dist.InverseGamma: {"concentration": [2.5, 3.0], "rate": [1.5, 3.0]},
    dist.Kumaraswamy: {"concentration1": [0.5, 2.0], "concentration0": [1.5, 3.0]},
    dist.LKJCholesky: {"dim": 3, "concentration": [1.0, 2.0]},
    dist.Laplace: {"loc": [0.0, 1.0], "scale": [1.0, 2.0]},
    dist.LogNormal: {"loc": [0.0, 1.0], "scale": [1.0, 2.0]},
    dist.LogisticNormal: {"loc": [[0.0, 1.0], [1.0, 1.0]], "scale": [[1.0, 2.0], [1.0, 1.0]]},
    dist.LowRankMultivariateNormal: {
        "loc": [[0.0, 1.0], [1.0, 1.0]], "cov_factor": [[1.0], [2.0]], "cov_diag": [1.0, 2.0],
    },
    dist.Multinomial: {"total_count": 3, "probs": [[0.2, 0.8], [0.5, 0.5]]},
    dist.MultivariateNormal: {"loc": [[0.0, 1.0], [1.0, 1.0]], "scale_tril": [[1.0, 0.0], [0.5, 2.0]]},
    dist.NegativeBinomial: {"total_count": [3.0, 4.5], "probs": [0.3, 0.6]},
    dist.Normal: {"loc": [0.0, 1.0], "scale": [1.0, 2.0]},
    dist.OneHotCategorical: {"probs": [[0.2, 0.8], [0.5, 0.5]]},
    dist.OneHotCategoricalStraightThrough: {"probs": [[0.2, 0.8], [0.5, 0.5]]},
    dist.Pareto: {"scale": [1.0, 2.0], "alpha": [3.0, 4.0]},
    dist.Poisson: {"rate": [0.5, 2.0]},
    dist.RelaxedBernoulli: {"temperature": 0.7, "probs": [0.3, 0.6]},
    dist.RelaxedOneHotCategorical: {"temperature": 0.7, "probs": [[0.2, 0.8], [0.5, 0.5]]},
    dist.StudentT: {"df": [3.0, 5.0], "loc": [0.0, 1.0], "scale": [1.0, 2.0]},
    dist.Uniform: {"low": [0.0, 1.0], "high": [1.0, 3.0]},
    dist.VonMises: {"loc": [0.0, 1.0], "concentration": [1.0, 2.0]},
    dist.Weibull: {"scale": [1.0, 2.0], "concentration": [0.8, 2.0]},
    dist.Wishart: {"df": [4.0, 5.0], "scale_tril": [[1.0, 0.0], [0.5, 2.0]]},
}  # fmt: skip
every = pytest.mark.parametrize("kind", EXAMPLES, ids=lambda kind: kind.__name__)


def parameters_of(kind: Any, requires_grad: bool = False) -> dict[str, Any]:
    return {
        name: value
        if isinstance(value, (int, float))
        else tensor(value).requires_grad_(requires_grad)
        for name, value in EXAMPLES[kind].items()
    }


def example(kind: Any) -> Any:
    return kind(**parameters_of(kind))


def test_every_public_class_has_an_example() -> None:
    bases = {
        dist.Distribution, dist.ExponentialFamily, dist.Independent, dist.MixtureSameFamily,
        dist.TransformedDistribution,
    }  # fmt: skip
    found = [getattr(dist, name) for name in dist.__all__]
    classes = {k for k in found if isinstance(k, type) and issubclass(k, dist.Distribution)}
    assert classes - bases == set(EXAMPLES)


@every
def test_shapes_are_those_of_draws_batch_and_event(kind: Any) -> None:
    d = example(kind)
    assert d.batch_shape == (2,)
    for draws in ((), (3,), (2, 1)):
        sample = d.sample(draws)
        assert sample.shape == draws + d.batch_shape + d.event_shape
        assert d.log_prob(sample).shape == draws + d.batch_shape
        assert d.support.check(sample).all()
    for name in ("mean", "variance"):
        try:
            assert getattr(d, name).shape == d.batch_shape + d.event_shape
        except NotImplementedError:
            assert kind in (dist.LKJCholesky, dist.LogisticNormal, dist.RelaxedBernoulli,
                            dist.RelaxedOneHotCategorical)  # fmt: skip


@every
def test_expanded_ones_are_the_same_and_share_their_parameters(kind: Any) -> None:
    d = example(kind)
    wide = d.expand((3, 2))
    assert type(wide) is kind
    assert (wide.batch_shape, wide.event_shape) == ((3, 2), d.event_shape)
    dtorch.manual_seed(0)
    sample = d.sample()
    np.testing.assert_allclose(
        wide.log_prob(sample).numpy(), np.broadcast_to(d.log_prob(sample).numpy(), (3, 2))
    )
    assert wide.sample((4,)).shape == (4, 3, 2, *d.event_shape)
    assert wide.expand((5, 3, 2)).batch_shape == (5, 3, 2)
    with pytest.raises(RuntimeError):
        d.expand((7,))


@every
def test_samples_outside_the_support_or_of_another_shape_are_refused(kind: Any) -> None:
    d = example(kind)
    shape = d.batch_shape + d.event_shape
    with pytest.raises(ValueError, match="must be a Tensor"):
        d._validate_sample(3.0)
    with pytest.raises(ValueError, match=r"support|must match|not broadcastable"):
        d.log_prob(dtorch.full(shape, math.nan, dtype=dtorch.float64))
    with pytest.raises(ValueError, match=r"must match event_shape|not broadcastable"):
        d.log_prob(dtorch.ones(7, dtype=dtorch.float64))


@every
def test_copies_and_pickles_are_the_same(kind: Any) -> None:
    d = example(kind)
    sample = d.sample()
    for twin in (copy.deepcopy(d), pickle.loads(pickle.dumps(d))):
        assert type(twin) is kind
        assert twin.log_prob(sample).tolist() == d.log_prob(sample).tolist()


@every
def test_log_prob_has_gradients_by_the_parameters(kind: Any) -> None:
    parameters = parameters_of(kind, requires_grad=True)
    if kind is dist.Wishart or "total_count" in parameters:
        parameters = {k: v.detach() if k in ("df", "total_count") and not isinstance(v, int) else v
                      for k, v in parameters.items()}  # fmt: skip
    dtorch.manual_seed(0)
    sample = example(kind).sample((2,))
    names = [k for k, v in parameters.items() if getattr(v, "requires_grad", False)]

    def log_prob(*values: Any) -> Any:
        return kind(**{**parameters, **dict(zip(names, values, strict=True))},
                    validate_args=False).log_prob(sample)  # fmt: skip

    assert gradcheck(log_prob, tuple(parameters[name] for name in names), atol=1e-4, rtol=1e-4)


ALIKE = [
    k for k in EXAMPLES
    if k.has_rsample is not False and k not in (
        dist.Gamma, dist.Beta, dist.Chi2, dist.Dirichlet, dist.InverseGamma, dist.FisherSnedecor,
        dist.StudentT, dist.Wishart, dist.OneHotCategoricalStraightThrough,
    )
]  # fmt: skip


@pytest.mark.parametrize("kind", ALIKE, ids=lambda kind: kind.__name__)
def test_samples_have_gradients_by_the_parameters(kind: Any) -> None:
    parameters = parameters_of(kind, requires_grad=True)
    names = [k for k, v in parameters.items() if getattr(v, "requires_grad", False)]

    def draw(*values: Any) -> Any:
        dtorch.manual_seed(3)
        given = {**parameters, **dict(zip(names, values, strict=True))}
        return kind(**given, validate_args=False).rsample((2,))

    assert gradcheck(draw, tuple(parameters[name] for name in names), atol=1e-4, rtol=1e-4)


def by_finite_differences(cdf: Any, x: np.ndarray, a: np.ndarray, pdf: Any) -> np.ndarray:
    step = 1e-5 * a
    return -(cdf(a + step, x) - cdf(a - step, x)) / (2 * step) / pdf(a, x)


@pytest.mark.parametrize("shape", [0.05, 0.7, 1.0, 4.0, 40.0, 2000.0])
def test_gamma_samples_stay_at_their_quantile_when_the_shape_changes(shape: float) -> None:
    dtorch.manual_seed(0)
    a = dtorch.full((50,), shape, dtype=dtorch.float64, requires_grad=True)
    x = dist.Gamma(a, dtorch.ones_like(a)).rsample()
    x.sum().backward()
    x, slope = x.detach().numpy(), a.grad.numpy()
    inner = x > 1e-200
    expected = by_finite_differences(
        lambda a, x: stats.gamma.cdf(x, a),
        x,
        a.detach().numpy(),
        lambda a, x: stats.gamma.pdf(x, a),
    )
    np.testing.assert_allclose(slope[inner], expected[inner], rtol=2e-3)


@pytest.mark.parametrize(("alpha", "beta"), [(0.3, 0.4), (1.0, 5.0), (8.0, 2.0), (300.0, 200.0)])
def test_beta_samples_stay_at_their_quantile_when_a_parameter_changes(
    alpha: float, beta: float
) -> None:
    dtorch.manual_seed(0)
    a = dtorch.full((50,), alpha, dtype=dtorch.float64, requires_grad=True)
    b = dtorch.full((50,), beta, dtype=dtorch.float64)
    x = dist.Beta(a, b).rsample()
    x.sum().backward()
    x = x.detach().numpy()
    expected = by_finite_differences(
        lambda a, x: stats.beta.cdf(x, a, beta), x, a.detach().numpy(),
        lambda a, x: stats.beta.pdf(x, a, beta),
    )  # fmt: skip
    inner = (x > 1e-9) & (x < 1 - 1e-9)
    np.testing.assert_allclose(a.grad.numpy()[inner], expected[inner], rtol=2e-3)


def test_gradient_of_the_mean_of_dirichlet_samples_is_that_of_the_mean() -> None:
    dtorch.manual_seed(0)
    a = tensor([0.5, 2.0, 3.0]).requires_grad_()
    d = dist.Dirichlet(a)
    found = dtorch.autograd.grad(d.rsample((20_000,)).mean(0)[0], a)[0]
    expected = dtorch.autograd.grad(d.mean[0], a)[0]
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=3e-3)


def test_score_function_finds_the_better_action() -> None:
    dtorch.manual_seed(0)
    logits = dtorch.zeros(2, requires_grad=True)
    policy = dist.Categorical(logits=logits)
    action = policy.sample((1000,))
    reward = (action == 1).float()
    (-policy.log_prob(action) * reward).mean().backward()
    assert logits.grad[1] < 0 < logits.grad[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: dist.Normal(0.0, -1.0), r"parameter scale .*GreaterThan\(lower_bound=0.0\)"),
        (lambda: dist.Normal(0.0, math.nan), "parameter scale"),
        (lambda: dist.Normal("a", 1.0), "instances of Number"),
        (lambda: dist.Bernoulli(), "Either `probs` or `logits`"),
        (lambda: dist.Bernoulli(0.5, 0.5), "Either `probs` or `logits`"),
        (lambda: dist.Bernoulli(1.5), "parameter probs"),
        (lambda: dist.Geometric(0.0), "positive"),
        (lambda: dist.Uniform(1.0, 1.0), "parameter low"),
        (lambda: dist.Binomial(2.5, 0.5), "parameter total_count"),
        (lambda: dist.Categorical(dtorch.tensor(1.0)), "at least one-dimensional"),
        (lambda: dist.Categorical(dtorch.tensor([-1.0, 3.0])), "Simplex"),
        (lambda: dist.Dirichlet(dtorch.tensor(1.0)), "at least one-dimensional"),
        (lambda: dist.MultivariateNormal(dtorch.zeros(2)), "Exactly one of covariance_matrix"),
        (lambda: dist.MultivariateNormal(dtorch.zeros(2), dtorch.ones(2)), "two-dimensional"),
        (lambda: dist.MultivariateNormal(dtorch.zeros(2), -dtorch.eye(2)), "PositiveDefinite"),
        (
            lambda: dist.LowRankMultivariateNormal(
                dtorch.zeros(2), dtorch.ones(3, 1), dtorch.ones(2)
            ),
            "shape 2 x m",
        ),
        (lambda: dist.LKJCholesky(1), "greater than or equal to 2"),
        (lambda: dist.Wishart(dtorch.tensor(1.0), dtorch.eye(3)), "greater than ndim - 1"),
        (lambda: dist.Independent(dist.Normal(0.0, 1.0), 1), "reinterpreted_batch_ndims <="),
        (lambda: dist.TransformedDistribution(dist.Normal(0.0, 1.0), 3), "Transform or list"),
        (lambda: dist.MixtureSameFamily(dist.Normal(0.0, 1.0), 3), "instance of Categorical"),
        (lambda: dist.Distribution.set_default_validate_args(3), "True or False"),
    ],
)  # fmt: skip
def test_wrong_parameters_are_refused_by_name(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


def test_parameters_that_do_not_broadcast_are_refused() -> None:
    with pytest.raises(RuntimeError, match="broadcast"):
        dist.Normal(dtorch.zeros(2), dtorch.ones(3))


def test_checks_can_be_left_out_for_one_and_for_all() -> None:
    assert dist.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    dist.Distribution.set_default_validate_args(False)
    try:
        assert dist.Normal(0.0, -1.0).scale.item() == -1
        with pytest.raises(ValueError, match="scale"):
            dist.Normal(0.0, -1.0, validate_args=True)
    finally:
        dist.Distribution.set_default_validate_args(True)


def test_numbers_take_the_dtype_of_the_tensors_beside_them() -> None:
    assert dist.Normal(0, 1).loc.dtype is dtorch.float32
    assert dist.Normal(tensor(0.0), 1).scale.dtype is dtorch.float64
    assert dist.Gamma(2, tensor([1.0])).sample().dtype is dtorch.float64
    half = dist.Normal(dtorch.zeros(2, dtype=dtorch.bfloat16), 1.0)
    assert half.rsample().dtype is dtorch.bfloat16


def test_subclasses_with_a_constructor_of_their_own_say_how_they_expand() -> None:
    class Standard(dist.Normal):
        def __init__(self) -> None:
            super().__init__(0.0, 1.0)

    class Expanding(Standard):
        def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
            new = self._get_checked_instance(Expanding, _instance)
            return super().expand(batch_shape, new)

    class Scaled(dist.Normal):
        pass

    with pytest.raises(NotImplementedError, match=r"must also define a custom .expand\(\)"):
        Standard().expand((2,))
    assert Expanding().expand((2,)).batch_shape == (2,)
    assert type(Scaled(0.0, 1.0).expand((2,))) is Scaled


def test_a_subclass_of_the_base_needs_only_what_it_uses() -> None:
    class Fixed(dist.Distribution):
        arg_constraints = {}  # noqa: RUF012
        support = constraints.real

        def sample(self, sample_shape: Any = ()) -> Any:
            return dtorch.zeros(self._extended_shape(sample_shape))

    d = Fixed(dtorch.Size([2]))
    assert d.sample((3,)).shape == (3, 2)
    assert repr(d) == "Fixed()"
    for ask in (lambda: d.mean, lambda: d.mode, d.entropy, d.rsample, lambda: d.expand((3, 2))):
        with pytest.raises(NotImplementedError):
            ask()
    with pytest.warns(FutureWarning, match="deprecated"):
        assert d.sample_n(4).shape == (4, 2)
    with pytest.warns(UserWarning, match="arg_constraints"):
        dist.Distribution()


def test_representations_show_numbers_and_the_sizes_of_what_is_larger() -> None:
    assert repr(dist.Normal(0.0, 1.0)) == "Normal(loc: 0.0, scale: 1.0)"
    both = dist.Normal(dtorch.zeros(2), dtorch.ones(2))
    assert repr(both) == "Normal(loc: dtorch.Size([2]), scale: dtorch.Size([2]))"
    assert repr(dist.Independent(both, 1)) == f"Independent({both!r}, 1)"
    assert repr(dist.Bernoulli(logits=0.0)) == "Bernoulli(logits: 0.0)"


def test_support_is_enumerated() -> None:
    assert dist.Bernoulli(dtorch.full((2,), 0.5)).enumerate_support().tolist() == [[0, 0], [1, 1]]
    assert dist.Categorical(dtorch.ones(2, 3)).enumerate_support(expand=False).shape == (3, 1)
    assert dist.Binomial(2, dtorch.full((2,), 0.5)).enumerate_support().shape == (3, 2)
    assert dist.OneHotCategorical(dtorch.ones(3)).enumerate_support().tolist() == np.eye(3).tolist()
    with pytest.raises(NotImplementedError, match="Inhomogeneous total count"):
        dist.Binomial(dtorch.tensor([1.0, 2.0]), 0.5).enumerate_support()
    for d in (dist.Bernoulli(0.3), dist.Binomial(4, 0.3), dist.Categorical(dtorch.ones(5))):
        total = d.log_prob(d.enumerate_support()).exp().sum()
        np.testing.assert_allclose(total.item(), 1, rtol=1e-6)


def test_mixtures_are_means_of_their_components() -> None:
    weights, centers = tensor([0.25, 0.75]), tensor([[-1.0, 2.0], [0.0, 1.0]])
    parts = dist.Normal(centers, tensor([1.0, 0.5]))
    d = dist.MixtureSameFamily(dist.Categorical(weights), parts)
    x = tensor(0.3)
    np.testing.assert_allclose(
        d.log_prob(x).exp().numpy(), (weights * parts.log_prob(x).exp()).sum(-1).numpy()
    )
    np.testing.assert_allclose(d.cdf(x).numpy(), (weights * parts.cdf(x)).sum(-1).numpy())
    dtorch.manual_seed(0)
    drawn = d.sample((20_000,))
    np.testing.assert_allclose(drawn.mean(0).numpy(), d.mean.numpy(), atol=0.04)
    np.testing.assert_allclose(drawn.var(0).numpy(), d.variance.numpy(), atol=0.08)
    rows = dist.Independent(dist.Normal(dtorch.zeros(3, 2, 4), dtorch.ones(4)), 1)
    wide = dist.MixtureSameFamily(dist.Categorical(dtorch.ones(2)), rows).expand((5, 3))
    assert wide.sample((7,)).shape == (7, 5, 3, 4)
    with pytest.raises(ValueError, match="does not equal"):
        dist.MixtureSameFamily(dist.Categorical(dtorch.ones(3)), parts)


def test_transforms_change_densities_by_their_jacobian() -> None:
    base = dist.Normal(tensor(0.5), tensor(0.7))
    log_normal = dist.TransformedDistribution(base, [dist.ExpTransform()])
    x = tensor([0.2, 1.0, 3.0])
    expected = dist.LogNormal(tensor(0.5), tensor(0.7))
    np.testing.assert_allclose(log_normal.log_prob(x).numpy(), expected.log_prob(x).numpy())
    falling = dist.TransformedDistribution(base, [dist.AffineTransform(1.0, -2.0)])
    np.testing.assert_allclose(falling.cdf(falling.icdf(tensor(0.2))).item(), 0.2)
    np.testing.assert_allclose(
        falling.cdf(tensor(0.0)).item(), dist.Normal(0.0, 1.4).cdf(tensor(0.0)), rtol=1e-6
    )
    many = dist.TransformedDistribution(base, [dist.AffineTransform(0.0, tensor([1.0, 2.0]))])
    assert many.batch_shape == (2,)
    stick = dist.TransformedDistribution(base.expand((4, 3)), [dist.StickBreakingTransform()])
    assert (stick.batch_shape, stick.event_shape) == ((4,), (4,))
    assert stick.expand((2, 4)).sample().shape == (2, 4, 4)


def test_relaxed_logits_are_a_distribution_of_their_own() -> None:
    d = LogitRelaxedBernoulli(dtorch.tensor(0.5), probs=dtorch.tensor([0.2, 0.7]))
    assert d.support is constraints.real
    assert d.rsample((3,)).shape == (3, 2)


def test_a_batch_of_none_is_one_too() -> None:
    none = dist.Normal(dtorch.zeros(0, 3), 1.0)
    rows = dist.Independent(none, 1)
    assert rows.log_prob(rows.sample((2,))).shape == (2, 0)
    assert dist.kl_divergence(rows, rows).shape == (0,)
    for d in (
        dist.MultivariateNormal(dtorch.zeros(0, 3), dtorch.eye(3)),
        dist.MultivariateNormal(dtorch.zeros(0, 3), scale_tril=dtorch.eye(3).expand(0, 3, 3)),
        dist.Dirichlet(dtorch.ones(0, 3)),
        dist.MixtureSameFamily(dist.Categorical(dtorch.ones(0, 3)), none),
        dist.TransformedDistribution(none, [dist.StickBreakingTransform()]),
    ):
        assert d.log_prob(d.sample((2,))).shape == (2, 0)


def test_parameters_are_computed_once_and_with_gradients() -> None:
    probs = dtorch.tensor([0.2, 0.7], requires_grad=True)
    d = dist.Bernoulli(probs)
    assert isinstance(dist.Bernoulli.logits, lazy_property)
    assert "logits" not in vars(d)
    with dtorch.no_grad():
        logits = d.logits
    assert d.logits is logits
    assert logits.requires_grad


def test_log_probabilities_at_the_ends_are_finite_and_have_gradients() -> None:
    for logit in (-1e4, -90.0, 90.0, 1e4):
        logits = dtorch.tensor([logit], requires_grad=True)
        for d in (dist.Bernoulli(logits=logits), dist.ContinuousBernoulli(logits=logits)):
            likely = dtorch.tensor([float(logit > 0)])
            (slope,) = dtorch.autograd.grad(d.log_prob(likely).sum() + d.entropy().sum(), logits)
            assert slope.isfinite().all()
    # The density of the likely end of a steep exponential is its slope.
    steep = dist.ContinuousBernoulli(logits=dtorch.tensor(200.0))
    np.testing.assert_allclose(steep.log_prob(dtorch.tensor(1.0)).exp().item(), 200, rtol=1e-4)
    certain = dist.Categorical(dtorch.tensor([0.0, 1.0]))
    assert certain.log_prob(dtorch.tensor(1)).item() == pytest.approx(0, abs=1e-6)
    assert certain.entropy().item() == pytest.approx(0, abs=1e-5)


def test_classic_names() -> None:
    d = dist.Normal(dtorch.zeros(2), dtorch.full((2,), 2.0))
    assert d.std.tolist() == d.stddev.tolist() == [2, 2]
    assert dist.utils._finfo(d.loc).eps == dtorch.finfo(dtorch.float32).eps
    assert dist.utils.batch_tril(dtorch.ones(3, 2, 2)).sum() == 9


def test_triangles_become_vectors_and_back() -> None:
    square = dtorch.arange(32.0).view(2, 4, 4)
    for diag in (-2, -1, 0, 1, 2):
        vector = tril_matrix_to_vec(square, diag)
        assert vec_to_tril_matrix(vector, diag).tolist() == square.tril(diag).tolist()
    with pytest.raises(ValueError, match="lower triangular part"):
        vec_to_tril_matrix(dtorch.ones(5))
    with pytest.raises(ValueError, match="instances of Number"):
        broadcast_all([1.0], 2.0)


def test_classic_and_modern_names_of_modules_are_found_as_torch() -> None:
    program = (
        "import torch\n"
        "import torch.distributions as D\n"
        "from torch.distributions import constraints, Normal\n"
        "from torch.distributions.relaxed_bernoulli import LogitRelaxedBernoulli\n"
        "from torch.distributions.uniform import Uniform\n"
        "assert torch.distributions.log_normal.LogNormal is D.LogNormal\n"
        "assert torch.distributions.multivariate_normal.MultivariateNormal\n"
        "assert torch.distributions.kl.kl_divergence(Normal(0., 1.), Normal(0., 1.)) == 0\n"
        "assert torch.distributions.utils.broadcast_all\n"
        "from torch.distributions.dirichlet import _Dirichlet_backward\n"
        "assert torch._standard_gamma(torch.ones(2)).shape == (2,)\n"
        "print(type(D.Beta(1., 2.).sample()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", "import dtorch.compat; dtorch.compat.install()\n" + program],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Tensor" in done.stdout
