"""Arithmetic on elements: sums, products, powers, rounding, bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.errors import ArgumentError
from dtorch.core.op import composite, elementwise
from dtorch.core.ops.comparison import where
from dtorch.core.ops.exponential import log


def _scaled_by_position(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Classic ``add(t, scale, other)``: the scale stands before the operand."""
    input, alpha, other = args
    return (input, other), {"alpha": alpha}


@elementwise(aliases={"value": "other"})
def add(xp: Any, input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """Sum ``input + alpha * other``.

    Args:
        input, other: tensors that broadcast, or one of them a number.
        alpha: factor of ``other``.
    """
    return input + other if alpha == 1 else input + xp.asarray(alpha).astype(other.dtype) * other


@add.gradient("input")
def _(grad):
    return grad


@add.gradient("other")
def _(grad, alpha):
    return grad if alpha == 1 else grad * alpha


@add.samples
def _(make):
    yield (make(2, 3), make(2, 3)), {}
    yield (make(2, 3), make(3)), {"alpha": 2.5}
    yield (make(2, 1), make(4)), {}
    yield (make(2, 3), 2.0), {}
    yield (make(), make(0, 2)), {}


@add.expect
def _(input, other, alpha=1):
    return input + alpha * other


add.classic(_scaled_by_position)
add.operator("__add__", "__radd__", "__iadd__")


@elementwise(aliases={"value": "other"})
def sub(xp: Any, input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """Difference ``input - alpha * other``."""
    return input - other if alpha == 1 else input - xp.asarray(alpha).astype(other.dtype) * other


@sub.gradient("input")
def _(grad):
    return grad


@sub.gradient("other")
def _(grad, alpha):
    return -grad if alpha == 1 else grad * -alpha


@sub.samples
def _(make):
    yield (make(2, 3), make(2, 3)), {}
    yield (make(2, 3), make(2, 1)), {"alpha": 0.5}
    yield (1.5, make(3)), {}


@sub.expect
def _(input, other, alpha=1):
    return input - alpha * other


sub.classic(_scaled_by_position)
sub.operator("__sub__", "__rsub__", "__isub__")


@elementwise(ufunc=np.multiply, aliases={"value": "other"})
def mul(xp: Any, input: Any, other: Any) -> Any:
    """Product of the elements."""
    return xp.multiply(input, other)


@mul.gradient("input")
def _(grad, other):
    return grad * _conjugate(other)


@mul.gradient("other")
def _(grad, input):
    return grad * _conjugate(input)


@mul.samples
def _(make):
    yield (make(2, 3), make(2, 3)), {}
    yield (make(2, 3), make(3)), {}
    yield (make(2, 3), 2), {}
    yield (make(0, 3), make(3)), {}
    yield (make(), make()), {}


@mul.expect
def _(input, other):
    return input * other


mul.operator("__mul__", "__rmul__", "__imul__")


def _conjugate(value: Any) -> Any:
    """Numbers are their own conjugate here: gradients reach real scalars only as constants."""
    return value.conj() if hasattr(value, "conj") else complex(value).conjugate() if isinstance(
        value, complex) else value  # fmt: skip


@elementwise(floating=True, aliases={"value": "other"})
def div(xp: Any, input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    """Quotient of the elements; of integers a floating one.

    Args:
        rounding_mode: None, ``"floor"`` or ``"trunc"``; with the latter two integers stay integers.
    """
    if rounding_mode is None:
        return input / other
    quotient = xp.floor(input / other) if rounding_mode == "floor" else xp.trunc(input / other)
    return quotient.astype(input.dtype, copy=False)


@div.gradient("input")
def _(grad, other, rounding_mode):
    return grad / _conjugate(other) if rounding_mode is None else grad * 0


@div.gradient("other")
def _(grad, input, other, rounding_mode):
    return (
        -grad * _conjugate(input / (other * other)) if rounding_mode is None else grad * 0 * other
    )


@div.samples
def _(make):
    yield (make(2, 3), make(2, 3, low=0.5)), {}
    yield (make(2, 3), make(3, low=0.5)), {}
    yield (make(2, 3), 4), {}
    yield (1.0, make(3, low=0.5)), {}


@div.expect
def _(input, other):
    return input / other


div.operator("__truediv__", "__rtruediv__", "__itruediv__")


@elementwise(aliases={"value": "other"})
def floor_divide(xp: Any, input: Any, other: Any) -> Any:
    """Quotient rounded down; integers stay integers."""
    _refuse_zero_divisor("floor_divide", xp, other)
    return xp.floor_divide(input, other)


@floor_divide.gradient("input")
def _(grad):
    return grad * 0


@floor_divide.samples
def _(make):
    yield (make(4), 0.3), {}


@floor_divide.expect
def _(input, other):
    return np.floor(input / other)


floor_divide.operator("__floordiv__", "__rfloordiv__", "__ifloordiv__")


def _refuse_zero_divisor(name: str, xp: Any, other: Any) -> None:
    if np.result_type(other).kind in "iub" and not np.all(other):
        raise ZeroDivisionError(f"{name}: integer division by zero")


@elementwise(aliases={"divisor": "other"})
def remainder(xp: Any, input: Any, other: Any) -> Any:
    """Remainder of the division, with the sign of the divisor."""
    _refuse_zero_divisor("remainder", xp, other)
    return xp.remainder(input, other)


@remainder.gradient("input")
def _(grad):
    return grad


@remainder.gradient("other")
def _(grad, input, other):
    return -grad * floor(input / other)


@remainder.samples
def _(make):
    yield (make(3, 4), make(4, low=0.5)), {}


@remainder.expect
def _(input, other):
    return input - np.floor(input / other) * other


remainder.operator("__mod__", "__rmod__", "__imod__")


@elementwise(aliases={"divisor": "other"})
def fmod(xp: Any, input: Any, other: Any) -> Any:
    """Remainder of the division, with the sign of the dividend."""
    _refuse_zero_divisor("fmod", xp, other)
    return xp.fmod(input, other)


@fmod.gradient("input")
def _(grad):
    return grad


@fmod.gradient("other")
def _(grad, input, other):
    return -grad * trunc(input / other)


@fmod.samples
def _(make):
    yield (make(3, 4), make(4, low=0.5)), {}


@fmod.expect
def _(input, other):
    return input - np.trunc(input / other) * other


@elementwise(ufunc=np.negative)
def neg(xp: Any, input: Any) -> Any:
    """The elements with the opposite sign."""
    return xp.negative(input)


@neg.gradient("input")
def _(grad):
    return -grad


@neg.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(),), {}


@neg.expect
def _(input):
    return 0 - input


neg.unary_operator("__neg__")


@elementwise(ufunc=np.absolute)
def abs(xp: Any, input: Any) -> Any:
    """Absolute values; of complex numbers the real moduli."""
    return xp.absolute(input)


@abs.gradient("input")
def _(grad, input):
    return grad * sign(input)


@abs.samples
def _(make):
    yield (make(2, 3),), {}


@abs.expect
def _(input):
    return np.where(input < 0, -input, input)


abs.unary_operator("__abs__")


@elementwise(ufunc=np.sign)
def sign(xp: Any, input: Any) -> Any:
    """-1, 0 or 1 by the sign of the element; the gradient is zero."""
    return xp.sign(input)


@sign.gradient("input")
def _(grad):
    return grad * 0


@sign.samples
def _(make):
    yield (make(2, 3),), {}


@sign.expect
def _(input):
    return (input > 0).astype(input.dtype) - (input < 0)


@elementwise(tensors=("input", "exponent"))
def pow(xp: Any, input: Any, exponent: Any) -> Any:
    """Power ``input ** exponent``; either may be a number.

    Raises:
        ArgumentError: an integer to a negative integer power.
    """
    kind = np.result_type(exponent).kind
    if np.result_type(input).kind in "iub" and kind in "iub" and np.any(exponent < 0):
        raise ArgumentError("pow: integers to negative integer powers are not defined")
    return xp.power(input, exponent)


@pow.gradient("input")
def _(grad, input, exponent):
    # 0 ** 0 has the derivative 0, not the nan of 0 * 0 ** -1.
    factor = where(exponent == 0, input * 0, exponent * pow(input, exponent - 1)) if hasattr(
        exponent, "shape") else (exponent * pow(input, exponent - 1) if exponent else input * 0)  # fmt: skip
    return grad * _conjugate(factor)


@pow.gradient("exponent")
def _(grad, input, exponent, out):
    base = log(input) if hasattr(input, "shape") else float(np.log(input))
    return grad * _conjugate(where(out == 0, out * 0, out * base))


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


@elementwise(ufunc=np.square)
def square(xp: Any, input: Any) -> Any:
    """Square of the elements."""
    return xp.square(input)


@square.gradient("input")
def _(grad, input):
    return grad * (2 * _conjugate(input))


@square.samples
def _(make):
    yield (make(2, 3),), {}


@square.expect
def _(input):
    return input * input


@elementwise(ufunc=np.sqrt, floating=True)
def sqrt(xp: Any, input: Any) -> Any:
    """Square root; nan for negative numbers."""
    return xp.sqrt(input)


@sqrt.gradient("input")
def _(grad, out):
    return grad / (2 * _conjugate(out))


@sqrt.samples
def _(make):
    yield (make(2, 3, low=0.1),), {}


@sqrt.expect
def _(input):
    return input**0.5


@elementwise(floating=True)
def rsqrt(xp: Any, input: Any) -> Any:
    """Reciprocal of the square root."""
    return 1 / xp.sqrt(input)


@rsqrt.gradient("input")
def _(grad, out):
    return grad * _conjugate(-0.5 * out * out * out)


@rsqrt.samples
def _(make):
    yield (make(2, 3, low=0.1),), {}


@rsqrt.expect
def _(input):
    return input**-0.5


@elementwise(floating=True)
def reciprocal(xp: Any, input: Any) -> Any:
    """Reciprocal ``1 / input``."""
    return 1 / input


@reciprocal.gradient("input")
def _(grad, out):
    return -grad * _conjugate(out * out)


@reciprocal.samples
def _(make):
    yield (make(2, 3, low=0.3),), {}


@reciprocal.expect
def _(input):
    return input**-1.0


def _rounding(op: Any, reference: Any) -> None:
    """Steps have zero gradient."""
    op.gradient("input")(lambda grad: grad * 0)
    op.samples(_rounding_samples)
    op.expect(reference)


def _rounding_samples(make):
    yield (make(2, 3, low=-3, high=3),), {}


@elementwise()
def floor(xp: Any, input: Any) -> Any:
    """Largest whole number not above the element."""
    return input.copy() if input.dtype.kind in "iub" else xp.floor(input)


_rounding(floor, lambda input: input // 1)


@elementwise()
def ceil(xp: Any, input: Any) -> Any:
    """Smallest whole number not below the element."""
    return input.copy() if input.dtype.kind in "iub" else xp.ceil(input)


_rounding(ceil, lambda input: -(-input // 1))


@elementwise()
def trunc(xp: Any, input: Any) -> Any:
    """The whole part, rounded toward zero."""
    return input.copy() if input.dtype.kind in "iub" else xp.trunc(input)


_rounding(trunc, lambda input: np.sign(input) * (np.abs(input) // 1))


@elementwise()
def round(xp: Any, input: Any, *, decimals: int = 0) -> Any:
    """The nearest whole number, or multiple of ``10**-decimals``; halves go to the even one."""
    return xp.round(input, decimals)


_rounding(round, lambda input: np.rint(input))


@elementwise()
def frac(xp: Any, input: Any) -> Any:
    """The part after the point, with the sign of the element."""
    return input - xp.trunc(input)


@frac.gradient("input")
def _(grad):
    return grad


@frac.samples
def _(make):
    yield (make(2, 3, low=-3, high=3),), {}


@frac.expect
def _(input):
    return np.sign(input) * (np.abs(input) % 1)


@elementwise(tensors=("input", "min", "max"), promoted=("input", "min", "max"))
def clamp(xp: Any, input: Any, min: Any = None, max: Any = None) -> Any:
    """The elements, but at least ``min`` and at most ``max`` (numbers, tensors, or None).

    Raises:
        ArgumentError: neither bound is given.
    """
    if min is None and max is None:
        raise ArgumentError("clamp: neither min nor max is given, expected at least one")
    if min is not None:
        input = xp.maximum(input, min)
    return input if max is None else xp.minimum(input, max)


@clamp.gradient("input")
def _(grad, input, min, max):
    inside = (input == input) if min is None else (input >= min)
    if max is not None:
        inside = inside & (input <= max)
    return where(inside, grad, grad * 0)


@clamp.gradient("min")
def _(grad, input, min, max):
    below = input < min
    if max is not None:
        below = below & (min < max)
    return where(below, grad, grad * 0)


@clamp.gradient("max")
def _(grad, input, min, max):
    above = input > max
    if min is not None:
        above = above | (min > max)
    return where(above, grad, grad * 0)


@clamp.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {"min": -0.5, "max": 0.7}
    yield (make(3, 4, low=-2, high=2),), {"min": 0.1}
    yield (make(3, 4, low=-2, high=2), make(4, low=-1, high=-0.2), make(4, low=0.2)), {}


@clamp.expect
def _(input, min=None, max=None):
    return np.clip(input, min, max)


@elementwise(ufunc=np.maximum)
def maximum(xp: Any, input: Any, other: Any) -> Any:
    """The larger of two elements; nan if one is nan. Equal ones share the gradient."""
    return xp.maximum(input, other)


@elementwise(ufunc=np.minimum)
def minimum(xp: Any, input: Any, other: Any) -> Any:
    """The smaller of two elements; nan if one is nan. Equal ones share the gradient."""
    return xp.minimum(input, other)


def _share(grad: Any, mine: Any, out: Any, theirs: Any) -> Any:
    half = where(mine == theirs, grad * 0.5, grad)
    return where(mine == out, half, grad * 0)


for _op, _reference in ((maximum, np.fmax), (minimum, np.fmin)):
    _op.gradient("input")(lambda grad, input, out, other: _share(grad, input, out, other))
    _op.gradient("other")(lambda grad, input, out, other: _share(grad, other, out, input))
    _op.expect(_reference)

    @_op.samples
    def _(make):
        yield (make(3, 4), make(3, 4)), {}
        yield (make(3, 4), make(4)), {}


@elementwise(ufunc=np.conjugate)
def conj(xp: Any, input: Any) -> Any:
    """Complex conjugate; real tensors are their own."""
    return xp.conjugate(input)


@conj.gradient("input")
def _(grad):
    return _conjugate(grad)


@conj.samples
def _(make):
    yield (make(2, 3),), {}


@conj.expect
def _(input):
    return input


@composite(aliases={"tensor": "input"}, inplace=True, tensors=("input", "tensor1", "tensor2"))
def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """Sum ``input + value * tensor1 * tensor2``."""
    return add(input, mul(tensor1, tensor2), alpha=value)


@addcmul.samples
def _(make):
    yield (make(2, 3), make(2, 3), make(3)), {"value": 0.5}


@addcmul.expect
def _(input, tensor1, tensor2, value=1):
    return input + value * tensor1 * tensor2


@composite(aliases={"tensor": "input"}, inplace=True, tensors=("input", "tensor1", "tensor2"))
def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Any:
    """Sum ``input + value * tensor1 / tensor2``."""
    return add(input, div(tensor1, tensor2), alpha=value)


@addcdiv.samples
def _(make):
    yield (make(2, 3), make(2, 3), make(3, low=0.5)), {"value": 0.5}


@addcdiv.expect
def _(input, tensor1, tensor2, value=1):
    return input + value * tensor1 / tensor2


def _value_in_the_middle(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Classic ``addcmul(t, value, tensor1, tensor2)``."""
    input, value, tensor1, tensor2 = args
    return (input, tensor1, tensor2), {"value": value}


addcmul.classic(_value_in_the_middle)
addcdiv.classic(_value_in_the_middle)


@composite(aliases={"start": "input"}, inplace=True, tensors=("input", "end"))
def lerp(input: Any, end: Any, weight: Any) -> Any:
    """Point between ``input`` (weight 0) and ``end`` (weight 1)."""
    return add(input, mul(sub(end, input), weight))


@lerp.samples
def _(make):
    yield (make(2, 3), make(2, 3), 0.3), {}
    yield (make(2, 3), make(2, 3), make(2, 3)), {}


@lerp.expect
def _(input, end, weight):
    return input + weight * (end - input)
