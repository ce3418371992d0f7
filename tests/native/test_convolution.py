import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dtorch.core import backend
from dtorch.core.ops.convolution import channel_sum, conv, conv_input, conv_weight

pytestmark = pytest.mark.skipif(backend.native is None, reason="no native module")

# Winograd's transforms, in float32, lose some digits against plain sums.
TOLERANCE = {np.dtype(np.float32): 5e-6, np.dtype(np.float64): 1e-13}


def wide(value):
    return value.astype(np.float64) if isinstance(value, np.ndarray) else value


def check(op, values):
    """The kernel against the definition in double precision, relative to the whole result."""
    got = op.kernels["cpu"](*values)
    expected = op.run_body(np, [wide(value) for value in values])
    assert got.shape == expected.shape
    assert got.dtype == values[0].dtype
    error = np.linalg.norm(got - expected)
    assert error <= TOLERANCE[got.dtype] * np.linalg.norm(expected)
    return got


def check_all(x, weight, bias, stride, padding, dilation, groups):
    rng = np.random.default_rng(1)
    geometry = (stride, padding, dilation, groups)
    out = check(conv, (x, weight, bias, *geometry))
    delta = rng.standard_normal(out.shape).astype(x.dtype)
    shift = None if bias is None else rng.standard_normal(x.shape[1]).astype(x.dtype)
    check(conv_input, (delta, weight, shift, x.shape, *geometry))
    check(conv_weight, (delta, x, weight.shape, *geometry))
    dims = (0, *range(2, delta.ndim))
    error = np.abs(channel_sum.kernels["cpu"](delta) - wide(delta).sum(dims))
    assert (error <= TOLERANCE[delta.dtype] * np.abs(delta).sum(dims)).all()


@st.composite
def convolutions(draw, dims):
    def several(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(dims))

    groups = draw(st.sampled_from([1, 1, 1, 2, 5]))
    most = 40 if groups == 1 else 4
    channels, filters = (groups * draw(st.integers(1, most)) for _ in range(2))
    kernel, stride, padding, dilation = several(1, 5), several(1, 3), several(0, 3), several(1, 2)
    least = [
        max(d * (k - 1) + 1 - 2 * p, 1) for k, p, d in zip(kernel, padding, dilation, strict=True)
    ]
    sides = tuple(n + draw(st.integers(0, 300 if dims == 1 else 30)) for n in least)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.standard_normal((draw(st.integers(1, 3)), channels, *sides)).astype(dtype)
    weight = rng.standard_normal((filters, channels // groups, *kernel)).astype(dtype)
    bias = rng.standard_normal(filters).astype(dtype) if draw(st.booleans()) else None
    return x, weight, bias, stride, padding, dilation, groups


@settings(max_examples=60, deadline=None)
@given(arguments=convolutions(2))
def test_kernels_of_images_equal_the_definition(arguments):
    check_all(*arguments)


@settings(max_examples=30, deadline=None)
@given(arguments=convolutions(1))
def test_kernels_of_signals_equal_the_definition(arguments):
    check_all(*arguments)


def make(n, channels, filters, height, width, kernel=(3, 3), groups=1, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, channels, height, width)).astype(dtype)
    weight = rng.standard_normal((filters, channels // groups, *kernel)).astype(dtype)
    return x, weight, rng.standard_normal(filters).astype(dtype)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 4), channels=st.integers(16, 70), filters=st.integers(16, 70),
    height=st.integers(3, 30), width=st.integers(3, 30),
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)), seed=st.integers(0, 99),
)  # fmt: skip
def test_three_by_three_at_stride_one(n, channels, filters, height, width, padding, seed):
    x, weight, bias = make(n, channels, filters, height, width, seed=seed)
    check_all(x, weight, bias, (1, 1), padding, (1, 1), 1)


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 4), channels=st.integers(1, 70), filters=st.integers(1, 70),
    height=st.integers(2, 40), width=st.integers(2, 40), seed=st.integers(0, 99),
)  # fmt: skip
def test_winograd_at_stride_two(native, n, channels, filters, height, width, seed):
    x, weight, bias = make(n, channels, filters, height, width, seed=seed)
    geometry = ((2, 2), (1, 1), (1, 1), 1)

    def close(got, op, *values):
        """To the sizes of what is summed up: a single sum may be next to nothing."""
        expected = op.run_body(np, [wide(value) for value in values])
        scale = op.run_body(
            np, [np.abs(wide(v)) if isinstance(v, np.ndarray) else v for v in values]
        )
        assert np.linalg.norm(got - expected) <= 2e-6 * np.linalg.norm(scale)

    out = conv.run_body(np, (x, weight, bias, *geometry))
    native.winograd_convolution(x, weight, bias, 2, (1, 1), False, out)
    close(out, conv, x, weight, bias, *geometry)
    grad = np.empty_like(x)
    native.winograd_convolution(out, weight, None, 2, (1, 1), True, grad)
    close(grad, conv_input, out, weight, None, x.shape, *geometry)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("n", [1, 4])
def test_three_by_three_of_a_network(n, stride):
    x, weight, bias = make(n, 64, 48, 56, 56)
    check_all(x, weight, bias, (stride, stride), (1, 1), (1, 1), 1)


@pytest.mark.parametrize(("filters", "side", "stride"), [(256, 14, 1), (20, 14, 1), (64, 56, 2)])
def test_winograd_keeps_six_digits_where_many_channels_are_summed_up(filters, side, stride):
    x, weight, bias = make(2, 256, filters, side, side)
    geometry = ((stride, stride), (1, 1), (1, 1), 1)
    for dtype in (np.float32, np.float64):
        expected = conv.run_body(
            np, (x.astype(np.float64), weight.astype(np.float64), None, *geometry)
        )
        got = conv.kernels["cpu"](x.astype(dtype), weight.astype(dtype), None, *geometry)
        assert np.abs(got - expected).max() < 1e-5 * np.abs(expected).max()
    check_all(x, weight, bias, *geometry)


@pytest.mark.parametrize(
    ("n", "channels", "filters", "side", "kernel", "stride"),
    [(1, 64, 64, 56, 3, 1), (3, 3, 24, 50, 7, 2), (2, 40, 70, 20, 1, 1), (1, 520, 40, 7, 1, 2)],
)
def test_sizes_of_networks(n, channels, filters, side, kernel, stride):
    x, weight, bias = make(n, channels, filters, side, side, (kernel, kernel))
    check_all(x, weight, bias, (stride,) * 2, (kernel // 2,) * 2, (1, 1), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("n", "channels", "filters", "sides", "kernel", "stride", "padding"),
    [
        (1, 300, 150, (5, 7), (3, 3), (2, 2), (1, 1)),  # several blocks of channels and of filters
        (1, 300, 13, (5, 3), (1, 1), (1, 3), (0, 0)),  # one window in a row, several blocks
        (5, 1, 10, (28, 28), (5, 5), (1, 1), (0, 0)),
        (2, 3, 17, (40, 33), (2, 2), (3, 3), (0, 0)),  # pixels that no window sees
        (1, 2, 3, (70, 90), (1, 9), (1, 1), (0, 4)),  # several blocks of rows
        (1, 6, 4, (90, 70), (9, 1), (2, 1), (4, 0)),
    ],
)
def test_shapes_that_need_several_blocks(
    dtype, n, channels, filters, sides, kernel, stride, padding
):
    x, weight, bias = make(n, channels, filters, *sides, kernel, dtype=dtype)
    check_all(x, weight, bias, stride, padding, (1, 1), 1)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("filters", "stride"), [(24, 1), (24, 2), (48, 1), (24, 3)])
def test_one_channel_for_each_filter(dtype, filters, stride):
    x, weight, bias = make(2, 24, filters, 19, 35, groups=24, dtype=dtype)
    check_all(x, weight, bias, (stride,) * 2, (1, 1), (1, 1), 24)


@st.composite
def depthwise(draw):
    """One channel for each filter, as far as planes that are all padding."""

    def pair(low, high):
        return draw(st.integers(low, high)), draw(st.integers(low, high))

    square = draw(st.booleans())
    kernel = (draw(st.sampled_from([3, 5])),) * 2 if square else pair(1, 6)
    stride = (draw(st.integers(1, 2)),) * 2 if square else pair(1, 3)
    dilation = (1, 1) if draw(st.booleans()) else pair(1, 3)
    padding = pair(0, 9)
    sides = tuple(
        max(d * (k - 1) + 1 - 2 * p, 1) + draw(st.integers(0, 40))
        for k, p, d in zip(kernel, padding, dilation, strict=True)
    )
    channels, multiplier = draw(st.integers(1, 9)), draw(st.sampled_from([1, 1, 2, 3]))
    x, weight, bias = make(
        draw(st.integers(1, 3)), channels, channels * multiplier, *sides, kernel, channels,
        draw(st.sampled_from([np.float32, np.float64])), draw(st.integers(0, 99)),
    )  # fmt: skip
    return x, weight, bias if draw(st.booleans()) else None, stride, padding, dilation, channels


@settings(max_examples=150, deadline=None)
@given(arguments=depthwise())
def test_one_channel_for_each_filter_of_any_shape(arguments):
    check_all(*arguments)


@pytest.mark.parametrize(
    ("channels", "side", "kernel", "stride"),
    [(40, 56, 3, 1), (30, 56, 3, 2), (70, 14, 3, 1), (70, 14, 5, 2), (90, 7, 5, 1), (6, 112, 3, 1)],
)
def test_one_channel_for_each_filter_of_a_network(channels, side, kernel, stride):
    x, weight, bias = make(3, channels, channels, side, side, (kernel, kernel), channels)
    check_all(x, weight, bias, (stride,) * 2, (kernel // 2,) * 2, (1, 1), channels)


def bfloat16(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(ml_dtypes.bfloat16)


def check_bfloat16(op, values):
    """Sums are formed in float32 and rounded once."""
    exact = [v.astype(np.float64) if isinstance(v, np.ndarray) else v for v in values]
    sizes = [np.abs(v) if isinstance(v, np.ndarray) else v for v in exact]
    got = op.compute(values)
    expected, scale = op.run_body(np, exact), op.run_body(np, sizes)
    assert got.dtype == ml_dtypes.bfloat16
    assert got.shape == expected.shape
    error = np.abs(got.astype(np.float64) - expected)
    assert (error <= 2.0**-8 * np.abs(expected) + 3e-6 * scale).all()
    return got


@settings(max_examples=40, deadline=None)
@given(
    n=st.integers(1, 4), channels=st.integers(1, 90), filters=st.integers(1, 90),
    height=st.integers(1, 40), width=st.integers(1, 40), stride=st.sampled_from([1, 1, 2, 3]),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_one_by_one_of_bfloat16(n, channels, filters, height, width, stride, seed):
    x = bfloat16(n, channels, height, width, seed=seed)
    weight = bfloat16(filters, channels, 1, 1, seed=seed + 1)
    geometry = ((stride, stride), (0, 0), (1, 1), 1)
    out = check_bfloat16(conv, (x, weight, None, *geometry))
    delta = bfloat16(*out.shape, seed=seed + 2)
    check_bfloat16(conv_input, (delta, weight, None, x.shape, *geometry))
    check_bfloat16(conv_weight, (delta, x, weight.shape, *geometry))


@pytest.mark.parametrize(("groups", "kernel", "bias"), [(1, 3, True), (2, 1, True), (4, 3, False)])
def test_other_convolutions_of_bfloat16_are_widened(groups, kernel, bias):
    x, weight = bfloat16(2, 8, 9, 10), bfloat16(12, 8 // groups, kernel, kernel, seed=1)
    geometry = ((1, 1), (1, 1), (1, 1), groups)
    out = check_bfloat16(conv, (x, weight, bfloat16(12, seed=2) if bias else None, *geometry))
    delta = bfloat16(*out.shape, seed=3)
    check_bfloat16(conv_input, (delta, weight, None, x.shape, *geometry))
    check_bfloat16(conv_weight, (delta, x, weight.shape, *geometry))
    check_bfloat16(channel_sum, (delta,))


def test_result_does_not_depend_on_the_number_of_threads(native):
    before = native.get_num_threads()
    found = []
    try:
        for count in (1, 2, 5):
            native.set_num_threads(count)
            for kernel, groups in (((3, 3), 1), ((5, 5), 1), ((3, 3), 20)):
                x, weight, bias = make(3, 20, 40, 17, 18, kernel, groups)
                args = ((1, 1), (1, 1), (1, 1), groups)
                out = conv.kernels["cpu"](x, weight, bias, *args)
                found += [
                    (count, out),
                    (count, conv_input.kernels["cpu"](out, weight, None, x.shape, *args)),
                    (count, conv_weight.kernels["cpu"](out, x, weight.shape, *args)),
                ]
    finally:
        native.set_num_threads(before)
    each = len(found) // 3
    for i in range(each):
        for other in (found[i + each], found[i + 2 * each]):
            np.testing.assert_array_equal(found[i][1], other[1])


def test_wrong_arrays_are_refused(native):
    x, weight, _ = make(1, 16, 16, 8, 8)
    geometry = ((1, 1), (1, 1), (1, 1))
    with pytest.raises(ValueError, match="weight does not fit"):
        native.convolution(x, weight[:8].copy(), None, *geometry, 1, np.empty_like(x))
    with pytest.raises(ValueError, match="groups do not divide"):
        native.convolution(x, weight, None, *geometry, 3, np.empty_like(x))
    with pytest.raises(ValueError, match="sides"):
        native.winograd_convolution(x, weight, None, 1, (0, 0), False, np.empty_like(x))
    with pytest.raises(ValueError, match="stride"):
        native.winograd_convolution(x, weight, None, 2, (0, 0), False, np.empty_like(x))
    with pytest.raises(TypeError):
        native.convolution(x, weight.astype(float), None, *geometry, 1, np.empty_like(x))
