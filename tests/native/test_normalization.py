import os

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dtorch.core import backend
from dtorch.core.ops.normalization import _gradients, standardize

pytestmark = pytest.mark.skipif(backend.native is None, reason="no native module")

# The sanitizers' build is not optimised, and adds one by one.
SUM_ERROR = 5e-2 if "asan" in os.environ.get("LD_PRELOAD", "") else 5e-3


def gradients(*values):
    *values, needs = values
    return standardize.formulas["input"].kernels["cpu"](*values, 1e-5, needs)


TOLERANCE = {np.dtype(np.float32): 3e-5, np.dtype(np.float64): 1e-12}


@st.composite
def inputs(draw, by_channel):
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    n, c, *sides = draw(st.lists(st.integers(1, 9), min_size=2, max_size=4))
    shape = (n + 1, 3 * c, *(5 * side for side in sides))
    if by_channel:
        dims, affine = (0, *range(2, len(shape))), (1, shape[1], *(1,) * (len(shape) - 2))
    else:
        last = draw(st.integers(1, len(shape)))
        dims, affine = tuple(range(len(shape) - last, len(shape))), shape[-last:]
    x = (rng.standard_normal(shape) * 3 + 10).astype(dtype)
    weight, bias = (
        rng.standard_normal(int(np.prod(affine))).astype(dtype) if draw(st.booleans()) else None
        for _ in range(2)
    )
    return x, weight, bias, None, dims, affine, 1e-5


def close(got, expected, dtype):
    bound = TOLERANCE[np.dtype(dtype)]
    np.testing.assert_allclose(got, expected, rtol=bound, atol=bound * 10)


@pytest.mark.parametrize("by_channel", [True, False], ids=["channels", "rows"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_kernels_equal_the_definition(by_channel, data):
    x, weight, bias, grouped, dims, affine, _ = values = data.draw(inputs(by_channel))
    wide = [v.astype(np.float64) if isinstance(v, np.ndarray) else v for v in values]
    got = standardize.kernels["cpu"](*values)
    expected = standardize.run_body(np, wide)
    for one, other in zip(got, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == x.dtype
        close(one, other, x.dtype)
    grad = np.random.default_rng(1).standard_normal(x.shape)
    needs = (data.draw(st.booleans()), weight is not None, bias is not None)
    shape = None if bias is None else bias.shape
    found = gradients(
        grad.astype(x.dtype), x, weight, shape, got[1], got[3], grouped, dims, affine, needs
    )
    expected = _gradients(
        grad, wide[0], wide[1], shape, expected[1], expected[3], grouped, dims, affine, needs
    )
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.shape == other.shape
            # Errors grow with the number of terms, and with the factor that rounded values get.
            scale = np.sqrt(x.size / np.size(one)) * max(float(got[3].max()), 1.0)
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=TOLERANCE[x.dtype] * 30 * scale)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_groups_equal_the_definition(data):
    n, groups, each, side = (data.draw(st.integers(1, 5)) for _ in range(4))
    dtype = data.draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(side)
    shape = (n, groups * each, side, 3)
    x = (rng.standard_normal(shape) * 3 + 10).astype(dtype)
    weight, bias = (
        rng.standard_normal(shape[1]).astype(dtype) if data.draw(st.booleans()) else None
        for _ in range(2)
    )
    values = (x, weight, bias, (n, groups, each, side, 3), (2, 3, 4), (1, shape[1], 1, 1), 1e-5)
    wide = [v.astype(np.float64) if isinstance(v, np.ndarray) else v for v in values]
    got, expected = standardize.kernels["cpu"](*values), standardize.run_body(np, wide)
    for one, other in zip(got, expected, strict=True):
        assert one.shape == other.shape
        close(one, other, dtype)
    grad = rng.standard_normal(shape)
    needs = (data.draw(st.booleans()), weight is not None, bias is not None)
    bias_shape = None if bias is None else bias.shape
    rest = (got[1], got[3], *values[3:6], needs)
    found = gradients(grad.astype(dtype), x, weight, bias_shape, *rest)
    rest = (expected[1], expected[3], *values[3:6], needs)
    expected = _gradients(grad, wide[0], wide[1], bias_shape, *rest)
    for one, other in zip(found, expected, strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.shape == other.shape
            scale = max(float(got[3].max()), 1.0)
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=TOLERANCE[x.dtype] * 100 * scale)


def test_variance_keeps_its_digits_far_from_zero():
    x = np.random.default_rng(0).standard_normal((8, 4, 30, 30)).astype(np.float32) + 1000
    *_, variance, _ = standardize.kernels["cpu"](x, None, None, None, (0, 2, 3), (1, 4, 1, 1), 1e-5)
    np.testing.assert_allclose(variance.ravel(), x.astype(np.float64).var((0, 2, 3)), rtol=1e-4)


ROWS = (None, (1,), (3000,))
CHANNELS = (None, (0, 2), (1, 1, 1))
GROUPS = ((2, 1, 1, 3000), (2, 3), (1, 1, 1))


@pytest.mark.parametrize("long", [1, 70])
@pytest.mark.parametrize("mean", [1000.0, 1e6, -3e6])
@pytest.mark.parametrize("kind", [ROWS, CHANNELS, GROUPS], ids=["rows", "channels", "groups"])
def test_many_numbers_far_from_zero_are_standardised(kind, mean, long):
    grouped, dims, affine = kind
    columns = 3000 * long
    x = (np.random.default_rng(0).standard_normal((2, columns)) + mean).astype(np.float32)
    x[:, 0] = mean + 40  # whatever the first one is
    if kind is ROWS:
        affine = (columns,)
    else:
        x = x.reshape(2, 1, columns)
        grouped = grouped and (2, 1, 1, columns)
    got = standardize.kernels["cpu"](x, None, None, grouped, dims, affine, 1e-5)
    wide = x.astype(np.float64)
    axes = tuple(d - 1 if grouped else d for d in dims) if grouped else dims
    spread = wide.var(axis=axes, keepdims=True)
    right = (wide - wide.mean(axis=axes, keepdims=True)) / np.sqrt(spread + 1e-5)
    np.testing.assert_allclose(got[0].reshape(x.shape), right, rtol=2e-6, atol=5e-6)
    np.testing.assert_allclose(got[2].ravel(), spread.ravel(), rtol=2e-6)


def test_gradients_of_long_rows_keep_their_digits():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 1, 300_000)).astype(np.float32)
    grad = (rng.standard_normal(x.shape) + 3).astype(np.float32)
    weight = np.ones(1, np.float32)
    for dims, affine, columns in (((0, 2), (1, 1, 1), None), ((1, 2), (1, 300_000), 300_000)):
        w = weight if columns is None else np.ones(columns, np.float32)
        values = (x, w, w, None, dims, affine, 1e-5)
        _, average, _, scale = standardize.kernels["cpu"](*values)
        rest = (None, dims, affine, (True, True, True))
        got = gradients(grad, x, w, w.shape, average, scale, *rest)
        wide = [a.astype(np.float64) for a in (grad, x, w)]
        right = _gradients(*wide, w.shape, average.astype(float), scale.astype(float), *rest)
        for one, other in zip(got, right, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=SUM_ERROR)  # of summands of 2e6


def test_gradients_of_many_rows_keep_their_digits():
    grad = np.full((300_000, 3), 0.1, np.float32)
    x = np.random.default_rng(0).standard_normal(grad.shape).astype(np.float32)
    w = np.ones(3, np.float32)
    _, average, _, scale = standardize.kernels["cpu"](x, w, w, None, (1,), (3,), 1e-5)
    found = gradients(grad, x, w, (3,), average, scale, None, (1,), (3,), (False, True, True))
    np.testing.assert_allclose(found[2], grad.sum(0, dtype=float), rtol=1e-6)


@pytest.mark.parametrize("columns", [1, 8])
def test_groups_far_from_zero_give_their_weight_its_gradient(columns):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal((3, 4, 500, columns)) + 1000).astype(np.float32)
    grad, weight = rng.standard_normal(x.shape).astype(np.float32), np.ones(4, np.float32)
    rest = ((3, 2, 2, 500, columns), (2, 3, 4), (1, 4, 1, 1))
    _, average, _, scale = standardize.kernels["cpu"](x, weight, None, *rest, 1e-5)
    needs = (False, True, False)
    found = gradients(grad, x, weight, None, average, scale, *rest, needs)
    wide = [a.astype(np.float64) for a in (grad, x, weight)]
    _, average, _, scale = standardize.run_body(np, (*wide[1:], None, *rest, 1e-5))
    right = _gradients(*wide, None, average, scale, *rest, needs)
    np.testing.assert_allclose(found[1], right[1], rtol=1e-5, atol=1e-3)


def test_infinity_and_nan_stay_in_their_row():
    x = np.ones((4, 50), np.float32)
    x[0, 0], x[1, 7], x[2, 0] = np.inf, np.inf, np.nan
    out, average, *_ = standardize.kernels["cpu"](x, None, None, None, (1,), (50,), 1e-5)
    assert np.isnan(out[:3]).all()
    assert (out[3] == 0).all()
    np.testing.assert_array_equal(average.ravel(), [np.inf, np.inf, np.nan, 1])


def test_what_the_kernels_do_not_know_is_left_to_the_definition():
    x = np.ones((2, 4, 3), np.float32)
    assert standardize.kernels["cpu"](x, None, None, None, (1,), (1, 4, 1), 0.0) is None
    assert (
        standardize.kernels["cpu"](x.astype(np.float16), None, None, None, (2,), (3,), 0.0) is None
    )
    assert standardize.kernels["cpu"](x[:, :, :0], None, None, None, (2,), (0,), 1e-5) is None


def test_result_does_not_depend_on_the_number_of_threads(native):
    rng = np.random.default_rng(0)
    x, grad = rng.standard_normal((2, 300, 257)).astype(np.float32)
    before, found = native.get_num_threads(), []
    try:
        for count in (1, 3):
            native.set_num_threads(count)
            _, average, _, scale = standardize.kernels["cpu"](
                x, None, None, None, (1,), (257,), 1e-5
            )
            found.append(
                gradients(
                    grad, x, x[0], (257,), average, scale, None, (1,), (257,), (True, True, True)
                )
            )
    finally:
        native.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_wrong_arrays_are_refused(native):
    x, v = np.zeros((2, 3, 4), np.float32), np.zeros(3, np.float32)
    with pytest.raises(ValueError, match="does not fit the input"):
        native.normalize_channels(x, v[:2], None, 0.0, x.copy(), v, v.copy(), v.copy())
    with pytest.raises(ValueError, match="out does not fit"):
        native.finish_planes(x, np.zeros((2, 3, 5), np.float32), v, v)
    with pytest.raises(ValueError, match="added does not fit"):
        native.finish_planes(x, x.copy(), None, None, x[:1])
    with pytest.raises(ValueError, match="one of factor and shift"):
        native.finish_planes(x, x.copy(), v)
