import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dtorch.core.ops.embedding import rows_added


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 200), rows=st.integers(1, 50), columns=st.integers(1, 300),
    padding=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_added_rows_equal_the_definition(native, dtype, count, rows, columns, padding, seed):
    random = np.random.default_rng(seed)
    delta = random.standard_normal((count, columns)).astype(dtype)
    index = random.integers(0, rows, count)
    values = (delta, index, (rows, columns), 0 if padding else None, False)
    expected = rows_added.run_body(np, values)
    found = rows_added.compute(values)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_result_does_not_depend_on_the_number_of_threads(native):
    random = np.random.default_rng(0)
    delta = random.standard_normal((3000, 64)).astype(np.float32)
    values = (delta, random.integers(0, 7, 3000), (7, 64), None, False)
    before, found = native.get_num_threads(), []
    for threads in (1, 3):
        native.set_num_threads(threads)
        found.append(rows_added.compute(values))
    native.set_num_threads(before)
    np.testing.assert_array_equal(*found)


@pytest.mark.parametrize("wrong", [-1, 3])
def test_a_row_outside_the_table_is_refused(native, wrong):
    index = np.array([0, wrong])
    with pytest.raises(ValueError, match="outside"):
        native.add_rows(np.ones((2, 4)), index, np.zeros((3, 4)))
