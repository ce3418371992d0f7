"""Softmax and its logarithm of rows that lie in order, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import native
from dtorch.core.ops.softmax import log_softmax, softmax
from dtorch.core.shapes import merged


def _rows(array: Array, dim: int) -> Any:
    """The array as contiguous rows along ``dim``; None where they lie otherwise."""
    if type(array) is not np.ndarray or array.dtype.char not in "fd" or not array.size:
        return None
    if dim not in (-1, array.ndim - 1) or not array.ndim or not array.flags.c_contiguous:
        return None
    return array.reshape(merged(array.shape, 0, -1))


def _value(function: Callable[..., None], input: Any, dim: int, dtype: Any) -> Any:
    rows = _rows(input, dim) if dtype is None else None
    if rows is None:
        return None
    out = np.empty_like(rows)
    function(rows, out)
    return out.reshape(input.shape)


def _gradient(function: Callable[..., None], grad: Any, out: Any, dim: int) -> Any:
    upper, lower = _rows(grad, dim), _rows(out, dim)
    if upper is None or lower is None or grad.dtype != out.dtype or grad.shape != out.shape:
        return None
    result = np.empty_like(lower)
    function(upper, lower, result)
    return result.reshape(out.shape)


for _op in (softmax, log_softmax):
    _op.kernel("cpu")(partial(_value, getattr(native, _op.name)))
    _op.gradient_kernel("input")(partial(_gradient, getattr(native, f"{_op.name}_backward")))
