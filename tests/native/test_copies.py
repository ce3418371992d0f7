import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dtorch
from dtorch.core.ops.copies import in_order, joined, reshaped

DTYPES = [np.float32, np.float64, np.int64, np.int32, np.float16, np.uint8, np.complex64]


@st.composite
def views(draw, dtype):
    """An array whose dims lie in any order in memory, with steps of any sign between elements."""
    sizes = draw(st.lists(st.integers(0, 40), min_size=0, max_size=4))
    steps = [draw(st.sampled_from([1, 1, 1, 2, -1])) for _ in sizes]
    stored = [n * abs(step) for n, step in zip(sizes, steps, strict=True)]
    whole = np.asarray(np.random.default_rng(0).integers(0, 99, stored), dtype)
    part = whole[(*(slice(None, None, step) for step in steps), ...)]
    return part.transpose(draw(st.permutations(range(len(sizes)))))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_copies_equal_those_of_numpy(native, dtype, data):
    x = data.draw(views(dtype))
    out = np.empty(x.shape, dtype)
    if native.copy_array(x, out):
        np.testing.assert_array_equal(out, x)
    else:
        assert x.dtype.itemsize not in (4, 8) or x.dtype.kind == "c"
    target = np.zeros_like(x)  # in the order of the input
    if native.copy_array(x, target):
        np.testing.assert_array_equal(target, x)
    np.testing.assert_array_equal(in_order(x), x)
    assert in_order(x).flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("order", [(0, 2, 1), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
def test_large_arrays_on_several_threads(native, threads, dtype, order):
    x = np.random.default_rng(0).standard_normal((65, 130, 67)).astype(dtype).transpose(order)
    out = np.empty(x.shape, dtype)
    assert native.copy_array(x, out)
    np.testing.assert_array_equal(out, x)
    for dim in range(3):
        parts = [x, x.copy()[:, ::-1], x]
        np.testing.assert_array_equal(joined(parts, dim), np.concatenate(parts, dim))


def test_bits_are_copied_whatever_they_mean(native):
    x = np.arange(2**16, dtype=np.uint32).reshape(256, 256).T * np.uint32(65537)
    out = np.empty_like(x, order="C").view(np.float32)
    assert native.copy_array(x.view(np.float32), out)
    np.testing.assert_array_equal(out.view(np.uint32), x)


def test_arrays_that_do_not_fit_are_left_alone(native):
    x = np.zeros((3, 4), np.float32)
    assert not native.copy_array(x, np.zeros((4, 3), np.float32))
    assert not native.copy_array(x, np.zeros((3, 4)))
    assert not native.copy_array([1.0], x)
    x.flags.writeable = False
    assert not native.copy_array(x.copy(), x)


def test_joined_images_keep_the_order_of_their_channels():
    images = np.zeros((2, 5, 40, 41), np.float32)
    last = images.transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
    assert joined([last, last], 1).strides[1] == last.itemsize
    assert joined([last, images], 1).flags.c_contiguous


def test_reshaped_is_a_view_where_it_can_be():
    x = np.zeros((4, 6), np.float32)
    assert np.shares_memory(reshaped(x, (2, 12)), x)
    assert not np.shares_memory(reshaped(x.T, (24,)), x)
    y = dtorch.arange(6).view(2, 3)
    assert reshaped(y, (3, 2)).tolist() == [[0, 1], [2, 3], [4, 5]]
