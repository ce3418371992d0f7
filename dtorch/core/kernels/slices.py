"""What is done along one dim: looking up by number, adding where something was looked up, running
sums and products, the first in order.

The compiled functions say whether they know the arrays, and whether all numbers are in range.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import native
from dtorch.core.ops.cumulative import (
    accumulator,
    cumprod,
    cumsum,
    running_back,
    wide_accumulator,
)
from dtorch.core.ops.elements import check_rows, expect_source, index_add, scaled
from dtorch.core.ops.embedding import rows_added
from dtorch.core.ops.gathering import check_index_shape, covered, gather, scatter_add
from dtorch.core.ops.scatter import add_rows, gather_along, scatter_sum
from dtorch.core.ops.sorting import topk
from dtorch.core.shapes import normalize_dim


def _slices(array: Array, dim: int) -> Any:
    """An array as (outer, slices along ``dim``, inner); a 0-dim one has one slice."""
    shape = array.shape or (1,)
    return array.reshape(math.prod(shape[:dim]), shape[dim], math.prod(shape[dim + 1 :]))


def _contiguous(dim: int, *arrays: Any) -> list[Any]:
    return [_slices(np.ascontiguousarray(array), dim) for array in arrays]


def _fits(array: Array, index: Any, dim: int) -> bool:
    """Whether an index has the shape of an array but for ``dim``."""
    return (
        array.ndim == index.ndim
        and array.shape[:dim] == index.shape[:dim]
        and array.shape[dim + 1 :] == index.shape[dim + 1 :]
    )


def _taken(input: Any, dim: int, index: Any) -> Any:
    """``out[i, j] = input[index[i, j], j]`` for ``dim`` 0, and so on."""
    if not _fits(input, index, dim):
        return None
    out = np.empty(index.shape, input.dtype)
    return out if native.take_along(*_contiguous(dim, input, index), _slices(out, dim)) else None


def _added_along(out: Any, dim: int, index: Any, source: Any) -> Any:
    """``out``, which is contiguous, after ``out[index[i, j], j] += source[i, j]`` for ``dim`` 0, and
    so on."""
    if not _fits(out, index, dim):
        return None
    return out if native.add_along(*_contiguous(dim, source, index), _slices(out, dim)) else None


def _added_rows(out: Any, dim: int, index: Any, source: Any) -> Any:
    """``out``, which is contiguous, with the slices of ``source`` added at the 1-D ``index``."""
    (slices,) = _contiguous(dim, source)
    return out if native.add_rows(slices, np.ascontiguousarray(index), _slices(out, dim)) else None


def _scanned(input: Any, dim: int, product: bool = False, reverse: bool = False) -> Any:
    """Running sum, or product, along ``dim``; of float32 formed in double precision."""
    out = np.empty(input.shape, input.dtype)
    done = native.scan(*_contiguous(dim, input), _slices(out, dim), product, reverse)
    return out if done else None


gather_along.kernel("cpu")(_taken)


@gather.kernel("cpu")
def _(input, dim, index):
    return _taken(input, *check_index_shape("gather", input, dim, index))


@scatter_sum.kernel("cpu")
def _(grad, dim, index, shape):
    return _added_along(np.zeros(shape, grad.dtype), dim, index, grad)


@scatter_add.kernel("cpu")
def _(input, dim, index, src):
    dim, index = check_index_shape("scatter_add", input, dim, index)
    source = covered("scatter_add", src, index, input)
    return _added_along(input.copy("C"), dim, index, source)


@add_rows.kernel("cpu")
def _(grad, dim, index, shape):
    return _added_rows(np.zeros(shape, grad.dtype), dim, index, grad)


@index_add.kernel("cpu")
def _(input, dim, index, source, alpha):
    dim, rows = check_rows("index_add", input, dim, index)
    expect_source("index_add", input, dim, rows, source)
    return _added_rows(input.copy("C"), dim, rows, scaled(source, alpha))


@rows_added.kernel("cpu")
def _(delta, index, shape, padding_idx, by_frequency):
    if by_frequency:
        return None
    rows = index.reshape(-1).astype(np.int64, copy=False)
    source = delta.reshape(rows.size, *shape[1:])
    out = _added_rows(np.zeros(shape, delta.dtype), 0, rows, source)
    if out is not None and padding_idx is not None:
        out[padding_idx] = 0
    return out


def _accumulated(name: str, product: bool, input: Any, dim: int, dtype: Any) -> Any:
    dim = normalize_dim(name, dim, input.ndim)
    target = accumulator(input, dtype)
    found = _scanned(input.astype(wide_accumulator(target), copy=False), dim, product)
    return None if found is None else found.astype(target, copy=False)


cumsum.kernel("cpu")(partial(_accumulated, "cumsum", False))
cumprod.kernel("cpu")(partial(_accumulated, "cumprod", True))


@running_back.kernel("cpu")
def _(input, dim):
    return _scanned(input, normalize_dim("cumsum", dim, input.ndim), reverse=True)


_MOST_IN_ORDER = 64  # elements that are sooner put into order one by one


@topk.kernel("cpu")
def _(input, k, dim, largest, sorted):
    dim = normalize_dim("topk", dim, input.ndim)
    if not 0 < k <= _MOST_IN_ORDER or not input.ndim or k > input.shape[dim]:
        return None
    lines = np.ascontiguousarray(np.moveaxis(input, dim, -1))
    values = np.empty((*lines.shape[:-1], k), input.dtype)
    indices = np.empty(values.shape, np.int64)
    rows = (array.reshape(-1, array.shape[-1]) for array in (lines, values, indices))
    if not native.top_of_rows(*rows, bool(largest)):
        return None
    if dim == input.ndim - 1:
        return values, indices
    return tuple(np.ascontiguousarray(np.moveaxis(a, -1, dim)) for a in (values, indices))
