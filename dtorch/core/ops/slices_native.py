"""Compiled forms of what is done along one dim: looking up by number, adding where something was
looked up, running sums and products, the first in order.

Where arrays are of another kind, or a number is out of range, those that give an array give None, and
those that add say that they have not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core import backend

_native = backend.native


def _slices(array: Any, dim: int) -> Any:
    """An array as (outer, slices along ``dim``, inner); a 0-dim one has one slice."""
    shape = array.shape or (1,)
    return array.reshape(math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :]))


def _contiguous(dim: int, *arrays: Any) -> list[Any]:
    return [_slices(np.ascontiguousarray(array), dim) for array in arrays]


def _fits(array: Any, index: Any, dim: int) -> bool:
    """Whether an index has the shape of an array but for ``dim``."""
    return (
        type(array) is np.ndarray
        and array.ndim == index.ndim
        and array.shape[:dim] == index.shape[:dim]
        and array.shape[dim + 1 :] == index.shape[dim + 1 :]
    )


def take_along(input: Any, dim: int, index: Any) -> Any:
    """``out[i, j] = input[index[i, j], j]`` for ``dim`` 0, and so on."""
    if _native is None or not _fits(input, index, dim):
        return None
    out = np.empty(index.shape, input.dtype)
    return out if _native.take_along(*_contiguous(dim, input, index), _slices(out, dim)) else None


def add_along(out: Any, dim: int, index: Any, source: Any) -> bool:
    """``out[index[i, j], j] += source[i, j]`` for ``dim`` 0, and so on; ``out`` is contiguous."""
    if _native is None or not _fits(out, index, dim):
        return False
    return _native.add_along(*_contiguous(dim, source, index), _slices(out, dim))


def add_rows(out: Any, dim: int, index: Any, source: Any) -> bool:
    """Add the slices of ``source`` to those of ``out``, which is contiguous, at the 1-D ``index``."""
    if _native is None or type(out) is not np.ndarray:
        return False
    return _native.add_rows(
        *_contiguous(dim, source), np.ascontiguousarray(index), _slices(out, dim)
    )


def scan(input: Any, dim: int, product: bool = False, reverse: bool = False) -> Any:
    """Running sum, or product, along ``dim``; of float32 formed in double precision."""
    if _native is None or type(input) is not np.ndarray:
        return None
    out = np.empty(input.shape, input.dtype)
    done = _native.scan(*_contiguous(dim, input), _slices(out, dim), product, reverse)
    return out if done else None


def top(input: Any, k: int, dim: int, largest: bool) -> tuple[Any, Any] | None:
    """The first ``k`` in descending or ascending order along ``dim``, and where they stand."""
    if _native is None or type(input) is not np.ndarray:
        return None
    lines = np.ascontiguousarray(np.moveaxis(input, dim, -1))
    values = np.empty((*lines.shape[:-1], k), input.dtype)
    indices = np.empty(values.shape, np.int64)
    rows = (array.reshape(-1, array.shape[-1]) for array in (lines, values, indices))
    if not _native.top_of_rows(*rows, bool(largest)):
        return None
    if dim == input.ndim - 1:
        return values, indices
    return tuple(np.ascontiguousarray(np.moveaxis(a, -1, dim)) for a in (values, indices))  # type: ignore[return-value]
