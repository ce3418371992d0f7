"""Arithmetic on elements: sums, products, quotients, remainders, signs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.core import classic
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase
from dtorch.core.classic import Classic
from dtorch.core.composites import composite
from dtorch.core.dtype import dtype, finfo, from_numpy_dtype
from dtorch.core.elementwise import ElementwiseOp, elementwise
from dtorch.core.errors import ArgumentError, DivisionError, DtypeError
from dtorch.core.half import SINGLE, is_half, narrowed, widened
from dtorch.core.ops.comparison import choose, keep
from dtorch.core.ops.complex import (
    complex as complex_of,
    conj,
    conjugate,
    holds_complex,
    imag,
    real,
)
from dtorch.core.ops.rounding import trunc
from dtorch.core.tensor import Tensor


def _scaled_by_position(args: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Classic ``add(t, scale, other)``: the scale stands before the operand."""
    input, alpha, other = args
    return (input, other), {"alpha": alpha}


def refuse_factor(name: str, argument: str, factor: Any, array: Array) -> None:
    """Complain about a factor that the dtype of the operands cannot hold."""
    own, given = from_numpy_dtype(array.dtype), from_numpy_dtype(np.asarray(factor).dtype)
    if given.category > max(own.category, 1):
        raise ArgumentError(f"{name}: {argument} is {factor!r}, expected an int beside {own}")


def _with_scaled(xp: ArrayModule, combine: Any, input: Any, other: Any, alpha: Any) -> Any:
    """``combine(input, alpha * other)``, in the memory of the product where it has the size."""
    refuse_factor("add" if combine is xp.add else "sub", "alpha", alpha, other)
    scaled = xp.asarray(alpha).astype(other.dtype) * other
    if (
        type(input) is type(scaled) is xp.ndarray
        and input.dtype == scaled.dtype
        and xp.broadcast_shapes(input.shape, scaled.shape) == scaled.shape
    ):
        return combine(input, scaled, out=scaled)
    return combine(input, scaled)


@elementwise(loop="add", aliases={"value": "other"})
def add(xp: ArrayModule, input: Array, other: Array, *, alpha: Any = 1) -> Array:
    """Sum ``input + alpha * other``.

    Args:
        input, other: tensors that broadcast, or one of them a number.
        alpha: factor of ``other``.
    """
    return input + other if alpha == 1 else _with_scaled(xp, xp.add, input, other, alpha)


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


@composite(tensors=("input", "other"), method=False, takes="ifc", takes_of=("input", "other"))
def rsub(input: Tensor, other: Tensor, *, alpha: Any = 1) -> Tensor:
    """Difference ``other - alpha * input``."""
    return sub(other, input, alpha=alpha)


@rsub.samples
def _(make):
    yield (make(2, 3), make(3)), {}
    yield (make(2, 3), make(3)), {"alpha": 2}


@rsub.expect
def _(input, other, alpha=1):
    return other - alpha * input


add.classic(_scaled_by_position)
add.operator("__add__", "__radd__", "__iadd__")


class _DifferenceOp(ElementwiseOp):
    """There is none of masks, whose complement would be meant by most."""

    def prepare(self, values: list[Any], raw: list[Any]) -> list[Any]:
        if any(map(_is_mask, values[:2])):
            raise DtypeError(
                "sub: an operand is a bool tensor; ~mask is its complement, mask1 ^ mask2 says "
                "where they differ, and mask.long() counts"
            )
        return super().prepare(values, raw)


def _is_mask(value: Any) -> bool:
    return isinstance(value, TensorBase) and value._array.dtype == np.bool_


def _as_bytes(values: list[Any]) -> list[Any] | None:
    """Masks as numbers of uint8."""
    if not any(map(_is_mask, values[:2])):
        return None
    return [value.byte() if _is_mask(value) else value for value in values]


def _sub(xp: ArrayModule, input: Array, other: Array, *, alpha: Any = 1) -> Array:
    """Difference ``input - alpha * other``.

    Raises:
        DtypeError: of a mask; ``~mask`` is its complement.
    """
    return input - other if alpha == 1 else _with_scaled(xp, xp.subtract, input, other, alpha)


_sub.__name__ = "sub"
sub = _DifferenceOp(_sub, loop="sub", aliases={"value": "other"})
sub.formerly(Classic.MASK)(_as_bytes)


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


@elementwise(ufunc=np.multiply, loop="mul", aliases={"value": "other"})
def mul(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Product of the elements."""
    return xp.multiply(input, other)


@mul.gradient("input")
def _(grad, other):
    return grad * conjugate(other)


@mul.gradient("other")
def _(grad, input):
    return grad * conjugate(input)


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


class _DivisionOp(ElementwiseOp):
    """True division is floating, but the rounded quotients of integers are integers."""

    def result_dtype(self, values: Sequence[Any]) -> dtype:
        self_floating = values[self.index["rounding_mode"]] is None
        return super().result_dtype(values) if self_floating else self.promoted_dtype(values)

    def promoted_dtype(self, values: Sequence[Any]) -> dtype:
        """The common dtype of the operands, whatever its category."""
        return floor_divide.result_dtype(values[:2])

    def run(self, values: list[Any], out: Any = None) -> Any:
        return super().run(self._as_meant(values), out)

    def run_inplace(self, values: list[Any]) -> Any:
        try:
            return super().run_inplace(self._as_meant(values))
        except DtypeError as error:
            raise classic.hinted(error) if self._of_integers(values) else error from None

    def _as_meant(self, values: list[Any]) -> list[Any]:
        """In classic mode the quotients of integers are integers."""
        if classic.is_on() and self._of_integers(values) and classic.allows(Classic.QUOTIENT):
            mode = self.index["rounding_mode"]
            return [*values[:mode], "trunc", *values[mode + 1 :]]
        return values

    def _of_integers(self, values: list[Any]) -> bool:
        """Whether they are divided, and not all single numbers, which were Python's."""
        return (
            values[self.index["rounding_mode"]] is None
            and any(isinstance(v, TensorBase) and v._array.ndim for v in values)
            and self.promoted_dtype(values).category < 2
        )


def _div(xp: ArrayModule, input: Array, other: Array, *, rounding_mode: str | None = None) -> Array:
    """Quotient of the elements; of integers a floating one.

    Args:
        rounding_mode: None, ``"floor"`` or ``"trunc"``; with the latter two integers stay integers.

    Raises:
        DivisionError: an integer is divided by zero and the quotient rounded.
    """
    if rounding_mode is None:
        return input / other
    if rounding_mode not in ("floor", "trunc"):
        raise ArgumentError(
            f"div: rounding_mode is {rounding_mode!r}, expected None, 'floor' or 'trunc'"
        )
    _refuse_zero_divisor("div", other)
    if rounding_mode == "floor":
        return xp.floor_divide(input, other)
    if input.dtype.kind in "iub":
        return (input - xp.fmod(input, other)) // other
    return xp.trunc(input / other)


_div.__name__ = "div"
div = _DivisionOp(_div, loop="div", floating=True, aliases={"value": "other"})


@div.gradient("input")
def _(grad, other, rounding_mode):
    return grad / conjugate(other) if rounding_mode is None else keep(grad, False)


@div.gradient("other")
def _(grad, input, other, rounding_mode):
    if rounding_mode is not None:
        return keep(grad, False)
    return -grad * conjugate(input / other / other)


@div.samples
def _(make):
    yield (make(2, 3), make(2, 3, low=0.5)), {}
    yield (make(2, 3), make(3, low=0.5)), {}
    yield (make(2, 3), 4), {}
    yield (1.0, make(3, low=0.5)), {}
    yield (make(2, 3, low=-7, high=7).long(), 3), {}
    yield (make(2, 3, low=-7, high=7).long(), 3), {"rounding_mode": "trunc"}
    yield (make(2, 3, low=-7, high=7).long(), 3), {"rounding_mode": "floor"}
    yield (make(2, 3, low=-7, high=7), 1.3), {"rounding_mode": "trunc"}


@div.expect
def _(input, other, rounding_mode=None):
    quotient = input / other
    if rounding_mode is None:
        return quotient.astype(np.float32) if np.result_type(input) == np.int64 else quotient
    return (np.floor if rounding_mode == "floor" else np.trunc)(quotient)


div.operator("__truediv__", "__rtruediv__", "__itruediv__")


@elementwise(loop="floor_divide", aliases={"value": "other"}, takes="ifc")
def floor_divide(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Quotient rounded down; integers stay integers."""
    _refuse_zero_divisor("floor_divide", other)
    return xp.floor_divide(input, other)


@floor_divide.gradient("input")
def _(grad):
    return keep(grad, False)


@floor_divide.gradient("other")
def _(grad):
    return keep(grad, False)


@floor_divide.samples
def _(make):
    yield (make(4), 0.3), {}


@floor_divide.expect
def _(input, other):
    return np.floor(input / other)


floor_divide.operator("__floordiv__", "__rfloordiv__", "__ifloordiv__")


def _refuse_zero_divisor(name: str, other: Any) -> None:
    if other.dtype.kind in "iub" and not other.all():
        raise DivisionError(f"{name}: an integer is divided by zero")


@elementwise(loop="remainder", aliases={"divisor": "other"}, takes="ifc")
def remainder(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Remainder of the division, with the sign of the divisor.

    >>> import dtorch
    >>> dtorch.remainder(dtorch.tensor([-3, 3]), 2).tolist()
    [1, 1]
    """
    _refuse_zero_divisor("remainder", other)
    return xp.remainder(input, other)


@remainder.gradient("input")
def _(grad):
    return grad


@remainder.gradient("other")
def _(grad, input, other):
    turns = input // other
    return keep(-grad * turns, turns != 0)


@remainder.samples
def _(make):
    yield (make(3, 4), make(4, low=0.5)), {}


@remainder.expect
def _(input, other):
    return input - np.floor(input / other) * other


remainder.operator("__mod__", "__rmod__", "__imod__")


@elementwise(loop="fmod", aliases={"divisor": "other"}, takes="ifc")
def fmod(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Remainder of the division, with the sign of the dividend."""
    _refuse_zero_divisor("fmod", other)
    return xp.fmod(input, other)


@fmod.gradient("input")
def _(grad):
    return grad


@fmod.gradient("other")
def _(grad, input, other):
    turns = trunc(input / other)
    return keep(-grad * turns, turns != 0)


@fmod.samples
def _(make):
    yield (make(3, 4), make(4, low=0.5)), {}


@fmod.expect
def _(input, other):
    return input - np.trunc(input / other) * other


@elementwise(ufunc=np.negative, loop="neg")
def neg(xp: ArrayModule, input: Array) -> Array:
    """The elements with the opposite sign."""
    return xp.negative(input)


neg.formerly(Classic.MASK)(_as_bytes)


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


@elementwise(loop="abs", takes="ifc")
def abs(xp: ArrayModule, input: Array) -> Array:
    """Absolute values; of complex numbers the real moduli."""
    return xp.absolute(input)


@abs.gradient("input")
def _(grad, input):
    return grad * sgn(input)


@abs.samples
def _(make):
    yield (make(2, 3),), {}


@abs.expect
def _(input):
    return np.where(input < 0, -input, input)


abs.unary_operator("__abs__")


@elementwise(loop="sign", takes="bif")
def sign(xp: ArrayModule, input: Array) -> Array:
    """-1, 0 or 1 by the sign of the element; the gradient is zero."""
    return _sign(xp, input)


def _sign(xp: ArrayModule, input: Any) -> Any:
    """The sign, 0 of nan."""
    if input.dtype == np.bool_:
        return input.copy()
    out = xp.sign(input)
    return xp.where(input == input, out, input.dtype.type(0)) if out.dtype.kind == "f" else out


@sign.gradient("input")
def _(grad):
    return keep(grad, False)


@sign.samples
def _(make):
    yield (make(2, 3),), {}


@sign.expect
def _(input):
    return (input > 0).astype(input.dtype) - (input < 0)


@elementwise()
def sgn(xp: ArrayModule, input: Array) -> Array:
    """``input / |input|``, 0 at 0: the sign, or the complex number of size 1 in its direction."""
    return _sign(xp, input)


@sgn.gradient("input")
def _(grad, input, out):
    if not holds_complex(input):
        return keep(grad, False)
    along = real(grad * conj(out))
    return keep((grad - out * along) / choose(input == 0, 1.0, abs(input)), input != 0)


@sgn.samples
def _(make):
    yield (make(2, 3),), {}


@sgn.expect
def _(input):
    return input / np.abs(input)


@composite(
    aliases={"tensor": "input"},
    inplace=True,
    tensors=("input", "tensor1", "tensor2"),
    wide=True,
    takes="ifc",
)
def addcmul(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
    """Sum ``input + value * tensor1 * tensor2``."""
    product = mul(tensor1, tensor2)
    refuse_factor("addcmul", "value", value, getattr(product, "_array", product))
    return add(input, product, alpha=value)


@addcmul.samples
def _(make):
    yield (make(2, 3), make(2, 3), make(3)), {"value": 0.5}


@addcmul.expect
def _(input, tensor1, tensor2, value=1):
    return input + value * tensor1 * tensor2


@composite(
    aliases={"tensor": "input"},
    inplace=True,
    tensors=("input", "tensor1", "tensor2"),
    wide=True,
    takes="ifc",
)
def addcdiv(input: Tensor, tensor1: Tensor, tensor2: Tensor, *, value: Any = 1) -> Tensor:
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


@elementwise(aliases={"start": "input"}, takes="fc")
def lerp(xp: ArrayModule, input: Array, end: Array, weight: Array) -> Array:
    """Point between ``input`` (weight 0) and ``end`` (weight 1).

    >>> import dtorch
    >>> dtorch.lerp(dtorch.zeros(1), dtorch.ones(1), 0.25).tolist()
    [0.25]
    """
    # From the nearer side, so that weight 1 gives the end itself.
    way, near = end - input, xp.abs(weight) < 0.5
    if not weight.ndim:
        return input + weight * way if near else end - way * (1 - weight)
    return xp.where(near, input + weight * way, end - way * (1 - weight))


@lerp.gradient("input")
def _(grad, weight):
    return grad * (1 - conjugate(weight))


@lerp.gradient("end")
def _(grad, weight):
    return grad * conjugate(weight)


@lerp.gradient("weight")
def _(grad, input, end):
    return grad * conjugate(end - input)


@lerp.samples
def _(make):
    yield (make(2, 3), make(2, 3), 0.3), {}
    yield (make(2, 3), make(2, 3), make(2, 3)), {}


@lerp.expect
def _(input, end, weight):
    return input + weight * (end - input)


@composite(tensors=("input", "other"), inplace=True)
def true_divide(input: Tensor, other: Tensor | float) -> Tensor:
    """Quotient of the elements, of integers a floating one: `div` without rounding."""
    return div(input, other)


@true_divide.samples
def _(make):
    yield (make(2, 3), make(3, low=0.5)), {}


@true_divide.expect
def _(input, other):
    return input * other**-1.0


@elementwise(ufunc=np.positive)
def positive(xp: ArrayModule, input: Array) -> Array:
    """The elements as they are."""
    return xp.positive(input)


@positive.gradient("input")
def _(grad):
    return grad


@positive.samples
def _(make):
    yield (make(2, 3),), {}


@positive.expect
def _(input):
    return input


positive.unary_operator("__pos__")


@elementwise(ufunc=np.copysign, floating=True)
def copysign(xp: ArrayModule, input: Array, other: Array) -> Array:
    """The size of ``input`` with the sign of ``other``."""
    return xp.copysign(input, other)


@copysign.gradient("other")
def _(grad):
    return keep(grad, False)


@copysign.gradient("input")
def _(grad, input, other):
    return grad * sign(input) * copysign(keep(input, False) + 1, other)


@copysign.samples
def _(make):
    yield (make(2, 3), make(2, 3)), {}


@copysign.expect
def _(input, other):
    return np.abs(input) * np.where(other < 0, -1, 1)


@elementwise(takes="f", wide=False)  # neighbours are those of the narrow dtype
def nextafter(xp: ArrayModule, input: Array, other: Array) -> Array:
    """The number of the dtype that follows ``input`` on the way to ``other``; ``other`` itself where
    they are equal.

    >>> import dtorch
    >>> float(dtorch.nextafter(dtorch.tensor(1.0), dtorch.tensor(2.0)) - 1) == 2.0**-23
    True
    """
    half = input if is_half(input) else other
    if half.dtype.kind == "f":
        return xp.nextafter(input, other)
    # bfloat16 is the upper half of float32, which holds a sign and a size that can be counted up.
    here, there = (xp.asarray(widened(value), dtype=SINGLE) for value in (input, other))
    step = xp.where((there > here) == (here > 0), 1 << 16, -1 << 16)
    near = (here.view(np.int32) + step.astype(np.int32)).view(SINGLE)
    near = xp.where(here == 0, xp.copysign(np.int32(1 << 16).view(SINGLE), there), near)
    near = xp.where(here == there, there, near)
    return narrowed(
        xp.where(xp.isnan(here) | xp.isnan(there), np.float32(np.nan), near), half.dtype
    )


@nextafter.gradient("input")
def _(grad, input, other):
    return keep(grad, input != other)  # where they are equal it is that of neither


@nextafter.gradient("other")
def _(grad):
    return keep(grad, False)


@nextafter.samples
def _(make):
    yield (make(2, 3), make(2, 3)), {}


@nextafter.expect
def _(input, other):
    return input + np.spacing(input) * np.sign(other - input) * np.sign(input)


@elementwise(wide=False)  # the largest number is that of the narrow dtype
def nan_to_num(
    xp: ArrayModule, input: Array, nan: Any = 0.0, posinf: Any = None, neginf: Any = None
) -> Array:
    """The elements with numbers in place of nan, inf and -inf.

    Args:
        nan: in place of nan.
        posinf, neginf: in place of the infinities. Default: the largest and lowest of the dtype.
    """
    out = xp.array(input)
    if input.dtype.kind in "iub":
        return out
    limits = finfo(from_numpy_dtype(input.dtype))
    parts = (out.real, out.imag) if input.dtype.kind == "c" else (out,)
    for part in parts:
        odd = ~xp.isfinite(part)
        if not odd.any():
            continue
        values = part[odd]
        large = limits.max if posinf is None else posinf
        low = limits.min if neginf is None else neginf
        part[odd] = xp.where(
            xp.isnan(values), 0.0 if nan is None else nan, xp.where(values > 0, large, low)
        ).astype(part.dtype)
    return out


@nan_to_num.gradient("input")
def _(grad, input):
    if holds_complex(input):  # each part by itself
        kept = (keep(part(grad), abs(part(input)) < np.inf) for part in (real, imag))
        return complex_of(*kept)
    return keep(grad, abs(input) < np.inf)


@nan_to_num.samples
def _(make):
    yield (make.constant(2, 6) / make.constant(6).round(), 0.5, 8.0, -9.0), {}
    yield (make(2, 3),), {}


@nan_to_num.expect
def _(input, nan=0.0, posinf=None, neginf=None):
    out = [
        nan if v != v else posinf if v == np.inf else neginf if v == -np.inf else v
        for v in input.ravel()
    ]
    return np.array(out, input.dtype).reshape(input.shape)
