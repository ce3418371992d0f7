import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

import dtorch
from dtorch.nn import functional

DTYPES = [np.float32, np.float64]
# Relative to the largest term of the sum, which rounds once for each of its (up to 300) terms,
# by half a unit; without vectors all of them one after another.
TOLERANCE = {np.float32: 300 * 2.0**-24, np.float64: 300 * 2.0**-53}


def reference_log_softmax(x):
    x = x.astype(np.longdouble)
    with np.errstate(invalid="ignore", divide="ignore"):
        shifted = x - x.max(axis=1, keepdims=True, initial=-np.inf)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def reference_softmax(x):
    with np.errstate(under="ignore"):
        return np.exp(reference_log_softmax(x))


def run(kernel, *inputs):
    out = np.empty_like(inputs[0])
    kernel(*inputs, out)
    return out


def matrices(dtype):
    # Magnitudes as different as rows of ordinary numbers, of logits and of masks.
    numbers = st.one_of(
        st.floats(-5, 5, width=32),
        st.floats(-1e4, 1e4, width=32),
        st.sampled_from([-np.inf, 0.0, -0.0, 3e38, -3e38, 1e-40]),
    )
    shapes = st.tuples(st.integers(0, 40), st.integers(1, 300))
    return shapes.flatmap(lambda shape: hnp.arrays(dtype, shape, elements=numbers))


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_softmax_and_its_logarithm_equal_the_formula(native, dtype, data):
    x = data.draw(matrices(dtype))
    np.testing.assert_allclose(
        run(native.softmax, x), reference_softmax(x), rtol=1e-4, atol=TOLERANCE[dtype]
    )
    with np.errstate(over="ignore"):  # -6e38 is -inf in float32
        expected = reference_log_softmax(x).astype(dtype)
    np.testing.assert_allclose(
        run(native.log_softmax, x), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype]
    )


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_gradients_equal_the_formula(native, dtype, data):
    shape = data.draw(st.tuples(st.integers(0, 40), st.integers(1, 300)))
    numbers = st.floats(-8, 8, width=32)
    x, grad = (data.draw(hnp.arrays(dtype, shape, elements=numbers)) for _ in range(2))
    p = reference_softmax(x).astype(dtype)
    log_p = reference_log_softmax(x).astype(dtype)
    wide = grad.astype(np.longdouble)
    atol = TOLERANCE[dtype] * 8 * 300
    np.testing.assert_allclose(
        run(native.softmax_backward, grad, p),
        p * (wide - (wide * p).sum(axis=1, keepdims=True)),
        atol=atol,
    )
    np.testing.assert_allclose(
        run(native.log_softmax_backward, grad, log_p),
        wide - np.exp(log_p.astype(np.longdouble)) * wide.sum(axis=1, keepdims=True),
        atol=atol,
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_exponential_is_within_two_units_in_the_last_place(native, dtype):
    low, high = (-103, 88.7) if dtype is np.float32 else (-744, 709.7)
    x = np.linspace(low, high, 400_001).astype(dtype)
    # With grad (0, 1) the gradient's first column is -exp(out).
    out = np.stack([x, np.zeros_like(x)], axis=1)
    grad = np.zeros_like(out)
    grad[:, 1] = 1
    got = -run(native.log_softmax_backward, grad, out)[:, 0]
    exact = np.exp(x.astype(np.longdouble))
    error = np.abs(got - exact) / np.spacing(exact.astype(dtype))
    assert error.max() < 2


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 5), (3, 0), (0, 0)])
def test_nothing_in_gives_nothing_out(native, dtype, shape):
    x = np.empty(shape, dtype)
    for kernel in (native.softmax, native.log_softmax):
        assert run(kernel, x).shape == shape


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_column_is_certain(native, dtype):
    x = np.array([[3], [-1e30], [0]], dtype)
    assert run(native.softmax, x).tolist() == [[1], [1], [1]]
    assert run(native.log_softmax, x).tolist() == [[0], [0], [0]]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "row", [[np.nan, 1, 2], [np.inf, 1, 2], [-np.inf] * 3, [np.nan] * 3, [np.inf, -np.inf, 0]]
)
def test_undefined_rows_are_nan_and_leave_their_neighbours_alone(native, dtype, row):
    x = np.array([[0, 0, 0], row, [0, 0, 0]], dtype)
    for kernel, expected in ((native.softmax, 1 / 3), (native.log_softmax, -np.log(3))):
        out = run(kernel, x)
        assert np.isnan(out[1]).all()
        np.testing.assert_allclose(out[[0, 2]], expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
def test_masked_columns_get_no_probability(native, dtype):
    x = np.array([[1, -np.inf, 1]], dtype)
    assert run(native.softmax, x).tolist() == [[0.5, 0, 0.5]]
    assert run(native.log_softmax, x)[0, 1] == -np.inf


@pytest.mark.parametrize("dtype", DTYPES)
def test_result_does_not_depend_on_the_number_of_threads(native, dtype):
    x = np.random.default_rng(0).standard_normal((2000, 101)).astype(dtype)
    before = native.get_num_threads()
    try:
        results = []
        for count in (1, 2, 5):
            native.set_num_threads(count)
            results.append(run(native.softmax, x))
    finally:
        native.set_num_threads(before)
    assert (results[0] == results[1]).all()
    assert (results[0] == results[2]).all()


def test_output_may_be_the_input(native):
    x = np.random.default_rng(0).standard_normal((50, 7)).astype(np.float32)
    expected = run(native.softmax, x)
    native.softmax(x, x)
    assert (x == expected).all()


def test_wrong_arrays_are_refused(native):
    x = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match="softmax: out does not fit the input"):
        native.softmax(x, np.zeros((5, 3), np.float32))
    for wrong in (np.zeros((4, 3)), np.zeros((3, 4), np.float32).T, np.zeros(12, np.float32)):
        with pytest.raises(TypeError):
            native.softmax(x, wrong)
    readonly = np.zeros((4, 3), np.float32)
    readonly.flags.writeable = False
    with pytest.raises(TypeError):
        native.softmax(x, readonly)
    native.softmax(readonly, x)


def test_gradients_of_tensors_are_compiled_where_rows_lie_in_order(native):
    rng = np.random.default_rng(0)
    x, grad = rng.standard_normal((2, 5, 4, 19))
    for dim in (2, 1, 0):
        size = x.shape[dim]
        rows, g = (np.moveaxis(a, dim, 2).reshape(-1, size) for a in (x, grad))
        p = reference_softmax(rows)
        for function, expected in (
            (functional.softmax, p * (g - (g * p).sum(1, keepdims=True))),
            (functional.log_softmax, g - p * g.sum(1, keepdims=True)),
        ):
            leaf = dtorch.tensor(x, requires_grad=True)
            (found,) = dtorch.autograd.grad(function(leaf, dim), leaf, dtorch.tensor(grad))
            got = np.moveaxis(found.numpy(), dim, 2).reshape(-1, size)
            np.testing.assert_allclose(got, expected.astype(np.float64), atol=1e-13)
