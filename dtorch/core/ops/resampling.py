"""Linear maps that act on each dim by itself: interpolation, means of uneven windows."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.op import structured

Taps = tuple[Any, Any]
"""Of one dim: positions ``(taps, outputs)`` in the input, and their weights; or None for both."""


@structured(tensors=("input",), public=False, wide=True, keeps_format=("input",))
def resample(xp: ArrayModule, input: Any, taps: tuple[Taps | None, ...]) -> Array:
    """Along each of the last dims, weighted sums of a few elements for each output."""
    out = input
    for dim, entry in enumerate(taps, input.ndim - len(taps)):
        if entry is None:
            continue
        index, weight = entry
        shape = (-1, *(1,) * (input.ndim - 1 - dim))
        total = None
        for at, factor in zip(index, weight.astype(input.dtype), strict=True):
            part = xp.take(out, at, axis=dim)
            if not (factor == 1).all():
                part *= factor.reshape(shape)
            if not factor.all():  # 0 also where the element is not finite
                part = xp.where(factor.reshape(shape) == 0, part.dtype.type(0), part)
            if total is None:
                total = part
            else:
                total += part
        out = total
    return out if out is not input else input.copy()


@resample.gradient("input")
def _(grad, input_shape, taps):
    return resample_back(grad, taps, tuple(input_shape))


@structured(tensors=("delta",), public=False, wide=True, keeps_format=("delta",))
def resample_back(
    xp: ArrayModule, delta: Array, taps: tuple[Taps | None, ...], shape: tuple[int, ...]
) -> Array:
    """The transpose of `resample`."""
    out = delta
    for dim, entry in enumerate(taps, delta.ndim - len(taps)):
        if entry is None:
            continue
        matrix = _matrix(xp, entry, shape[dim], delta.dtype)
        product = xp.moveaxis(backend.matmul(xp.moveaxis(out, dim, -1), matrix), -1, dim)
        if not xp.isfinite(product).all():  # the zeros of the matrix spread what is not finite
            product = _added(xp, out, entry, dim, product)
        out = product
    return out if out is not delta else delta.copy()


def _added(xp: ArrayModule, delta: Any, entry: Taps, dim: int, like: Any) -> Any:
    """The product with the matrix of ``entry``, from those of its elements alone that are not 0."""
    out = xp.zeros_like(like)
    index, weight = entry
    lines, target = xp.moveaxis(delta, dim, -1), xp.moveaxis(out, dim, -1)
    for at, factor in zip(index, weight.astype(delta.dtype), strict=True):
        used = factor != 0
        xp.add.at(target, (..., at[used]), lines[..., used] * factor[used])
    return out


def _matrix(xp: ArrayModule, entry: Taps, size: int, dtype: Any) -> Any:
    """The map of one dim as a matrix ``(outputs, inputs)``."""
    index, weight = entry
    matrix = np.zeros((index.shape[1], size), dtype)
    outputs = np.broadcast_to(np.arange(index.shape[1]), index.shape)
    np.add.at(matrix, (outputs, index), weight.astype(dtype))
    return xp.asarray(matrix)


@resample_back.gradient("delta")
def _(grad, taps):
    return resample(grad, taps)
