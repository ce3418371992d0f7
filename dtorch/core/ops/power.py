"""Powers and roots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import CompositeOp
from dtorch.core.dtype import complex128, float64
from dtorch.core.elementwise import ElementwiseOp, elementwise
from dtorch.core.errors import ArgumentError, DtypeError
from dtorch.core.ops.comparison import choose, keep, logical_not
from dtorch.core.ops.complex import conjugate, holds_complex, real
from dtorch.core.ops.exponential import log
from dtorch.core.tensor import Tensor


class _PowerOp(ElementwiseOp):
    """A negative exponent stays negative beside unsigned integers, to be refused."""

    def _number_as(self, i: int, value: Any, target: np.dtype[Any]) -> Any:
        if target.kind == "u" and i == self.index["exponent"] and isinstance(value, int) and (
            value < 0
        ):  # fmt: skip
            return value
        return super()._number_as(i, value, target)


def _pow(xp: ArrayModule, input: Array, exponent: Array) -> Array:
    """Power ``input ** exponent``; either may be a number.

    Integers to negative integer powers of a tensor are rounded towards zero.

    Raises:
        ArgumentError: integers to one negative integer power.
    """
    kind = np.result_type(exponent).kind
    if np.result_type(input).kind in "iub" and kind in "iub" and np.any(exponent < 0):
        if not np.ndim(exponent):
            raise ArgumentError(
                f"pow: integers to the negative integer power {exponent}; convert the tensor first"
            )
        return xp.where(
            exponent < 0,
            _inverse_power(xp, input, exponent),
            xp.power(input, xp.maximum(exponent, 0)),
        )
    if np.ndim(exponent) == 0 and np.ndim(input) and input.dtype.kind in "fc":
        special = _SPECIAL_POWERS.get(complex(exponent))
        if special is not None:
            return special(xp, input)
    return xp.power(input, exponent)


def _inverse_power(xp: ArrayModule, input: Any, exponent: Any) -> Any:
    """``input ** exponent`` of integers with ``exponent < 0``: only 1 and -1 give more than 0."""
    odd = 1 - 2 * (exponent & 1)
    return xp.where(input == 1, 1, xp.where(input == -1, odd, 0)).astype(input.dtype)


# Multiplication and roots are many times faster than the general power.
_SPECIAL_POWERS: dict[complex, Any] = {
    2.0: lambda xp, x: xp.square(x),
    3.0: lambda xp, x: x * x * x,
    4.0: lambda xp, x: xp.square(xp.square(x)),
    0.5: lambda xp, x: xp.sqrt(x),
    -0.5: lambda xp, x: 1 / xp.sqrt(x),
    -1.0: lambda xp, x: 1 / x,
    -2.0: lambda xp, x: 1 / xp.square(x),
}


_pow.__name__ = "pow"
pow = _PowerOp(_pow, tensors=("input", "exponent"), takes="ifc")


@pow.gradient("input")
def _(grad, input, exponent):
    if not hasattr(exponent, "shape"):
        if exponent == 0:
            return keep(grad, False)
        return grad * conjugate(exponent * pow(input, exponent - 1))
    # Where the exponent is 0, so is the derivative, also that of 0, inf and nan.
    some = exponent != 0
    return keep(grad * conjugate(exponent * pow(input, keep(exponent - 1, some))), some)


@pow.gradient("exponent")
def _(grad, input, exponent, out):
    size = real(exponent) if holds_complex(exponent) else exponent
    none = (input == 0) & (size >= 0)
    if hasattr(input, "shape"):
        # Negative real numbers have a logarithm, too, where the power is complex.
        one = 1 + 0j if holds_complex(out) else 1.0
        base = log(choose(none, one, input * one))
    else:
        base = (
            keep(keep(out, False) - math.inf, logical_not(none))
            if not input
            else np.log(complex(input) if holds_complex(out) else input).item()
        )
    return keep(grad * conjugate(out * base), logical_not(none))


@pow.samples
def _(make):
    yield (make(2, 3), 2), {}
    yield (make(2, 3, low=0.5), make(2, 3)), {}
    yield (make(3, low=0.5), -1.5), {}
    yield (2.0, make(3)), {}


@pow.expect
def _(input, exponent):
    return input**exponent


pow.operator("__pow__", "__rpow__", "__ipow__")


class _FloatPowerOp(CompositeOp):
    """In place, the result must be of the tensor's own dtype."""

    def run_inplace(self, values: list[Any]) -> Any:
        target, (kind, _) = values[0], _precision(values)
        if target.dtype is not kind:
            raise DtypeError(f"float_power_: the tensor is {target.dtype}, the result is {kind}")
        return super().run_inplace(values)


def _precision(operands: Sequence[Any]) -> tuple[Any, type]:
    """The dtype in which the power is computed, and what numbers are in it."""
    in_parts = any(
        holds_complex(value) if isinstance(value, Tensor) else isinstance(value, complex)
        for value in operands
    )
    return (complex128, complex) if in_parts else (float64, float)


def _float_power(input: Tensor | complex, exponent: Tensor | complex) -> Tensor:
    """Power ``input ** exponent`` in double precision: float64, or complex128 where an operand is
    complex; either may be a number.

    >>> import dtorch
    >>> dtorch.float_power(dtorch.tensor([1, 2]), -1)
    tensor([1.0000, 0.5000], dtype=dtorch.float64)
    """
    operands = input, exponent
    kind, number = _precision(operands)
    base, power_ = (
        value.to(kind) if isinstance(value, Tensor) else number(value) for value in operands
    )
    return pow(base, power_)


_float_power.__name__ = "float_power"
float_power = _FloatPowerOp(_float_power, tensors=("input", "exponent"), inplace=True)


@float_power.samples
def _(make):
    yield (make(2, 3, low=0.5), make(3)), {}
    yield (make(2, 3), 2), {}
    yield (2, make(3)), {}


@float_power.expect
def _(input, exponent):
    return np.float_power(input, exponent)


# Of norms: the gradient at 0 is taken as 0, the least of the subgradients.


@elementwise(tensors=("input",), public=False, inplace=False)
def power(xp: ArrayModule, input: Array, p: Any) -> Array:
    """``input ** p``; the gradient at 0 is taken as 0."""
    return pow.body(xp, input, xp.asarray(p).astype(input.dtype))


@power.gradient("input")
def _(grad, input, p):
    some = input != 0
    return keep(grad * (power(choose(some, input, 1.0), p - 1) * p), some)


@elementwise(tensors=("input",), public=False, inplace=False)
def root(xp: ArrayModule, input: Array, p: Any) -> Array:
    """``input ** (1 / p)``; the gradient at 0 is taken as 0."""
    return pow.body(xp, input, xp.asarray(1 / p).astype(input.dtype))


@root.gradient("input")
def _(grad, input, p):
    some = input != 0
    return keep(grad * (power(choose(some, input, 1.0), 1 / p - 1) / p), some)


@elementwise(loop="square")
def square(xp: ArrayModule, input: Array) -> Array:
    """Square of the elements."""
    return xp.square(input if input.dtype.kind != "b" else input.astype(np.int64))


@square.gradient("input")
def _(grad, input):
    return grad * (2 * conjugate(input))


@square.samples
def _(make):
    yield (make(2, 3),), {}


@square.expect
def _(input):
    return input * input


@elementwise(ufunc=np.sqrt, loop="sqrt", floating=True)
def sqrt(xp: ArrayModule, input: Array) -> Array:
    """Square root; nan for negative numbers."""
    return xp.sqrt(input)


@sqrt.gradient("input")
def _(grad, out):
    return grad / (2 * conjugate(out))


@sqrt.samples
def _(make):
    yield (make(2, 3, low=0.1),), {}


@sqrt.expect
def _(input):
    return input**0.5


@elementwise(loop="rsqrt", floating=True)
def rsqrt(xp: ArrayModule, input: Array) -> Array:
    """Reciprocal of the square root."""
    return 1 / xp.sqrt(input)


@rsqrt.gradient("input")
def _(grad, out):
    return grad * conjugate(-0.5 * out * out * out)


@rsqrt.samples
def _(make):
    yield (make(2, 3, low=0.1),), {}


@rsqrt.expect
def _(input):
    return input**-0.5


@elementwise(loop="reciprocal", floating=True)
def reciprocal(xp: ArrayModule, input: Array) -> Array:
    """Reciprocal ``1 / input``."""
    return 1 / input


@reciprocal.gradient("input")
def _(grad, out):
    return -grad * conjugate(out * out)


@reciprocal.samples
def _(make):
    yield (make(2, 3, low=0.3),), {}


@reciprocal.expect
def _(input):
    return input**-1.0
