import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dtorch
from dtorch.core import backend

pytestmark = pytest.mark.skipif(backend.native is None, reason="no native module")

HALVES = [np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16)]
NUMBERS = ["add", "sub", "mul", "div", "maximum", "minimum", "fmod"]
BOOLS = ["eq", "lt", "ge"]
UNARY = ["neg", "abs", "exp", "sqrt", "relu", "sigmoid", "sign", "square"]


def once_rounded(name, half, *arrays):
    """The operation on float32, rounded to the half type."""
    wide = (dtorch.from_numpy(a.astype(np.float32)) for a in arrays)
    return getattr(dtorch, name)(*wide).numpy().astype(half)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("half", HALVES, ids=str)
@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 99), rows=st.integers(1, 40), columns=st.integers(1, 300))
def test_results_are_those_of_float32_rounded_once(half, seed, rows, columns):
    rng = np.random.default_rng(seed)
    a = (rng.standard_normal((rows, columns)) * 4).astype(half)
    for b in (a[::-1].copy(), a[:1] * half.type(2), a[:, :1].copy(), a.T.copy().T):
        for name in NUMBERS:
            found = getattr(dtorch, name)(dtorch.from_numpy(a), dtorch.from_numpy(b)).numpy()
            assert found.dtype == half
            expected = once_rounded(name, half, a, b)
            np.testing.assert_array_equal(found.astype(np.float32), expected.astype(np.float32))
        for name in BOOLS:
            found = getattr(dtorch, name)(dtorch.from_numpy(a), dtorch.from_numpy(b)).numpy()
            np.testing.assert_array_equal(found, getattr(np, NUMPY[name])(a, b))
    for name in UNARY:
        found = getattr(dtorch, name)(dtorch.from_numpy(a)).numpy()
        assert found.dtype == half
        expected = once_rounded(name, half, a)
        np.testing.assert_array_equal(found.astype(np.float32), expected.astype(np.float32))


NUMPY = {"eq": "equal", "lt": "less", "ge": "greater_equal"}


@pytest.mark.parametrize("half", HALVES, ids=str)
def test_large_arrays_and_results_in_place(half):
    a = np.random.default_rng(0).standard_normal(200_003).astype(half)
    x = dtorch.from_numpy(a.copy())
    x.add_(x.clone()).mul_(dtorch.from_numpy(a)).relu_()
    expected = (a + a) * a
    expected = np.where(expected > 0, expected, half.type(0))
    np.testing.assert_array_equal(x.numpy().astype(np.float32), expected.astype(np.float32))
    y = dtorch.from_numpy(a).requires_grad_()
    (y * y + y).sum().backward()
    np.testing.assert_allclose(
        y.grad.numpy().astype(np.float32), (2 * a.astype(np.float32) + 1), rtol=1e-2, atol=1e-2
    )
