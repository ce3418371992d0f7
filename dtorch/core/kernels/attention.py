"""Attention in tiles, and its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import native
from dtorch.core.ops.attention import stacked, tiled_attention


def _known(query: Any, mask: Any, *arrays: Any) -> bool:
    return (
        query.dtype in (np.float32, np.float64)
        and all(a.size and a.dtype == query.dtype for a in (query, *arrays))
        and (mask is None or mask.dtype in (np.bool_, query.dtype))
    )


def _rows_dense(array: Array) -> Any:
    """With columns side by side, and steps that lead forward."""
    steps = array.strides
    fits = steps[-1] == array.itemsize and min(steps) >= 0
    return array if fits else np.ascontiguousarray(array)


def _forward_steps(mask: Any) -> Any:
    return mask if mask is None or min(mask.strides) >= 0 else np.ascontiguousarray(mask)


def _like(array: Array, *last: int) -> Any:
    """A new array whose dims before the last two have the order in memory that those of ``array``
    have: heads stay beside each other in what the next layer reads as one row."""
    order = sorted(range(array.ndim - 1), key=lambda dim: -array.strides[dim])
    shape = (*array.shape[:-2], *last)
    out = np.empty([*(shape[dim] for dim in order), shape[-1]], array.dtype)
    return out.transpose([*np.argsort(order), array.ndim - 1])


@tiled_attention.kernel("cpu")
def _(query, key, value, mask, options):
    query, key, value, mask = stacked(np, query, key, value, mask)
    if not _known(query, mask, key, value):
        return None
    query, key, value = map(_rows_dense, (query, key, value))
    out = _like(query, query.shape[-2], value.shape[-1])
    log_sums = np.empty((*query.shape[:-1], 1), query.dtype)
    native.attention(query, key, value, _forward_steps(mask), *options, out, log_sums)
    return out, log_sums


@tiled_attention.gradient_kernel("query", "key", "value")
def _(grad, query, key, value, mask, options, out, log_sums):
    query, key, value, mask = stacked(np, query, key, value, mask)
    if not _known(query, mask, key, value, grad, out, log_sums):
        return None
    grad, query, key, value, out = map(_rows_dense, (grad, query, key, value, out))
    found = tuple(_like(array, *array.shape[-2:]) for array in (query, key, value))
    native.attention_backward(
        grad, query, key, value, _forward_steps(mask), *options, out, log_sums, *found
    )
    return found
