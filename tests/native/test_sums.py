import numpy as np
import pytest
from hypothesis import given, settings, strategies as st


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=120, deadline=None)
@given(shape=st.lists(st.integers(0, 40), min_size=1, max_size=4), data=st.data())
def test_sums_over_neighbouring_dims_equal_those_of_numpy(native, dtype, shape, data):
    first, last = sorted(data.draw(st.integers(0, len(shape))) for _ in range(2))
    array = np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)
    got = native.array_sum_dims(array, first, last)
    axis = tuple(range(first, last))
    expected = array.astype(np.float64).sum(axis=axis)
    assert got.dtype == dtype
    assert got.shape == expected.shape
    rounding = np.finfo(dtype).eps * np.abs(array).sum(axis=axis, dtype=np.float64)
    assert np.all(np.abs(got - expected) <= 4 * rounding)


@pytest.mark.parametrize("columns", [1, 3])
def test_sums_of_many_rows_keep_their_digits(native, columns):
    array = np.full((5_000_000 // columns, columns), 0.1, np.float32)
    expected = array.astype(np.float64).sum(0)
    np.testing.assert_allclose(native.array_sum_dims(array, 0, 1), expected, rtol=1e-6)


def test_sums_of_long_rows_keep_their_digits(native):
    array = np.full((3, 2_000_000), 0.1, np.float32)
    found = native.array_sum_dims(array, 1, 2)
    np.testing.assert_allclose(found, array.astype(np.float64).sum(1), rtol=1e-6)


@pytest.mark.parametrize("shape", [(300_000,), (300_000, 3), (3, 300_000)])
def test_means_of_many_numbers_far_from_zero(native, shape):
    array = np.full(shape, 1e6, np.float32)
    array[::2] += 1
    array[..., ::2] += 1
    axis = int(shape[0] == 3)
    count = shape[axis]
    found = native.array_sum_dims(array, axis, axis + 1)
    np.testing.assert_allclose(found, array.sum(axis, dtype=float), rtol=6e-8)
    assert abs(found / count - array.mean(axis, dtype=float)).max() <= 0.0625


def test_result_does_not_depend_on_the_number_of_threads(native):
    array = np.random.default_rng(0).standard_normal((1001, 300)).astype(np.float32)
    before, found = native.get_num_threads(), []
    for threads in (1, 3):
        native.set_num_threads(threads)
        found.append(native.array_sum_dims(array, 0, 1))
    native.set_num_threads(before)
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0], array.sum(0), rtol=1e-4, atol=1e-4)


def test_other_arrays_are_for_numpy(native):
    for array in (np.ones((3, 4), np.int64), np.ones((4, 3)).T, np.ones((3, 4), np.float16)):
        assert native.array_sum_dims(array, 0, 1) is None
    assert native.array_sum_dims(np.ones(3), 0, 2) is None
