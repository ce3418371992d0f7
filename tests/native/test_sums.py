import numpy as np
import pytest
from hypothesis import given, settings, strategies as st


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=80, deadline=None)
@given(shape=st.lists(st.integers(0, 40), min_size=1, max_size=4), data=st.data())
def test_sums_over_leading_dims_equal_those_of_numpy(native, dtype, shape, data):
    lead = data.draw(st.integers(0, len(shape)))
    array = np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)
    got = native.array_sum_leading(array, lead)
    expected = array.astype(np.float64).sum(axis=tuple(range(lead)))
    assert got.dtype == dtype
    assert got.shape == expected.shape
    rounding = np.finfo(dtype).eps * np.abs(array).sum(axis=tuple(range(lead)), dtype=np.float64)
    assert np.all(np.abs(got - expected) <= 4 * rounding)


@pytest.mark.parametrize("columns", [1, 3])
def test_sums_of_many_rows_keep_their_digits(native, columns):
    array = np.full((5_000_000 // columns, columns), 0.1, np.float32)
    expected = array.astype(np.float64).sum(0)
    np.testing.assert_allclose(native.array_sum_leading(array, 1), expected, rtol=1e-6)


def test_result_does_not_depend_on_the_number_of_threads(native):
    array = np.random.default_rng(0).standard_normal((1001, 300)).astype(np.float32)
    before, found = native.get_num_threads(), []
    for threads in (1, 3):
        native.set_num_threads(threads)
        found.append(native.array_sum_leading(array, 1))
    native.set_num_threads(before)
    np.testing.assert_array_equal(*found)
    np.testing.assert_allclose(found[0], array.sum(0), rtol=1e-4, atol=1e-4)


def test_other_arrays_are_for_numpy(native):
    for array in (np.ones((3, 4), np.int64), np.ones((4, 3)).T, np.ones((3, 4), np.float16)):
        assert native.array_sum_leading(array, 1) is None
    assert native.array_sum_leading(np.ones(3), 2) is None
