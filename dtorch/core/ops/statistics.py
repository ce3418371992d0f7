"""Statistics: variance, quantiles, covariance, counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.op import composite
from dtorch.core.ops.reduction import mean, sum
from dtorch.core.shapes import normalize_dims


@composite(tensors=("input",))
def var(
    input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Any:  # fmt: skip
    """Variance over ``dim``: squared deviations divided by their number less ``correction``.

    Args:
        unbiased: take a correction of 1 (True) or 0 (False).
    """
    if isinstance(dim, bool):  # classic var(unbiased)
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased else 0
    shape = tuple(input.shape)
    dims = normalize_dims("var", dim, len(shape))
    count = math.prod(shape[d] for d in dims)
    deviation = input - mean(input, dims or None, True)
    square = deviation * deviation.conj()
    total = sum(square, dims or None, keepdim)
    if square is not deviation and total.dtype != input.dtype:
        total = total.real
    freedom = count - correction
    return total / freedom if freedom > 0 else total * (math.nan if freedom == 0 else 0) + math.nan


@composite(tensors=("input",))
def std(
    input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Any:  # fmt: skip
    """Standard deviation: the square root of `var`."""
    return var(input, dim, unbiased, keepdim, correction=correction) ** 0.5


def _var_samples(make):
    yield (make(2, 3, 4),), {}
    yield (make(2, 3, 4), 1), {}
    yield (make(2, 3, 4), (0, -1), False, True), {}
    yield (make(2, 3, 4), 2), {"correction": 2}


for _op, _reference in ((var, np.var), (std, np.std)):
    _op.samples(_var_samples)

    @_op.expect
    def _(input, dim=None, unbiased=True, keepdim=False, correction=None, _reference=_reference):
        ddof = correction if correction is not None else int(unbiased)
        return _reference(input, axis=dim, ddof=ddof, keepdims=keepdim)
