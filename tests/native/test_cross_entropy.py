import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

DTYPES = [np.float32, np.float64]
RTOL = {np.float32: 5e-6, np.float64: 1e-14}
IGNORED = -100


def log_softmax(x):
    x = x.astype(np.longdouble)
    shifted = x - x.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def reference_forward(logits, target, weight, ignore_index):
    kept = target != ignore_index
    safe = np.where(kept, target, 0)
    picked = -np.take_along_axis(log_softmax(logits), safe[:, None], axis=1)[:, 0]
    scale = 1 if weight is None else weight.astype(np.longdouble)[safe]
    return np.where(kept, scale * picked, 0)


def reference_backward(grad, logits, target, weight, ignore_index):
    kept = target != ignore_index
    safe = np.where(kept, target, 0)
    scale = grad.astype(np.longdouble) * (1 if weight is None else weight[safe]) * kept
    one_hot = np.arange(logits.shape[1]) == safe[:, None]
    return scale[:, None] * (np.exp(log_softmax(logits)) - one_hot)


def forward(native, logits, target, weight=None, ignore_index=IGNORED):
    losses, row_max, row_log_sum = (np.empty(len(logits), logits.dtype) for _ in range(3))
    native.cross_entropy_forward(logits, target, weight, ignore_index, losses, row_max, row_log_sum)
    return losses, row_max, row_log_sum


def backward(native, grad, logits, target, weight=None, ignore_index=IGNORED):
    _, row_max, row_log_sum = forward(native, logits, target, weight, ignore_index)
    out = np.empty_like(logits)
    native.cross_entropy_backward(
        grad, logits, target, weight, ignore_index, row_max, row_log_sum, out
    )
    return out


@st.composite
def cases(draw, dtype):
    rows, columns = draw(st.integers(0, 30)), draw(st.integers(1, 120))
    numbers = st.one_of(st.floats(-5, 5, width=32), st.floats(-1e4, 1e4, width=32))
    logits = draw(hnp.arrays(dtype, (rows, columns), elements=numbers))
    targets = st.one_of(st.integers(0, columns - 1), st.just(IGNORED))
    target = draw(hnp.arrays(np.int64, rows, elements=targets))
    positive = hnp.arrays(dtype, columns, elements=st.floats(0.125, 8, width=32))
    weight = draw(st.one_of(st.none(), positive))
    grad = draw(hnp.arrays(dtype, rows, elements=st.floats(-4, 4, width=32)))
    return logits, target, weight, grad


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_losses_and_gradients_equal_the_formula(native, dtype, data):
    logits, target, weight, grad = data.draw(cases(dtype))
    losses, _, _ = forward(native, logits, target, weight)
    expected = reference_forward(logits, target, weight, IGNORED)
    np.testing.assert_allclose(losses, expected, rtol=RTOL[dtype], atol=20 * RTOL[dtype])
    np.testing.assert_allclose(
        backward(native, grad, logits, target, weight),
        reference_backward(grad, logits, target, weight, IGNORED),
        rtol=RTOL[dtype] * 20,
        atol=RTOL[dtype] * 32,  # grad * weight is up to 32
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_huge_logits_keep_their_digits(native, dtype):
    logits = np.array([[30000, 29999.5, -30000]], dtype)
    losses, _, _ = forward(native, logits, np.array([1]))
    np.testing.assert_allclose(losses, [0.5 + np.log1p(np.exp(-0.5))], rtol=RTOL[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
def test_impossible_class_costs_infinity(native, dtype):
    logits = np.array([[0, -np.inf]], dtype)
    assert forward(native, logits, np.array([1]))[0].tolist() == [np.inf]
    assert forward(native, logits, np.array([0]))[0].tolist() == [0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_ignored_rows_cost_nothing_and_get_no_gradient_even_where_they_are_nan(native, dtype):
    logits = np.array([[1, 2], [np.nan, np.inf]], dtype)
    target = np.array([0, 7])
    losses, _, _ = forward(native, logits, target, ignore_index=7)
    assert losses[1] == 0
    grad = backward(native, np.ones(2, dtype), logits, target, ignore_index=7)
    assert grad[1].tolist() == [0, 0]
    assert np.isfinite(grad[0]).all()


def test_ignore_index_may_be_a_class(native):
    losses, _, _ = forward(native, np.zeros((2, 3), np.float32), np.array([0, 1]), ignore_index=1)
    assert losses[1] == 0
    assert losses[0] > 1


@pytest.mark.parametrize("wrong", [-1, 3, 2**40])
def test_first_target_out_of_range_is_named_with_row_value_and_range(native, threads, wrong):
    logits = np.zeros((50_000, 3), np.float32)
    target = np.zeros(50_000, np.int64)
    target[[20_000, 49_999]] = wrong
    expected = rf"target\[20000\] is {wrong}, expected 0 <= target < 3 or ignore_index \(-100\)"
    with pytest.raises(IndexError, match=expected):
        forward(native, logits, target)


def test_arrays_of_other_sizes_are_refused(native):
    logits = np.zeros((4, 3), np.float32)
    with pytest.raises(ValueError, match="does not fit the rows"):
        forward(native, logits, np.zeros(5, np.int64))
    with pytest.raises(ValueError, match="a vector does not fit"):
        forward(native, logits, np.zeros(4, np.int64), np.ones(4, np.float32))
    with pytest.raises(TypeError):
        forward(native, logits, np.zeros(4, np.int32))
