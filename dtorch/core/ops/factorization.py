"""Factorizations of matrices: Cholesky, QR, singular values, eigenvalues."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.errors import LinAlgError
from dtorch.core.op import structured
from dtorch.core.ops.comparison import isfinite, keep
from dtorch.core.ops.complex import real
from dtorch.core.ops.diagonal import diag_embed, diagonal, tril
from dtorch.core.ops.joining import cat
from dtorch.core.ops.linalg import matmul
from dtorch.core.ops.solving import (
    adjoint,
    expect_finite,
    expect_matrices,
    solve_matrices,
    solve_triangular,
)
from dtorch.core.ops.view import narrow, unsqueeze
from dtorch.core.shapes import merged


@structured(tensors=("input",), public=False)
def cholesky_lower(xp: ArrayModule, input: Array) -> Array:
    """The lower triangular factor L of positive definite ``L L^H``; reads the lower triangle."""
    expect_matrices("cholesky", input)
    try:
        return xp.linalg.cholesky(input)
    except xp.linalg.LinAlgError:
        raise LinAlgError(
            f"cholesky: the matrix is not positive definite: leading minor {_place_of_failure(xp, input)}"
        ) from None


def _place_of_failure(xp: ArrayModule, input: Any) -> str:
    """Which leading minor of which matrix is not positive definite."""
    for number, matrix in enumerate(input.reshape(merged(input.shape, 0, -2))):
        minor = bad_minor(xp, matrix)
        if minor:
            return f"{minor}" + (f" of matrix {number}" if input.ndim > 2 else "")
    return "unknown"


def bad_minor(xp: ArrayModule, matrix: Any) -> int:
    """The size of the first leading minor that is not positive definite, by the lower triangle; 0
    where all are."""
    symmetric = xp.tril(matrix) + xp.tril(matrix, -1).T.conj()
    for size in range(1, len(matrix) + 1):
        if not xp.linalg.eigvalsh(symmetric[:size, :size]).min() > 0:
            return size
    return 0


@cholesky_lower.gradient("input")
def _(grad, out):
    # Murray 2016, arXiv:1602.07527, equation 10.
    inner = tril(matmul(adjoint(out), grad))
    inner = inner - diag_embed(real(diagonal(inner, 0, -2, -1)) * 0.5)
    inner = inner - diag_embed(diagonal(inner, 0, -2, -1) - real(diagonal(inner, 0, -2, -1)))
    inner = solve_triangular(adjoint(out), inner, upper=True)
    inner = solve_triangular(out, inner, upper=False, left=False)
    return (inner + adjoint(inner)) * 0.5


def by_columns(xp: ArrayModule, matrices: Array) -> Array:
    """The same matrices, each column of which is one run of memory, as LAPACK gives them."""
    return xp.swapaxes(xp.ascontiguousarray(xp.swapaxes(matrices, -1, -2)), -1, -2)


@structured(tensors=("input",), outputs=("Q", "R"), public=False)
def qr_pair(xp: ArrayModule, input: Array, complete: bool = False) -> Any:
    """Orthonormal columns Q and an upper triangle R with ``Q R = input``; Q square if complete.

    The columns that only ``complete`` adds to Q span the rest of the space in some way: gradients
    hold for what depends on that space alone.
    """
    expect_matrices("qr", input, square=False)
    Q, R = xp.linalg.qr(input, "complete" if complete else "reduced")
    return by_columns(xp, Q), by_columns(xp, R)


@qr_pair.gradient("input")
def _(grads, input, Q, R):
    to_q, to_r = grads
    k, n = R.shape[-2], R.shape[-1]
    if Q.shape[-1] > n:
        first, rest = narrow(Q, -1, 0, n), narrow(Q, -1, n, Q.shape[-1] - n)
        to_rest = narrow(to_q, -1, n, Q.shape[-1] - n)
        to_first = narrow(to_q, -1, 0, n) - matmul(rest, matmul(adjoint(to_rest), first))
        return _qr_back(to_first, narrow(to_r, -2, 0, n), first, narrow(R, -2, 0, n))
    if n <= k:
        return _qr_back(to_q, to_r, Q, R)
    # Wide: the first columns are factored, the others follow as Q^H times them.
    to_first, to_rest = narrow(to_r, -1, 0, k), narrow(to_r, -1, k, n - k)
    rest = narrow(input, -1, k, n - k)
    to_q = to_q + matmul(rest, adjoint(to_rest))
    first = _qr_back(to_q, to_first, Q, narrow(R, -1, 0, k))
    return cat([first, matmul(Q, to_rest)], -1)


def _qr_back(to_q: Any, to_r: Any, Q: Any, R: Any) -> Any:
    # Walter and Lehmann 2010, arXiv:1009.6112.
    mixed = matmul(R, adjoint(to_r)) - matmul(adjoint(to_q), Q)
    lower = tril(mixed, -1)
    symmetric = lower + adjoint(lower) + diag_embed(real(diagonal(mixed, 0, -2, -1)))
    return solve_triangular(adjoint(R), to_q + matmul(Q, symmetric), upper=False, left=False)


@structured(tensors=("input",), outputs=("U", "S", "Vh"), public=False)
def svd_reduced(xp: ArrayModule, input: Array, full_matrices: bool = False) -> Any:
    """Singular value decomposition ``U diag(S) Vh``, the values descending.

    Gradients of the columns that only ``full_matrices`` adds are not defined and count as zero.
    """
    expect_matrices("svd", input, square=False)
    expect_finite("svd", xp, input)
    U, S, Vh = xp.linalg.svd(input, full_matrices=full_matrices)
    return by_columns(xp, U), S, by_columns(xp, Vh)


@svd_reduced.gradient("input")
def _(grads, U, S, Vh):
    k = S.shape[-1]
    to_u, to_s, to_v = narrow(grads[0], -1, 0, k), grads[1], adjoint(narrow(grads[2], -2, 0, k))
    U, V = narrow(U, -1, 0, k), adjoint(narrow(Vh, -2, 0, k))
    row, column = unsqueeze(S, -2), unsqueeze(S, -1)
    gap = _inverse_gaps(row * row - column * column)
    from_u, from_v = matmul(adjoint(U), to_u), matmul(adjoint(V), to_v)
    turn_u, turn_v = from_u - adjoint(from_u), from_v - adjoint(from_v)
    inner = turn_u * _of(turn_u, gap) * row + column * turn_v * _of(turn_v, gap)
    out = matmul(matmul(U, inner + diag_embed(to_s)), adjoint(V))
    if U.shape[-2] > k:
        beside = to_u - matmul(U, from_u)
        out = out + matmul(beside * _of(beside, 1 / row), adjoint(V))
    if V.shape[-2] > k:
        beside = to_v - matmul(V, from_v)
        out = out + matmul(U, adjoint(beside * _of(beside, 1 / row)))
    return out


def _of(part: Any, factor: Any) -> Any:
    """Factors, 0 in place of infinite ones where the part of the gradient is 0: gradients of equal
    values do not depend on the vectors that belong to them."""
    return keep(factor, (part != 0) | isfinite(factor))


@structured(tensors=("input",), public=False)
def _inverse_gaps(xp: ArrayModule, input: Array) -> Array:
    """``1 / input`` off the diagonal of matrices, 0 on it."""
    n = input.shape[-1]
    eye = xp.eye(n, dtype=bool)
    return xp.where(eye, 0, 1 / xp.where(eye, 1, input)).astype(input.dtype)


@_inverse_gaps.gradient("input")
def _(grad, out):
    factor = _of(grad, out)
    return -grad * (factor * factor).conj()


@structured(tensors=("input",), outputs=("values", "vectors"), public=False)
def eigh_pair(xp: ArrayModule, input: Array, uplo: str = "L") -> Any:
    """Ascending eigenvalues and the eigenvectors of Hermitian matrices; one triangle is read."""
    expect_matrices("eigh", input)
    expect_finite("eigh", xp, input)
    try:
        values, vectors = xp.linalg.eigh(input, uplo)
    except xp.linalg.LinAlgError as error:
        raise LinAlgError(f"eigh: {error}") from None
    return values, by_columns(xp, vectors)


@eigh_pair.gradient("input")
def _(grads, values, vectors):
    to_values, to_vectors = grads
    gap = _inverse_gaps(unsqueeze(values, -2) - unsqueeze(values, -1))
    turn = matmul(adjoint(vectors), to_vectors)
    inner = turn * _of(turn, gap) + diag_embed(to_values)
    out = matmul(matmul(vectors, inner), adjoint(vectors))
    return (out + adjoint(out)) * 0.5


@structured(tensors=("input",), outputs=("values", "vectors"), public=False)
def eig_pair(xp: ArrayModule, input: Array) -> Any:
    """Complex eigenvalues and eigenvectors of square matrices."""
    expect_matrices("eig", input)
    expect_finite("eig", xp, input)
    try:
        values, vectors = xp.linalg.eig(input)
    except xp.linalg.LinAlgError as error:
        raise LinAlgError(f"eig: {error}") from None
    kind = np.result_type(input.dtype, np.complex64)
    return values.astype(kind), by_columns(xp, vectors.astype(kind))


@eig_pair.gradient("input")
def _(grads, values, vectors):
    # Boeddeker et al. 2017, arXiv:1701.00392, with vectors of length 1.
    to_values, to_vectors = grads
    inner = matmul(adjoint(vectors), to_vectors)
    length = real(diagonal(inner, 0, -2, -1))
    inner = inner - matmul(adjoint(vectors), vectors) * unsqueeze(length, -2)
    gap = _inverse_gaps((unsqueeze(values, -2) - unsqueeze(values, -1)).conj())
    inner = inner * _of(inner, gap) + diag_embed(to_values)
    return solve_matrices(adjoint(vectors), matmul(inner, adjoint(vectors)))


@structured(tensors=("input",), public=False)
def expm(xp: ArrayModule, input: Array) -> Array:
    """Exponential of square matrices: scaling, a Taylor polynomial, repeated squaring."""
    expect_matrices("matrix_exp", input)
    if not input.size:
        return input.copy()
    size = xp.abs(input).sum(-2).max(-1)
    size = xp.where(xp.isfinite(size), size, 1)
    squarings = int(max(0, np.ceil(np.log2(max(float(size.max()), 1e-300)) + 2)))
    scaled = input * input.dtype.type(0.5**squarings)
    # |scaled| <= 1/4: 14 terms reach double precision.
    out = term = xp.broadcast_to(xp.eye(input.shape[-1], dtype=input.dtype), input.shape)
    for k in range(1, 15):
        term = backend.matmul(term, scaled) / input.dtype.type(k)
        out = out + term
    for _ in range(squarings):
        out = backend.matmul(out, out)
    return out


@expm.gradient("input")
def _(grad, input):
    n = input.shape[-1]
    back = adjoint(input)
    zero = keep(back, False)
    block = cat([cat([back, grad], -1), cat([zero, back], -1)], -2)
    return narrow(narrow(expm(block), -2, 0, n), -1, n, n)
