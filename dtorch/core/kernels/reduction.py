"""Sums and means, of float16 and bfloat16 formed in float32."""

from __future__ import annotations

import math

import numpy as np

from dtorch.core.half import narrowed, widened
from dtorch.core.ops.reduction import mean, sum
from dtorch.core.shapes import normalize_dims, sum_dims


@sum.kernel("cpu")
def _(input, dim, keepdim, dtype):
    if dtype is not None or input.dtype.kind not in "fV" or type(input) is not np.ndarray:
        return None
    axis = normalize_dims("sum", dim, input.ndim)
    return narrowed(np.asarray(sum_dims(widened(input), axis, keepdim)), input.dtype)


@mean.kernel("cpu")
def _(input, dim, keepdim, dtype):
    if dtype is not None or input.dtype.kind not in "fV" or not input.size:
        return None
    axis = normalize_dims("mean", dim, input.ndim)
    total = np.asarray(sum_dims(widened(input), axis, keepdim))
    total /= total.dtype.type(math.prod(input.shape[d] for d in axis))
    return narrowed(total, input.dtype)
