"""Rows of a table looked up by number."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, DimensionError, DtypeError, RankError, SettingError
from dtorch.core.half import widened
from dtorch.core.inplace import bump
from dtorch.core.meta import MetaArray
from dtorch.core.op import structured
from dtorch.core.ops.comparison import keep
from dtorch.core.ops.sparse import sparse_rows
from dtorch.core.ops.view import unsqueeze
from dtorch.core.shapes import ends
from dtorch.core.tensor import Tensor


@structured(tensors=("weight", "index"), public=False, recorded_as="Embedding")
def lookup(
    xp: ArrayModule, weight: Array, index: Array, padding_idx: int | None, by_frequency: bool
) -> Array:
    """The rows of ``weight`` at ``index``."""
    return xp.take(weight, index, axis=0)


@lookup.gradient("weight")
def _(grad, index, weight_shape, padding_idx, by_frequency):
    return rows_added(grad, index, tuple(weight_shape), padding_idx, by_frequency)


@structured(tensors=("weight", "index"), public=False)
def sparse_lookup(xp: ArrayModule, weight: Array, index: Array, padding_idx: int | None) -> Array:
    """Like `lookup`; the gradient is sparse and holds only the rows looked up."""
    return xp.take(weight, index, axis=0)


@sparse_lookup.gradient("weight")
def _(grad, index, weight_shape, padding_idx):
    if padding_idx is not None:
        grad = keep(grad, unsqueeze(index != padding_idx, -1))
    return sparse_rows(grad, index, tuple(weight_shape))


def look_up(
    name: str, weight: Any, index: Any, padding_idx: int | None, by_frequency: bool, sparse: bool
) -> Any:
    """The rows of ``weight`` at ``index``, with a dense or a sparse gradient."""
    if not sparse:
        return lookup(weight, index, padding_idx, by_frequency)
    if by_frequency:
        raise ArgumentError(f"{name}: scale_grad_by_freq needs a dense gradient; use sparse=False")
    return sparse_lookup(weight, index, padding_idx)


@structured(tensors=("delta", "index"), public=False, wide=True)
def rows_added(
    xp: ArrayModule,
    delta: Array,
    index: Array,
    shape: Any,
    padding_idx: int | None,
    by_frequency: bool,
) -> Array:
    """Zeros of ``shape`` to whose rows at ``index`` those of ``delta`` are added.

    Args:
        padding_idx: a row that gets nothing.
        by_frequency: divide each row by how often it was added to.
    """
    out = xp.zeros(shape, delta.dtype)
    flat = index.reshape(-1)
    if not flat.size or type(out) is MetaArray:
        return out
    order = xp.argsort(flat, kind="stable")
    ordered = flat[order]
    starts = xp.flatnonzero(xp.concatenate((xp.ones(1, bool), ordered[1:] != ordered[:-1])))
    sums = xp.add.reduceat(delta.reshape(flat.size, math.prod(shape[1:]))[order], starts, axis=0)
    if by_frequency:
        counts = xp.diff(xp.concatenate((starts, xp.asarray([flat.size]))))
        sums /= counts[:, None].astype(sums.dtype)
    out[ordered[starts]] = sums
    if padding_idx is not None:
        out[padding_idx] = 0
    return out


@rows_added.gradient("delta")
def _(grad, index, padding_idx, by_frequency):
    return rows_scaled(grad, index, padding_idx, by_frequency)


@rows_added.samples
def _(make):
    rows, columns = make.size(4, 300), make.size(3, 300)
    index = make.index(2, rows, high=rows)
    for padding_idx in (None, 1):
        yield (make(2, rows, columns), index, (rows, columns), padding_idx, False), {}


@structured(tensors=("weight", "index"), public=False)
def rows_scaled(
    xp: ArrayModule, weight: Array, index: Array, padding_idx: int | None, by_frequency: bool
) -> Array:
    """The transpose of `rows_added`."""
    out = xp.take(weight, index, axis=0)
    if by_frequency:
        _, inverse, counts = xp.unique(index, return_inverse=True, return_counts=True)
        out /= counts[inverse].reshape(*index.shape, 1).astype(out.dtype)
    if padding_idx is not None:
        out[index == padding_idx] = 0
    return out


@rows_scaled.gradient("weight")
def _(grad, index, weight_shape, padding_idx, by_frequency):
    return rows_added(grad, index, tuple(weight_shape), padding_idx, by_frequency)


def check_lookup(name: str, index: Any, rows: int) -> Any:
    """The array of row numbers, all in range."""
    array = index._array
    if array.dtype.kind not in "iu":
        raise DtypeError(f"{name}: input is {index.dtype}, expected int64 or int32 row numbers")
    least, most = ends(array) if array.size else (0, -1)
    if least < 0 or most >= rows:
        wrong = least if least < 0 else most
        raise DimensionError(f"{name}: row {wrong} is out of range for a table of {rows} rows")
    return array


def check_padding(name: str, padding_idx: int | None, rows: int) -> int | None:
    """``padding_idx`` counted from the front."""
    if padding_idx is None:
        return None
    if not -rows <= padding_idx < rows:
        raise SettingError(
            f"{name}: padding_idx is {padding_idx}, expected {-rows} to {rows - 1} for a table of "
            f"{rows} rows"
        )
    return padding_idx % rows


def shrink_rows(weight: Any, index: Any, max_norm: float, norm_type: float) -> None:
    """Scale the rows at ``index`` whose norm exceeds ``max_norm`` down to it, in place."""
    table = weight._array
    rows = np.unique(index)
    values = widened(table[rows])
    norms = np.linalg.norm(values, ord=norm_type, axis=1)
    long = norms > max_norm
    if long.any():
        factor = max_norm / (norms[long] + 1e-7)
        table[rows[long]] = values[long] * factor[:, None]
        bump(weight)


@composite(tensors=("input", "weight"), home="nn", has_out=False)
def embedding(
    input: Tensor, weight: Tensor, padding_idx: int | None = None, max_norm: float | None = None,
    norm_type: float = 2.0, scale_grad_by_freq: bool = False, sparse: bool = False,
) -> Tensor:  # fmt: skip
    """Rows of a table: ``out[i, j] = weight[input[i, j]]``.

    Args:
        input: row numbers of any shape, int64 or int32.
        weight: ``(rows, columns)``.
        padding_idx: a row that gets no gradient.
        max_norm: rows looked up with a larger norm are scaled down to it in ``weight`` first.
        norm_type: p of that norm.
        scale_grad_by_freq: divide the gradient of a row by how often it was looked up.
        sparse: the gradient of ``weight`` is a sparse tensor of the rows looked up.
    Returns: ``(*input.shape, columns)``.
    """
    if weight.ndim != 2:
        raise RankError(f"embedding: weight has shape {tuple(weight.shape)}, expected 2 dimensions")
    rows = weight.shape[0]
    index = check_lookup("embedding", input, rows)
    if max_norm is not None:
        shrink_rows(weight, index, max_norm, norm_type)
    padding = check_padding("embedding", padding_idx, rows)
    return look_up("embedding", weight, input, padding, scale_grad_by_freq, sparse)


@embedding.samples
def _(make):
    yield (make.index(2, 5, high=4), make(4, 3)), {}
    yield (make.index(6, high=2), make(4, 2)), {}
    yield (make.index(0, high=2), make(4, 2)), {}


@embedding.expect
def _(input, weight):
    return np.eye(len(weight))[input] @ weight
