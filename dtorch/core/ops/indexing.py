"""Indexing, and reading or writing elements by index or mask."""

from __future__ import annotations

import numbers
import operator
from typing import Any

import numpy as np

from dtorch.core import classic
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import PLAIN, TensorBase, wrap
from dtorch.core.classic import Classic
from dtorch.core.composites import composite
from dtorch.core.dtype import from_numpy_dtype, number_in, numbers_in
from dtorch.core.elements import sequence_array
from dtorch.core.entry import entry
from dtorch.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DimensionError,
    DtypeError,
    IndicesError,
    ShapeError,
)
from dtorch.core.inplace import bump, check_history, expect_writable, overwrite
from dtorch.core.op import method, structured
from dtorch.core.ops.comparison import keep
from dtorch.core.ops.scatter import take_slice, unslice
from dtorch.core.quiet import quietly
from dtorch.core.shapes import ends
from dtorch.core.tensor import Tensor
from dtorch.core.views import view


@view(public=False, recorded_as="Slice")
def _basic(xp: ArrayModule, input: Array, index: Any) -> Array:
    return input[index]


@_basic.gradient("input")
def _(grad, index, input_shape):
    return unslice(grad, index, input_shape)


def parse_index(shape: tuple[int, ...], index: Any) -> tuple[Any, bool]:
    """The index as NumPy takes it, and whether it is basic (gives a view).

    Raises:
        DimensionError: too many indices, or an int out of range.
        ArgumentError: a slice with a negative step.
        IndicesError: something that cannot index.
    """
    if isinstance(index, list) and any(
        isinstance(part, _INDICES) or part is None for part in index
    ):
        index = tuple(index)  # a list of indices, as it always was; one of numbers is an index
    parts = index if isinstance(index, tuple) else (index,)
    consumed = sum(_dims_taken(part) for part in parts)
    if consumed > len(shape):
        remedy = "" if shape else "; item() gives its number"
        raise DimensionError(
            f"index: {consumed} indices for a tensor of {len(shape)} dimensions{remedy}"
        )
    out: list[Any] = []
    basic = True
    dim = 0
    for part in parts:
        if part is Ellipsis:
            if any(each is part for each in out):
                continue  # the first has taken all dims
            dim += len(shape) - consumed
            out.append(part)
            consumed_by = 0
        elif part is None:
            out.append(part)
            consumed_by = 0
        elif isinstance(part, slice):
            out.append(_parse_slice(part))
            consumed_by = 1
        elif isinstance(part, (bool, np.bool_)):
            out.append(np.asarray(part))
            basic = False
            consumed_by = 0
        elif isinstance(part, numbers.Integral) or _is_single_integer(part):
            out.append(_parse_int(part, shape, dim))
            consumed_by = 1
        else:
            array = _parse_array(part, shape, dim)
            out.append(array)
            basic = False
            consumed_by = array.ndim if array.dtype == np.bool_ else 1
        dim += consumed_by
    if basic and Ellipsis not in out:
        out.append(Ellipsis)  # NumPy then gives a 0-dim view, not a copied scalar
    if not basic:
        _expect_one_shape([part for part in out if isinstance(part, np.ndarray)])
    return tuple(out), basic


def _expect_one_shape(arrays: list[Any]) -> None:
    """Complain about indices that do not broadcast together; a mask stands for as many as it holds."""
    if len(arrays) < 2:
        return
    shapes = [(int(a.sum()),) if a.dtype == np.bool_ else a.shape for a in arrays]
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        raise DimensionError(
            f"index: shapes {' and '.join(map(str, shapes))} of indices cannot be broadcast"
        ) from None


_INDICES = (slice, list, tuple, range, np.ndarray, TensorBase, type(Ellipsis))


def _dims_taken(part: Any) -> int:
    if part is None or part is Ellipsis or isinstance(part, (bool, np.bool_)):
        return 0
    if (isinstance(part, TensorBase) and part._array.dtype.kind in "b") or (
        isinstance(part, TensorBase) and part._array.dtype == np.uint8
    ):
        return int(part._array.ndim)
    if isinstance(part, np.ndarray) and part.dtype == np.bool_:
        return part.ndim
    return 1


def _is_single_integer(part: Any) -> bool:
    return isinstance(part, TensorBase) and part._array.ndim == 0 and part._array.dtype.kind in "iu"


def _parse_int(part: Any, shape: tuple[int, ...], dim: int) -> int:
    value = operator.index(part)
    if not -shape[dim] <= value < shape[dim]:
        raise DimensionError(
            f"index: {value} is out of range for dimension {dim} of size {shape[dim]}"
        )
    return value


def _parse_slice(part: slice) -> slice:
    try:
        bounds = [
            None if b is None else operator.index(b) for b in (part.start, part.stop, part.step)
        ]
    except TypeError:
        raise IndicesError(
            f"index: slice indices must be integers or None or have an __index__ method, got "
            f"{part!r} of {', '.join(type(b).__name__ for b in (part.start, part.stop, part.step))}"
        ) from None
    if bounds[2] is not None and bounds[2] <= 0:
        raise ArgumentError(f"index: the step of a slice is {bounds[2]}, expected at least 1")
    return slice(*bounds)


def _parse_array(part: Any, shape: tuple[int, ...], dim: int) -> Any:
    if isinstance(part, TensorBase):
        array = part._array
    elif isinstance(part, (list, tuple, np.ndarray, range)):
        array = np.asarray([p._array.item() if isinstance(p, TensorBase) else p for p in part]
                           if isinstance(part, (list, tuple)) else part)  # fmt: skip
        if not array.size and not isinstance(part, np.ndarray):
            array = array.astype(np.int64)
    else:
        raise IndicesError(
            f"index: got {type(part).__name__} ({part!r}), only integers, slices (`:`), ellipsis "
            "(`...`), None and long or byte Variables are valid indices, and bool ones"
        )
    if array.dtype == np.uint8 and isinstance(part, TensorBase):
        array = array != 0
    if array.dtype == np.bool_:
        expected = tuple(shape[dim : dim + array.ndim])
        if array.shape != expected:
            raise DimensionError(f"index: a mask of shape {array.shape} for dims of {expected}")
        return array
    if array.dtype.kind not in "iu":
        raise IndicesError(
            "index: tensors used as indices must be long, byte or bool tensors, or other integers; "
            f"this one is {array.dtype}"
        )
    size = shape[dim]
    least, most = ends(array) if array.size else (0, -1)
    if least < -size or most >= size:
        raise DimensionError(
            f"index: an index out of range for dimension {dim} of size {size}: from {least} to "
            f"{most}"
        )
    return array


_NUMBERS = (bool, int, float, complex, np.number, np.bool_)


def _getitem(input: Any, index: Any) -> Any:
    """Elements or parts: a view for ints, slices, None and ``...``; a copy for arrays and masks."""
    try:
        parsed, basic = parse_index(input._array.shape, index)
    except DimensionError as error:
        fewer = _fewer_indices(input, index, error)
        if fewer or input._mode != PLAIN:
            return _getitem(input, fewer)
        return input.item()
    if basic:
        return _basic.function(input, parsed)
    ints, parsed = _ints_first(parsed)
    part = input if ints is None else _basic.function(input, ints)
    return take_slice.function(part, parsed)


def _fewer_indices(input: Any, index: Any, error: DimensionError) -> tuple[Any, ...]:
    """The indices without zeros that are too many, whose dims were there when the program was
    written, if classic mode allows it; else the error is raised."""
    parts = index if isinstance(index, tuple) else (index,)
    ndim = input._array.ndim
    surplus = parts[ndim:]
    simple = all(isinstance(part, (int, slice)) or _is_single_integer(part) for part in parts)
    if not surplus or not simple or any(isinstance(p, slice) or p not in (0, -1) for p in surplus):
        raise error
    if not classic.allows(Classic.KEPT_DIM if ndim else Classic.NUMBER):
        raise classic.hinted(error)
    return parts[:ndim]


def _ints_first(parsed: tuple[Any, ...]) -> tuple[tuple[Any, ...] | None, tuple[Any, ...]]:
    """The index as one of ints, which comes first, and one of the arrays beside them.

    NumPy counts ints among the arrays, and moves the dim of arrays that do not stand side by side
    to the front; here an int selects before.
    """
    if not any(type(part) is int for part in parsed):
        return None, parsed
    first: list[Any] = []
    for part in parsed:
        if type(part) is int or part is Ellipsis:
            first.append(part)
        elif part is not None:
            bools = isinstance(part, np.ndarray) and part.dtype == np.bool_
            first += [slice(None)] * (part.ndim if bools else 1)
    if not any(part is Ellipsis for part in first):
        first.append(Ellipsis)
    return tuple(first), tuple(part for part in parsed if type(part) is not int)


def _setitem(input: Any, index: Any, value: Any) -> None:
    """Overwrite elements; the value broadcasts and is converted to the tensor's dtype."""
    try:
        parsed, basic = parse_index(input._array.shape, index)
    except DimensionError as error:
        _setitem(input, _fewer_indices(input, index, error), value)
        return
    if basic:
        part = _basic.function(input, parsed)
        _assign(part, value)
        return
    ints, parsed = _ints_first(parsed)
    if ints is not None:
        input = _basic.function(input, ints)
    value = _as_operand(input, value)
    put_slice.inplace_function(input, parsed, value)  # type: ignore[misc]  # made by inplace=True


def _as_operand(input: Any, value: Any) -> Any:
    if isinstance(value, TensorBase):
        return value
    name, target = "index assignment", input._array.dtype
    if isinstance(value, _NUMBERS):
        return wrap(number_in(name, value, target))
    array = value if isinstance(value, np.ndarray) else sequence_array(name, value)
    return wrap(numbers_in(name, array, target))


def _assign(part: Any, value: Any) -> None:
    if isinstance(value, _NUMBERS):
        part.fill_(value)
        return
    value = _as_operand(part, value)
    lead = value._array.ndim - part._array.ndim
    if lead > 0 and all(size == 1 for size in value._array.shape[:lead]):
        value = value.reshape(value._array.shape[lead:])
    copy_(part, value)


method("__getitem__", _basic.by_way("index", _getitem))
method("__setitem__", _setitem)


@structured(tensors=("input", "value"), inplace=True, method=False, public=False)
def put_slice(xp: ArrayModule, input: Array, index: Any, value: Array) -> Array:
    """``input`` with ``value`` at an advanced index."""
    out = input.copy()
    try:
        out[index] = value
    except ValueError as error:
        raise ShapeError(f"index assignment: {error}") from None
    return out


@put_slice.gradient("input")
def _(grad, index):
    return zero_at(grad, index)


@put_slice.gradient("value")
def _(grad, index, value_shape):
    return take_slice(grad, index)


@structured(tensors=("input",), public=False)
def zero_at(xp: ArrayModule, input: Array, index: Any) -> Array:
    """``input`` with zeros at ``index``."""
    out = input.copy()
    out[index] = 0
    return out


@zero_at.gradient("input")
def _(grad, index):
    return zero_at(grad, index)


@structured(
    tensors=("input", "src"), inplace=True, method=False, public=False, aliases={"source": "src"}
)
def copy(
    xp: ArrayModule, input: Array, src: Array, non_blocking: bool = False, broadcast: bool = True
) -> Array:
    """The elements of ``src``, broadcast to the shape and converted to the dtype of ``input``."""
    try:
        return xp.broadcast_to(src, input.shape).astype(input.dtype, copy=False)
    except ValueError:
        raise ShapeError(
            f"copy_: source of shape {tuple(src.shape)} cannot be broadcast to the tensor's "
            f"{tuple(input.shape)}"
        ) from None


@copy.formerly(Classic.POINTWISE)
def _(values):
    input, src = values[:2]
    if input.numel() != src.numel() or input.shape == src.shape:
        return None
    return [input, src.reshape(input.shape), *values[2:]]


@copy.gradient("input")
def _(grad):
    return keep(grad, False)


@copy.gradient("src")
def _(grad):
    return grad


def copy_(
    input: Any, src: Any, non_blocking: bool = False, broadcast: bool = True, **_: Any
) -> Any:
    """Overwrite the elements with those of ``src``, which broadcasts and is converted."""
    if not isinstance(src, TensorBase):
        if not isinstance(src, (*_NUMBERS, np.ndarray)):
            raise ArgumentTypeError(
                f"copy_: source is {type(src).__name__}, expected a tensor, an array or a number"
            )
        src = wrap(np.asarray(src))
    return copy.inplace_function(input, src)  # type: ignore[misc]  # made by inplace=True


@structured(tensors=("input", "value"), inplace=True, method=False, public=False, one_value=True)
def fill(xp: ArrayModule, input: Array, value: Array) -> Array:
    """``value`` at every place."""
    return xp.full_like(input, value)


@fill.gradient("input")
def _(grad):
    return keep(grad, False)


@fill.gradient("value")
def _(grad):
    return grad  # the engine sums it


@entry("fill_", computes=False)
def fill_(input: Any, value: Any) -> Any:
    """Overwrite every element with one number (or a 0-dim tensor)."""
    if isinstance(value, TensorBase):
        if value._array.ndim:
            raise ShapeError(f"fill_: value has shape {tuple(value._array.shape)}, expected ()")
        expect_writable("fill_", input)  # the gradient of the value counts each element
        return fill.inplace_function(input, value)  # type: ignore[misc]
    if not isinstance(value, (float, int, complex, np.generic)):
        raise TypeError(f"fill_: value is {type(value).__name__}, expected a number")
    if isinstance(value, complex) and input._array.dtype.kind != "c":
        raise DtypeError(f"fill_: {value} into a tensor of {from_numpy_dtype(input._array.dtype)}")
    kind = input._array.dtype
    # NumPy warns of complex numbers alone, where a part is beyond what the dtype holds.
    number = quietly(number_in, "fill_", value, kind) if kind.kind == "c" else (
        number_in("fill_", value, kind))  # fmt: skip
    if input._mode == 0:
        check_history("fill_", input, 0)
        overwrite("fill_", input, number)
        bump(input)
        return input
    return fill.inplace_function(input, wrap(number))  # type: ignore[misc]


def zero_(input: Any) -> Any:
    """Overwrite every element with 0."""
    return fill_(input, 0)


method("fill_", fill_)
method("zero_", zero_)


def _parse_indices(name: str, input: Any, indices: Any) -> Any:
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"{name}: indices is {type(indices).__name__}, expected a tuple of tensors")
    parts = tuple(slice(None) if index is None else index for index in indices)
    return parse_index(input._array.shape, parts)[0]


@structured(tensors=("input", "value"), public=False, wide=True)
def add_at(xp: ArrayModule, input: Array, index: Any, value: Array) -> Array:
    """``input`` with ``value`` added at an advanced index; repeated places add up."""
    out = input.copy()
    xp.add.at(out, index, value)
    return out


@add_at.gradient("input")
def _(grad):
    return grad


@add_at.gradient("value")
def _(grad, index):
    return take_slice(grad, index)


@composite(tensors=("input", "values"), inplace=True)
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> Tensor:
    """``input`` with ``values`` written at an advanced index.

    Args:
        indices: a tuple with an integer or bool tensor for each dim; None takes all of a dim.
        values: broadcast to the shape of ``input[indices]``.
        accumulate: add instead; repeated places then add up.
    """
    index = _parse_indices("index_put", input, indices)
    return (add_at if accumulate else put_slice)(input, index, values)


@index_put.samples
def _(make):
    rows = make.index(3, high=2)
    yield (make(4, 3), (rows.new_tensor([0, 3]), rows.new_tensor([2, 1])), make(2)), {}
    yield (make(4, 3), (make(4) > 0,), make(3)), {}
    yield (make(4, 3), (rows.new_tensor([1, 1, 2]),), make(3, 3), True), {}


@index_put.expect
def _(input, indices, values, accumulate=False):
    out = input.copy()
    if accumulate:
        for at, value in zip(indices[0], values, strict=True):
            out[at] += value
    else:
        out[indices] = values
    return out


def _index(input: Any, m: Any) -> Any:
    """The same as ``input[m]``."""
    return _getitem(input, m)


method("index", _index)
