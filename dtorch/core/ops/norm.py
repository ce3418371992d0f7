"""Norms and distances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.dtype import as_dtype, from_numpy_dtype
from dtorch.core.errors import ArgumentError, RankError, ShapeError
from dtorch.core.op import structured
from dtorch.core.ops.arithmetic import abs as absolute
from dtorch.core.ops.bounds import clamp_min
from dtorch.core.ops.comparison import choose, isfinite, keep
from dtorch.core.ops.conversion import convert
from dtorch.core.ops.factorization import svd_reduced
from dtorch.core.ops.linalg import matmul
from dtorch.core.ops.power import power, root
from dtorch.core.ops.reduction import amax, amin, mean, spread, sum
from dtorch.core.ops.view import transpose, unsqueeze
from dtorch.core.quiet import quietly
from dtorch.core.shapes import normalize_dim, normalize_dims
from dtorch.core.tensor import Tensor


@composite(tensors=("input",), wide=True, takes="fc")
def norm(
    input: Tensor, p: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """p-norm of the elements over ``dim``: ``(sum |x|^p)^(1/p)``; also inf, -inf, 0, ``"fro"`` and ``"nuc"``."""
    if dtype is not None:
        input = convert(input, as_dtype(dtype))
    if p in ("fro", None):
        p = 2
    if p == "nuc":
        return sum(svd_reduced(input)[1], -1, keepdim)
    shape = input._array.shape
    over = normalize_dims("norm", dim, len(shape))
    if p != 0 and {shape[d] for d in over} == {1}:
        return amax(absolute(input), over, keepdim)  # one number, whose powers might overflow
    if p == 2:
        return euclidean(input, dim, keepdim)
    size = absolute(input)
    if p == math.inf:
        return amax(size, () if dim is None else dim, keepdim)
    if p == -math.inf:
        return amin(size, () if dim is None else dim, keepdim)
    if p == 0:
        counted = convert(size != 0, from_numpy_dtype(_numpy_dtype(size)))
        return sum(counted + absolute(keep(input, False)), dim, keepdim)  # of gradient 0
    if p == 1:
        return sum(size, dim, keepdim)
    if p < 0 and any(not size.shape[d] for d in over):
        raise ShapeError(
            f"norm: dim {dim} of shape {tuple(size.shape)} is empty; there is no {p}-norm of no "
            "elements"
        )
    return root(sum(power(size, p), dim, keepdim), p)


def _numpy_dtype(value: Any) -> Any:
    return _array(value).dtype


def _array(value: Any) -> Any:
    return value._array if hasattr(value, "_array") else value


def sum_of_squares(array: Array) -> Any:
    """That of the magnitudes of all elements of an array."""
    flat = array.reshape(-1)
    if flat.dtype.kind == "c":  # products of complex numbers lose their infinities
        flat = flat.view(flat.real.dtype)
    return quietly(backend.matmul, flat.conj(), flat).real


@structured(tensors=("input",), public=False, wide=True, recorded_as="LinalgVectorNorm")
def euclidean(xp: ArrayModule, input: Array, dim: Any, keepdim: bool) -> Array:
    """Square root of the sum of squares; its gradient at 0 is taken as 0."""
    if isinstance(input, np.ndarray) and input.dtype.kind in "fc" and input.itemsize > 2:
        dims = normalize_dims("norm", dim, input.ndim)
        if len(dims) == input.ndim and input.flags.c_contiguous:
            out = xp.sqrt(sum_of_squares(input))
            return xp.asarray(out).reshape((1,) * input.ndim if keepdim else ())
    size = xp.abs(input) if input.dtype.kind == "c" else input
    return xp.sqrt(sum.body(xp, size * size, dim, keepdim))


@euclidean.gradient("input")
def _(grad, input, out, dim, keepdim):
    shape = tuple(input.shape)
    safe = choose(out == 0, 1.0, out)
    return spread(grad / safe, shape, dim, keepdim) * input


@norm.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(2, 3), 1, 0), {}
    yield (make(2, 3), 3, 1, True), {}
    yield (make(2, 3), math.inf), {}
    yield (make(2, 3), "nuc"), {}


@norm.expect
def _(input, p=2, dim=None, keepdim=False):
    flat = input if dim is not None or p == "nuc" else input.ravel()
    return np.linalg.norm(flat, p, dim, keepdim)


@composite(tensors=("input", "other"), wide=True, takes="fc")
def dist(input: Tensor, other: Tensor, p: Any = 2) -> Tensor:
    """p-norm of the difference of two tensors."""
    return norm(input - other, p)


@dist.samples
def _(make):
    yield (make(2, 3), make(3)), {}
    yield (make(2, 3), make(2, 3), 1), {}
    yield (make(2, 3), make(2, 3), math.inf), {}


@dist.expect
def _(input, other, p=2):
    return np.linalg.norm((input - other).ravel(), p)


@composite(tensors=("input",), inplace=True, wide=True, takes="fc")
def renorm(input: Tensor, p: Any, dim: int, maxnorm: Any) -> Tensor:
    """Slices along ``dim`` whose p-norm exceeds ``maxnorm`` scaled to that norm."""
    at = normalize_dim("renorm", dim, input.ndim)
    if p <= 0 or maxnorm < 0:
        raise ArgumentError(f"renorm: p is {p}, maxnorm {maxnorm}; expected p > 0, maxnorm >= 0")
    if input.ndim < 2:
        raise RankError(
            f"renorm: input has shape {tuple(input.shape)}, expected at least 2 dimensions"
        )
    dims = tuple(d for d in range(input.ndim) if d != at)
    exceeds = norm(input.detach(), p, dims, True) > maxnorm
    # Of the others no norm is taken: its gradient could be nan.
    size = norm(keep(input, exceeds), p, dims, True)
    return input * choose(exceeds, maxnorm / (size + 1e-7), 1.0)


@renorm.samples
def _(make):
    yield (make(3, 4), 2, 0, 1.0), {}
    yield (make(3, 4, 2), 1, 1, 2.0), {}


@renorm.expect
def _(input, p, dim, maxnorm):
    out = np.moveaxis(input.copy(), dim, 0)
    for row in out:
        size = np.sum(np.abs(row) ** p) ** (1 / p)
        if size > maxnorm:
            row *= maxnorm / (size + 1e-7)
    return np.moveaxis(out, 0, dim)


@composite(tensors=("x1", "x2"), method=False, wide=True, takes="f")
def cdist(x1: Tensor, x2: Tensor, p: Any = 2.0, compute_mode: str | None = None) -> Tensor:
    """p-norm distances of all rows of ``x1`` from all rows of ``x2``, in batches.

    Shape: ``(*, n, k)`` and ``(*, m, k)`` give ``(*, n, m)``.
    """
    if x1.ndim < 2 or x2.ndim < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(
            f"cdist: shapes {tuple(x1.shape)} and {tuple(x2.shape)}, expected (*, n, k) and "
            "(*, m, k)"
        )
    rows = x1.shape[-2], x2.shape[-2]
    if p == 2 and max(rows) > _ROWS_BY_PRODUCT and min(rows):
        # Far from 0 the squares would lose the distances; these are the same from any origin.
        origin = mean(x2.detach(), -2, True)
        origin = keep(origin, isfinite(origin))
        x1, x2 = x1 - origin, x2 - origin
        squares = sum(x1 * x1, -1, True) + unsqueeze(sum(x2 * x2, -1), -2)
        return root(clamp_min(squares - 2 * matmul(x1, transpose(x2, -2, -1)), 0), 2)
    if not x1.shape[-1]:
        p = 2.0  # rows of nothing are 0 apart, also by the largest of no differences
    return norm(unsqueeze(x1, -2) - unsqueeze(x2, -3), p, -1)


_ROWS_BY_PRODUCT = 25  # above it a matrix product is faster, though less exact for near rows


@cdist.samples
def _(make):
    yield (make(3, 2), make(4, 2)), {}
    yield (make(2, 3, 2), make(4, 2), 1.0), {}
    yield (make(27, 2), make(3, 2)), {}


@cdist.expect
def _(x1, x2, p=2.0):
    return np.sum(np.abs(x1[..., :, None, :] - x2[..., None, :, :]) ** p, -1) ** (1 / p)
