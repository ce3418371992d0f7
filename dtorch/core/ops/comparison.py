"""Comparisons and logic: results are bool and have no gradient, but `where` has one."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase, wrap
from dtorch.core.composites import composite
from dtorch.core.elementwise import ElementwiseOp, elementwise
from dtorch.core.errors import ArgumentError
from dtorch.core.shapes import broadcast_shapes
from dtorch.core.tensor import Tensor


def _comparison_samples(make):
    yield (make(3, 4), make(4)), {}
    yield (make(3, 4), 0.1), {}
    yield (make(2).long(), make(2).long()), {}


def _comparison(op: ElementwiseOp, operator: str, reference: Any) -> None:
    op.operator(operator)
    op.samples(_comparison_samples)
    op.expect(reference)


@elementwise(ufunc=np.equal, loop="eq", beyond="keep")
def eq(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Whether the elements are equal."""
    return xp.equal(input, other)


@elementwise(ufunc=np.not_equal, loop="ne", beyond="keep")
def ne(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Whether the elements differ."""
    return xp.not_equal(input, other)


@elementwise(ufunc=np.less, loop="lt", takes="bif", beyond="keep")
def lt(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Whether the element is less."""
    return xp.less(input, other)


@elementwise(ufunc=np.less_equal, loop="le", takes="bif", beyond="keep")
def le(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Whether the element is less or equal."""
    return xp.less_equal(input, other)


@elementwise(ufunc=np.greater, loop="gt", takes="bif", beyond="keep")
def gt(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Whether the element is greater."""
    return xp.greater(input, other)


@elementwise(ufunc=np.greater_equal, loop="ge", takes="bif", beyond="keep")
def ge(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Whether the element is greater or equal."""
    return xp.greater_equal(input, other)


_comparison(eq, "__eq__", lambda input, other: ~(input != other))
_comparison(ne, "__ne__", lambda input, other: (input < other) | (input > other))
_comparison(lt, "__lt__", lambda input, other: ~(input >= other))
_comparison(le, "__le__", lambda input, other: ~(input > other))
_comparison(gt, "__gt__", lambda input, other: ~(input <= other))
_comparison(ge, "__ge__", lambda input, other: ~(input < other))


def _mask_samples(make):
    yield (make(3, 4) > 0, make(4) > 0), {}
    yield (make(3).long(), make(3).long()), {}


@elementwise(ufunc=np.logical_and)
def logical_and(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Whether both elements are not zero."""
    return xp.logical_and(input, other)


@elementwise(ufunc=np.logical_or)
def logical_or(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Whether one of the elements is not zero."""
    return xp.logical_or(input, other)


@elementwise(ufunc=np.logical_xor)
def logical_xor(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Whether exactly one of the elements is not zero."""
    return xp.logical_xor(input, other)


@elementwise(ufunc=np.logical_not)
def logical_not(xp: ArrayModule, input: Array) -> Array:
    """Whether the element is zero."""
    return xp.logical_not(input)


@elementwise(ufunc=np.bitwise_and)
def bitwise_and(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Bits set in both: of integers, or bool."""
    return xp.bitwise_and(input, other)


@elementwise(ufunc=np.bitwise_or)
def bitwise_or(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Bits set in one of them: of integers, or bool."""
    return xp.bitwise_or(input, other)


@elementwise(ufunc=np.bitwise_xor)
def bitwise_xor(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Bits set in exactly one of them: of integers, or bool."""
    return xp.bitwise_xor(input, other)


@elementwise(takes="bi")
def bitwise_left_shift(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Bits of integers moved up by ``other`` places: ``input * 2 ** other`` without the overflow."""
    return xp.left_shift(input, other)


@elementwise(takes="bi")
def bitwise_right_shift(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Bits of integers moved down by ``other`` places; the sign stays."""
    return xp.right_shift(input, other)


@elementwise(ufunc=np.invert)
def bitwise_not(xp: ArrayModule, input: Array) -> Array:
    """All bits inverted: of integers, or bool."""
    return xp.invert(input)


_op: Any
_reference: Any
for _op, _reference in (
    (logical_and, lambda input, other: (input != 0) & (other != 0)),
    (logical_or, lambda input, other: (input != 0) | (other != 0)),
    (logical_xor, lambda input, other: (input != 0) != (other != 0)),
    (bitwise_and, lambda input, other: input & other),
    (bitwise_or, lambda input, other: input | other),
    (bitwise_xor, lambda input, other: input ^ other),
):
    _op.samples(_mask_samples)
    _op.expect(_reference)
for _op, _reference in (
    (logical_not, lambda input: input == 0),
    (bitwise_not, lambda input: ~input),
):
    _op.samples(lambda make: iter([((make(3, 4) > 0,), {}), ((make(3).long(),), {})]))
    _op.expect(_reference)
for _op, _reference in (
    (bitwise_left_shift, lambda input, other: input * 2**other),
    (bitwise_right_shift, lambda input, other: input // 2**other),
):
    _op.samples(lambda make: iter([((make.index(3, 4, high=9), make.index(4, high=5)), {})]))
    _op.expect(_reference)
bitwise_left_shift.operator("__lshift__", "__rlshift__", "__ilshift__")
bitwise_right_shift.operator("__rshift__", "__rrshift__", "__irshift__")
bitwise_and.operator("__and__", "__rand__", "__iand__")
bitwise_or.operator("__or__", "__ror__", "__ior__")
bitwise_xor.operator("__xor__", "__rxor__", "__ixor__")
bitwise_not.unary_operator("__invert__")


def _special_samples(make):
    yield (make(3, 4) / make(4).round(),), {}
    yield (make(2).long(),), {}


@elementwise(inplace=False)
def isnan(xp: ArrayModule, input: Array) -> Array:
    """Whether the element is nan."""
    return input != input


@elementwise(inplace=False)
def isinf(xp: ArrayModule, input: Array) -> Array:
    """Whether the element is inf or -inf."""
    return xp.isinf(input)


@elementwise(inplace=False)
def isfinite(xp: ArrayModule, input: Array) -> Array:
    """Whether the element is neither infinite nor nan."""
    return xp.isfinite(input)


for _op, _reference in (
    (isnan, np.isnan),
    (isinf, lambda input: np.abs(input) == np.inf),
    (isfinite, lambda input: np.abs(input) < np.inf),
):
    _op.samples(_special_samples)
    _op.expect(_reference)


@elementwise(
    tensors=("condition", "input", "other"),
    promoted=("input", "other"),
    beyond="refuse",
    inplace=False,
    public=False,
    recorded_as="Where",
)
def choose(xp: ArrayModule, condition: Array, input: Array, other: Array) -> Array:
    """Elements of ``input`` where ``condition`` holds, of ``other`` elsewhere; all broadcast."""
    return xp.where(condition, input, other)


@choose.gradient("input")
def _(grad, condition):
    return keep(grad, condition)


@choose.gradient("other")
def _(grad, condition):
    return keep(grad, logical_not(condition))


@choose.samples
def _(make):
    yield (make(3, 4) > 0, make(3, 4), make(4)), {}
    yield (make(3, 4) > 0, 1.0, make(4)), {}


@choose.expect
def _(condition, input, other):
    return condition * input + ~condition * other


@elementwise(
    tensors=("input", "condition"), promoted=("input",), inplace=False, public=False, wide=False
)
def keep(xp: ArrayModule, input: Array, condition: Array | bool) -> Array:
    """The element where ``condition`` holds, 0 elsewhere.

    For gradients: the 0 is written, so that it stays 0 where the element is infinite or nan.
    """
    if condition is False:
        return xp.zeros(input.shape, input.dtype)
    return xp.where(condition, input, xp.zeros((), input.dtype))


@keep.gradient("input")
def _(grad, condition):
    return keep(grad, condition)


@keep.samples
def _(make):
    yield (make(3, 4), make(3, 4) > 0), {}
    yield (make(3, 4), make(4) > 0), {}


@composite(tensors=("input", "other"), aliases={"tensor1": "input", "tensor2": "other"})
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same sizes and elements."""
    a, b = input._array, other._array
    for array in (a, b):
        backend.require_data("equal", array)
    return bool(a.shape == b.shape and (a == b).all())


@composite(tensors=("input", "other"))
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Tensor:
    """Whether ``|input - other| <= atol + rtol * |other|``, element by element."""
    return wrap(_isclose("isclose", input, other, rtol, atol, equal_nan))


def _isclose(name: str, input: Any, other: Any, rtol: float, atol: float, equal_nan: bool) -> Any:
    for what, value in (("input", input), ("other", other)):
        if not isinstance(value, TensorBase):
            raise TypeError(f"{name}: {what} is {type(value).__name__}, expected a tensor")
    for what, tolerance in (("rtol", rtol), ("atol", atol)):
        if isinstance(tolerance, (int, float)) and tolerance < 0:
            raise ArgumentError(f"{name}: {what} is {tolerance}, expected at least 0")
    broadcast_shapes(name, input._array.shape, other._array.shape)
    return np.isclose(input._array, other._array, rtol, atol, equal_nan)


@composite(tensors=("input", "other"))
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> bool:
    """Whether `isclose` holds for all elements."""
    for tensor in (input, other):
        backend.require_data("allclose", tensor._array)
    return bool(_isclose("allclose", input, other, rtol, atol, equal_nan).all())


for _op in (equal, isclose, allclose):
    _op.samples(lambda make: iter([((make(3), make(3)), {})]))
equal.expect(np.array_equal)
isclose.expect(np.isclose)
allclose.expect(np.allclose)
