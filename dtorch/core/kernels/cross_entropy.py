"""Cross entropy of the rows of a matrix, and its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import native
from dtorch.core.ops.loss import check_targets, row_cross_entropy, row_reduced


def _known(input: Any, target: Any, weight: Any) -> bool:
    return (
        input.dtype.char in "fd"
        and target.dtype == np.int64
        and (weight is None or weight.dtype == input.dtype)
    )


def _ordered(array: Array) -> Any:
    return None if array is None else np.ascontiguousarray(array)


@row_cross_entropy.kernel("cpu")
def _(input, target, weight, ignore_index, reduction):
    if not _known(input, target, weight):
        return None
    logits, labels, weights = map(_ordered, (input, target, weight))
    losses, top, log_sum = np.empty((3, len(logits)), logits.dtype)
    try:
        native.cross_entropy_forward(logits, labels, weights, ignore_index, losses, top, log_sum)
    except IndexError:
        check_targets("cross_entropy", input, target, ignore_index)
        raise
    used = labels != ignore_index
    total = np.count_nonzero(used) if weights is None else weights[labels[used]].sum()
    total = logits.dtype.type(total)
    return row_reduced(losses, total, reduction), top, log_sum, total


@row_cross_entropy.gradient_kernel("input")
def _(grad, input, target, weight, top, log_sum, total, ignore_index, reduction):
    if not _known(input, target, weight):
        return None
    delta = grad / total if reduction == "mean" else grad
    delta = np.ascontiguousarray(np.broadcast_to(delta, top.shape), dtype=input.dtype)
    out = np.empty(input.shape, input.dtype)
    native.cross_entropy_backward(
        delta, *map(_ordered, (input, target, weight)), ignore_index, top, log_sum, out
    )
    return out
