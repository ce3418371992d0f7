"""Compiled activation functions equal their definitions in NumPy, and so do their gradients."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp

from dtorch.core.ops import activation, rectifiers
from dtorch.core.ops.trigonometric import tanh

DTYPES = [np.float32, np.float64]
ULPS = {np.float32: 3e-7, np.float64: 6e-16}
ARGUMENTS = {
    rectifiers.celu: (0.7,),
    rectifiers.elu: (1.3,),
    rectifiers.selu: (),
    rectifiers.hardsigmoid: (),
    rectifiers.hardswish: (),
    rectifiers.hardtanh: (-0.5, 2.0),
    rectifiers.leaky_relu: (0.1,),
    activation.logsigmoid: (),
    activation.mish: (),
    activation.silu: (),
    activation.softplus: (1.5, 12.0),
}
FROM_RESULT = (activation.sigmoid, tanh)
every_value = pytest.mark.parametrize("op", ARGUMENTS, ids=lambda op: op.name)
every_gradient = pytest.mark.parametrize("op", [*ARGUMENTS, *FROM_RESULT], ids=lambda op: op.name)


def gradient_kernel(op):
    return op.formulas["input"].kernels["cpu"]


def numbers(dtype):
    special = [0.0, -0.0, 1e-30, -1e-20, 20.0, -20.0, 80.0, -80.0, 150.0, -150.0]
    elements = st.one_of(
        st.floats(-6, 6, width=32), st.floats(-0.5, 0.5, width=32), st.sampled_from(special)
    )
    return hnp.arrays(dtype, st.integers(1, 70), elements=elements)


@every_value
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_values_equal_the_definition(native, dtype, op, data):
    x = data.draw(numbers(dtype))
    arguments = ARGUMENTS.get(op, ())
    found = op.kernels["cpu"](x, *arguments)
    with np.errstate(over="ignore", under="ignore"):
        expected = op.run_body(np, (x.astype(np.longdouble), *arguments))
    assert found.dtype == dtype
    tolerance = 4 * ULPS[dtype]
    np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance)


@every_gradient
@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_gradients_equal_differences_of_the_definition(native, dtype, op, data):
    x = data.draw(numbers(dtype))
    arguments = ARGUMENTS.get(op, ())
    wide, step = x.astype(np.longdouble), np.longdouble(1e-7)
    with np.errstate(over="ignore", under="ignore"):
        above, below = (op.run_body(np, (wide + s, *arguments)) for s in (step, -step))
        known = op.run_body(np, (wide, *arguments)).astype(dtype)
    expected = (above - below) / (2 * step)
    known = known if op in FROM_RESULT else x
    found = gradient_kernel(op)(np.full_like(x, 3), known, *arguments)
    smooth = np.abs((above + below) / 2 - op.run_body(np, (wide, *arguments))) < 1e-9  # no corner
    np.testing.assert_allclose(found[smooth], 3 * expected[smooth], rtol=1e-5, atol=1e-5)


@every_value
def test_infinities_and_nan_go_where_the_definition_takes_them(native, op):
    arguments = ARGUMENTS.get(op, ())
    x = np.array([np.nan, np.inf, -np.inf], np.float32)
    with np.errstate(invalid="ignore"):
        expected = op.run_body(np, (x, *arguments))
    found = op.kernels["cpu"](x, *arguments)
    if op in (activation.mish, activation.silu):  # -inf times 0
        found, expected = found[:2], expected[:2]
    np.testing.assert_allclose(found, expected, atol=1e-7)


def test_other_arrays_are_left_to_numpy(native):
    for x in (np.ones(3, np.float16), np.ones(3, np.int64), np.ones((3, 4)).T):
        assert activation.softplus.kernels["cpu"](x, 1.0, 20.0) is None
    assert gradient_kernel(activation.silu)(np.ones(3), np.ones(4)) is None
    assert gradient_kernel(activation.silu)(np.ones(3), np.ones(3, np.float32)) is None
