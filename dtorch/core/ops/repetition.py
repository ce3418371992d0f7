"""Elements repeated, reversed and shifted along dims."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase, wrap
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, DimensionError, ShapeError
from dtorch.core.op import method, structured
from dtorch.core.ops.scatter import gather_rows
from dtorch.core.ops.view import expand, transpose
from dtorch.core.shapes import as_sizes, normalize_dim, normalize_dims
from dtorch.core.tensor import Tensor


def _repeat(input: Any, *sizes: Any, **named: Any) -> Any:
    """Copies of the tensor laid side by side; leading dims are added.

    Args:
        sizes: how often along each dim, of at least as many as the tensor has.

    Raises:
        ShapeError: fewer numbers than dims.
    """
    if named:
        sizes = (named.pop("repeats", None) or named.pop("sizes"),)
    times = as_sizes("repeat", sizes)
    shape = tuple(input.shape)
    lead = len(times) - len(shape)
    if lead < 0:
        raise ShapeError(
            f"repeat: sizes {times} for {len(shape)} dimensions, expected at least as many"
        )
    if any(n < 0 for n in times):
        raise ShapeError(f"repeat: sizes {times} must not be negative")
    shape = (1,) * lead + shape
    apart = [size for n in shape for size in (1, n)]
    wide = [size for k, n in zip(times, shape, strict=True) for size in (k, n)]
    joined = tuple(k * n for k, n in zip(times, shape, strict=True))
    copies = expand.function(input.reshape(apart), wide)
    if all(n == 1 for n in times):
        return copies.clone().reshape(joined)
    return copies.contiguous().reshape(joined)


method("repeat", _repeat)


@composite(tensors=("input",), variadic="dims")
def tile(input: Tensor, dims: Any) -> Tensor:
    """Copies of the tensor laid side by side; missing numbers stand for 1."""
    return _repeat(input, (1,) * (input.ndim - len(dims)) + tuple(dims))


@tile.samples
def _(make):
    yield (make(2, 3), (2, 1)), {}
    yield (make(2, 3), (2,)), {}
    yield (make(3), (2, 2)), {}


@tile.expect
def _(input, dims):
    return np.tile(input, dims)


@composite(tensors=("input",))
def repeat_interleave(
    input: Tensor, repeats: Any, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    """Each element (or slice along ``dim``) repeated on the spot.

    Args:
        repeats: how often; an int, or a tensor with a number for each slice.
        output_size: size of the result along ``dim``, where it is known; checked.

    >>> import dtorch
    >>> dtorch.repeat_interleave(dtorch.tensor([1, 2]), 2).tolist()
    [1, 1, 2, 2]
    """
    if dim is None or input.ndim == 0:
        input, dim = input.reshape(-1), dim or 0
    dim = normalize_dim("repeat_interleave", dim, input.ndim)
    size = input.shape[dim]
    times = repeats._array if isinstance(repeats, TensorBase) else np.asarray(repeats)
    if times.dtype.kind not in "iu" or (times < 0).any() or times.ndim > 1:
        raise ArgumentError("repeat_interleave: repeats must be an int or 1-D ints, not negative")
    if times.size not in (1, size):
        raise ShapeError(f"repeat_interleave: {times.size} repeats for {size} slices of dim {dim}")
    index = np.repeat(np.arange(size), times)
    if output_size is not None and output_size != index.size:
        raise ArgumentError(f"repeat_interleave: output_size is {output_size}, not {index.size}")
    return gather_rows.function(input, dim, wrap(index))


@repeat_interleave.samples
def _(make):
    yield (make(2, 3), 2), {}
    yield (make(2, 3), 2, 1), {}
    yield (make(2, 3), make.index(3, high=3), 1), {}


@repeat_interleave.expect
def _(input, repeats, dim=None):
    return np.repeat(input, repeats, dim)


@structured(tensors=("input",), variadic="dims")
def flip(xp: ArrayModule, input: Array, dims: Any) -> Array:
    """A copy with the order reversed along ``dims``.

    >>> import dtorch
    >>> dtorch.flip(dtorch.tensor([1, 2, 3]), (0,)).tolist()
    [3, 2, 1]
    """
    dims = normalize_dims("flip", dims, input.ndim) if dims not in ((), []) else ()
    return xp.ascontiguousarray(xp.flip(input, dims)) if input.ndim else input.copy()


@flip.gradient("input")
def _(grad, dims):
    return flip(grad, dims)


@flip.samples
def _(make):
    yield (make(2, 3), (0,)), {}
    yield (make(2, 3), (0, -1)), {}
    yield (make(2, 3), 1), {}


@flip.expect
def _(input, dims):
    for dim in (dims,) if isinstance(dims, int) else dims:
        input = np.take(input, range(input.shape[dim])[::-1], dim)
    return input


def _reversed(self: Any) -> Any:
    """``reversed(tensor)``: a copy with the order reversed along the first dim."""
    return flip(self, (0,) if self.dim() else ())


method("__reversed__", _reversed)


@composite(tensors=("input",))
def fliplr(input: Tensor) -> Tensor:
    """A copy with the columns in reverse order."""
    return flip(input, (normalize_dim("fliplr", 1, input.ndim, scalars=False),))


@composite(tensors=("input",))
def flipud(input: Tensor) -> Tensor:
    """A copy with the rows in reverse order."""
    return flip(input, (normalize_dim("flipud", 0, input.ndim, scalars=False),))


for _op, _reference in ((fliplr, np.fliplr), (flipud, np.flipud)):
    _op.samples(lambda make: iter([((make(2, 3),), {})]))
    _op.expect(_reference)


@structured(tensors=("input",))
def roll(xp: ArrayModule, input: Array, shifts: Any, dims: Any = None) -> Array:
    """A copy shifted along ``dims``; what leaves at one end enters at the other.

    >>> import dtorch
    >>> dtorch.roll(dtorch.tensor([1, 2, 3]), 1).tolist()
    [3, 1, 2]
    """
    if dims in ((), []):
        dims = None
    axis = None if dims is None else normalize_dims("roll", dims, input.ndim)
    if axis == ():
        raise DimensionError(f"roll: a 0-dim tensor has no dimension {dims}")
    steps = tuple(shifts) if isinstance(shifts, (tuple, list)) else (shifts,)
    if len(steps) != (1 if axis is None else len(axis)):
        raise ArgumentError(f"roll: shifts {shifts} and dims {dims} differ in length")
    if axis is None:
        return _rolled(xp, input.reshape(-1), int(steps[0]), 0).reshape(input.shape)
    for step, dim in zip(steps, axis, strict=True):
        input = _rolled(xp, input, int(step), dim)
    return input


def _rolled(xp: ArrayModule, input: Any, shift: int, dim: int) -> Any:
    """One copy in which all elements move alike, and then those that leave at one end."""
    shape = input.shape
    if not input.size:
        return input.copy()
    n, inner = shape[dim], math.prod(shape[dim + 1 :])
    shift %= n
    if shift > n // 2:
        shift -= n
    source = xp.ascontiguousarray(input)
    out = xp.empty(shape, input.dtype)
    step, lead = abs(shift) * inner, (slice(None),) * dim
    to, end = out.reshape(-1), input.size - step
    if shift >= 0:
        to[step:] = source.reshape(-1)[:end]
        out[(*lead, slice(shift))] = source[(*lead, slice(n - shift, n))]
    else:
        to[:end] = source.reshape(-1)[step:]
        out[(*lead, slice(n + shift, n))] = source[(*lead, slice(-shift))]
    return out


@roll.gradient("input")
def _(grad, shifts, dims):
    back = tuple(-s for s in shifts) if isinstance(shifts, (tuple, list)) else -shifts
    return roll(grad, back, dims)


@roll.samples
def _(make):
    yield (make(2, 3), 1), {}
    yield (make(2, 3), 2, 1), {}
    yield (make(2, 3), (1, -1), (0, 1)), {}


@roll.expect
def _(input, shifts, dims=None):
    if dims is None:
        n = input.size
        return np.array([input.ravel()[(i - shifts) % n] for i in range(n)]).reshape(input.shape)
    both = (
        zip((shifts,), (dims,), strict=False)
        if isinstance(shifts, int)
        else zip(shifts, dims, strict=False)
    )
    for shift, dim in both:
        n = input.shape[dim]
        input = np.take(input, [(i - shift) % n for i in range(n)], dim)
    return input


@composite(tensors=("input",))
def rot90(input: Tensor, k: int = 1, dims: Any = (0, 1)) -> Tensor:
    """A copy turned by 90 degrees ``k`` times in the plane of two dims, from the first to the
    second."""
    if len(dims) != 2:
        raise ArgumentError(f"rot90: dims are {tuple(dims)}, expected two")
    a, b = normalize_dims("rot90", tuple(dims), input.ndim)
    turns = k % 4
    if turns == 0:
        return input.clone()
    if turns == 2:
        return flip(input, (a, b))
    return flip(transpose(input, a, b), (a if turns == 1 else b,))


@rot90.samples
def _(make):
    for k in range(4):
        yield (make(2, 3), k), {}
    yield (make(2, 3, 2), 1, (1, 2)), {}


@rot90.expect
def _(input, k=1, dims=(0, 1)):
    return np.rot90(input, k, dims)
