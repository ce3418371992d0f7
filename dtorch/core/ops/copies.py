"""Copies of arrays on several threads; without the native module NumPy makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.core.backend import compiled

ndarray = np.ndarray

_WORTH_THREADS = 16 * 1024  # elements


@compiled
def copy_array(source: ndarray, target: ndarray) -> bool:
    """``target[...] = source``, of arrays of one shape that share no memory, if it can be done by
    several threads; whether it was."""
    return False


def _copy(source: ndarray, target: ndarray) -> None:
    if not copy_array(source, target):
        target[...] = source


def in_order(array: ndarray) -> ndarray:
    """The array, or a copy of it, with the elements in the order of their indices."""
    if array.flags.c_contiguous:
        return array
    out = np.empty(array.shape, array.dtype)
    _copy(array, out)
    return out


def reshaped(value: Any, shape: Sequence[int]) -> Any:
    """An array or a tensor in another shape; a copy where the order in memory asks for one."""
    if type(value) is not ndarray:
        return value.reshape(shape)
    try:
        return value.reshape(shape, copy=False)
    except ValueError:
        return in_order(value).reshape(shape)


def joined(arrays: Sequence[ndarray], dim: int) -> ndarray:
    """`numpy.concatenate` of arrays of one dtype."""
    if sum(array.size for array in arrays) < _WORTH_THREADS or any(
        not isinstance(array, ndarray) for array in arrays
    ):
        return np.concatenate(arrays, dim)
    shape = list(arrays[0].shape)
    shape[dim] = sum(array.shape[dim] for array in arrays)
    like = next((array for array in arrays if array.flags.c_contiguous), arrays[0])
    out = np.empty_like(like, shape=shape)  # in the order of memory of what is joined
    start, before = 0, (slice(None),) * dim
    for array in arrays:
        end = start + array.shape[dim]
        _copy(array, out[(*before, slice(start, end))])
        start = end
    return out
