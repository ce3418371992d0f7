"""Softmax, its logarithm and their gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.op import structured
from dtorch.core.ops.exponential import exp
from dtorch.core.ops.reduction import sum
from dtorch.core.shapes import normalize_dim
from dtorch.core.tensor import Tensor


@structured(tensors=("input",), wide=True, takes="f")
def softmax(xp: ArrayModule, input: Array, dim: int, *, dtype: Any = None) -> Array:
    """Exponentials along ``dim``, divided by their sum."""
    dim, input = _along(input, dim, dtype)
    shifted = xp.exp(input - _top(xp, input, dim))
    return shifted / xp.sum(shifted, axis=dim, keepdims=True)


@structured(tensors=("input",), wide=True, takes="f")
def log_softmax(xp: ArrayModule, input: Array, dim: int, *, dtype: Any = None) -> Array:
    """Logarithm of `softmax`, without overflow or loss of digits."""
    dim, input = _along(input, dim, dtype)
    shifted = input - _top(xp, input, dim)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=dim, keepdims=True))


def _along(input: Any, dim: int, dtype: Any) -> tuple[Any, Any]:
    if dtype is not None:
        input = input.astype(dtype.numpy)
    dim = normalize_dim("softmax", dim, input.ndim)
    return dim if input.ndim else (), input


def _top(xp: ArrayModule, input: Any, dim: Any) -> Any:
    if input.size == 0:
        return input.dtype.type(0)
    return xp.max(input, axis=dim, keepdims=True)


@softmax.gradient("input")
def _(grad, out, dim):
    weighted = grad * out
    return weighted - out * sum(weighted, dim, True)


@log_softmax.gradient("input")
def _(grad, out, dim):
    return grad - exp(out) * sum(grad, dim, True)


def _softmax_samples(make):
    yield (make(make.size(3, 300), make.size(4, 300)), 1), {}
    yield (make(2, 3, 4), 0), {}
    yield (make(3, 4, low=-1000, high=1000), -1), {}


softmax.samples(_softmax_samples)
log_softmax.samples(_softmax_samples)


@log_softmax.expect
def _(input, dim):
    top = input.max(dim, keepdims=True)
    return input - (top + np.log(np.exp(input - top).sum(dim, keepdims=True)))


@softmax.expect
def _(input, dim):
    powers = np.exp(input - input.max(dim, keepdims=True))
    return powers / powers.sum(dim, keepdims=True)


@composite(tensors=("input",), home="nn", takes="f")
def softmin(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """`softmax` of the negative input."""
    return softmax(-input, dim, dtype=dtype)


@softmin.samples
def _(make):
    yield (make(3, 4), 1), {}


@softmin.expect
def _(input, dim):
    powers = np.exp(-input)
    return powers / powers.sum(dim, keepdims=True)
