"""Rules of operations that their samples do not show: integers, ties, nan, empty, bad input."""

from __future__ import annotations

import math
from typing import Any

import pytest

import dtorch
from dtorch.core.errors import (
    ArgumentError,
    DimensionError,
    DivisionError,
    DtypeError,
    IndicesError,
    ShapeError,
)

nan = math.nan


def test_sums_of_integers_and_bools_are_int64_but_division_is_floating() -> None:
    small = dtorch.tensor([200, 100], dtype=dtorch.uint8)
    assert small.sum().dtype is dtorch.int64
    assert int(small.sum()) == 300
    assert dtorch.tensor([True, True]).cumsum(0).tolist() == [1, 2]
    assert (small / 3).dtype is dtorch.float32
    assert small.div(3, rounding_mode="floor").dtype is dtorch.uint8
    assert (small + small).tolist() == [144, 200]  # uint8 wraps


def test_half_precision_sums_do_not_saturate() -> None:
    for dtype in (dtorch.float16, dtorch.bfloat16):
        ones = dtorch.ones(3000, 2, dtype=dtype)
        assert abs(float(ones.sum(0)[0]) - 3000) <= 8
        assert float(ones.mean(0)[0]) == 1
        assert float(ones.cumsum(0)[-1, 0]) == float(dtorch.tensor(3000.0).to(dtype))


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod"])
def test_integer_division_by_zero_is_an_error_and_floating_is_not(name: str) -> None:
    function = getattr(dtorch, name)
    with pytest.raises(DivisionError, match=name):
        function(dtorch.tensor([1, 2]), dtorch.tensor([1, 0]))
    with pytest.raises(RuntimeError):
        function(dtorch.tensor([1, 2]), 0)
    assert not math.isfinite(float(function(dtorch.tensor([1.0]), 0.0)))


def test_remainder_has_the_sign_of_the_divisor_and_fmod_of_the_dividend() -> None:
    a = dtorch.tensor([-7, 7])
    assert (a % 3).tolist() == [2, 1]
    assert (a % -3).tolist() == [-1, -2]
    assert dtorch.fmod(a, 3).tolist() == [-1, 1]
    assert dtorch.div(a, 2, rounding_mode="trunc").tolist() == [-3, 3]
    assert dtorch.div(a, 2, rounding_mode="floor").tolist() == [-4, 3]
    with pytest.raises(ArgumentError, match="rounding_mode is 'up'"):
        dtorch.div(a, 2, rounding_mode="up")


def test_sort_is_stable_in_both_directions_and_puts_nan_at_the_large_end() -> None:
    x = dtorch.tensor([2.0, 1.0, 2.0, nan, 1.0])
    assert x.sort()[1].tolist() == [1, 4, 0, 2, 3]
    assert x.sort(descending=True)[1].tolist() == [3, 0, 2, 1, 4]
    result = x.sort()
    assert result.values is result[0]
    assert result.indices is result[1]


def test_medians_take_the_lower_of_two_and_pass_nan_on() -> None:
    assert float(dtorch.tensor([4.0, 1.0, 3.0, 2.0]).median()) == 2
    assert math.isnan(float(dtorch.tensor([1.0, nan, 2.0]).median()))
    assert float(dtorch.tensor([1.0, nan, 2.0, 5.0]).nanmedian()) == 2
    values, indices = dtorch.tensor([[3, 1, 2], [9, 9, 8]]).median(1)
    assert values.tolist() == [2, 9]
    assert indices[0] == 2


def test_mode_is_the_smallest_of_the_most_frequent() -> None:
    values, indices = dtorch.tensor([[3, 1, 3, 1, 2]]).mode()
    assert (values.tolist(), indices.tolist()) == ([1], [3])


def test_extremes_pass_nan_on_and_fmax_does_not() -> None:
    x = dtorch.tensor([1.0, nan])
    assert math.isnan(float(x.max()))
    assert math.isnan(float(x.max(0).values))
    assert dtorch.fmax(x, dtorch.tensor([nan, 2.0])).tolist() == [1, 2]
    assert dtorch.cummax(dtorch.tensor([1, 3, 3, 2]), 0).indices.tolist() == [0, 1, 2, 2]


def test_classic_positions_of_factors() -> None:
    t, a, b = dtorch.ones(2), dtorch.tensor([2.0, 3.0]), dtorch.tensor([4.0, 5.0])
    assert dtorch.add(t, 2, a).tolist() == [5, 7]
    assert dtorch.addcmul(t, 0.5, a, b).tolist() == [5, 8.5]
    m = dtorch.eye(2)
    assert dtorch.addmv(2, t, 3, m, a).tolist() == [8, 11]
    assert dtorch.addmv(2, t, m, a).tolist() == [4, 5]
    assert t.add_(2, a).tolist() == [5, 7]
    assert dtorch.addr(0, m, 1, a, b).tolist() == [[8, 10], [12, 15]]


def test_empty_tensors() -> None:
    empty = dtorch.zeros(0, 3)
    assert float(empty.sum()) == 0
    assert empty.sum(0).tolist() == [0, 0, 0]
    assert float(empty.prod()) == 1
    assert math.isnan(float(empty.mean()))
    assert tuple(empty.max(1).values.shape) == (0,)
    assert tuple(empty.sort(0)[0].shape) == (0, 3)
    assert dtorch.nonzero(empty).tolist() == []
    assert dtorch.unique(empty).tolist() == []
    with pytest.raises(DimensionError, match="no elements"):
        empty.max(0)


@pytest.mark.parametrize(
    ("use", "error", "message"),
    [
        (lambda x: x.gather(1, dtorch.tensor([[9]])), DimensionError, "gather.*dim 1 of size 3"),
        (lambda x: x.gather(1, dtorch.tensor([[0.5]])), DtypeError, "gather.*float32.*int64"),
        (lambda x: x.gather(1, dtorch.tensor([1])), ShapeError, "gather.*as many dims"),
        (lambda x: x.index_select(0, dtorch.tensor([2])), DimensionError, "dim 0 of size 2"),
        (lambda x: x.index_add(0, dtorch.tensor([0]), x), IndicesError, r"index_add.*\(1, 3\)"),
        (lambda x: x.scatter(0, dtorch.tensor([[-1]]), x), DimensionError, "scatter"),
        (lambda x: x.scatter_reduce(0, dtorch.tensor([[0]]), x, "max"), ArgumentError, "'max'"),
        (lambda x: x.masked_fill(dtorch.tensor([1.0]), 0), DtypeError, "masked_fill.*bool"),
        (
            lambda x: x.masked_scatter(x == x, dtorch.ones(2)),
            ShapeError,
            "2 elements, the mask holds 6",
        ),
        (lambda x: x.take(dtorch.tensor([6])), DimensionError, "6 elements"),
        (lambda x: x.topk(4), ArgumentError, "k is 4, expected 0 to 3"),
        (lambda x: x.kthvalue(0), ArgumentError, "k is 0, expected 1 to 3"),
        (lambda x: x.sum(2), DimensionError, "sum: dim 2.*-2 to 1"),
        (lambda x: x.sum((0, 0)), ArgumentError, "names a dimension twice"),
        (lambda x: x.repeat(2), ShapeError, "repeat.*at least as many"),
        (lambda x: dtorch.cross(x, x.t()), ShapeError, "cross"),
        (lambda x: dtorch.einsum("ij,jk", x, x), ShapeError, "'j' stands for sizes 3 and 2"),
        (lambda x: dtorch.einsum("ij", x, x), ArgumentError, "names 1 operands, got 2"),
        (lambda x: dtorch.bincount(dtorch.tensor([-1])), ArgumentError, "negative number -1"),
        (lambda x: dtorch.histc(x, 0), ArgumentError, "bins is 0"),
        (lambda x: x.quantile(1.5), ArgumentError, "q is 1.5"),
        (lambda x: x.nanquantile(1.5), ArgumentError, "nanquantile: q is 1.5"),
        (lambda x: x.float_power_(2), DtypeError, "float_power_: the tensor is .*float32"),
        (lambda x: dtorch.gradient(x, edge_order=3), ArgumentError, "edge_order is 3"),
        (lambda x: dtorch.gradient(x, spacing=[1.0]), ArgumentError, "1 elements, .* 2 dims"),
        (lambda x: dtorch.gradient(x[:1]), ArgumentError, r"\(1, 3\), expected at least 2"),
        (lambda x: dtorch.histogram(x, 0), ArgumentError, "histogram: bins is 0"),
        (lambda x: dtorch.histogram(x.half(), 2), DtypeError, "float16, expected float32"),
        (lambda x: dtorch.histogram(x, 2, range=(1, 0)), ArgumentError, "lower bound first"),
        (lambda x: dtorch.histogramdd(x, [2]), ArgumentError, "for 1 and 3 dims, expected 3"),
        (
            lambda x: x.index_reduce(0, dtorch.tensor([0]), x[:1], "sum"),
            ArgumentError,
            "index_reduce: reduce is 'sum'",
        ),
        (lambda x: x.unflatten(1, (2, 2)), ShapeError, "unflatten"),
        (lambda x: dtorch.movedim(x, 0, (0, 1)), ArgumentError, "1 sources, but 2"),
        (lambda x: x.renorm(0, 0, 1.0), ArgumentError, "p is 0"),
        (
            lambda x: x[0, 0].index_add(0, dtorch.tensor([0, 0]), x[0, 0]),
            IndicesError,
            r"index_add: source has shape \(\)",
        ),
        (lambda x: dtorch.tril_indices(2, -1), ArgumentError, "tril_indices: row is 2 and col -1"),
        (lambda x: dtorch.triu_indices(-1, 2), ArgumentError, "triu_indices: row is -1"),
        (lambda x: x[:0].norm(-1, 0), ShapeError, "norm: dim 0 .* is empty; there is no -1-norm"),
        (lambda x: x[:0, :0].norm(-0.5, 0), ShapeError, "norm: dim 0 .* is empty"),
        (lambda x: dtorch.fft.fft(x, norm="big"), ArgumentError, "norm is 'big'"),
    ],
)
def test_errors_name_operation_given_and_expected(use: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        use(dtorch.arange(6.0).reshape(2, 3))


def test_neighbours_of_numbers_of_every_floating_dtype() -> None:
    nan = float("nan")
    x, y = dtorch.tensor([1.0, 1.0, 0.0, -1.0, nan]), dtorch.tensor([2.0, 0.0, -1.0, -1.0, 0.0])
    for dtype in (dtorch.float16, dtorch.bfloat16, dtorch.float32, dtorch.float64):
        found = x.to(dtype).nextafter(y.to(dtype))
        eps = dtorch.finfo(dtype).eps
        assert found[:2].tolist() == [1 + eps, 1 - eps / 2]
        assert -dtorch.finfo(dtype).tiny < found[2] < 0
        assert found[3] == -1
        assert found[4].isnan()


def test_quantile_at_the_ends_and_with_nan() -> None:
    x = dtorch.tensor([[3.0, 1.0, 2.0], [1.0, nan, 0.0]])
    q = x.quantile(dtorch.tensor([0.0, 0.5, 1.0]), 1)
    assert q[:, 0].tolist() == [1, 2, 3]
    assert all(math.isnan(v) for v in q[:, 1].tolist())


def test_gradients_of_products_pass_zeros() -> None:
    x = dtorch.tensor([2.0, 0.0, 3.0], requires_grad=True)
    x.prod().backward()
    assert x.grad.tolist() == [0, 6, 0]
    x.grad = None
    x.cumprod(0).sum().backward()
    assert x.grad.tolist() == [1, 8, 0]


def test_powers_of_special_exponents_equal_general_ones() -> None:
    x = dtorch.tensor([0.5, 2.0, 3.0], dtype=dtorch.float64)
    for exponent in (-2, -1, -0.5, 0.5, 2, 3, 4):
        expected = [v**exponent for v in x.tolist()]
        assert (x**exponent).tolist() == pytest.approx(expected, rel=1e-14)


def test_sign_of_nan_is_zero() -> None:
    assert dtorch.tensor([nan, -2.0, 0.0]).sign().tolist() == [0, -1, 0]
    assert dtorch.tensor([nan, 3.0]).sgn_().tolist() == [0, 1]


def test_all_and_any_of_classic_masks_are_masks() -> None:
    mask = dtorch.ByteTensor([[1, 0], [2, 3]])
    for out in (mask.all(1), mask.any(0), mask.all(), mask.any()):
        assert out.dtype is dtorch.uint8
    assert mask.all(1).tolist() == [0, 1]
    assert dtorch.tensor([1, 0]).any().dtype is dtorch.bool


def test_median_of_nothing_is_nan() -> None:
    assert math.isnan(dtorch.zeros(0).median())
    assert math.isnan(dtorch.zeros(0).nanmedian())


def test_infinities_become_the_largest_number_of_the_narrow_dtype() -> None:
    half = dtorch.tensor([math.inf, -math.inf, nan, 1.5], dtype=dtorch.float16)
    assert half.nan_to_num().tolist() == [65504, -65504, 0, 1.5]
    brain = half.bfloat16().nan_to_num(posinf=7)
    assert brain.tolist() == [7, dtorch.finfo(dtorch.bfloat16).min, 0, 1.5]
    complex_ = dtorch.complex(dtorch.tensor([math.inf, 1.0]), dtorch.tensor([nan, 2.0]))
    assert complex_.nan_to_num(posinf=3.0).tolist() == [3 + 0j, 1 + 2j]


def test_integers_to_negative_powers_round_towards_zero() -> None:
    base = dtorch.tensor([2, 1, -1, -1, 0, 3])
    exponent = dtorch.tensor([-1, -5, -2, -3, -1, 2])
    assert (base**exponent).tolist() == [0, 1, 1, -1, 0, 9]
    assert (2 ** dtorch.tensor([3, -1])).tolist() == [8, 0]
    with pytest.raises(ArgumentError, match="integer power -1; convert"):
        base**-1


def test_shifts() -> None:
    x = dtorch.tensor([1, -3, 4])
    assert (x << 2).tolist() == [4, -12, 16]
    assert (x >> 1).tolist() == [0, -2, 2]
    assert (1 << dtorch.tensor([0, 3])).tolist() == [1, 8]
    x <<= dtorch.tensor([1, 0, 2])
    assert x.tolist() == [2, -3, 16]
    with pytest.raises(DtypeError, match="bitwise_left_shift: not defined for"):
        dtorch.ones(2) << 1


def test_functions_of_single_numbers() -> None:
    one = dtorch.tensor(1.0)
    assert float(one.erf()) == pytest.approx(math.erf(1))
    zero = dtorch.tensor(0)
    assert one.gather(0, zero).shape == ()
    assert float(one.scatter_add(0, zero, one)) == 2
    assert float(one.scatter(0, zero, dtorch.tensor(5.0))) == 5
    assert [tuple(t.shape) for t in one.unique(return_inverse=True, return_counts=True)] == [
        (1,), (), (1,),
    ]  # fmt: skip


def test_differences_of_nothing() -> None:
    assert dtorch.zeros(0).diff(n=2).shape == (0,)
    assert dtorch.zeros(2, 1).diff().shape == (2, 0)


def test_reversed_goes_backwards_along_the_first_dim() -> None:
    assert reversed(dtorch.tensor([[1, 2], [3, 4]])).tolist() == [[3, 4], [1, 2]]
    assert reversed(dtorch.tensor(3)).item() == 3


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_softmax_of_integers_asks_for_a_dtype(name: str) -> None:
    whole = dtorch.tensor([1, 1])
    with pytest.raises(DtypeError, match="give dtype="):
        getattr(whole, name)(0)
    assert getattr(whole, name)(0, dtype=dtorch.float64).dtype is dtorch.float64


def test_index_add_of_numbers_sums_all_that_meet() -> None:
    index = dtorch.tensor([3, 0, 3, 3, 1])
    source = dtorch.tensor([1.0, 2.0, 4.0, 8.0, 16.0])
    for dtype in (dtorch.float32, dtorch.float64, dtorch.int64):
        out = dtorch.ones(5, dtype=dtype).index_add(0, index, source.to(dtype))
        assert out.tolist() == [3, 17, 1, 14, 1]
        assert out.dtype is dtype


def test_special_functions_of_many_numbers_equal_those_of_few() -> None:
    x = dtorch.linspace(-3.3, 9.1, 20_001, dtype=dtorch.float64)
    for name in ("lgamma", "digamma"):
        whole = getattr(x.view(3, -1).t(), name)()
        assert dtorch.equal(whole[7], getattr(x.view(3, -1)[:, 7], name)())


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.split(1),
        lambda t: t.chunk(1),
        lambda t: t.tensor_split(1),
        lambda t: t.unbind(),
        lambda t: dtorch.diff(t),
        lambda t: dtorch.flipud(t),
        lambda t: t.roll(1, 0),
        lambda t: t.flatten(1),
        lambda t: dtorch.cross(t, t, 0),
    ],
)
def test_a_tensor_of_no_dims_has_none_to_work_along(call) -> None:
    with pytest.raises(IndexError, match=r"0-dim tensor|out of range"):
        call(dtorch.tensor(1.0))


def test_modern_cross_products_are_taken_along_the_last_dim() -> None:
    a, b = dtorch.rand(3, 3), dtorch.rand(3, 3)
    assert dtorch.allclose(dtorch.linalg.cross(a, b), dtorch.cross(a, b, -1))
    assert not dtorch.allclose(dtorch.linalg.cross(a, b), dtorch.cross(a, b))


def test_lengths_of_broadcast_vectors_count_every_element() -> None:
    a, one = dtorch.rand(2, 3), dtorch.ones(1, 1)
    expected = dtorch.nn.functional.cosine_similarity(a, one.expand(2, 3))
    assert dtorch.allclose(dtorch.nn.functional.cosine_similarity(a, one), expected)


@pytest.mark.parametrize("name", ["masked_select", "isclose", "allclose"])
def test_shapes_that_do_not_broadcast_are_named(name: str) -> None:
    a, b = dtorch.zeros(2, 3), dtorch.zeros(4)
    with pytest.raises(ShapeError, match=rf"{name}: shapes \(2, 3\) and \(4,\)"):
        getattr(dtorch, name)(a, b > 0 if name == "masked_select" else b)


def test_no_tensors_are_named_as_such() -> None:
    with pytest.raises(ArgumentError, match="cat: got no tensors"):
        dtorch.cat([])


def test_nan_is_the_largest_in_every_order_of_every_dtype() -> None:
    for dtype in (dtorch.float32, dtorch.float16, dtorch.bfloat16):
        x = dtorch.tensor([3.0, nan, 1.0, 2.0, nan, 0.0], dtype=dtype)
        values, indices = x.sort()
        assert values.dtype is dtype
        assert values[:4].tolist() == [0, 1, 2, 3]
        assert values[4:].isnan().all()
        assert indices.tolist() == [5, 2, 3, 0, 1, 4]
        assert x.argsort().tolist() == [5, 2, 3, 0, 1, 4]
        assert x.topk(3).values[2].item() == 3
        assert x.kthvalue(4).values.item() == 3
        assert x.nanmedian().item() == 1
        assert x.unique()[:4].tolist() == [0, 1, 2, 3]
        edges = dtorch.tensor([0.0, 1.0, 2.0, 3.0], dtype=dtype)
        assert dtorch.searchsorted(edges, x).tolist() == [3, 4, 1, 2, 4, 0]


@pytest.mark.parametrize("function", [dtorch.nn.functional.softsign, dtorch.sinc])
def test_gradients_of_complex_functions_equal_finite_differences(function) -> None:
    z, eps = 0.7 - 1.3j, 1e-6
    x = dtorch.tensor(z, dtype=dtorch.complex128, requires_grad=True)

    def weighted(at):
        out = function(at)
        return out.real + 0.5 * out.imag

    weighted(x).backward()
    at = [dtorch.tensor(z + step, dtype=x.dtype) for step in (eps, -eps, 1j * eps, -1j * eps)]
    right, left, up, down = (float(weighted(step)) for step in at)
    expected = complex(right - left, up - down) / (2 * eps)
    assert abs(x.grad.item() - expected) < 1e-7


def test_losses_of_margins_have_a_slope_where_they_begin() -> None:
    a = dtorch.tensor([1.0], requires_grad=True)
    dtorch.nn.functional.margin_ranking_loss(a, dtorch.ones(1), dtorch.ones(1)).backward()
    assert a.grad.tolist() == [-1]  # as PyTorch's


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: dtorch.nn.functional.binary_cross_entropy(
                dtorch.tensor([0.5]), dtorch.tensor([1.5])
            ),
            ArgumentError,
            "target from 1.5",
        ),
        (lambda: dtorch.ones(2).long().add(1, alpha=0.5), ArgumentError, "alpha is 0.5"),
        (lambda: dtorch.zeros(0).quantile(0.5), ArgumentError, "no elements"),
        (lambda: dtorch.tensor(1.0).sum(dim=3), DimensionError, "dim 3"),
        (lambda: dtorch.tensor(1.0).argmax(3), DimensionError, "dim 3"),
        (lambda: dtorch.tensor(1.0).softmax(3), DimensionError, "dim 3"),
        (lambda: dtorch.tensor([1j], dtype=dtorch.int64), TypeError, "complex"),
        (lambda: dtorch.fft.fft(dtorch.zeros(0)), ArgumentError, "at least 1"),
        (lambda: dtorch.rand(2, 3, 4) @ dtorch.rand(3, 4, 5), ShapeError, "matmul"),
    ],
)
def test_what_has_no_meaning_is_refused(call, error, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_one_variable_has_one_variance_and_any_layout_a_diagonal() -> None:
    assert dtorch.rand(1, 4).cov().shape == ()
    cube = dtorch.zeros(3, 3, 3).permute(2, 1, 0).fill_diagonal_(1)
    assert cube.sum().item() == 3
    assert cube[1, 1, 1].item() == 1
    assert dtorch.tensor([True]).square().dtype is dtorch.int64
    assert dtorch.tensor([math.inf]).quantile(0.3, interpolation="nearest").item() == math.inf


@pytest.mark.parametrize(
    "call",
    [
        lambda: dtorch.full((2,), 300, dtype=dtorch.int8),
        lambda: dtorch.full((2,), math.inf, dtype=dtorch.int64),
        lambda: dtorch.full((2,), 1e39),
        lambda: dtorch.full((2,), 1e5, dtype=dtorch.float16),
        lambda: dtorch.full((2,), -300, dtype=dtorch.uint8),
        lambda: dtorch.full((2,), -0.5, dtype=dtorch.uint8),
        lambda: dtorch.full((2,), 1j, dtype=dtorch.float32),
        lambda: dtorch.full((2,), 2**63),
        lambda: dtorch.tensor([300], dtype=dtorch.uint8),
        lambda: dtorch.tensor(nan, dtype=dtorch.int64),
        lambda: dtorch.zeros(2, dtype=dtorch.int8).masked_fill(dtorch.tensor([True, False]), 300),
        lambda: dtorch.zeros(2, dtype=dtorch.int8).clamp(min=300),
        lambda: dtorch.zeros(2, dtype=dtorch.int8).maximum(300),
        lambda: dtorch.zeros(2, dtype=dtorch.int8).index_fill(0, dtorch.tensor([0]), 300),
        lambda: dtorch.zeros(2, dtype=dtorch.int8).scatter(0, dtorch.tensor([0]), 300),
        lambda: dtorch.nn.functional.pad(dtorch.zeros(2, dtype=dtorch.uint8), (1, 1), value=300),
        lambda: dtorch.nn.functional.threshold(dtorch.zeros(2, dtype=dtorch.int8), 0, 300),
        lambda: dtorch.where(dtorch.tensor([True]), dtorch.zeros(1, dtype=dtorch.int8), 300),
    ],
)
def test_numbers_that_a_dtype_does_not_hold_are_refused_where_they_would_be_stored(call) -> None:
    with pytest.raises(ArgumentError, match="does not fit into"):
        call()


def test_elements_of_another_dtype_are_converted_as_tensors_are_where_numbers_are_refused() -> None:
    byte = dtorch.tensor(254, dtype=dtorch.uint8)
    found = dtorch.where(dtorch.tensor([True, False]), byte, dtorch.ones(2, dtype=dtorch.int8))
    assert found.dtype is dtorch.int8
    assert found.tolist() == [-2, 1]


def test_numbers_that_a_dtype_holds_are_stored() -> None:
    assert dtorch.full((1,), -1, dtype=dtorch.uint8).item() == 255  # as in C, and in PyTorch
    assert dtorch.full((1,), 2.5, dtype=dtorch.int64).item() == 2
    assert dtorch.full((1,), -math.inf, dtype=dtorch.float16).item() == -math.inf
    assert dtorch.full((1,), dtorch.tensor(3)).dtype is dtorch.int64
    assert (dtorch.ones(1, dtype=dtorch.int8) + 300).item() == 45  # arithmetic wraps


def test_windows_that_begin_within_the_input_count_with_ceil_mode() -> None:
    x = dtorch.arange(2.0).reshape(1, 1, 2)
    for pool in (dtorch.nn.functional.max_pool1d, dtorch.nn.functional.avg_pool1d):
        assert pool(x, 3, 3, ceil_mode=True).shape == (1, 1, 1)
        with pytest.raises(ShapeError, match="does not fit"):
            pool(x, 3, 3)


def test_what_is_added_to_a_product_broadcasts_to_it_and_not_the_other_way() -> None:
    with pytest.raises(ShapeError, match=r"addmm: input of shape .* does not broadcast"):
        dtorch.addmm(dtorch.ones(2, 3, 4), dtorch.ones(3, 2), dtorch.ones(2, 4))


def test_negative_bases_have_complex_powers_with_gradients() -> None:
    z = dtorch.tensor(0.5 + 0.25j, dtype=dtorch.complex128, requires_grad=True)
    ((-2.0) ** z).abs().backward()
    # |exp(z log b)| with log b = log 2 + i pi has the gradient |.| conj(log b).
    size = math.exp(0.5 * math.log(2) - 0.25 * math.pi)
    assert abs(z.grad.item() - size * (math.log(2) - 1j * math.pi)) < 1e-12
    assert dtorch.tensor(-0.0).angle().item() == 0


def test_indices_that_do_not_broadcast_and_numbers_that_do_not_fit_are_named() -> None:
    x = dtorch.zeros(4, 4, dtype=dtorch.int8)
    with pytest.raises(DimensionError, match=r"shapes \(3,\) and \(2,\)"):
        x[[1, 1, 2], [0, 1]] = 2
    with pytest.raises(ArgumentError, match="300 does not fit"):
        x[[0, 1]] = 300
    assert not x.any()
    small = dtorch.tensor([2, 1], dtype=dtorch.int8)
    assert (small ** dtorch.full_like(small, -128)).tolist() == [0, 1]


@pytest.mark.parametrize("dim", [0, 1, (0, 2), (0, 1), (1, 2), (0, 1, 2)])
def test_sums_of_many_numbers_far_from_zero_keep_their_digits(dim) -> None:
    x = dtorch.full((3000, 4, 700), 1e6)
    x = x[:, :, :5] if dim == 0 else x[:5] if dim == (1, 2) else x[:200]
    x[..., ::2] += 1
    exact = x.double()
    assert dtorch.allclose(x.mean(dim).double(), exact.mean(dim), rtol=1e-6)
    assert dtorch.allclose(x.sum(dim).double(), exact.sum(dim), rtol=1e-6)
    assert dtorch.allclose(x.var(dim).double(), exact.var(dim), rtol=1e-2, atol=1e-2)
    for order in ((2, 1, 0), (1, 0, 2)):
        moved = x.permute(order)
        assert dtorch.allclose(moved.sum().double(), exact.sum(), rtol=1e-6)


@pytest.mark.parametrize("dim", [0, 1, -3])
def test_tensors_without_elements_are_skipped_whatever_the_dim(dim: int) -> None:
    empty = dtorch.zeros(0, requires_grad=True)
    joined = dtorch.cat([empty, empty], dim)
    assert (joined.shape, joined.dtype) == ((0,), dtorch.float32)
    joined.sum().backward()
    assert empty.grad is not None
    assert empty.grad.shape == (0,)


def test_the_gradient_of_an_angle_is_that_of_large_integers_too() -> None:
    y = dtorch.tensor([2.0, 0.0], requires_grad=True)
    y.atan2(dtorch.tensor(-(2**63))).sum().backward()
    assert y.grad.tolist() == [-(2.0**-63)] * 2
