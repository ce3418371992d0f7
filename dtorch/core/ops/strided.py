"""Views by strides: any sizes and steps over a storage, and overlapping windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError
from dtorch.core.op import method
from dtorch.core.ops.scatter import take_slice, unslice
from dtorch.core.ops.view import permute
from dtorch.core.shapes import normalize_dim
from dtorch.core.storage import checked_place, storage_of
from dtorch.core.tensor import Tensor
from dtorch.core.views import view


@view(public=False)
def _strided(
    xp: ArrayModule, input: Array, size: Any, stride: Any, offset: int, input_stride: Any
) -> Array:
    itemsize = input.itemsize
    # The one element that far from the first.
    way = itemsize if offset > 0 else -itemsize
    place = xp.lib.stride_tricks.as_strided(input, (abs(offset) + 1,), (way,))[abs(offset) :]
    return xp.lib.stride_tricks.as_strided(
        place, tuple(size), tuple(s * itemsize for s in stride), writeable=True
    )


@_strided.gradient("input")
def _(grad, size, stride, offset, input_shape, input_stride):
    # Through a flat piece of memory: add up where the result read, then read as the input lies.
    to, at = _positions(size, stride) + offset, _positions(input_shape, input_stride)
    if not to.size or not at.size:
        return unslice(grad.reshape((-1,))[:0], (slice(0),), (at.size,)).reshape(at.shape)
    low = min(to.min(), at.min())
    count = int(max(to.max(), at.max()) - low) + 1
    flat = unslice(grad.reshape((-1,)), (to.ravel() - low,), (count,))
    return take_slice(flat, (at - low,))


def _positions(size: Any, stride: Any) -> Any:
    out = np.zeros((1,) * len(size), np.int64)
    for dim, (n, step) in enumerate(zip(size, stride, strict=True)):
        out = out + (np.arange(n) * step).reshape([-1 if d == dim else 1 for d in range(len(size))])
    return out


@composite(tensors=("input",))
def as_strided(input: Tensor, size: Any, stride: Any, storage_offset: int | None = None) -> Tensor:
    """A view of the storage with any sizes and strides, in elements.

    Args:
        storage_offset: first element, from the start of the storage. Default: that of ``input``.

    Raises:
        ShapeError: elements would lie outside the storage.
    """
    own = input.storage_offset()
    offset = own if storage_offset is None else storage_offset
    nbytes = storage_of(input).size()
    offset, size, stride = checked_place(nbytes, input.element_size(), offset, size, stride)
    distance = 0 if 0 in size else offset - own  # elements there are not may lie anywhere
    return _strided.function(input, size, stride, distance, input.stride())


@as_strided.samples
def _(make):
    yield (make(3, 4), (2, 2), (5, 1)), {}
    yield (make(3, 4), (3, 2), (1, 2), 1), {}


@as_strided.expect
def _(input, size, stride, storage_offset=0):
    flat = input.ravel()
    return np.array(
        [
            [flat[storage_offset + i * stride[0] + j * stride[1]] for j in range(size[1])]
            for i in range(size[0])
        ]
    )


@view(aliases={"dim": "dimension"}, home="", recorded_as="Unfold")
def unfold_dim(xp: ArrayModule, input: Array, dimension: int, size: int, step: int) -> Array:
    """A view of all windows of ``size`` elements along a dim, ``step`` apart, in a new last dim."""
    whole = input if input.ndim else input.reshape(1)
    dim = normalize_dim("unfold", dimension, input.ndim)
    if size < 0 or step < 1 or size > whole.shape[dim]:
        raise ArgumentError(
            f"unfold: windows of {size} in steps of {step} do not fit the {whole.shape[dim]} "
            f"elements of dim {dim}"
        )
    windows = xp.lib.stride_tricks.sliding_window_view(whole, size, dim, writeable=True)
    windows = windows[(slice(None),) * dim + (slice(None, None, step),)]
    return windows if input.ndim else windows[0]


@unfold_dim.gradient("input")
def _(grad, input_shape, dimension, size, step):
    if not input_shape:
        return grad.sum()
    dim = dimension % len(input_shape)
    windows = np.arange(grad.shape[dim])[:, None] * step + np.arange(size)
    last = grad.ndim - 1
    beside = permute(grad, (*range(dim + 1), last, *range(dim + 1, last)))
    return unslice(beside, (slice(None),) * dim + (windows,), tuple(input_shape))


@unfold_dim.samples
def _(make):
    yield (make(2, 7), 1, 3, 2), {}
    yield (make(5, 2), 0, 2, 1), {}


@unfold_dim.expect
def _(input, dimension, size, step):
    starts = range(0, input.shape[dimension] - size + 1, step)
    windows = [np.take(input, range(s, s + size), dimension) for s in starts]
    return np.stack([np.moveaxis(w, dimension, -1) for w in windows], dimension)


method("unfold", unfold_dim.function)  # the function `unfold` is another one, of images
