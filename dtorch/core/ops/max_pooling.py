"""Pooling by the largest of each window, and values put back to where it was."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import REQUIRES_GRAD
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, DimensionError, ShapeError
from dtorch.core.grad_mode import is_grad_enabled
from dtorch.core.op import structured
from dtorch.core.ops.pooling import (
    each_window,
    padded_to,
    sides_of_input,
    taps,
    window_samples,
    windows,
)
from dtorch.core.shapes import ends, per_dim
from dtorch.core.tensor import Tensor

Ints = tuple[int, ...]


@structured(
    tensors=("input",), outputs=("out", "index"), public=False, wide=True, keeps_format=("input",)
)
def max_pool(
    xp: ArrayModule, input: Array, kernel: Ints, step: Ints, pad: Ints, spread: Ints, counts: Ints
) -> Any:
    """Largest value in each window, and its flat index in the last ``len(kernel)`` dims.

    Gradient: goes to the first largest element of a window; ties are not shared.
    """
    nd = len(kernel)
    low = -np.inf if input.dtype.kind in "fV" else np.iinfo(input.dtype).min
    padded = padded_to(xp, input, low, kernel, step, pad, spread, counts)
    best = index = None
    for tap, at in taps(kernel, step, spread, counts):
        values = padded[at]
        place = _places(input.shape[-nd:], tap, step, pad, spread, counts)
        if best is None:
            best = values.copy()
            index = xp.broadcast_to(place, best.shape).copy()
            continue
        larger = values > best
        if input.dtype.kind in "fV":
            larger |= values != values  # nan wins
        xp.copyto(best, values, where=larger)
        xp.copyto(index, place, where=larger)
    if any(pad):  # a window of the lowest numbers alone has found its first in the padding
        first = _first_inside(input.shape[-nd:], step, pad, spread, counts)
        xp.copyto(index, first, where=best == low)
    return best, index


@structured(tensors=("input",), public=False, wide=True, keeps_format=("input",))
def largest(
    xp: ArrayModule, input: Array, kernel: Ints, step: Ints, pad: Ints, spread: Ints, counts: Ints
) -> Array:
    """The values of `max_pool` alone, where no gradient is recorded."""
    return max_pool.run_body(xp, (input, kernel, step, pad, spread, counts))[0]


def _places(sides: Ints, tap: Ints, step: Ints, pad: Ints, spread: Ints, counts: Ints) -> Any:
    """Flat index, in the input, of the element that ``tap`` meets in every window."""
    nd = len(sides)
    place: Any = 0
    for dim in range(nd):
        along = np.arange(counts[dim]) * step[dim] + (tap[dim] * spread[dim] - pad[dim])
        place = place * sides[dim] + along.reshape(-1, *(1,) * (nd - 1 - dim))
    return place


def _first_inside(sides: Ints, step: Ints, pad: Ints, spread: Ints, counts: Ints) -> Any:
    """Flat index of the first element of every window that is no padding."""
    nd = len(sides)
    place: Any = 0
    for dim in range(nd):
        start = np.arange(counts[dim]) * step[dim] - pad[dim]
        start += -(np.minimum(start, 0) // spread[dim]) * spread[dim]
        start = np.minimum(start, sides[dim] - 1)
        place = place * sides[dim] + start.reshape(-1, *(1,) * (nd - 1 - dim))
    return place


@max_pool.gradient("input")
def _(grad, index, input_shape, kernel):
    return unpool_sum(grad, index, tuple(input_shape), len(kernel))


def _flat(index: Any, nd: int, total: int) -> Any:
    """Indices into planes of ``total`` elements as indices into all planes one after another."""
    planes, places = math.prod(index.shape[:-nd]), math.prod(index.shape[-nd:])
    at = index.reshape(planes, places) + np.arange(planes)[:, None] * total
    return at.reshape(-1)


@structured(tensors=("delta", "index"), public=False, wide=True, keeps_format=("delta",))
def unpool_sum(xp: ArrayModule, delta: Array, index: Array, shape: Any, nd: int) -> Array:
    """Zeros of ``shape`` to which ``delta`` is added at flat indices within each plane."""
    out = xp.zeros(math.prod(shape), delta.dtype)
    xp.add.at(out, _flat(index, nd, math.prod(shape[-nd:])), delta.reshape(-1))
    return out.reshape(shape)


@unpool_sum.gradient("delta")
def _(grad, index, nd):
    return pick(grad, index, nd)


@structured(tensors=("input", "index"), public=False, wide=True)
def pick(xp: ArrayModule, input: Array, index: Array, nd: int) -> Array:
    """The elements at flat indices within each plane."""
    at = _flat(index, nd, math.prod(input.shape[-nd:]))
    return input.reshape(-1)[at].reshape(index.shape)


@pick.gradient("input")
def _(grad, index, input_shape, nd):
    return unpool_sum(grad, index, tuple(input_shape), nd)


@max_pool.samples
@largest.samples
def _(make):
    for values in window_samples(make, spread=True):
        yield values, {}


@unpool_sum.samples
def _(make):
    n, side = make.size(2, 30), make.size(4, 40)
    places = make.index(n, side, side, high=4 * side * side)
    yield (make(n, side, side), places, (n, 2 * side, 2 * side), 2), {}


def max_pooled(
    nd: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
    ceil_mode: bool, return_indices: bool,
) -> Any:  # fmt: skip
    name = f"max_pool{nd}d"
    found = windows(name, nd, input, kernel_size, stride, padding, dilation, ceil_mode)
    recorded = is_grad_enabled() and input._mode == REQUIRES_GRAD
    if not (recorded or return_indices):
        return largest(input, *found)
    out, index = max_pool(input, *found)
    return (out, index) if return_indices else out


@composite(tensors=("input",), home="nn", has_out=False, takes="if")
def max_pool1d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any | tuple[Any, Any]:  # fmt: skip
    """Largest value in each window of ``(N, C, L)`` or ``(C, L)``; see `max_pool2d`."""
    return max_pooled(
        1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )  # fmt: skip


@composite(tensors=("input",), home="nn", has_out=False, takes="if")
def max_pool2d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any | tuple[Any, Any]:  # fmt: skip
    """Largest value in each ``kernel_size`` window of every channel.

    Args:
        input: ``(N, C, H, W)`` or ``(C, H, W)``.
        kernel_size: rows and columns of the window, in pixels; one int means square.
        stride: step between windows, in pixels. Default: ``kernel_size``.
        padding: pixels of -inf on each side, at most half the window.
        dilation: distance between the pixels of a window.
        ceil_mode: also take windows that reach beyond the end.
        return_indices: return also where each value was found, as an index into the plane of
            ``H * W`` pixels.
    Returns:
        ``(N, C, H', W')``,
        ``H' = floor((H + 2*padding - dilation * (kernel_size - 1) - 1) / stride) + 1``.
    Raises:
        ShapeError: input of other dimensions, or a window does not fit.
        ArgumentError: padding exceeds half the window.
    Gradient: goes to the first largest element of a window; ties are not shared.
    """
    return max_pooled(
        2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )  # fmt: skip


@composite(tensors=("input",), home="nn", has_out=False, takes="if")
def max_pool3d(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Any | tuple[Any, Any]:  # fmt: skip
    """Largest value in each window of ``(N, C, D, H, W)`` or without batch; see `max_pool2d`."""
    return max_pooled(
        3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices
    )  # fmt: skip


@max_pool1d.samples
def _(make):
    yield (make(2, 3, 7), 2), {}
    yield (make(3, 8), 3), {"stride": 2, "padding": 1, "ceil_mode": True, "return_indices": True}


@max_pool2d.samples
def _(make):
    yield (make(2, 3, 6, 4), 2), {}
    yield (make(1, 2, 5, 5), 3), {"stride": 2, "padding": 1}
    yield (make(1, 1, 4, 6), (2, 3), (1, 2)), {}
    yield (make(2, 6, 7), 2), {"dilation": 2, "return_indices": True}


@max_pool3d.samples
def _(make):
    yield (make(1, 2, 4, 3, 4), 2), {"stride": (2, 1, 2), "padding": (0, 1, 0)}


def _reference_max(nd):
    def reference(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False,
                  return_indices=False):  # fmt: skip
        entries = list(each_window(input, kernel_size, stride, padding, dilation, ceil_mode, nd))
        counts = tuple(max(at[i] for at, _ in entries) + 1 for i in range(nd))
        out = np.zeros((*input.shape[:-nd], *counts))
        index = np.zeros(out.shape, np.int64)
        for at, found in entries:
            values = np.stack(list(found.values()), -1)
            out[(..., *at)] = values.max(-1)
            index[(..., *at)] = np.array(list(found))[values.argmax(-1)]
        return (out, index) if return_indices else out

    return reference


for _nd, _op in enumerate((max_pool1d, max_pool2d, max_pool3d), 1):
    _op.expect(_reference_max(_nd))


# -- back to where the largest were -------------------------------------------------------------


@structured(tensors=("input", "indices"), public=False)
def unpool(xp: ArrayModule, input: Array, indices: Array, shape: Any, nd: int) -> Array:
    """Zeros of ``shape`` with ``input`` at flat indices within each plane."""
    out = xp.zeros(math.prod(shape), input.dtype)
    out[_flat(indices, nd, math.prod(shape[-nd:]))] = input.reshape(-1)
    return out.reshape(shape)


@unpool.gradient("input")
def _(grad, indices, nd):
    return pick(grad, indices, nd)


def _max_unpool(
    nd: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Any:
    name = f"max_unpool{nd}d"
    sides = sides_of_input(name, nd, input)
    if tuple(indices.shape) != tuple(input.shape):
        raise ShapeError(
            f"{name}: indices have shape {tuple(indices.shape)}, expected {tuple(input.shape)} "
            "like the input"
        )
    kernel = per_dim(name, "kernel_size", kernel_size, nd)
    step = kernel if stride is None else per_dim(name, "stride", stride, nd)
    pad = per_dim(name, "padding", padding, nd)
    default = tuple(
        (n - 1) * s - 2 * p + k for n, s, p, k in zip(sides, step, pad, kernel, strict=True)
    )
    wanted = default if output_size is None else tuple(int(n) for n in output_size)[-nd:]
    if len(wanted) != nd or any(
        not d - s < w < d + s for w, d, s in zip(wanted, default, step, strict=True)
    ):
        raise ArgumentError(
            f"{name}: output_size is {wanted}, expected sizes within one stride {step} of {default}"
        )
    index, total = indices._array, math.prod(wanted)
    least, most = ends(index) if index.size else (0, -1)
    if least < 0 or most >= total:
        raise DimensionError(
            f"{name}: indices from {least} to {most} do not lie in an output of {wanted}, which "
            f"has {total} elements"
        )
    return unpool(input, indices, (*tuple(input.shape)[:-nd], *wanted), nd)


@composite(tensors=("input", "indices"), home="nn", takes="bif")
def max_unpool1d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """Values put back to where `max_pool1d` found them; see `max_unpool2d`."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@composite(tensors=("input", "indices"), home="nn", takes="bif")
def max_unpool2d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """Values put back to where `max_pool2d` found them, zeros elsewhere.

    Args:
        indices: what `max_pool2d` returned with ``return_indices=True``.
        kernel_size, stride, padding: those of the pooling.
        output_size: sizes of its input; they must be within one stride of what follows from the
            sizes of ``input``.
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@composite(tensors=("input", "indices"), home="nn", takes="bif")
def max_unpool3d(
    input: Tensor, indices: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0,
    output_size: Any = None,
) -> Tensor:  # fmt: skip
    """Values put back to where `max_pool3d` found them; see `max_unpool2d`."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


def _found(make, shape, nd):
    """An input of a pooling with windows of 2, as values and indices."""
    return max_pooled(nd, make(*shape), 2, None, 0, 1, False, True)


@max_unpool1d.samples
def _(make):
    yield (*_found(make, (2, 2, 7), 1), 2), {"output_size": (7,)}


@max_unpool2d.samples
def _(make):
    yield (*_found(make, (2, 2, 4, 6), 2), 2), {}


@max_unpool3d.samples
def _(make):
    yield (*_found(make, (1, 2, 4, 2, 2), 3), 2), {}


def _reference_unpool(nd):
    def reference(input, indices, kernel_size, output_size=None):
        sides = output_size or tuple(2 * n for n in input.shape[-nd:])
        out = np.zeros((*input.shape[:-nd], math.prod(sides)))
        flat = (*input.shape[:-nd], -1)
        np.put_along_axis(out, indices.reshape(flat), input.reshape(flat), -1)
        return out.reshape(*input.shape[:-nd], *sides)

    return reference


for _nd, _op in enumerate((max_unpool1d, max_unpool2d, max_unpool3d), 1):
    _op.expect(_reference_unpool(_nd))
