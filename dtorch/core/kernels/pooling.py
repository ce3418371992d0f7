"""Pooling of images and signals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import native
from dtorch.core.ops.max_pooling import largest, max_pool, unpool_sum
from dtorch.core.ops.pooling import window_spread, window_sum

Ints = tuple[int, ...]


def _takes(array: Array, nd: int) -> bool:
    return nd in (1, 2) and array.size != 0 and array.dtype in (np.float32, np.float64)


def _planes(array: Array, nd: int) -> Any:
    """Contiguous ``(planes, height, width)``, signals being images of one row."""
    sides = array.shape[-nd:] if nd == 2 else (1, array.shape[-1])
    return np.ascontiguousarray(array).reshape(-1, *sides)


def _pairs(*sizes: Ints) -> list[Ints]:
    """One-dimensional windows as those of one row; what is missing is the first of each."""
    return [tuple(size) if len(size) == 2 else (one, *size)
            for size, one in zip(sizes, (1, 1, 0, 1), strict=False)]  # fmt: skip


@max_pool.kernel("cpu")
def _(input, kernel, step, pad, spread, counts):
    nd = len(kernel)
    if not _takes(input, nd):
        return None
    shape = (*input.shape[:-nd], *counts)
    out, index = np.empty(shape, input.dtype), np.empty(shape, np.int64)
    native.max_pool(_planes(input, nd), *_pairs(kernel, step, pad, spread), _planes(out, nd),
                    _planes(index, nd))  # fmt: skip
    return out, index


@largest.kernel("cpu")
def _(input, kernel, step, pad, spread, counts):
    nd = len(kernel)
    if not _takes(input, nd):
        return None
    out = np.empty((*input.shape[:-nd], *counts), input.dtype)
    native.max_pool(_planes(input, nd), *_pairs(kernel, step, pad, spread), _planes(out, nd), None)
    return out


@unpool_sum.kernel("cpu")
def _(delta, index, shape, nd):
    total = math.prod(shape[-nd:])
    if not _takes(delta, 2) or not total or index.dtype != np.int64:
        return None
    out = np.empty(tuple(shape), delta.dtype)
    planes = math.prod(shape[:-nd])
    native.add_at_places(
        np.ascontiguousarray(delta).reshape(planes, -1),
        np.ascontiguousarray(index).reshape(planes, -1),
        out.reshape(planes, total),
    )
    return out


@window_sum.kernel("cpu")
def _(input, kernel, step, pad, counts, divisor):
    nd = len(kernel)
    if not _takes(input, nd) or 0 in counts or not isinstance(divisor, (int, float)):
        return None
    out = np.empty((*input.shape[:-nd], *counts), input.dtype)
    native.sum_pool(_planes(input, nd), *_pairs(kernel, step, pad), 1 / divisor, _planes(out, nd))
    return out


@window_spread.kernel("cpu")
def _(delta, shape, kernel, step, pad, counts, divisor):
    nd = len(kernel)
    if not _takes(delta, nd) or not math.prod(shape) or not isinstance(divisor, (int, float)):
        return None
    out = np.empty(tuple(shape), delta.dtype)
    native.spread_windows(
        _planes(delta, nd), *_pairs(kernel, step, pad), 1 / divisor, _planes(out, nd)
    )
    return out
