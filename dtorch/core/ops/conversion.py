"""Copies: to another dtype, another device, or just another piece of memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend, half
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.memory_format import contiguous_format, is_in, made_in, order_of, preserve_format
from dtorch.core.op import method, structured
from dtorch.core.ops.copies import in_order


@structured(tensors=("input",), public=False, recorded_as="ToCopy")
def convert(xp: ArrayModule, input: Array, dtype: Any) -> Array:
    """The elements as ``dtype``; floating to integer truncates toward zero, complex to real takes
    the real part."""
    target = dtype.numpy
    if input.dtype.kind == "c" and target.kind not in "cb":
        input = input.real
    return input.astype(target) if xp is not np else half.convert(input, target)


@convert.gradient("input")
def _(grad, input_shape):  # the engine converts a gradient to the dtype of what it belongs to
    return grad


def _converted(input: Any, dtype: Any) -> Any:
    """The elements as ``dtype``."""
    return convert.function(input, dtype)


@structured(tensors=("input",), public=False, mixes=True)
def move(xp: ArrayModule, input: Array, device: Any, origin: Any) -> Array:
    """The elements on another device; ``origin`` is where they lie."""
    return backend.to_device(input, device)


@move.gradient("input")
def _(grad, device, origin):
    return move(grad, origin, device)


def _moved(input: Any, device: Any) -> Any:
    """The elements on another device."""
    return move.function(input, device, input.device)


@structured(tensors=("input",))
def clone(xp: ArrayModule, input: Array, *, memory_format: Any = None) -> Array:
    """A copy with memory of its own, in the same order of memory or that of a format."""
    if memory_format is None or memory_format is preserve_format:
        return input.copy("K")
    return _copied(xp, input, order_of("clone", memory_format, input))


@clone.gradient("input")
def _(grad):
    return grad


@clone.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(2, 3).t(),), {}
    yield (make(),), {}


@clone.expect
def _(input):
    return input


def _contiguous(input: Any, memory_format: Any = contiguous_format) -> Any:
    """The tensor itself if its elements lie in the order of their indices, or of a format, one after
    the other; else a copy where they do."""
    if memory_format is contiguous_format:
        return input if input._array.flags.c_contiguous else dense.function(input, None)
    order = order_of("contiguous", memory_format, input._array)
    return input if is_in(input._array, memory_format) else dense.function(input, order)


def _arranged(input: Any, name: str, memory_format: Any) -> Any:
    """The tensor itself if its strides are those of a format, else a copy with them."""
    array = input._array
    order = order_of(name, memory_format, array)
    if memory_format is preserve_format or (order is None and array.flags.c_contiguous):
        return input
    if is_in(array, memory_format) and 1 not in array.shape:
        return input
    return dense.function(input, order)


@structured(tensors=("input",), public=False, recorded_as="Clone")
def dense(xp: ArrayModule, input: Array, order: Any) -> Array:
    """A copy whose elements lie one after the other, the dims in the order of their indices or in a
    given one."""
    if order is None:
        return in_order(input) if xp is np else xp.ascontiguousarray(input)
    return _copied(xp, input, order)


def _copied(xp: ArrayModule, input: Array, order: Any) -> Any:
    out = made_in(xp.empty, input.shape, input.dtype, order)
    out[...] = input
    return out


@dense.gradient("input")
def _(grad):
    return grad


method("_convert", _converted)
method("_move", _moved)
method("_arranged", _arranged)
method("contiguous", _contiguous)
