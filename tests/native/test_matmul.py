import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dtorch

DTYPES = [np.float32, np.float64]
TOLERANCE = {np.float32: 2e-6, np.float64: 4e-15}


@st.composite
def matrices(draw, rows, columns, lead=(), dtypes=(np.float32, np.float64)):
    """Numbers in one of the orders of memory that a matrix may have."""
    dtype = draw(st.shared(st.sampled_from(dtypes), key="dtype"))
    order = draw(st.sampled_from(["plain", "transposed", "part", "reversed", "repeated"]))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    if order == "transposed":
        made = rng.standard_normal((*lead, columns, rows)).astype(dtype)
        return made.swapaxes(-1, -2)
    if order == "part":
        return rng.standard_normal((*lead, rows, columns + 3)).astype(dtype)[..., 2:-1]
    made = rng.standard_normal((*lead, rows, columns)).astype(dtype)
    if order == "reversed":
        return made[..., ::-1, :]
    if order == "repeated" and lead:
        return np.broadcast_to(made[..., :1, :, :], made.shape)
    return made


def check(native, a, b):
    got, expected = native.matmul(a, b), np.matmul(a, b)
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    terms = np.matmul(np.abs(a), np.abs(b))
    assert (np.abs(got - expected) <= TOLERANCE[a.dtype.type] * 8 * terms + 1e-30).all()


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_products_equal_those_of_numpy(native, data):
    rows, depth, columns = (data.draw(st.integers(60, 200)) for _ in range(3))
    a, b = data.draw(matrices(rows, depth)), data.draw(matrices(depth, columns))
    check(native, a, b)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_batches_equal_those_of_numpy(native, data):
    rows, depth, columns = (data.draw(st.integers(30, 70)) for _ in range(3))
    lead = tuple(data.draw(st.lists(st.integers(2, 6), min_size=1, max_size=2)))
    a = data.draw(matrices(rows, depth, lead))
    b = data.draw(matrices(depth, columns, data.draw(st.sampled_from([lead, (), (1,)]))))
    check(native, a, b)


HALVES = (ml_dtypes.bfloat16, np.float16)
LAST_DIGIT = {ml_dtypes.bfloat16: 2.0**-8, np.float16: 2.0**-11}


def check_half(native, a, b):
    """One rounding at the end, and before it those of sums in float32."""
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    got, expected = native.matmul(a, b), np.matmul(wide_a, wide_b)
    assert got.shape == expected.shape
    assert got.dtype == a.dtype
    terms = np.matmul(np.abs(wide_a), np.abs(wide_b))
    bound = LAST_DIGIT[a.dtype.type] * np.abs(expected) + 2e-6 * 8 * terms
    assert (np.abs(got.astype(np.float64) - expected) <= bound + 1e-6).all()


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_products_of_half_precision_are_rounded_once(native, data):
    rows, depth, columns = (data.draw(st.integers(1, 200)) for _ in range(3))
    lead = tuple(data.draw(st.lists(st.integers(1, 5), max_size=2)))
    a = data.draw(matrices(rows, depth, lead, HALVES))
    b = data.draw(matrices(depth, columns, data.draw(st.sampled_from([lead, ()])), HALVES))
    check_half(native, a, b)


@pytest.mark.parametrize("shape", [(70, 1600, 90), (1, 1201, 700), (515, 600, 1), (70, 1, 4000)])
@pytest.mark.usefixtures("threads")
def test_large_products_of_bfloat16(native, shape):
    rng = np.random.default_rng(0)
    rows, depth, columns = shape
    a = rng.standard_normal((rows, depth)).astype(ml_dtypes.bfloat16)
    b = rng.standard_normal((depth, columns)).astype(ml_dtypes.bfloat16)
    check_half(native, a, b)
    check_half(native, np.asfortranarray(a), np.asfortranarray(b))


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 5), rows=st.integers(1, 150), columns=st.integers(1, 150),
    depth=st.sampled_from([1, 2, 31, 33, 511, 512, 513, 1100]), seed=st.integers(0, 99),
)  # fmt: skip
def test_products_of_a_batch_of_bfloat16_are_summed_up(native, batch, rows, columns, depth, seed):
    rng = np.random.default_rng(seed)
    a = rng.standard_normal((batch, rows, depth)).astype(ml_dtypes.bfloat16)
    b = rng.standard_normal((batch, columns, depth)).astype(ml_dtypes.bfloat16)
    got = native.summed_matmul(a, b)
    if not native.has_bfloat16_products():
        assert got is None
        return
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    expected = np.einsum("ird,icd->rc", wide_a, wide_b)
    terms = np.einsum("ird,icd->rc", abs(wide_a), abs(wide_b))
    assert (abs(got.astype(np.float64) - expected) <= 2.0**-8 * abs(expected) + 3e-6 * terms).all()


@pytest.mark.parametrize(
    "shapes", [((2, 3), (2, 3)), ((1, 2, 3), (2, 2, 3)), ((1, 2, 3), (1, 2, 4))]
)
def test_summed_products_of_other_shapes_are_refused(native, shapes):
    assert native.summed_matmul(*(np.ones(s, ml_dtypes.bfloat16) for s in shapes)) is None


def test_infinity_and_nan_travel_through_products_of_bfloat16(native):
    a = np.ones((64, 80), ml_dtypes.bfloat16)
    b = np.ones((80, 64), ml_dtypes.bfloat16)
    a[3, 5], a[7, 2] = np.inf, np.nan
    found = native.matmul(a, b).astype(np.float32)
    assert np.isposinf(found[3]).all()
    assert np.isnan(found[7]).all()
    assert (np.delete(found, [3, 7], 0) == 80).all()


@pytest.mark.parametrize("shape", [(300, 700, 90), (1, 600, 515), (515, 300, 1), (70, 1, 900)])
@pytest.mark.usefixtures("threads")
def test_large_products(native, shape):
    rng = np.random.default_rng(0)
    rows, depth, columns = shape
    a = rng.standard_normal((rows, depth)).astype(np.float32)
    b = rng.standard_normal((depth, columns)).astype(np.float32)
    check(native, a, b)
    check(native, np.asfortranarray(a), np.asfortranarray(b))


def test_what_the_kernel_does_not_know_goes_to_numpy(native):
    for dtype in (np.int64, np.complex64):
        a = np.ones((40, 40), dtype)
        np.testing.assert_array_equal(native.matmul(a, a), a @ a)
    x, v = np.ones((40, 40)), np.ones(40)
    np.testing.assert_array_equal(native.matmul(x, v), x @ v)
    np.testing.assert_array_equal(native.matmul(x, x.astype(np.float32)), x @ x)
    assert native.matmul(x[:0], x).shape == (0, 40)
    with pytest.raises(ValueError, match="mismatch"):
        native.matmul(x, x[:3])


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16])
def test_result_does_not_depend_on_the_number_of_threads(native, dtype):
    x = np.random.default_rng(0).standard_normal((3, 200, 200)).astype(dtype)
    before, found = native.get_num_threads(), []
    try:
        for count in (1, 2, 5):
            native.set_num_threads(count)
            found.append((native.matmul(x[0], x[1]), native.matmul(x, x)))
    finally:
        native.set_num_threads(before)
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(one, two)


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_row_is_added_to_each_of_a_product(native, data):
    rows, depth, columns = (data.draw(st.integers(60, 300)) for _ in range(3))
    a, b = data.draw(matrices(rows, depth)), data.draw(matrices(depth, columns))
    row = np.random.default_rng(1).standard_normal(columns).astype(a.dtype)
    got = native.matmul_plus_row(a, b, row)
    if got is None:  # a small product, or a layout for NumPy
        return
    expected = np.matmul(a, b) + row
    terms = np.matmul(np.abs(a), np.abs(b)) + np.abs(row)
    assert (np.abs(got - expected) <= TOLERANCE[a.dtype.type] * 8 * terms).all()


def test_a_row_that_does_not_fit_is_for_numpy(native):
    a, b = np.ones((200, 100), np.float32), np.ones((100, 80), np.float32)
    assert native.matmul_plus_row(a, b, np.ones(80, np.float32)) is not None
    for row in (np.ones(79, np.float32), np.ones(80), np.ones((1, 80), np.float32),
                np.ones(160, np.float32)[::2]):  # fmt: skip
        assert native.matmul_plus_row(a, b, row) is None


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_gradients_of_affine_maps_equal_the_formula(native, dtype, data):
    lead = data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=2))
    rows = data.draw(st.sampled_from([1, 7, 70]))
    fan_in, fan_out = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 130)))
    rng = np.random.default_rng(0)
    grad = rng.standard_normal((*lead, rows, fan_out)).astype(dtype)
    x = rng.standard_normal((*lead, rows, fan_in)).astype(dtype)
    weight = rng.standard_normal((fan_out, fan_in)).astype(dtype)
    needs = data.draw(st.tuples(st.booleans(), st.just(True), st.booleans()))
    found = native.affine_gradients(grad, x, weight, needs)
    flat, wide = grad.reshape(-1, fan_out).astype(float), x.reshape(-1, fan_in).astype(float)
    expected = [grad.astype(float) @ weight, flat.T @ wide, flat.sum(axis=0)]
    for got, right, needed in zip(found, expected, needs, strict=True):
        assert (got is not None) == needed
        if needed:
            assert got.shape == right.shape
            assert got.dtype == dtype
            np.testing.assert_allclose(
                got, right, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype] * 99
            )


def test_gradients_of_affine_maps_that_are_left_to_the_formula(native):
    grad, x, weight = np.ones((4, 3)), np.ones((4, 2)), np.ones((3, 2))
    every = (True, True, True)
    assert native.affine_gradients(grad, x, weight, every) is not None
    assert native.affine_gradients(np.ones((3, 4)).T, x, weight, every) is None
    assert native.affine_gradients(grad.astype(np.float32), x, weight, every) is None
    assert native.affine_gradients(grad[:0], x[:0], weight, every) is None
    assert native.affine_gradients(grad, x[:2], weight, every) is None
    assert native.affine_gradients(grad, x, weight, (True, False, True)) is None
    assert native.affine_gradients(dtorch.ones(4, 3), x, weight, every) is None


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(300, 257, 40), (70, 900, 33), (1000, 520, 65)])
def test_sums_of_rows_beside_a_product(native, threads, dtype, shape):
    rows, depth, columns = shape
    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal(s).astype(dtype) for s in ((depth, rows), (depth, columns)))
    product, sums = native.matmul_and_row_sums(a.T, b)
    np.testing.assert_allclose(product, a.T.astype(float) @ b, atol=TOLERANCE[dtype] * 99)
    np.testing.assert_allclose(sums, a.sum(axis=0, dtype=float), atol=TOLERANCE[dtype] * 99)
    assert native.matmul_and_row_sums(a.T[:, :2], b[:2]) is None
    assert native.matmul_and_row_sums(np.ones((2, 99, 99)), np.ones((2, 99, 99))) is None


def test_few_rows_are_packed_once_for_all_columns(native, threads):
    rng = np.random.default_rng(0)
    for rows in (1, 20, 64, 100, 200):
        a = rng.standard_normal((rows, 784)).astype(np.float32)
        b = rng.standard_normal((784, 260)).astype(np.float32)
        np.testing.assert_allclose(native.matmul(a, b), a.astype(float) @ b, atol=1e-4)
