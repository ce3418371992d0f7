"""Compiled activation functions equal their definitions in NumPy, and so do their gradients."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from dtorch.core.ops import activation, activation_native as compiled
from dtorch.core.ops.trigonometric import tanh

DTYPES = [np.float32, np.float64]
ULPS = {np.float32: 3e-7, np.float64: 6e-16}
CASES = {
    "celu": (activation.celu, (0.7,), (0.7, 1, 1 / 0.7)),
    "elu": (activation.elu, (1.3,), (1.3, 1, 1)),
    "selu": (activation.selu, (), activation._SELU),
    "hardsigmoid": (activation.hardsigmoid, (), ()),
    "hardswish": (activation.hardswish, (), ()),
    "hardtanh": (activation.hardtanh, (-0.5, 2.0), (-0.5, 2.0)),
    "leaky_relu": (activation.leaky_relu, (0.1,), (0.1,)),
    "logsigmoid": (activation.logsigmoid, (), ()),
    "mish": (activation.mish, (), ()),
    "sigmoid": (activation.sigmoid, (), ()),
    "silu": (activation.silu, (), ()),
    "softplus": (activation.softplus, (1.5, 12.0), (1.5, 12.0)),
    "tanh": (tanh, (), ()),
}
KERNELS = {"elu": "celu", "selu": "celu"}
FROM_RESULT = ("sigmoid", "tanh")


def numbers(dtype):
    special = [0.0, -0.0, 1e-30, -1e-20, 20.0, -20.0, 80.0, -80.0, 150.0, -150.0]
    elements = st.one_of(
        st.floats(-6, 6, width=32), st.floats(-0.5, 0.5, width=32), st.sampled_from(special)
    )
    return hnp.arrays(dtype, st.integers(1, 70), elements=elements)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_values_equal_the_definition(native, dtype, name, data):
    x = data.draw(numbers(dtype))
    op, arguments, parameters = CASES[name]
    found = compiled.forward(KERNELS.get(name, name), x, *parameters)
    with np.errstate(over="ignore", under="ignore"):
        expected = op.run_body(np, (x.astype(np.longdouble), *arguments))
    assert found.dtype == dtype
    tolerance = 4 * ULPS[dtype]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_gradients_equal_differences_of_the_definition(native, dtype, name, data):
    x = data.draw(numbers(dtype))
    op, arguments, parameters = CASES[name]
    wide, step = x.astype(np.longdouble), np.longdouble(1e-7)
    with np.errstate(over="ignore", under="ignore"):
        above, below = (op.run_body(np, (wide + s, *arguments)) for s in (step, -step))
        known = op.run_body(np, (wide, *arguments)).astype(dtype)
    expected = (above - below) / (2 * step)
    known = known if name in FROM_RESULT else x
    found = compiled.backward(KERNELS.get(name, name), np.full_like(x, 3), known, *parameters)
    smooth = np.abs((above + below) / 2 - op.run_body(np, (wide, *arguments))) < 1e-9  # no corner
    np.testing.assert_allclose(found[smooth], 3 * expected[smooth], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_infinities_and_nan_go_where_the_definition_takes_them(native, name):
    op, arguments, parameters = CASES[name]
    x = np.array([np.nan, np.inf, -np.inf], np.float32)
    with np.errstate(invalid="ignore"):
        expected = op.run_body(np, (x, *arguments))
    found = compiled.forward(KERNELS.get(name, name), x, *parameters)
    if name in ("mish", "silu"):  # -inf times 0
        found, expected = found[:2], expected[:2]
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_other_arrays_are_left_to_numpy(native):
    for x in (np.ones(3, np.float16), np.ones(3, np.int64), np.ones((3, 4)).T):
        assert compiled.forward("silu", x) is None
    assert compiled.backward("silu", np.ones(3), np.ones(4)) is None
    assert compiled.backward("silu", np.ones(3), np.ones(3, np.float32)) is None
