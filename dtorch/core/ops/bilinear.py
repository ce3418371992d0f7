"""Bilinear maps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.composites import composite
from dtorch.core.errors import ShapeError
from dtorch.core.ops.linalg import expect_one_dtype, matmul
from dtorch.core.ops.reduction import sum
from dtorch.core.ops.view import permute


@composite(tensors=("input1", "input2", "weight", "bias"), home="nn", wide=True, takes="ifc")
def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    """``out[..., k] = input1 @ weight[k] @ input2 + bias[k]`` of the last dims.

    Args:
        input1: ``(*, n)``; input2: ``(*, m)``, of the same leading dims.
        weight: ``(out, n, m)``; bias: ``(out,)`` or None.
    """
    a, b, w = tuple(input1.shape), tuple(input2.shape), tuple(weight.shape)
    if len(w) != 3 or a[:-1] != b[:-1] or a[-1:] != w[1:2] or b[-1:] != w[2:]:
        raise ShapeError(
            f"bilinear: inputs of shape {a} and {b} do not fit a weight of shape {w}; expected "
            "(*, n), (*, m) and (out, n, m)"
        )
    expect_one_dtype("bilinear", input1, weight, "weight")
    # One product of all rows: of a stack of them the gradient would be (rows, out, n, m).
    rows = math.prod(a[:-1])
    flat = permute(weight, (1, 0, 2)).reshape((w[1], w[0] * w[2]))
    left = matmul(input1.reshape((rows, w[1])), flat).reshape((rows, w[0], w[2]))
    out = sum(left * input2.reshape((rows, 1, w[2])), 2)
    out = out.reshape((*a[:-1], w[0]))
    return out if bias is None else out + bias


@bilinear.samples
def _(make):
    yield (make(2, 3), make(2, 4), make(5, 3, 4), make(5)), {}
    yield (make(2, 2, 3), make(2, 2, 2), make(2, 3, 2)), {}


@bilinear.expect
def _(input1, input2, weight, bias=None):
    out = np.einsum("...i,kij,...j->...k", input1, weight, input2)
    return out if bias is None else out + bias
