import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dtorch.core import backend
from dtorch.core.ops.convolution import conv
from dtorch.core.ops.fused import fused_conv, fused_norm

pytestmark = pytest.mark.skipif(backend.native is None, reason="no native module")

TOLERANCE = {np.dtype(np.float32): 1e-5, np.dtype(np.float64): 1e-13}
BOUNDS = ((-math.inf, math.inf), (0.0, math.inf), (-0.5, 0.75))


def check(op, values):
    """The kernel against the definition in double precision, relative to the whole result."""
    got = op.kernels["cpu"](*values)
    wide = [v.astype(np.float64) if isinstance(v, np.ndarray) else v for v in values]
    expected = op.run_body(np, wide)
    assert got.shape == expected.shape
    assert got.dtype == values[0].dtype
    scale = max(np.abs(expected).max(), 1.0)
    assert np.abs(got - expected).max() <= 4 * TOLERANCE[got.dtype] * scale


@st.composite
def statistics(draw, channels, dtype):
    """Mean, variance, weight, bias and epsilon of a normalisation."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    mean, weight, bias = rng.standard_normal((3, channels)).astype(dtype)
    variance = rng.uniform(0.5, 2, channels).astype(dtype)
    affine = draw(st.booleans())
    return mean, variance, weight if affine else None, bias if affine else None, 1e-5


@settings(max_examples=100, deadline=None)
@given(
    data=st.data(), kernel=st.sampled_from([1, 3, 5]), stride=st.integers(1, 2),
    groups=st.sampled_from([1, 1, 3, "each"]), channels=st.integers(1, 20),
    filters=st.integers(1, 40), bounds=st.sampled_from(BOUNDS),
    dtype=st.sampled_from([np.float32, np.float64]),
)  # fmt: skip
def test_what_follows_a_convolution_is_done_to_every_number(
    data, kernel, stride, groups, channels, filters, bounds, dtype
):
    groups = channels if groups == "each" else groups
    channels, filters = (-(-n // groups) * groups for n in (channels, filters))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shape = (data.draw(st.integers(1, 3)), channels, *(data.draw(st.integers(5, 30)) for _ in "hw"))
    x = rng.standard_normal(shape).astype(dtype)
    weight = rng.standard_normal((filters, channels // groups, kernel, kernel)).astype(dtype)
    bias = rng.standard_normal(filters).astype(dtype) if data.draw(st.booleans()) else None
    geometry = ((stride, stride), (kernel // 2, kernel // 2), (1, 1), groups)
    norm = (None,) * 4 + (0.0,)
    if data.draw(st.booleans()):
        norm = data.draw(statistics(filters, dtype))
    added = None
    if data.draw(st.booleans()):
        added = conv.run_body(np, (x, weight, bias, *geometry))[:, ::-1]
    check(fused_conv, (x, weight, bias, *geometry, *norm, added, *bounds))


@pytest.mark.parametrize(
    ("channels", "filters", "side", "stride"),
    [(64, 64, 28, 1), (16, 33, 9, 1), (128, 256, 14, 1), (512, 512, 7, 1), (32, 48, 32, 2)],
)
def test_what_follows_winograds_method(channels, filters, side, stride):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, channels, side, side)).astype(np.float32)
    weight = rng.standard_normal((filters, channels, 3, 3)).astype(np.float32)
    mean, scale, shift = rng.standard_normal((3, filters)).astype(np.float32)
    norm = (mean, np.full(filters, 4.0, np.float32), scale, shift, 1e-5)
    geometry = ((stride, stride), (1, 1), (1, 1), 1)
    added = conv.run_body(np, (x, weight, None, *geometry))
    for values in (None, -np.inf, np.inf), (added, 0.0, np.inf):
        check(fused_conv, (x, weight, None, *geometry, *norm, *values))


@settings(max_examples=50, deadline=None)
@given(
    data=st.data(), sides=st.lists(st.integers(1, 40), max_size=3),
    dtype=st.sampled_from([np.float32, np.float64]), bounds=st.sampled_from(BOUNDS),
)  # fmt: skip
def test_what_follows_a_normalisation_is_done_to_every_number(data, sides, dtype, bounds):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    x, added = rng.standard_normal((2, 3, 7, *sides)).astype(dtype)
    norm = data.draw(statistics(7, dtype))
    check(fused_norm, (x, *norm, added if data.draw(st.booleans()) else None, *bounds))


def test_bounds_keep_not_a_number(native):
    x = np.array([[[np.nan, -1.0, 2.0, np.inf, -np.inf]]], np.float32)
    out = np.empty_like(x)
    native.finish_planes(x, out, low=0.0, high=1.5)
    np.testing.assert_array_equal(out, [[[np.nan, 0.0, 1.5, 1.5, 0.0]]])
