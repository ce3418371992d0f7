"""Gradients where a formula divides by 0, or takes the logarithm or a power of it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import Tensor
from dtorch.nn import functional as F  # noqa: N812 - everybody calls it so

INF, NAN = math.inf, math.nan


def gradient(function: Any, *values: Any, upstream: float = 1.0) -> Any:
    """Of the sum of the results, by the first of the values."""
    tensors = [dtorch.tensor(v, dtype=dtorch.float64, requires_grad=True) for v in values]
    out = function(*tensors)
    for create_graph in (False, True):
        found = dtorch.autograd.grad(
            out,
            tensors[0],
            dtorch.full_like(out, upstream),
            retain_graph=True,
            create_graph=create_graph,
        )[0]
    return found.detach().numpy()


def expect(found: Any, wanted: Any) -> None:
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize(
    "spread",
    [
        lambda x: x.std(),
        lambda x: x.std(0),
        lambda x: x.std(unbiased=False),
        lambda x: dtorch.std(x, 0, correction=2),
        lambda x: dtorch.std_mean(x)[0],
    ],
)
def test_standard_deviation_of_equal_elements_has_gradient_zero(spread: Any) -> None:
    expect(gradient(spread, [1.0, 1.0, 1.0]), [0.0, 0.0, 0.0])


def test_one_constant_column_leaves_the_other_columns_their_gradient() -> None:
    found = gradient(lambda x: x.std(0), [[1.0, 2.0], [1.0, 3.0]])
    expect(found, [[0.0, -math.sqrt(0.5)], [0.0, math.sqrt(0.5)]])


@pytest.mark.parametrize("p", [0.5, 1.5, 2, 3])
def test_lp_pool_of_a_window_of_zeros_has_gradient_zero(p: float) -> None:
    expect(gradient(lambda x: F.lp_pool1d(x, p, 3), [[[0.0, 0.0, 0.0]]]), [[[0.0, 0.0, 0.0]]])
    window = [[[[0.0, 0.0], [0.0, 0.0]]]]
    expect(gradient(lambda x: F.lp_pool2d(x, p, 2), window), window)


NORMS: dict[str, Any] = {
    "norm": lambda x, p: dtorch.norm(x, p),
    "vector_norm": lambda x, p: dtorch.linalg.vector_norm(x, p),
    "dist": lambda x, p: dtorch.dist(x, dtorch.zeros(3, dtype=dtorch.float64), p),
    "cdist": lambda x, p: dtorch.cdist(x[None], dtorch.zeros(2, 3, dtype=dtorch.float64), p),
    "pdist": lambda x, p: F.pdist(dtorch.stack([x, dtorch.zeros(3, dtype=dtorch.float64)]), p),
    "pairwise_distance": lambda x, p: F.pairwise_distance(
        x, dtorch.zeros(3, dtype=dtorch.float64), p, eps=0.0
    ),
}


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, INF])
@pytest.mark.parametrize("norm", NORMS)
def test_gradient_of_a_norm_is_zero_at_zero(norm: str, p: float) -> None:
    expect(gradient(lambda x: NORMS[norm](x, p), [0.0, 0.0, 0.0]), [0.0, 0.0, 0.0])


@pytest.mark.parametrize("p", [0.5, 1.5])
def test_a_zero_among_other_elements_has_no_part_in_the_gradient_of_a_norm(p: float) -> None:
    found = gradient(lambda x: dtorch.norm(x, p), [0.0, -2.0, 3.0])
    size = (2**p + 3**p) ** (1 / p)
    expect(found, [0.0, -((2 / size) ** (p - 1)), (3 / size) ** (p - 1)])


def test_norms_of_negative_order_have_gradient_zero_at_zero() -> None:
    expect(gradient(lambda x: dtorch.norm(x, -1), [0.0, 2.0]), [0.0, 0.0])


def test_the_slope_of_sinc_near_zero_has_all_its_digits() -> None:
    x = dtorch.tensor([1e-4, -1e-6, 0.0], requires_grad=True)
    x.sinc().sum().backward()
    wanted = [-(math.pi**2) / 3 * v for v in (1e-4, -1e-6, 0.0)]
    np.testing.assert_allclose(x.grad.tolist(), wanted, rtol=1e-6)


def test_a_count_of_elements_has_gradient_zero_even_where_they_are_nan() -> None:
    z = dtorch.tensor([complex(math.nan, 1), 2j, 0j], requires_grad=True)
    z.norm(0).backward()
    assert z.grad.tolist() == [0j, 0j, 0j]


@pytest.mark.parametrize("p", [0.5, 1, 2, 3])
def test_renorm_and_normalize_at_zero(p: float) -> None:
    expect(gradient(lambda x: dtorch.renorm(x, p, 0, 1.0), [[0.0, 0.0]]), [[1.0, 1.0]])
    expect(gradient(lambda x: F.normalize(x, p), [[0.0, 0.0]]), [[1e12, 1e12]])


@pytest.mark.parametrize("p", [2, 3, 0.5, -1, INF, -INF])
def test_the_norm_of_one_number_is_its_size(p: float) -> None:
    x = dtorch.tensor([[1e30, -2.0, 0.0]], requires_grad=True)
    out = x.norm(p, 0)
    assert out.tolist() == [dtorch.tensor(1e30).item(), 2.0, 0.0]
    out.sum().backward()
    assert x.grad.tolist() == [[1.0, -1.0, 0.0]]


def test_slices_that_renorm_leaves_alone_have_their_gradient_whatever_their_norm() -> None:
    rows = [[float("nan"), 1.0], [float("inf"), 1.0], [0.25, 0.25], [3.0, 4.0]]
    got = gradient(lambda x: dtorch.renorm(x, 2, 0, 1.0), rows)
    assert got[0].tolist() == [1.0, 1.0]  # nan exceeds nothing
    assert np.isnan(got[1]).all()
    assert got[2].tolist() == [1.0, 1.0]
    np.testing.assert_allclose(got[3], np.array([4, -3]) / 125, rtol=1e-5)


def test_cosine_similarity_with_a_vector_of_zeros() -> None:
    found = gradient(lambda x, y: F.cosine_similarity(x, y), [[0.0, 0.0]], [[3.0, 4.0]])
    expect(found, [[0.6e8, 0.8e8]])


def test_angle_at_the_origin_has_gradient_zero() -> None:
    for zero in (0.0, -0.0):
        expect(gradient(dtorch.atan2, [0.0, zero], [0.0, 0.0]), [0.0, 0.0])
        expect(gradient(lambda x, y: dtorch.atan2(y, x), [zero], [0.0]), [0.0])
        expect(gradient(dtorch.hypot, [0.0, zero], [0.0, 0.0]), [0.0, 0.0])


@pytest.mark.parametrize("base", [0.0, -0.0])
def test_power_of_zero_by_its_exponent(base: float) -> None:
    exponents = [0.0, 0.5, 2.0, -1.0]
    wanted = [0.0, 0.0, 0.0, math.copysign(INF, -base)]  # -0.0 ** -1 is -inf
    expect(gradient(lambda b: base**b, exponents), wanted)
    expect(gradient(lambda b, x: x**b, exponents, [base] * 4), wanted)


def test_power_by_its_base_where_the_exponent_is_zero() -> None:
    bases = [0.0, 2.0, INF, -INF, NAN]
    for upstream in (1.0, INF):
        expect(gradient(lambda x: x**0, bases, upstream=upstream), [0.0] * 5)
        expect(gradient(lambda x, b: x**b, bases, [0.0] * 5, upstream=upstream), [0.0] * 5)


def test_power_by_its_exponent_of_a_negative_base_is_nan() -> None:
    assert np.isnan(gradient(lambda b: (-2.0) ** b, [-1e30, 2.0])).all()


SUMS: dict[str, Any] = {
    "logsumexp": lambda x: dtorch.logsumexp(x, 1),
    "logsumexp keepdim": lambda x: dtorch.logsumexp(x, 1, keepdim=True),
    "logcumsumexp": lambda x: dtorch.logcumsumexp(x, 1),
    "logaddexp": lambda x: dtorch.logaddexp(x, dtorch.full_like(x, -INF)),
    "logaddexp2": lambda x: dtorch.logaddexp2(x, dtorch.full_like(x, -INF)),
}


@pytest.mark.parametrize("name", SUMS)
def test_logarithm_of_a_sum_of_nothing_passes_no_gradient(name: str) -> None:
    for upstream in (0.0, 1.0):
        expect(gradient(SUMS[name], [[-INF, -INF]], upstream=upstream), [[0.0, 0.0]])


def test_masked_rows_of_logsumexp_leave_the_gradient_of_the_others() -> None:
    x = dtorch.tensor([[-INF, -INF], [0.0, 0.0]], requires_grad=True)
    total = dtorch.logsumexp(x, 1)
    total[1].backward()
    assert x.grad.tolist() == [[0.0, 0.0], [0.5, 0.5]]


def test_an_infinite_element_has_all_of_the_gradient_of_logsumexp() -> None:
    expect(gradient(lambda x: dtorch.logsumexp(x, 0), [INF, 1.0]), [1.0, 0.0])
    expect(gradient(lambda x: dtorch.logaddexp(x, dtorch.zeros_like(x)), [INF, -INF]), [1.0, 0.0])


def test_xlogy_at_zero() -> None:
    expect(gradient(dtorch.xlogy, [0.0, 0.0, 1.0], [0.0, -1.0, 2.0]), [0.0, 0.0, math.log(2)])
    expect(gradient(dtorch.xlogy, [0.0, 1.0], [0.0, 0.0], upstream=INF), [0.0, -INF])
    expect(gradient(dtorch.xlogy, [1.0, 2.0], [0.0, -1.0], upstream=0.0), [0.0, 0.0])


def test_divergence_from_a_target_of_zero() -> None:
    def loss(target: Any, input: Any) -> Tensor:
        return F.kl_div(input, target, reduction="none")

    expect(gradient(loss, [0.0, 1.0], [-1.0, -1.0]), [0.0, 2.0])


def test_products_with_zeros_by_their_factors() -> None:
    expect(gradient(lambda x: x.prod(), [0.0, 2.0, 3.0]), [6.0, 0.0, 0.0])
    expect(gradient(lambda x: x.prod(), [0.0, 0.0, 3.0]), [0.0, 0.0, 0.0])
    expect(gradient(lambda x: x.cumprod(0), [2.0, 0.0, 3.0]), [1.0, 8.0, 0.0])


@pytest.mark.parametrize("include_self", [True, False])
@pytest.mark.parametrize("own", [0.0, 5.0])
def test_products_of_scattered_elements_with_zeros(own: float, include_self: bool) -> None:
    index = dtorch.tensor([0, 0, 0])

    def product(source: Any, input: Any) -> Tensor:
        return input.scatter_reduce(0, index, source, "prod", include_self=include_self)

    factor = own if include_self else 1.0
    expect(gradient(product, [2.0, 0.0, 3.0], [own]), [0.0, 6 * factor, 0.0])
    expect(gradient(product, [0.0, 0.0, 3.0], [own]), [0.0, 0.0, 0.0])
    by_input = gradient(lambda x, s: product(s, x), [own], [2.0, 4.0, 3.0])
    expect(by_input, [24.0 if include_self else 0.0])


@pytest.mark.parametrize("reduce", [dtorch.amax, dtorch.amin])
def test_infinite_elements_do_not_spoil_the_gradient_of_an_extreme(reduce: Any) -> None:
    expect(gradient(lambda x: reduce(x, 0).sum(), [INF, INF]), [0.5, 0.5])
    sign = 1 if reduce is dtorch.amax else -1
    expect(gradient(lambda x: reduce(x, 0), [sign * INF, 1.0, 2.0]), [1.0, 0.0, 0.0])
    expect(gradient(lambda x: reduce(x, 0), [1.0, NAN, 2.0]), [0.0, 1.0, 0.0])


def test_second_gradients_are_finite_beside_zero() -> None:
    x = dtorch.tensor([0.0, 2.0], dtype=dtorch.float64, requires_grad=True)
    for function in (
        lambda x: dtorch.norm(x, 1.5),
        lambda x: dtorch.norm(x, 0.5),
        lambda x: x.std(),
        lambda x: 0.0 ** (x + 1),
        lambda x: dtorch.where(x > 1, x, 1.0).log().sum() + F.elu(x * 1000).sum(),
    ):
        first = dtorch.autograd.grad(function(x).sum(), x, create_graph=True)[0]
        assert first.isfinite().all()
        if first.requires_grad:
            assert dtorch.autograd.grad(first.sum(), x)[0].isfinite().all()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_polygamma_of_large_negative_numbers_comes_to_an_end(n: int) -> None:
    x = dtorch.tensor([-1e30, -INF, NAN, -0.25, -100.25], dtype=dtorch.float64)
    out = dtorch.polygamma(n, x).numpy()
    assert np.isnan(out[1:3]).all()
    below = dtorch.polygamma(n, x[3:] + 1).numpy()
    step = (-1) ** n * math.factorial(n) / x[3:].numpy() ** (n + 1)
    np.testing.assert_allclose(out[3:], below - step, rtol=1e-12)


VALUES: dict[str, Any] = {
    "svd": lambda x: dtorch.linalg.svd(x, full_matrices=False)[1],
    "svdvals": lambda x: dtorch.linalg.svdvals(x),
    "eigvalsh": lambda x: dtorch.linalg.eigvalsh(x),
    "eigh": lambda x: dtorch.linalg.eigh(x)[0],
    "nuclear norm": lambda x: dtorch.linalg.norm(x, "nuc"),
}


@pytest.mark.parametrize("name", VALUES)
def test_equal_singular_and_eigenvalues_have_the_gradient_of_their_sum(name: str) -> None:
    expect(gradient(VALUES[name], np.eye(3)), np.eye(3))
    expect(gradient(VALUES[name], np.diag([2.0, 2.0, 1.0])), np.eye(3))


@pytest.mark.parametrize("order", [2, -2])
def test_equal_singular_values_share_the_gradient_of_a_spectral_norm(order: int) -> None:
    expect(gradient(lambda x: dtorch.linalg.norm(x, order), np.eye(2)), np.eye(2) / 2)


def test_singular_values_of_zeros_have_a_gradient() -> None:
    found = gradient(lambda x: dtorch.linalg.norm(x, "nuc"), np.zeros((2, 3)))
    np.testing.assert_allclose(found @ found.T, np.eye(2), atol=1e-12)


def test_vectors_of_equal_values_still_have_no_gradient() -> None:
    weight = dtorch.tensor(np.arange(4.0).reshape(2, 2))
    assert not np.isfinite(gradient(lambda x: dtorch.linalg.eigh(x)[1] * weight, np.eye(2))).all()


def test_complex_numbers_at_zero() -> None:
    zero = dtorch.zeros(2, dtype=dtorch.complex128, requires_grad=True)
    for function in (dtorch.sgn, dtorch.angle, dtorch.abs, lambda x: dtorch.norm(x, 3)):
        out = function(zero)
        real = dtorch.view_as_real(out) if out.is_complex() else out
        assert dtorch.autograd.grad(real.sum(), zero)[0].tolist() == [0, 0]


def test_running_products_that_underflow_or_overflow_keep_the_gradient_of_their_factors() -> None:
    expect(gradient(lambda x: x.cumprod(0), [1e-200, 1e-200]), [1.0, 1e-200])
    expect(gradient(lambda x: x.cumprod(0), [[INF, -INF]]), [[1.0, 1.0]])


def test_shares_of_large_scores_are_not_those_of_the_rounded_logarithm() -> None:
    scores = [[1e9, 1e9 + 1, 1e9 + 2]]
    shares = np.exp([0.0, 1.0, 2.0]) / np.exp([0.0, 1.0, 2.0]).sum()
    expect(gradient(lambda x: dtorch.logsumexp(x, 1), scores), [shares])
    target = dtorch.tensor([0])
    found = gradient(lambda x: F.cross_entropy(x, target), scores)
    np.testing.assert_allclose(found, [shares - [1.0, 0.0, 0.0]], rtol=1e-12)
    half = 1 / (1 + math.e)
    expect(gradient(dtorch.logaddexp, [1e9], [1e9 + 1]), [half])
    expect(gradient(dtorch.logaddexp2, [1e9], [1e9]), [0.5])


def test_quotients_by_small_numbers_have_the_gradient_of_their_divisor() -> None:
    x = dtorch.tensor(1e-20)
    y = dtorch.tensor(1e-25, requires_grad=True)
    (x / y).backward()
    np.testing.assert_allclose(y.grad.item(), -1e30, rtol=1e-5)
