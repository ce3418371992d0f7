"""Choices between the elements of two arrays."""

from __future__ import annotations

import math

import numpy as np

from dtorch.core.backend import native
from dtorch.core.ops.comparison import choose, keep
from dtorch.core.ops.masking import expect_mask, filling, masked_fill

_FEW = 4096  # elements that NumPy chooses from sooner


@choose.kernel("cpu")
def _chosen(condition, input, other):
    values = (condition, input, other)
    if not all(type(v) is np.ndarray for v in values):
        return None
    shape = np.broadcast(*values).shape
    if math.prod(shape) < _FEW:
        return None
    # Single numbers need not be repeated.
    spread = (v if v.size == 1 else np.broadcast_to(v, shape) for v in (input, other))
    operands = (np.broadcast_to(condition, shape), *spread)
    return native.array_choose(*map(np.ascontiguousarray, operands))


@keep.kernel("cpu")
def _(input, condition):
    return None if condition is False else _chosen(condition, input, np.zeros((), input.dtype))


@masked_fill.kernel("cpu")
def _(input, mask, value):
    expect_mask("masked_fill", mask)
    holds = mask if mask.dtype == np.bool_ else mask != 0
    return _chosen(holds, filling(value, input.dtype), input)
