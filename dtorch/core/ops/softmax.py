"""Softmax, its logarithm and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.op import composite, structured
from dtorch.core.ops.exponential import exp
from dtorch.core.ops.reduction import sum
from dtorch.core.shapes import merged, normalize_dim


@structured(tensors=("input",), wide=True, takes="f")
def softmax(xp: Any, input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Exponentials along ``dim``, divided by their sum."""
    dim, input = _along(input, dim, dtype)
    shifted = xp.exp(input - _top(xp, input, dim))
    return shifted / xp.sum(shifted, axis=dim, keepdims=True)


@structured(tensors=("input",), wide=True, takes="f")
def log_softmax(xp: Any, input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Logarithm of `softmax`, without overflow or loss of digits."""
    dim, input = _along(input, dim, dtype)
    shifted = input - _top(xp, input, dim)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=dim, keepdims=True))


def _along(input: Any, dim: int, dtype: Any) -> tuple[Any, Any]:
    if dtype is not None:
        input = input.astype(dtype.numpy)
    dim = normalize_dim("softmax", dim, input.ndim)
    return dim if input.ndim else (), input


def _top(xp: Any, input: Any, dim: Any) -> Any:
    if input.size == 0:
        return input.dtype.type(0)
    return xp.max(input, axis=dim, keepdims=True)


def _rows(array: Any, dim: int) -> Any:
    """The array as contiguous rows along ``dim``; None where they lie otherwise."""
    if type(array) is not np.ndarray or array.dtype.char not in "fd" or not array.size:
        return None
    if dim not in (-1, array.ndim - 1) or not array.ndim or not array.flags.c_contiguous:
        return None
    return array.reshape(merged(array.shape, 0, -1))


def _compiled_gradient(name: str, grad: Any, out: Any, dim: int) -> Any:
    """None where the formula is to be used: for tensors, and for rows that do not lie in order."""
    if backend.native is None:
        return None
    upper, lower = _rows(grad, dim), _rows(out, dim)
    if upper is None or lower is None or grad.dtype != out.dtype or grad.shape != out.shape:
        return None
    result = np.empty_like(lower)
    getattr(backend.native, name)(upper, lower, result)
    return result.reshape(out.shape)


@softmax.gradient("input")
def _(grad, out, dim):
    found = _compiled_gradient("softmax_backward", grad, out, dim)
    if found is not None:
        return found
    weighted = grad * out
    return weighted - out * sum(weighted, dim, True)


@log_softmax.gradient("input")
def _(grad, out, dim):
    found = _compiled_gradient("log_softmax_backward", grad, out, dim)
    if found is not None:
        return found
    return grad - exp(out) * sum(grad, dim, True)


def _softmax_samples(make):
    yield (make(3, 4), 1), {}
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


def _by_rows(name: str, body: Callable[..., Any]) -> Callable[..., Any]:
    """The compiled kernel where rows lie in order, the body elsewhere."""

    def kernel(input: Any, dim: int, dtype: Any = None) -> Any:
        rows = _rows(input, dim) if dtype is None else None
        if rows is None:
            return body(np, input, dim, dtype=dtype)
        out = np.empty_like(rows)
        getattr(backend.native, name)(rows, out)
        return out.reshape(input.shape)

    return kernel


softmax.kernel("cpu")(_by_rows("softmax", softmax.body))
log_softmax.kernel("cpu")(_by_rows("log_softmax", log_softmax.body))


@composite(tensors=("input",), home="nn", takes="f")
def softmin(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """`softmax` of the negative input."""
    return softmax(-input, dim, dtype=dtype)


@softmin.samples
def _(make):
    yield (make(3, 4), 1), {}


@softmin.expect
def _(input, dim):
    powers = np.exp(-input)
    return powers / powers.sum(dim, keepdims=True)
