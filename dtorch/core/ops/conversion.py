"""Copies: to another dtype, another device, or just another piece of memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend, half
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.op import method, structured
from dtorch.core.ops.copies import in_order


@structured(tensors=("input",), public=False)
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
    """A copy with memory of its own, in the same order of memory."""
    return input.copy("K")


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


def _contiguous(input: Any, memory_format: Any = None) -> Any:
    """The tensor itself if its elements lie in order, else a copy where they do."""
    if input._array.flags.c_contiguous:
        return input
    return dense.function(input)


@structured(tensors=("input",), public=False)
def dense(xp: ArrayModule, input: Array) -> Array:
    """A copy whose elements lie in the order of their indices."""
    return in_order(input) if xp is np else xp.ascontiguousarray(input)


@dense.gradient("input")
def _(grad):
    return grad


method("_convert", _converted)
method("_move", _moved)
method("contiguous", _contiguous)
