"""Norms of matrices by their modern names, and what follows from them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, RankError, ShapeError
from dtorch.core.ops.arithmetic import abs as absolute
from dtorch.core.ops.complex import conj
from dtorch.core.ops.diagonal import diagonal, vander
from dtorch.core.ops.factorization import svd_reduced
from dtorch.core.ops.norm import norm
from dtorch.core.ops.reduction import amax, amin, sum
from dtorch.core.ops.solving import inverse
from dtorch.core.shapes import normalize_dims
from dtorch.core.tensor import Tensor


@composite(tensors=("x",), home="linalg", wide=True, takes="fc")
def linalg_vector_norm(
    x: Tensor, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Norm of the elements over ``dim``: ``(sum |x|^ord)^(1/ord)``; also inf, -inf and 0."""
    return norm(x, ord, dim, keepdim, dtype=dtype)


@linalg_vector_norm.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(2, 3), 3, 1, True), {}
    yield (make(2, 3), -math.inf, 0), {}


@linalg_vector_norm.expect
def _(x, ord=2, dim=None, keepdim=False):
    return np.linalg.vector_norm(x, ord=ord, axis=dim, keepdims=keepdim)


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_matrix_norm(
    A: Tensor, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Norm of matrices: ``"fro"``, ``"nuc"``, or of order 1, -1, 2, -2, inf, -inf.

    Args:
        dim: the two dims of the matrices.
    """
    if dtype is not None:
        A = A.to(dtype)
    dims = normalize_dims("matrix_norm", tuple(dim), A.ndim)
    if len(dims) != 2:
        raise ShapeError(f"matrix_norm: dim is {dim}, expected two dims")
    if ord == "fro":
        return norm(A, 2, dims, keepdim)
    if ord in (1, -1, math.inf, -math.inf):
        inner, outer = dims if abs(ord) == 1 else dims[::-1]
        sums = sum(absolute(A), inner, True)
        out = (amax if ord > 0 else amin)(sums, outer, True)
    elif ord in (2, -2, "nuc"):
        rest = [d for d in range(A.ndim) if d not in dims]
        values = svd_reduced(A.permute([*rest, *dims]))[1]
        picked = sum(values, -1) if ord == "nuc" else (amax if ord == 2 else amin)(values, -1)
        out = picked.reshape([1 if d in dims else n for d, n in enumerate(A.shape)])
    else:
        raise ArgumentError(
            f"matrix_norm: ord is {ord!r}, expected 'fro', 'nuc', 1, -1, 2, -2, inf or -inf"
        )
    return out if keepdim else out.reshape([n for d, n in enumerate(A.shape) if d not in dims])


@linalg_matrix_norm.samples
def _(make):
    for ord in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        yield (make(2, 3), ord), {}
    yield (make(2, 3, 4), 2, (0, 2), True), {}


@linalg_matrix_norm.expect
def _(A, ord="fro", dim=(-2, -1), keepdim=False):
    return np.linalg.norm(A, ord, dim, keepdim)


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_norm(
    A: Tensor, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Tensor:
    """Norm of a vector or of matrices.

    Args:
        ord: None: the 2-norm of all elements (over ``dim``); else the order of a matrix norm of
            two dims, of a vector norm of one.
    """
    if ord is None:
        return norm(A, 2, dim, keepdim, dtype=dtype)
    matrix = (dim is None and A.ndim == 2) or (isinstance(dim, (tuple, list)) and len(dim) == 2)
    if matrix:
        return linalg_matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if dim is None and A.ndim > 2:
        raise RankError(
            f"norm: input has shape {tuple(A.shape)} and ord is {ord!r}, expected at most 2 "
            "dimensions; give dim"
        )
    return norm(A, ord, dim, keepdim, dtype=dtype)


@linalg_norm.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(2, 3), 2), {}
    yield (make(4), 1), {}
    yield (make(2, 3), 1, 0), {}


@linalg_norm.expect
def _(A, ord=None, dim=None):
    return np.linalg.norm(A, ord, dim)


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_cond(A: Tensor, p: Any = None) -> Tensor:
    """Condition numbers of matrices: the norm of order ``p`` times that of the inverse.

    Args:
        p: order of the norm; None or 2: the ratio of the extreme singular values.
    """
    if p in (None, 2, -2):
        values = svd_reduced(A)[1]
        top, low = values[..., 0], values[..., -1]
        return low / top if p == -2 else top / low
    return linalg_matrix_norm(A, p) * linalg_matrix_norm(inverse(A), p)


@linalg_cond.samples
def _(make):
    yield (make(3, 3),), {}
    yield (make(3, 3), "fro"), {}
    yield (make(3, 2), -2), {}


@linalg_cond.expect
def _(A, p=None):
    return np.linalg.cond(A, p)


@composite(tensors=("x",), home="linalg")
def linalg_vander(x: Tensor, N: int | None = None) -> Tensor:
    """Matrices of powers 0, 1, ... of the elements along the last dim.

    Args:
        N: number of columns. Default: the size of the last dim.
    """
    return vander(x, N, True)


@linalg_vander.samples
def _(make):
    yield (make(3),), {}
    yield (make(2, 3), 2), {}


@linalg_vander.expect
def _(x, N=None):
    return x[..., None] ** np.arange(x.shape[-1] if N is None else N)


@composite(tensors=("A",), home="linalg")
def linalg_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """A view of the diagonals of matrices ``(*, m, n)``, put last.

    >>> import dtorch
    >>> dtorch.linalg.diagonal(dtorch.arange(8).reshape(2, 2, 2)).tolist()
    [[0, 3], [4, 7]]
    """
    return diagonal(A, offset, dim1, dim2)


@linalg_diagonal.samples
def _(make):
    yield (make(2, 3, 4),), {}
    yield (make(3, 3),), {"offset": 1}


@linalg_diagonal.expect
def _(A, offset=0):
    return np.diagonal(A, offset, -2, -1)


@composite(tensors=("x", "y"), home="linalg", wide=True)
def linalg_vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """Inner products along ``dim``; ``x`` is conjugated."""
    return sum(conj(x) * y, dim)


@linalg_vecdot.samples
def _(make):
    yield (make(2, 3), make(2, 3)), {}


@linalg_vecdot.expect
def _(x, y):
    return np.einsum("ij,ij->i", x, y)


@composite(tensors=("input",), method=False, takes="fc")
def frobenius_norm(input: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
    """Root of the sum of the squares over ``dim``: `norm` of order 2."""
    return norm(input, 2, None if dim == () else dim, keepdim)


@composite(tensors=("input",), method=False, takes="fc")
def nuclear_norm(input: Tensor, dim: Any = (-2, -1), keepdim: bool = False) -> Tensor:
    """Sum of the singular values of the matrices in two dims."""
    return linalg_matrix_norm(input, "nuc", dim, keepdim)


for _op, _order in ((frobenius_norm, "fro"), (nuclear_norm, "nuc")):
    _op.samples(lambda make: iter([((make(3, 4),), {}), ((make(2, 3, 4), (0, 1), True), {})]))

    @_op.expect
    def _(input, dim=(-2, -1), keepdim=False, _order=_order):
        return np.linalg.norm(input, _order, dim, keepdim)
