"""Decompositions of large matrices by a few random products: Halko, Martinsson and Tropp 2011.

>>> import dtorch
>>> matrix = dtorch.ones(50, 1) @ dtorch.ones(1, 30)
>>> U, S, V = dtorch.svd_lowrank(matrix, q=1)
>>> bool(((U * S) @ V.T - matrix).abs().max() < 1e-4)
True
"""

from __future__ import annotations

from typing import Any

from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.ops.factorization import qr_pair, svd_reduced
from dtorch.core.ops.linalg import matmul
from dtorch.core.ops.reduction import mean
from dtorch.core.ops.solving import adjoint
from dtorch.core.random import randn
from dtorch.core.tensor import Tensor

__all__ = ["pca_lowrank", "svd_lowrank"]


def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """The largest singular values of matrices and their vectors, nearly, with random numbers.

    Args:
        A: ``(*, m, n)``, dense or sparse.
        q: how many; somewhat more than the rank of interest. Default 6.
        niter: rounds of products with A that sharpen the result.
        M: subtracted from A first, of its shape or one that broadcasts to it.

    Returns: ``(U, S, V)``, ``A - M`` is nearly ``U diag(S) V^H``; of the shapes ``(*, m, q)``,
        ``(*, q)`` and ``(*, n, q)``.

    Raises:
        ArgumentError: negative ``q`` or ``niter``.

    >>> import dtorch
    >>> U, S, V = dtorch.svd_lowrank(dtorch.eye(5), q=2)
    >>> S
    tensor([1., 1.])
    """
    count, rounds = 6 if q is None else q, 2 if niter is None else niter
    if count < 0 or rounds < 0:
        raise ArgumentError(f"svd_lowrank: q is {q} and niter {niter}, expected none below 0")
    if A.ndim < 2:
        raise ShapeError(f"svd_lowrank: A has shape {tuple(A.shape)}, expected matrices (*, m, n)")

    if M is not None:
        M = M.expand(A.shape)

    def times(right: Any) -> Any:
        return matmul(A, right) if M is None else matmul(A, right) - matmul(M, right)

    def adjoint_times(right: Any) -> Any:
        out = matmul(adjoint(A), right)
        return out if M is None else out - matmul(adjoint(M), right)

    start = randn(A.shape[-1], count, dtype=A.dtype, device=A.device)
    columns = qr_pair(times(start))[0]
    for _ in range(rounds):
        columns = qr_pair(times(qr_pair(adjoint_times(columns))[0]))[0]
    U, S, Vh = svd_reduced(adjoint(adjoint_times(columns)))
    return matmul(columns, U), S, adjoint(Vh)


def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """The main directions of samples in rows, nearly: `svd_lowrank` of the rows less their mean.

    Args:
        A: ``(*, m, n)``, m samples of n features.
        q: how many directions. Default: 6, or fewer where there are not as many.
        center: without it the mean is left in.
        niter: as in `svd_lowrank`.

    Returns: ``(U, S, V)``; the columns of V are the directions, ``S**2 / (m - 1)`` the variances.

    Raises:
        ArgumentError: ``q`` is negative or larger than m or n.

    >>> import dtorch
    >>> samples = dtorch.tensor([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    >>> dtorch.pca_lowrank(samples, q=1)[2].abs().squeeze()
    tensor([0.7071, 0.7071])
    """
    if A.ndim < 2:
        raise ShapeError(f"pca_lowrank: A has shape {tuple(A.shape)}, expected matrices (*, m, n)")
    most = min(A.shape[-2:])
    count = min(6, most) if q is None else q
    if not 0 <= count <= most:
        raise ArgumentError(f"pca_lowrank: q is {q}, expected 0 to {most}, the smaller size of A")
    return svd_lowrank(A, count, niter, mean(A, -2, True) if center else None)
