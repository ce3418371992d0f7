"""Padding: tensors enlarged at the ends of their last dims."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.dtype import number_in
from dtorch.core.errors import ArgumentError, ShapeError, UnsupportedError
from dtorch.core.op import structured
from dtorch.core.ops.scatter import add_rows
from dtorch.core.tensor import Tensor

Sides = tuple[tuple[int, int], ...]  # elements before and after, for every dim


def sides_of(name: str, pad: Any, ndim: int) -> Sides:
    """Elements before and after each dim, from a flat list that begins with the last dim."""
    values = tuple(int(p) for p in pad)
    if len(values) % 2 or len(values) > 2 * ndim:
        raise ShapeError(
            f"{name}: pad is {values}, expected pairs for at most {ndim} dims, the last one first"
        )
    pairs = [values[i : i + 2] for i in range(0, len(values), 2)]
    return ((0, 0),) * (ndim - len(pairs)) + tuple(reversed(pairs))  # type: ignore[arg-type]


def _sizes(name: str, shape: tuple[int, ...], sides: Sides) -> tuple[int, ...]:
    sizes = tuple(n + a + b for n, (a, b) in zip(shape, sides, strict=True))
    if any(n + min(a, 0) + min(b, 0) < 0 for n, (a, b) in zip(shape, sides, strict=True)):
        raise ShapeError(f"{name}: shape {shape} cropped by {sides} would be {sizes}")
    return sizes


@structured(tensors=("input",), public=False, keeps_format=("input",))
def constant_pad(xp: ArrayModule, input: Array, pad: Any, value: Any) -> Array:
    """``input`` with ``value`` around it; negative numbers of elements crop."""
    sides = sides_of("pad", pad, input.ndim)
    sizes = _sizes("pad", input.shape, sides)
    around = number_in("pad", value, input.dtype)
    out = xp.full(sizes, around, input.dtype) if around else xp.zeros(sizes, input.dtype)
    source, target = _overlap(input.shape, sides)
    out[target] = input[source]
    return out


def _overlap(shape: tuple[int, ...], sides: Sides) -> tuple[Any, Any]:
    """Where the input is taken from, and where it comes to lie."""
    source = tuple(
        slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(shape, sides, strict=True)
    )
    target = tuple(
        slice(max(a, 0), n + a + b - max(b, 0)) for n, (a, b) in zip(shape, sides, strict=True)
    )
    return source, target


@constant_pad.gradient("input")
def _(grad, pad):
    return constant_pad(grad, tuple(-p for p in pad), 0.0)


@structured(tensors=("input",), public=False, keeps_format=("input",))
def taken(xp: ArrayModule, input: Array, indices: Any) -> Array:
    """Elements at ``indices``: for each dim None or the positions to take, repeats allowed."""
    for dim, index in enumerate(indices):
        if index is not None:
            input = xp.take(input, index, axis=dim)
    return input


@taken.gradient("input")
def _(grad, indices, input_shape):
    return put_back(grad, indices, input_shape)


@structured(tensors=("grad",), public=False, keeps_format=("grad",))
def put_back(xp: ArrayModule, grad: Array, indices: Any, shape: Any) -> Array:
    """The transpose of `taken`: what was taken several times adds up."""
    for dim, index in enumerate(indices):
        if index is not None:
            sizes = (*grad.shape[:dim], shape[dim], *grad.shape[dim + 1 :])
            grad = add_rows(grad, dim, xp.asarray(index), sizes)
    return grad


@put_back.gradient("grad")
def _(grad, indices):
    return taken(grad, indices)


_ROUND_THE_EDGE = {
    "reflect": lambda i, n: np.abs((i + n - 1) % max(2 * n - 2, 1) - (n - 1)),
    "replicate": lambda i, n: np.clip(i, 0, n - 1),
    "circular": lambda i, n: i % n,
}  # places within a dim of n elements for those around it


@composite(tensors=("input",), home="nn")
def pad(input: Tensor, pad: Any, mode: str = "constant", value: Any = None) -> Tensor:
    """The tensor with elements added at the ends of its last dims.

    Args:
        pad: elements before and after the last dim, then before and after the last but one, and
            so on; negative numbers crop.
        mode: ``"constant"``; or ``"reflect"`` (mirrored, without the edge), ``"replicate"`` (the
            edge repeated), ``"circular"`` (from the other end).
        value: the constant. Default: 0.
    Raises:
        ShapeError: more to reflect than there is, or more to wrap around.
        ArgumentError: an unknown mode, or a value for another mode than ``"constant"``.
    """
    if mode == "constant":
        return constant_pad(input, tuple(pad), 0.0 if value is None else float(value))
    if mode not in _ROUND_THE_EDGE:
        raise UnsupportedError(
            f"pad: mode is {mode!r}, expected 'constant', 'reflect', 'replicate' or 'circular'"
        )
    if value not in (None, 0):
        raise ArgumentError(f"pad: value is {value}, which mode {mode!r} does not use")
    shape = tuple(input.shape)
    sides = sides_of("pad", pad, len(shape))
    _sizes("pad", shape, sides)
    indices: list[Any] = []
    for n, (a, b) in zip(shape, sides, strict=True):
        if (a, b) == (0, 0):
            indices.append(None)
            continue
        first = 0
        if mode == "circular":  # what is left of a dim goes round
            first, n = max(-a, 0), n + min(a, 0) + min(b, 0)
            a, b = max(a, 0), max(b, 0)
        limit = {"reflect": n - 1, "circular": n}.get(mode)
        if limit is not None and max(a, b) > limit:
            raise ShapeError(
                f"pad: {max(a, b)} elements of mode {mode!r} for a dim of {n} of shape {shape}, "
                f"expected at most {limit}"
            )
        if n == 0:
            raise ShapeError(f"pad: mode {mode!r} for an empty dim of shape {shape}")
        indices.append(first + _ROUND_THE_EDGE[mode](np.arange(-a, n + b), n))
    return taken(input, tuple(indices))


@pad.samples
def _(make):
    yield (make(2, 3), (1, 2)), {}
    yield (make(2, 3), (1, 0, 0, 2)), {"value": 1.5}
    yield (make(2, 4), (-1, 1)), {}
    yield (make(2, 3, 4), (2, 1, 1, 0)), {"mode": "reflect"}
    yield (make(2, 3, 4), (2, 1, 1, 3)), {"mode": "replicate"}
    yield (make(2, 3, 4), (2, 1, 0, 1)), {"mode": "circular"}
    yield (make(2, 3, 4), (2, -1, -1, 1)), {"mode": "circular"}


@pad.expect
def _(input, pad, mode="constant", value=None):
    sides = sides_of("pad", pad, input.ndim)
    grow = [(max(a, 0), max(b, 0)) for a, b in sides]
    names = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    way: Any = names[mode]
    options: Any = {"constant_values": value or 0} if mode == "constant" else {}
    if mode == "circular":
        kept = (
            slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(input.shape, sides, strict=True)
        )
        return np.pad(input[tuple(kept)], grow, way)
    out = np.pad(input, grow, way, **options)
    crop = tuple(slice(max(-a, 0), out.shape[d] - max(-b, 0)) for d, (a, b) in enumerate(sides))
    return out[crop]
