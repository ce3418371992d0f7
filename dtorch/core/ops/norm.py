"""Norms and distances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.dtype import as_dtype, from_numpy_dtype
from dtorch.core.op import composite, structured
from dtorch.core.ops.arithmetic import abs as absolute
from dtorch.core.ops.comparison import where
from dtorch.core.ops.conversion import convert
from dtorch.core.ops.reduction import amax, amin, sum


@composite(tensors=("input",))
def norm(
    input: Any, p: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """p-norm of the elements over ``dim``: ``(sum |x|^p)^(1/p)``; also inf, -inf, 0 and ``"fro"``."""
    if dtype is not None:
        input = convert(input, as_dtype(dtype))
    if p in ("fro", None):
        p = 2
    size = absolute(input)
    dims = dim if dim is not None else None
    if p == math.inf:
        return amax(size, dims if dims is not None else (), keepdim)
    if p == -math.inf:
        return amin(size, dims if dims is not None else (), keepdim)
    if p == 0:
        return sum(convert(size != 0, from_numpy_dtype(_numpy_dtype(size))), dims, keepdim)
    if p == 1:
        return sum(size, dims, keepdim)
    total = sum(size * size if p == 2 else size**p, dims, keepdim)
    return _root(total, p)


def _numpy_dtype(value: Any) -> Any:
    return value._array.dtype if hasattr(value, "_array") else value.dtype


@structured(tensors=("input",), public=False)
def _root(xp: Any, input: Any, p: Any) -> Any:
    """``input ** (1/p)``; its gradient at 0 is taken as 0, the least subgradient of a norm."""
    return xp.power(input, 1 / p)


@_root.gradient("input")
def _(grad, input, p):
    safe = where(input == 0, input * 0 + 1, input)
    return where(input == 0, grad * 0, grad * safe ** (1 / p - 1) / p)


@norm.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(2, 3), 1, 0), {}
    yield (make(2, 3), 3, 1, True), {}
    yield (make(2, 3), math.inf), {}


@norm.expect
def _(input, p=2, dim=None, keepdim=False):
    return np.linalg.norm(input if dim is not None else input.ravel(), p, dim, keepdim)
