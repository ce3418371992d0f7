import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dtorch
from dtorch.core import backend
from dtorch.core.ops.max_pooling import largest, max_pool, unpool_sum
from dtorch.core.ops.pooling import window_spread, window_sum
from dtorch.nn import functional

pytestmark = pytest.mark.skipif(backend.native is None, reason="no native module")


@st.composite
def windows(draw):
    """An array and kernel, step, padding, dilation and numbers of windows that fit it."""
    nd = draw(st.integers(1, 2))
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    kernel, step, pad, spread, counts, sides = [], [], [], [], [], []
    for _ in range(nd):
        k, s, d = draw(st.integers(1, 5)), draw(st.integers(1, 4)), draw(st.integers(1, 2))
        p = draw(st.integers(0, k // 2))
        n = max(d * (k - 1) + 1 - 2 * p, 1) + draw(st.integers(0, 60))
        count = (n + 2 * p - d * (k - 1) - 1) // s + 1
        if count * s < n + p:  # a window more, partly beyond the end
            count += draw(st.integers(0, 1))
        for into, value in zip(
            (kernel, step, pad, spread, counts, sides), (k, s, p, d, count, n), strict=True
        ):
            into.append(value)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = rng.integers(-4, 4, (2, 3, *sides)).astype(dtype)  # with many equal elements
    if draw(st.booleans()):
        x[rng.random(x.shape) < 0.1] = np.nan
    return x, *map(tuple, (kernel, step, pad, spread, counts))


@settings(max_examples=120, deadline=None)
@given(arguments=windows())
def test_largest_and_its_place(arguments):
    got = max_pool.kernels["cpu"](*arguments)
    expected = max_pool.run_body(np, arguments)
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(largest.kernels["cpu"](*arguments), got[0])
    x, kernel = arguments[:2]
    delta = np.random.default_rng(0).standard_normal(got[0].shape).astype(x.dtype)
    values = (delta, got[1], x.shape, len(kernel))
    np.testing.assert_allclose(
        unpool_sum.kernels["cpu"](*values), unpool_sum.run_body(np, values), rtol=1e-4, atol=1e-5
    )


@settings(max_examples=120, deadline=None)
@given(arguments=windows(), divisor=st.sampled_from([1, 4, 0.3]))
def test_sums_of_windows_and_their_gradients(arguments, divisor):
    x, kernel, step, pad, _, _ = arguments
    x = np.nan_to_num(x)
    counts = tuple(
        (n + 2 * p - k) // s + 1 for n, p, k, s in zip(x.shape[2:], pad, kernel, step, strict=True)
    )
    values = (x, kernel, step, pad, counts, divisor)
    got = window_sum.kernels["cpu"](*values)
    np.testing.assert_allclose(got, window_sum.run_body(np, values), rtol=1e-4, atol=1e-5)
    values = (got, x.shape, kernel, step, pad, counts, divisor)
    np.testing.assert_allclose(
        window_spread.kernels["cpu"](*values), window_spread.run_body(np, values),
        rtol=1e-4, atol=1e-4,
    )  # fmt: skip


def test_a_place_outside_is_refused(native):
    delta, out = np.ones((1, 2), np.float32), np.zeros((1, 4), np.float32)
    for place in (4, -1):
        with pytest.raises(IndexError, match="outside"):
            native.add_at_places(delta, np.array([[0, place]]), out)


def test_places_are_found_where_a_gradient_is_recorded():
    x = dtorch.tensor([[[[1.0, 3.0], [2.0, 0.0]]]], requires_grad=True)
    with dtorch.no_grad():
        plain = functional.max_pool2d(x, 2)
    assert not plain.requires_grad
    recorded = functional.max_pool2d(x, 2)
    recorded.sum().backward()
    assert plain.item() == recorded.item() == 3
    assert x.grad.flatten().tolist() == [0, 1, 0, 0]


def test_infinities_alone():
    x = np.full((1, 1, 3, 3), -np.inf, np.float32)
    out, index = max_pool.kernels["cpu"](x, (3, 3), (2, 2), (1, 1), (1, 1), (2, 2))
    assert (out == -np.inf).all()
    assert ((index >= 0) & (index < 9)).all()


def test_wrong_arrays_are_refused(native):
    x = np.zeros((2, 4, 4), np.float32)
    pairs = ((2, 2), (2, 2), (0, 0))
    with pytest.raises(ValueError, match="do not fit"):
        native.max_pool(
            x, *pairs, (1, 1), np.zeros((3, 2, 2), np.float32), np.zeros((3, 2, 2), int)
        )
    with pytest.raises(ValueError, match="does not fit"):
        native.sum_pool(x, *pairs, 1.0, np.zeros((1, 2, 2), np.float32))
