import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dtorch.core import backend
from dtorch.core.ops import normalization_native
from dtorch.core.ops.normalization import _gradients, normalize, normalize_by

pytestmark = pytest.mark.skipif(backend.native is None, reason="no native module")

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
    got = normalize.kernels["cpu"](*values)
    expected = normalize.run_body(np, wide)
    for one, other in zip(got, expected, strict=True):
        assert one.shape == other.shape
        assert one.dtype == x.dtype
        close(one, other, x.dtype)
    grad = np.random.default_rng(1).standard_normal(x.shape)
    needs = (data.draw(st.booleans()), weight is not None, bias is not None)
    shape = None if bias is None else bias.shape
    found = normalization_native.gradients(
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
    got, expected = normalization_native.normalize(*values), normalize.run_body(np, wide)
    for one, other in zip(got, expected, strict=True):
        assert one.shape == other.shape
        close(one, other, dtype)
    grad = rng.standard_normal(shape)
    needs = (data.draw(st.booleans()), weight is not None, bias is not None)
    bias_shape = None if bias is None else bias.shape
    rest = (got[1], got[3], *values[3:6], needs)
    found = normalization_native.gradients(grad.astype(dtype), x, weight, bias_shape, *rest)
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
    *_, variance, _ = normalize.kernels["cpu"](x, None, None, None, (0, 2, 3), (1, 4, 1, 1), 1e-5)
    np.testing.assert_allclose(variance.ravel(), x.astype(np.float64).var((0, 2, 3)), rtol=1e-4)


def test_given_statistics():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 5, 4, 7)).astype(np.float32)
    mean, weight, bias = rng.standard_normal((3, 5)).astype(np.float32)
    variance = rng.uniform(0.5, 2, 5).astype(np.float32)
    for w, b in ((weight, bias), (None, None), (weight, None)):
        values = (x, mean, variance, w, b, 1e-5)
        close(normalize_by.kernels["cpu"](*values), normalize_by.run_body(np, values), x.dtype)


def test_what_the_kernels_do_not_know_is_left_to_the_definition():
    x = np.ones((2, 4, 3), np.float32)
    assert normalization_native.normalize(x, None, None, None, (1,), (1, 4, 1), 0.0) is None
    assert (
        normalization_native.normalize(x.astype(np.float16), None, None, None, (2,), (3,), 0.0)
        is None
    )
    empty = normalize.kernels["cpu"](x[:, :, :0], None, None, None, (0,), (4, 0), 1e-5)
    assert empty[0].shape == (2, 4, 0)


def test_result_does_not_depend_on_the_number_of_threads(native):
    rng = np.random.default_rng(0)
    x, grad = rng.standard_normal((2, 300, 257)).astype(np.float32)
    before, found = native.get_num_threads(), []
    try:
        for count in (1, 3):
            native.set_num_threads(count)
            _, average, _, scale = normalize.kernels["cpu"](x, None, None, None, (1,), (257,), 1e-5)
            found.append(
                normalization_native.gradients(
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
