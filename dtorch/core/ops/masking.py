"""Elements chosen by masks, and the places of those that are not zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase, wrap
from dtorch.core.composites import composite
from dtorch.core.dtype import number_in
from dtorch.core.elementwise import elementwise
from dtorch.core.errors import DtypeError, ShapeError
from dtorch.core.op import method, structured
from dtorch.core.ops.comparison import choose, keep, logical_not
from dtorch.core.ops.scatter import take_slice, unslice
from dtorch.core.shapes import broadcast_shapes
from dtorch.core.tensor import Tensor


@elementwise(tensors=("input", "mask", "value"), promoted=("input",))
def masked_fill(xp: ArrayModule, input: Array, mask: Array, value: Array) -> Array:
    """``input`` with ``value`` (a number or a 0-dim tensor) where ``mask`` holds.

    >>> import dtorch
    >>> dtorch.zeros(2).masked_fill(dtorch.tensor([True, False]), 7).tolist()
    [7.0, 0.0]
    """
    expect_mask("masked_fill", mask)
    if np.ndim(value):
        raise ShapeError(
            f"masked_fill: value has shape {np.shape(value)}, expected a number or a "
            "zero-dimensional tensor"
        )
    return xp.where(mask != 0, filling(value, input.dtype), input)


def filling(value: Any, target: Any) -> Any:
    if hasattr(value, "astype") and not isinstance(value, np.generic):
        return value.astype(target, copy=False)
    return number_in("masked_fill", value, target)


def expect_mask(name: str, mask: Any) -> None:
    if mask.dtype != np.bool_ and mask.dtype != np.uint8:
        raise DtypeError(f"{name}: mask is {mask.dtype}, expected bool or uint8")


@masked_fill.gradient("input")
def _(grad, mask):
    return keep(grad, logical_not(mask))


@masked_fill.gradient("value")
def _(grad, mask):
    return keep(grad, mask)


@masked_fill.samples
def _(make):
    yield (make(3, 4), make(3, 4) > 0, 2.5), {}
    yield (make(3, 4), make(4) > 0, make()), {}


@masked_fill.expect
def _(input, mask, value):
    return input * ~mask + value * mask


@structured(tensors=("input", "mask"))
def masked_select(xp: ArrayModule, input: Array, mask: Array) -> Array:
    """The elements where ``mask`` holds, as a 1-D tensor.

    >>> import dtorch
    >>> dtorch.arange(3).masked_select(dtorch.tensor([True, False, True])).tolist()
    [0, 2]
    """
    expect_mask("masked_select", mask)
    shape = broadcast_shapes("masked_select", input.shape, mask.shape)
    return xp.broadcast_to(input, shape)[xp.broadcast_to(mask != 0, shape)]


@masked_select.gradient("input")
def _(grad, mask, input_shape):
    mask = mask._array if isinstance(mask, TensorBase) else mask
    shape = np.broadcast_shapes(input_shape, mask.shape)
    return unslice(grad, (np.broadcast_to(mask != 0, shape),), shape)


@masked_select.samples
def _(make):
    yield (make(3, 4), make(3, 4) > 0), {}
    yield (make(3, 4), make(4) > 0), {}


@masked_select.expect
def _(input, mask):
    return input[np.broadcast_to(mask, input.shape)]


@structured(tensors=("input", "mask", "source"), inplace=True)
def masked_scatter(xp: ArrayModule, input: Array, mask: Array, source: Array) -> Array:
    """``input`` with the elements of ``source``, in order, where ``mask`` holds.

    Raises:
        ShapeError: ``source`` has fewer elements than ``mask`` holds places.
    """
    expect_mask("masked_scatter", mask)
    if source.dtype != input.dtype:
        raise DtypeError(f"masked_scatter: source is {source.dtype}, the tensor {input.dtype}")
    shape = broadcast_shapes("masked_scatter", input.shape, mask.shape)
    out = xp.broadcast_to(input, shape).copy()
    places = xp.broadcast_to(mask != 0, shape)
    count = int(places.sum())
    if source.size < count:
        raise ShapeError(
            f"masked_scatter: source has {source.size} elements, the mask holds {count} places"
        )
    out[places] = source.reshape(-1)[:count]
    return out


@masked_scatter.gradient("input")
def _(grad, mask):
    return keep(grad, logical_not(mask))


@masked_scatter.gradient("source")
def _(grad, mask, source_shape):
    mask = mask._array if isinstance(mask, TensorBase) else mask
    picked = take_slice(grad, (np.broadcast_to(mask != 0, grad.shape),))
    size = int(np.prod(source_shape, dtype=int))
    return unslice(picked, (slice(picked.shape[0]),), (size,)).reshape(tuple(source_shape))


@masked_scatter.samples
def _(make):
    yield (make(3, 4), make(3, 4) > 0, make(3, 4)), {}
    yield (make(3, 4), make(4) > 0, make(13)), {}


@masked_scatter.expect
def _(input, mask, source):
    out, source = input.copy(), iter(source.ravel())
    for place in np.ndindex(out.shape):
        if np.broadcast_to(mask, out.shape)[place]:
            out[place] = next(source)
    return out


method("masked_copy", masked_scatter.function)
method("masked_copy_", masked_scatter.inplace_function)


@composite(tensors=("input",))
def nonzero(input: Tensor, *, as_tuple: bool = False) -> Any | tuple[Any, ...]:
    """Indices of the elements that are not zero, as rows; or as one tensor for each dim."""
    array = input._array
    if as_tuple:
        places = np.nonzero(array if array.ndim else array.reshape(1))
        return tuple(wrap(place) for place in places)
    return wrap(np.argwhere(array))


@composite(tensors=("input",))
def argwhere(input: Tensor) -> Tensor:
    """Indices of the elements that are not zero, as rows."""
    return wrap(np.argwhere(input._array))


for _op in (nonzero, argwhere):
    _op.samples(lambda make: iter([((make(3, 4) > 0,), {})]))
    _op.expect(lambda input: np.stack(np.nonzero(input), -1))


@composite(tensors=("condition", "input", "other"), method=False)
def where(
    condition: Any, input: Any | complex = None, other: Any | complex = None
) -> Any | tuple[Any, ...]:
    """Elements of ``input`` where ``condition`` holds, of ``other`` elsewhere; all broadcast.

    With ``condition`` alone, the places where it holds: `nonzero` with ``as_tuple=True``.

    Raises:
        TypeError: one of ``input`` and ``other`` without the other.

    >>> import dtorch
    >>> dtorch.where(dtorch.tensor([True, False]), 1, 2).tolist()
    [1, 2]
    >>> dtorch.where(dtorch.tensor([False, True]))
    (tensor([1]),)
    """
    if input is None and other is None:
        return nonzero(condition, as_tuple=True)
    if input is None or other is None:
        missing = "input" if input is None else "other"
        raise TypeError(f"where: {missing} is missing, expected both input and other, or neither")
    if isinstance(condition, TensorBase):
        expect_mask("where", condition._array)
    return choose.function(condition, input, other)


@where.samples
def _(make):
    yield (make(3, 4) > 0, make(3, 4), make(4)), {}
    yield (make(3, 4) > 0, 1.0, make(4)), {}


@where.expect
def _(condition, input, other):
    return np.where(condition, input, other)


def _where(input: Any, condition: Any, other: Any) -> Any:
    """The elements where ``condition`` holds, those of ``other`` elsewhere."""
    return choose.function(condition, input, other)


method("where", _where)
