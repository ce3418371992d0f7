"""Factorizations and solutions that say which matrices failed, in place of an error for all.

Results of the others are those of the operation without ``_ex``; of those that failed they are nan.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.composites import composite
from dtorch.core.dtype import int32
from dtorch.core.errors import LinAlgError
from dtorch.core.ops.comparison import choose
from dtorch.core.ops.factorization import bad_minor
from dtorch.core.ops.matrix import linalg_cholesky
from dtorch.core.ops.solving import (
    adjoint,
    explain_singular,
    factor_lu,
    inverse,
    lu_parts,
    solve,
    zero_pivots,
)
from dtorch.core.tensor import Tensor


class CheckedCholesky(NamedTuple):
    """The factor, and 0 for each matrix that has one."""

    L: Tensor
    info: Tensor


class CheckedInverse(NamedTuple):
    """The inverse, and 0 for each matrix that has one."""

    inverse: Tensor
    info: Tensor


class CheckedFactors(NamedTuple):
    """L and U in one matrix, the rows exchanged, and 0 for each matrix without a zero pivot."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


class CheckedSolution(NamedTuple):
    """The solution, and 0 for each matrix that has an inverse."""

    result: Tensor
    info: Tensor


def _by_matrix(A: Any, compute: Callable[[Any], Any], failure: Callable[[Any], int]) -> Any:
    """0 for each matrix of which ``compute`` can be had, else what ``failure`` gives."""
    info = np.zeros(A.shape[:-2], np.int32)
    for place in np.ndindex(info.shape):
        try:
            compute(A[place])
        except np.linalg.LinAlgError:
            info[place] = failure(A[place])
    return info


def _bad_minor(matrix: Any) -> int:
    """The size of the first leading minor that is not positive; the last if rounding has hidden it."""
    return bad_minor(np, matrix) or len(matrix)


def _zero_pivot(matrix: Any) -> int:
    """The number of the first zero pivot; the last if rounding has hidden it."""
    zeros = np.flatnonzero(factor_lu(np, matrix)[0].diagonal() == 0)
    return int(zeros[0]) + 1 if len(zeros) else len(matrix)


def _checked(A: Tensor, compute: Callable[[Any], Any], info_of: Callable[[Any], Any]) -> Any:
    """The result of ``compute``, nan where ``info_of`` the matrices is not 0; and that."""
    try:
        return compute(A), A.new_zeros(A.shape[:-2], dtype=int32)
    except LinAlgError:
        info = info_of(A._array)
    good = wrap(np.asarray(info == 0)[..., None, None])
    one = wrap(np.eye(A.shape[-1], dtype=A._array.dtype))
    result = compute(choose(good, A, one))
    fits = good if result.ndim >= A.ndim else good[..., 0]
    return choose(fits, result, math.nan), wrap(info)


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_cholesky_ex(
    A: Tensor, *, upper: bool = False, check_errors: bool = False
) -> CheckedCholesky:
    """Triangular factor of Hermitian positive definite matrices; nan where there is none.

    Args:
        upper: ``U^H U`` in place of ``L L^H``.
        check_errors: a matrix without a factor is an error.

    Returns: ``(L, info)``: int32 numbers of the first leading minor of each matrix that is not
        positive, 0 where all are.

    >>> import dtorch
    >>> matrices = dtorch.stack([dtorch.eye(2), -dtorch.eye(2)])
    >>> dtorch.linalg.cholesky_ex(matrices).info.tolist()
    [0, 1]
    """
    if check_errors:
        return CheckedCholesky(linalg_cholesky(A, upper=upper), _zeros_for(A))

    def info(matrices: Any) -> Any:
        read = adjoint(matrices) if upper else matrices
        return _by_matrix(read, np.linalg.cholesky, _bad_minor)

    return CheckedCholesky(*_checked(A, lambda some: linalg_cholesky(some, upper=upper), info))


def _zeros_for(A: Tensor) -> Tensor:
    return A.new_zeros(A.shape[:-2], dtype=int32)


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_inv_ex(A: Tensor, *, check_errors: bool = False) -> CheckedInverse:
    """Inverses of square matrices; nan where there is none.

    Args:
        check_errors: a singular matrix is an error.

    Returns: ``(inverse, info)``: int32 numbers of the first zero pivot of each matrix, 0 where there
        is none.

    >>> import dtorch
    >>> dtorch.linalg.inv_ex(dtorch.zeros(2, 2)).info
    tensor(1, dtype=dtorch.int32)
    """
    if check_errors:
        return CheckedInverse(inverse(A), _zeros_for(A))
    return CheckedInverse(*_checked(A, inverse, _zero_pivots))


def _zero_pivots(matrices: Any) -> Any:
    return _by_matrix(matrices, np.linalg.inv, _zero_pivot)


@composite(tensors=("A", "B"), home="linalg", takes="fc")
def linalg_solve_ex(
    A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False
) -> CheckedSolution:
    """Solution X of ``A X = B``, as `linalg.solve` gives it; nan where A is singular.

    Args:
        left: False solves ``X A = B``.
        check_errors: a singular matrix is an error.

    Returns: ``(result, info)``: int32 numbers of the first zero pivot of each matrix, 0 where there
        is none.
    """
    if check_errors:
        return CheckedSolution(solve(A, B, left=left), _zeros_for(A))
    return CheckedSolution(*_checked(A, lambda some: solve(some, B, left=left), _zero_pivots))


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_lu_factor_ex(
    A: Tensor, *, pivot: bool = True, check_errors: bool = False
) -> CheckedFactors:
    """Packed LU factors, and int32 pivot rows counted from 1.

    Args:
        check_errors: a zero pivot is an error.

    Returns: ``(LU, pivots, info)``: int32 numbers of the first zero pivot of each matrix, 0 where
        there is none.
    """
    lu, pivots, _ = lu_parts(A, pivot)
    info = zero_pivots(lu._array)
    if check_errors and info.any():
        raise explain_singular("lu_factor_ex", np, A._array)
    return CheckedFactors(lu, pivots, wrap(info))


@linalg_cholesky_ex.samples
def _(make):
    for options in ({}, {"upper": True}):
        out = make.constant(2, 3, 3)
        out.copy_(out @ out.transpose(-2, -1)).diagonal(0, -2, -1).add_(1)
        yield (out,), options
    failing = make.constant(2, 3, 3)
    failing.copy_(out)[1, 1, 1] = -1.0
    yield (failing,), {}


@linalg_cholesky_ex.expect
def _(A, upper=False):
    if A[1, 1, 1] < 0:
        return np.stack([np.linalg.cholesky(A[0]), np.full((3, 3), np.nan)]), np.array(
            [0, 2], np.int32
        )
    factor = np.linalg.cholesky(A)
    factor = np.swapaxes(factor, -1, -2) if upper else factor
    return factor, np.zeros(A.shape[:-2], np.int32)


def _regular(make: Any, *shape: int) -> Any:
    out = make(*shape)
    out.diagonal(0, -2, -1).add_(2)
    return out


def _one_singular(make: Any) -> Any:
    out = make.constant(2, 3, 3)
    out[0].diagonal().add_(3)
    out[1, :, 1] = 0
    return out


@linalg_inv_ex.samples
def _(make):
    yield (_regular(make, 3, 3),), {}
    yield (_regular(make, 2, 3, 3),), {"check_errors": True}
    yield (_one_singular(make),), {}


@linalg_inv_ex.expect
def _(A, check_errors=False):
    singular = np.linalg.matrix_rank(A) < 3
    return np.where(singular[..., None, None], np.nan, np.linalg.pinv(A)), np.int32(2 * singular)


@linalg_solve_ex.samples
def _(make):
    yield (_regular(make, 3, 3), make(3)), {}
    yield (_regular(make, 3, 3), make(2, 3)), {"left": False}
    yield (_one_singular(make), make.constant(3, 2)), {}
    yield (_one_singular(make), make.constant(2, 3)), {}


@linalg_solve_ex.expect
def _(A, B, left=True):
    singular = np.linalg.matrix_rank(A) < 3
    inverse = np.where(singular[..., None, None], np.nan, np.linalg.pinv(A))
    if B.shape == A.shape[:-1]:
        return (inverse @ B[..., None])[..., 0], np.int32(2 * singular)
    return inverse @ B if left else B @ inverse, np.int32(2 * singular)


@linalg_lu_factor_ex.samples
def _(make):
    yield (make(3, 3),), {}
    yield (make.constant(4, 2),), {}
    yield (_one_singular(make),), {}


@linalg_lu_factor_ex.expect
def _(A):
    from scipy.linalg.lapack import dgetrf, sgetrf

    getrf = dgetrf if A.dtype == np.float64 else sgetrf
    parts = [getrf(matrix) for matrix in A.reshape(-1, *A.shape[-2:])]
    lead = A.shape[:-2]
    lu, pivots, info = (np.stack(each) for each in zip(*parts, strict=True))
    return (
        lu.reshape(A.shape),
        np.int32(pivots.reshape(*lead, -1) + 1),
        np.int32(info.reshape(lead)),
    )
