import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dtorch
from dtorch.core.ops.comparison import choose
from dtorch.core.ops.cumulative import cumprod, cumsum, running_back
from dtorch.core.ops.elements import index_add
from dtorch.core.ops.embedding import rows_added
from dtorch.core.ops.gathering import gather, scatter_add
from dtorch.core.ops.masking import masked_fill
from dtorch.core.ops.scatter import add_rows, gather_along, scatter_sum
from dtorch.core.ops.sorting import topk

ADDED = [np.float32, np.float64, np.int64]
TAKEN = [*ADDED, np.bool_, np.int16, np.float16, np.complex64]


@st.composite
def lookups(draw, dtypes):
    """An array, a dim, an index of the array's shape but along that dim, numbers for each place."""
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(st.lists(st.integers(1, 20), min_size=1, max_size=3))
    dim = draw(st.integers(0, len(shape) - 1))
    count = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    places = (*shape[:dim], count, *shape[dim + 1 :])
    array, numbers = (
        np.round(rng.standard_normal(size) * 100).astype(dtype) for size in (shape, places)
    )
    if draw(st.booleans()):
        array = np.asfortranarray(array)
    return array, dim, rng.integers(0, shape[dim], places), numbers


def equal(op, values):
    found, expected = op.compute(values), op.run_body(np, values)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


@settings(max_examples=80, deadline=None)
@given(given=lookups(TAKEN))
def test_taken_elements_equal_the_definition(native, given):
    array, dim, index, _ = given
    equal(gather, (array, dim, index))
    equal(gather_along, (array, dim, index))


@settings(max_examples=80, deadline=None)
@given(given=lookups(ADDED))
def test_added_elements_equal_the_definition(native, given):
    array, dim, index, numbers = given  # whole numbers, whose sums are exact in any order
    equal(scatter_add, (array, dim, index, numbers))
    equal(scatter_sum, (numbers, dim, index, array.shape))


@settings(max_examples=80, deadline=None)
@given(given=lookups(ADDED))
def test_added_slices_equal_the_definition(native, given):
    array, dim, index, numbers = given
    rows = index[(*(0,) * dim, slice(None), *(0,) * (index.ndim - dim - 1))]
    equal(add_rows, (numbers, dim, rows, array.shape))
    equal(index_add, (array, dim, rows, numbers, 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(0, 200), rows=st.integers(1, 50), columns=st.integers(1, 300),
    padding=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_gradients_of_tables_equal_the_definition(
    native, dtype, count, rows, columns, padding, seed
):
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
    rows, places = random.integers(0, 7, 3000), random.integers(0, 7, (3000, 64))
    before, found = native.get_num_threads(), []
    for threads in (1, 3):
        native.set_num_threads(threads)
        found.append(rows_added.compute((delta, rows, (7, 64), None, False)))
        found.append(scatter_sum.compute((delta.T, 1, places.T, (64, 7))).T)
    native.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[2])
    np.testing.assert_array_equal(found[1], found[3])


@pytest.mark.parametrize("wrong", [-1, 3, 2**62])
def test_numbers_out_of_range_touch_nothing_and_are_told(native, wrong):
    out, index = np.zeros((1, 3, 4)), np.array([0, wrong])
    assert native.add_rows(np.ones((1, 2, 4)), index, out) is False
    np.testing.assert_array_equal(out[0], [[1.0] * 4, [0.0] * 4, [0.0] * 4])
    places = np.broadcast_to(index[:, None], (1, 2, 4)).copy()
    assert native.add_along(np.ones((1, 2, 4)), places, out) is False
    assert out.sum() == 8
    assert native.take_along(out, places, np.zeros((1, 2, 4))) is False

    x, index = dtorch.zeros(3, 4), dtorch.from_numpy(places[0])
    for call in (
        lambda: x.gather(0, index),
        lambda: x.scatter_add_(0, index, dtorch.ones(2, 4)),
        lambda: x.index_add_(0, index[:, 0], dtorch.ones(2, 4)),
    ):
        with pytest.raises(IndexError, match="out of range for dim 0 of size 3"):
            call()
    assert not x.any()


@settings(max_examples=120, deadline=None)
@given(
    shape=st.lists(st.integers(0, 20), min_size=1, max_size=3), data=st.data(),
    dtype=st.sampled_from([np.float32, np.float64, np.int64, np.float16, np.int8, np.bool_]),
)  # fmt: skip
def test_running_sums_and_products_equal_the_definition(native, shape, data, dtype):
    dim = data.draw(st.integers(-len(shape), len(shape) - 1))
    rng = np.random.default_rng(len(shape))
    x = rng.choice([1, 0, 2, -1], shape).astype(dtype)  # of which sums and products are exact
    if data.draw(st.booleans()):
        x = np.asfortranarray(x)
    equal(cumsum, (x, dim, None))
    equal(cumprod, (x, dim, None))
    if x.dtype.kind == "f":
        equal(running_back, (x, dim))


def test_running_sums_of_many_numbers_keep_their_digits_and_do_not_depend_on_threads(native):
    x = np.full((3, 300_000), 0.1, np.float32)
    before, found = native.get_num_threads(), []
    for threads in (1, 3):
        native.set_num_threads(threads)
        found.append(cumsum.compute((x, 1, None)))
        found.append(cumsum.compute((x.T, 0, None)).T)
    native.set_num_threads(before)
    for one in found:
        np.testing.assert_allclose(one, x.astype(np.float64).cumsum(1), rtol=1e-6)
        np.testing.assert_array_equal(one, found[0])


@settings(max_examples=120, deadline=None)
@given(
    shape=st.lists(st.integers(1, 6), min_size=0, max_size=2), n=st.integers(1, 300),
    data=st.data(), dtype=st.sampled_from([np.float32, np.float64, np.int64]),
)  # fmt: skip
def test_the_first_in_order_equal_a_stable_sort(native, shape, n, data, dtype):
    dim = data.draw(st.integers(0, len(shape)))
    largest = data.draw(st.booleans())
    k = data.draw(st.integers(1, min(n, 64)))  # more are for NumPy, in any order of equal ones
    rng = np.random.default_rng(n)
    x = rng.integers(-30, 30, (*shape[:dim], n, *shape[dim:])).astype(dtype)  # with equal ones
    if x.dtype.kind == "f":
        x[rng.random(x.shape) < 0.05] = rng.choice([np.nan, np.inf, -np.inf])
    found = topk.compute((x, k, dim, largest, True))
    key = np.nan_to_num(x.astype(np.float64), nan=1e9, posinf=1e8, neginf=-1e8)
    order = np.argsort(-key if largest else key, dim, kind="stable")
    expected = np.take(order, range(k), dim)
    np.testing.assert_array_equal(found[1], expected)
    np.testing.assert_array_equal(found[0], np.take_along_axis(x, expected, dim))
    assert found[0].dtype == dtype


@settings(max_examples=60, deadline=None)
@given(
    data=st.data(), rows=st.integers(1, 90), columns=st.integers(40, 90),
    dtype=st.sampled_from([np.float32, np.float64, np.int16, np.bool_, np.complex64, np.complex128]),
)  # fmt: skip
def test_chosen_elements_equal_those_of_numpy(native, data, rows, columns, dtype):
    rng = np.random.default_rng(rows)
    shapes = st.sampled_from([(rows, columns), (columns,), (rows, 1), (), (1, 1)])

    def operand():
        array = (rng.standard_normal(data.draw(shapes)) * 100).astype(dtype)
        return array.T.copy().T if data.draw(st.booleans()) else array

    condition = rng.random(data.draw(shapes)) < 0.5
    a, b = operand(), operand()
    found = choose.compute((condition, a, b))
    np.testing.assert_array_equal(found, np.where(condition, a, b))
    assert found.dtype == dtype
    x = operand()
    value = np.ones((), dtype)
    found = masked_fill.compute((x, condition, value))
    np.testing.assert_array_equal(found, np.where(condition, value, x))
