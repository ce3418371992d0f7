import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from dtorch.core import backend
from dtorch.core.ops.recurrent import lstm, lstm_deltas

pytestmark = pytest.mark.skipif(backend.native is None, reason="no native module")


def make(sequences, width, features, sizes, bias, seed):
    rng = np.random.default_rng(seed)

    def some(*shape):
        return (rng.standard_normal(shape) * 0.5).astype(np.float32)

    biases = (some(4 * width), some(4 * width)) if bias else (None, None)
    return (
        some(sum(sizes), features), some(sequences, width), some(sequences, width),
        some(4 * width, features), some(4 * width, width), *biases, None, sizes,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    sequences=st.integers(1, 21), width=st.integers(1, 70), features=st.integers(1, 5),
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=21), reverse=st.booleans(),
    bias=st.booleans(), seed=st.integers(0, 99),
)  # fmt: skip
def test_steps_equal_the_definition(sequences, width, features, lengths, reverse, bias, seed):
    lengths = [lengths[i % len(lengths)] for i in range(sequences)]
    sizes = tuple(sum(length > t for length in lengths) for t in range(max(lengths)))
    values = (*make(sequences, width, features, sizes, bias, seed), reverse)
    wide = [v.astype(np.float64) if isinstance(v, np.ndarray) else v for v in values]
    got, expected = lstm.kernels["cpu"](*values), lstm.run_body(np, wide)
    for one, other in zip(got, expected, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=3e-6)
    rng = np.random.default_rng(seed)
    grads = [rng.standard_normal(value.shape) for value in expected[:3]]
    rest = (*expected[3:5], expected[6], sizes, reverse)
    expected = lstm_deltas.run_body(np, (*grads, wide[4], None, *rest))
    narrow = [v.astype(np.float32) if isinstance(v, np.ndarray) else v for v in rest]
    got = lstm_deltas.kernels["cpu"](
        *(g.astype(np.float32) for g in grads), values[4], None, *narrow
    )
    for one, other in zip(got[:3], expected[:3], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=3e-5)


def test_result_does_not_depend_on_the_number_of_threads(native):
    values = (*make(13, 40, 8, (13,) * 5, True, 0), False)
    before, found = native.get_num_threads(), []
    try:
        for count in (1, 3):
            native.set_num_threads(count)
            found.append(lstm.kernels["cpu"](*values))
    finally:
        native.set_num_threads(before)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_the_kernel_does_not_know_is_left_to_the_definition():
    values = make(2, 4, 3, (2, 1), True, 0)
    assert lstm.kernels["cpu"](*(v.astype(float) for v in values[:7]), None, (2, 1), False) is None
    projection = np.ones((2, 4), np.float32)
    assert lstm.kernels["cpu"](*values[:7], projection, (2, 1), False) is None


def test_a_step_outside_the_arrays_is_refused(native):
    x, state = np.zeros((3, 8), np.float32), np.zeros((2, 2), np.float32)
    weight, over = np.zeros((8, 2), np.float32), [np.zeros((3, 2), np.float32) for _ in range(4)]
    with pytest.raises(ValueError, match="outside"):
        native.lstm_forward(
            x, weight, np.array([0, 2]), np.array([2, 2]), state, state.copy(), *over
        )
