"""The names of ``dtorch.linalg``: determinants, factorizations, least squares, matrix norms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import wrap
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError
from dtorch.core.op import structured
from dtorch.core.ops.arithmetic import abs as absolute
from dtorch.core.ops.complex import conjugate, holds_complex, imag
from dtorch.core.ops.diagonal import diag_embed
from dtorch.core.ops.exponential import log
from dtorch.core.ops.factorization import (
    cholesky_lower,
    eig_pair,
    eigh_pair,
    expm,
    qr_pair,
    svd_reduced,
)
from dtorch.core.ops.linalg import chain_matmul, matmul
from dtorch.core.ops.reduction import amax, product_of_others, sum
from dtorch.core.ops.solving import (
    adjoint,
    expect_matrices,
    explain_singular,
    inverse,
    lu_parts,
    pinverse,
    solve_triangular,
    zero_pivots,
)
from dtorch.core.ops.view import unsqueeze
from dtorch.core.tensor import Tensor


class SignLogdet(NamedTuple):
    """Sign and logarithm of the size of determinants."""

    sign: Tensor
    logabsdet: Tensor


class Factors(NamedTuple):
    """L and U in one matrix, and the rows exchanged."""

    LU: Tensor
    pivots: Tensor


class QR(NamedTuple):
    """Orthogonal and triangular factor."""

    Q: Tensor
    R: Tensor


class SVD(NamedTuple):
    """Singular vectors and values."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class Eigen(NamedTuple):
    """Eigenvalues, and eigenvectors as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class LeastSquares(NamedTuple):
    """Least-squares solution, and what the factorization tells besides."""

    solution: Tensor
    residuals: Tensor
    rank: Tensor
    singular_values: Tensor


# -- determinants ------------------------------------------------------------------------------


@structured(tensors=("input",), takes="fc")
def det(xp: ArrayModule, input: Array) -> Array:
    """Determinants of square matrices.

    >>> import dtorch
    >>> dtorch.det(2 * dtorch.eye(2)).item()
    4.0
    """
    expect_matrices("det", input)
    return xp.linalg.det(input)


@det.gradient("input")
def _(grad, input, out):
    if not bool((out == 0).any()):
        back = adjoint(inverse(input))
        return unsqueeze(unsqueeze(grad * out.conj(), -1), -1) * back
    # Singular: the cofactors are products of all singular values but one.
    U, S, Vh = svd_parts(input)
    sign = (det(U) * det(Vh)).conj()
    others = product_of_others(S, S.shape[-1])
    cofactors = matmul(U * unsqueeze(others, -2), Vh)
    return unsqueeze(unsqueeze(grad * sign, -1), -1) * cofactors


def svd_parts(input: Any) -> Any:
    """U, S and Vh, of an array or a tensor."""
    return svd_reduced(input)


@det.samples
def _(make):
    yield (make(3, 3),), {}
    yield (make(2, 2, 2),), {}


@det.expect
def _(input):
    if input.shape[-1] == 2:
        return input[..., 0, 0] * input[..., 1, 1] - input[..., 0, 1] * input[..., 1, 0]
    return np.cross(input[0], input[1]) @ input[2]


@structured(tensors=("input",), outputs=("sign", "logabsdet"), public=False)
def sign_and_log(xp: ArrayModule, input: Array) -> Any:
    """Sign and logarithm of the size of determinants."""
    expect_matrices("slogdet", input)
    return tuple(xp.linalg.slogdet(input))


@sign_and_log.gradient("input")
def _(grads, input, sign):
    factor = grads[1]
    if holds_complex(input):  # the sign turns with the phase of the determinant
        factor = factor + imag(grads[0] * conjugate(sign)) * 1j
    return unsqueeze(unsqueeze(factor, -1), -1) * adjoint(inverse(input))


@composite(tensors=("input",), takes="fc")
def slogdet(input: Tensor) -> SignLogdet:
    """Sign and logarithm of the size of determinants, ``(sign, logabsdet)``."""
    return SignLogdet(*sign_and_log(input))


@composite(tensors=("input",), takes="fc")
def logdet(input: Tensor) -> Tensor:
    """Logarithm of determinants; nan for negative ones."""
    sign, size = sign_and_log(input)
    return size + log(sign)


def _positive_samples(make):
    matrix = make(3, 3)
    matrix.diagonal().add_(2.5)
    yield (matrix,), {}


slogdet.samples(_positive_samples)
logdet.samples(_positive_samples)
slogdet.expect(lambda input: (1.0, math.log(np.cross(input[0], input[1]) @ input[2])))
logdet.expect(lambda input: math.log(np.cross(input[0], input[1]) @ input[2]))


# -- factorizations ----------------------------------------------------------------------------


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """Triangular factor of Hermitian positive definite matrices: ``L L^H``, or ``U^H U``.

    Raises:
        LinAlgError: a matrix is not positive definite.
    """
    return adjoint(cholesky_lower(adjoint(A))) if upper else cholesky_lower(A)


def _positive_definite(make: Any, *shape: int) -> Any:
    """A constant sample: finite differences of one triangle alone would tell nothing."""
    out = make.constant(*shape)
    product = out @ out.transpose(-2, -1)
    product.diagonal(0, -2, -1).add_(1)
    return out.copy_(product)


@linalg_cholesky.samples
def _(make):
    yield (_positive_definite(make, 3, 3),), {}
    yield (_positive_definite(make, 2, 3, 3),), {"upper": True}


@linalg_cholesky.expect
def _(A, upper=False):
    out = np.zeros_like(A)
    for *b, i, j in np.ndindex(A.shape):
        row, column = out[(*b, i)], out[(*b, j)]
        rest = A[(*b, i, j)] - row[:j] @ column[:j]
        if j <= i:
            out[(*b, i, j)] = np.sqrt(rest) if i == j else rest / column[j]
    return np.swapaxes(out, -1, -2) if upper else out


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_qr(A: Tensor, mode: str = "reduced") -> QR:
    """Orthonormal columns Q and upper triangles R with ``Q R = A``.

    Args:
        mode: ``"reduced"``; ``"complete"``: a square Q; ``"r"``: R alone, Q is empty.
    """
    if mode == "reduced":
        return QR(*qr_pair(A))
    if mode == "r":
        return QR(A.new_empty(0), qr_pair(A)[1])
    if mode != "complete":
        raise ArgumentError(f"qr: mode is {mode!r}, expected 'reduced', 'complete' or 'r'")
    return QR(*qr_pair(A, True))


@linalg_qr.samples
def _(make):
    yield (make(3, 2),), {}
    yield (make(2, 3),), {}
    yield (make(2, 3, 3),), {}
    yield (make.constant(3, 2), "complete"), {}


@linalg_qr.expect
def _(A, mode="reduced"):
    from scipy.linalg import qr

    kind = "economic" if mode == "reduced" else "full"
    if A.ndim > 2:
        parts = [qr(matrix, mode=kind) for matrix in A]
        return np.stack([q for q, _ in parts]), np.stack([r for _, r in parts])
    return qr(A, mode=kind)


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> SVD:
    """Singular value decomposition ``A = U diag(S) Vh``; the values descend.

    Args:
        full_matrices: complete U and Vh to square matrices; the columns added have no gradient.
        driver: accepted for compatibility.
    """
    return SVD(*svd_reduced(A, full_matrices))


@linalg_svd.samples
def _(make):
    yield (make(3, 2), False), {}
    yield (make(2, 3), False), {}
    yield (make(2, 3, 3),), {}
    yield (make.constant(3, 2),), {}


@linalg_svd.expect
def _(A, full_matrices=True):
    from scipy.linalg import svd

    if A.ndim > 2:
        return tuple(np.stack(part) for part in zip(*(svd(m) for m in A), strict=True))
    return svd(A, full_matrices)


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """Singular values, descending."""
    return svd_reduced(A)[1]


@linalg_svdvals.samples
def _(make):
    yield (make(3, 2),), {}


@linalg_svdvals.expect
def _(A):
    return np.sqrt(np.linalg.eigvalsh(A.T @ A))[::-1]


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_eigh(A: Tensor, UPLO: str = "L") -> Eigen:
    """Ascending eigenvalues and orthonormal eigenvectors of Hermitian matrices.

    Args:
        UPLO: ``"L"`` or ``"U"``: the triangle that is read.
    """
    if UPLO not in ("L", "U"):
        raise ArgumentError(f"eigh: UPLO is {UPLO!r}, expected 'L' or 'U'")
    return Eigen(*eigh_pair(A, UPLO))


@linalg_eigh.samples
def _(make):
    yield (_positive_definite(make, 3, 3),), {}
    yield (make.constant(3, 3), "U"), {}


@linalg_eigh.expect
def _(A, UPLO="L"):
    from scipy.linalg import eigh

    return eigh(A, lower=UPLO == "L", driver="evd")


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """Ascending eigenvalues of Hermitian matrices."""
    return eigh_pair(A, UPLO)[0]


@linalg_eigvalsh.samples
def _(make):
    yield (_positive_definite(make, 3, 3),), {}


@linalg_eigvalsh.expect
def _(A):
    return np.sort(np.linalg.svd(A)[1])


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_eig(A: Tensor) -> Eigen:
    """Eigenvalues and eigenvectors of length 1 of square matrices; both are complex."""
    return Eigen(*eig_pair(A))


@linalg_eig.samples
def _(make):
    yield (make.constant(3, 3),), {}


@linalg_eig.expect
def _(A):
    from scipy.linalg import eig

    values, vectors = eig(A)
    return values, vectors.astype(complex)


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_eigvals(A: Tensor) -> Tensor:
    """Eigenvalues of square matrices; complex."""
    return eig_pair(A)[0]


@linalg_eigvals.samples
def _(make):
    yield (make(3, 3),), {}


@linalg_eigvals.expect
def _(A):
    from scipy.linalg import eigvals

    return eigvals(A)


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_lu_factor(A: Tensor, *, pivot: bool = True) -> Factors:
    """Packed LU factors, and int32 pivot rows counted from 1.

    Raises:
        LinAlgError: a pivot is zero; `linalg.lu_factor_ex` and `linalg.lu` take such matrices.
    """
    lu, pivots, _ = lu_parts(A, pivot)
    if zero_pivots(lu._array).any():
        raise explain_singular("lu_factor", np, A._array)
    return Factors(lu, pivots)


@linalg_lu_factor.samples
def _(make):
    yield (make(3, 3),), {}
    yield (make(2, 3, 3),), {}
    yield (make.constant(2, 4),), {}
    yield (make.constant(4, 2),), {}
    yield (make.constant(70, 70),), {}


@linalg_lu_factor.expect
def _(A):
    from scipy.linalg import lu_factor

    parts = [lu_factor(matrix) for matrix in A.reshape(-1, *A.shape[-2:])]
    lu = np.stack([p[0] for p in parts]).reshape(A.shape)
    pivots = np.stack([p[1] for p in parts]) + 1
    return lu, pivots.reshape(*A.shape[:-2], -1).astype(np.int32)


@composite(tensors=("A", "B"), home="linalg", takes="fc")
def linalg_lstsq(
    A: Tensor, B: Tensor, rcond: Any = None, *, driver: str | None = None
) -> LeastSquares:
    """X that makes ``|A X - B|`` least, of several the shortest.

    Args:
        rcond: singular values below this share of the largest count as zero when the rank is
            counted. The solution takes A for of full rank, as LAPACK's ``gels`` does.

    Returns: ``(solution, residuals, rank, singular_values)``.
    """
    vector = B.ndim == 1
    right = unsqueeze(B, -1) if vector else B
    out = least_squares(A, right)
    m, n = A.shape[-2:]
    residuals = A.new_empty(0)
    if m > n:
        gap = matmul(A, out) - right
        residuals = sum(absolute(gap) ** 2, -2)
    values = svd_reduced(A.detach())[1]
    limit = float(rcond) if rcond is not None else np.finfo(A._array.dtype).eps * max(m, n)
    rank = sum(values > limit * amax(values, -1, True), -1)
    return LeastSquares(out.reshape(out.shape[:-1]) if vector else out, residuals, rank, values)


def least_squares(A: Any, B: Any) -> Any:
    """The shortest X with least ``|A X - B|``, for A of full rank."""
    if A.shape[-2] >= A.shape[-1]:
        Q, R = qr_pair(A)
        return solve_triangular(R, matmul(adjoint(Q), B), upper=True)
    Q, R = qr_pair(adjoint(A))
    return matmul(Q, solve_triangular(adjoint(R), B, upper=False))


@linalg_lstsq.samples
def _(make):
    yield (make(4, 2), make(4, 2)), {}
    yield (make(2, 3), make(2, 1)), {}
    yield (make(3, 2), make(3)), {}


@linalg_lstsq.expect
def _(A, B):
    out = np.linalg.pinv(A) @ B
    gap = ((A @ out - B) ** 2).sum(0) if A.shape[0] > A.shape[1] else np.zeros(0)
    return out, np.atleast_1d(gap), np.linalg.matrix_rank(A), np.linalg.svd(A)[1]


# -- inverses, powers --------------------------------------------------------------------------


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_pinv(
    A: Tensor, *, atol: Any = None, rtol: Any = None, hermitian: bool = False, rcond: Any = None
) -> Tensor:
    """Pseudo-inverses of matrices; singular values up to ``max(atol, rtol * largest)`` count as
    zero."""
    expect_matrices("pinv", A._array, square=False)
    if rtol is None:
        rtol = rcond if rcond is not None else np.finfo(A._array.dtype).eps * max(A.shape[-2:])
    if atol is not None:
        top = float(amax(svd_reduced(A.detach())[1]))
        rtol = max(float(rtol), float(atol) / top if top else 0.0)
    return pinverse(A, float(rtol))


@linalg_pinv.samples
def _(make):
    yield (make(3, 2),), {}


@linalg_pinv.expect
def _(A):
    return np.linalg.inv(A.T @ A) @ A.T


@composite(tensors=("input",))
def matrix_exp(input: Tensor) -> Tensor:
    """Exponential of square matrices."""
    return expm(input)


@matrix_exp.samples
def _(make):
    yield (make(3, 3),), {}
    yield (make(2, 2, 2, low=-3, high=3),), {}


@matrix_exp.expect
def _(input):
    values, vectors = np.linalg.eig(input)
    return ((vectors * np.exp(values)[..., None, :]) @ np.linalg.inv(vectors)).real


@composite(tensors=("input",), takes="fc")
def matrix_power(input: Any, n: int) -> Any:
    """The ``n``-th power of square matrices; of the inverse for negative ``n``."""
    expect_matrices("matrix_power", input._array)
    if n == 0:
        return diag_embed(input.new_ones(*input.shape[:-1]))
    base = inverse(input) if n < 0 else input
    out = None
    for bit in bin(abs(n))[:1:-1]:
        if bit == "1":
            out = base if out is None else matmul(out, base)
        base = matmul(base, base)
    return out


@matrix_power.samples
def _(make):
    matrix = make(3, 3)
    matrix.diagonal().add_(2)
    for n in (0, 1, 3, -2):
        yield (matrix, n), {}


@matrix_power.expect
def _(input, n):
    return np.linalg.matrix_power(input, n)


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_matrix_rank(
    A: Tensor, *, atol: Any = None, rtol: Any = None, hermitian: bool = False, tol: Any = None
) -> Tensor:
    """Number of singular values above ``max(atol, rtol * largest)``."""
    expect_matrices("matrix_rank", A._array, square=False)
    values = np.linalg.svd(A._array, compute_uv=False)
    if rtol is None:
        none_given = atol is None and tol is None
        rtol = np.finfo(A._array.dtype).eps * max(A.shape[-2:]) if none_given else 0.0
    limit = np.maximum(atol or tol or 0.0, rtol * values.max(-1, keepdims=True, initial=0))
    return wrap(np.asarray((values > limit).sum(-1)))


@linalg_matrix_rank.samples
def _(make):
    yield (make.constant(3, 2) @ make.constant(2, 3),), {}


@linalg_matrix_rank.expect
def _(A):
    return np.linalg.matrix_rank(A)


@composite(tensors=("tensors",), home="linalg", takes="ifc")
def linalg_multi_dot(tensors: Sequence[Any]) -> Tensor:
    """Product of several matrices in the cheapest order; the first and last may be vectors."""
    if len(tensors) < 2:
        raise ArgumentError(f"multi_dot: got {len(tensors)} tensors, expected at least 2")
    first, last = tensors[0], tensors[-1]
    matrices = list(tensors)
    if first.ndim == 1:
        matrices[0] = unsqueeze(first, 0)
    if last.ndim == 1:
        matrices[-1] = unsqueeze(last, 1)
    out = chain_matmul(*matrices)
    shape = ([] if first.ndim == 1 else [out.shape[0]]) + ([] if last.ndim == 1 else [out.shape[1]])
    return out.reshape(shape)


@linalg_multi_dot.samples
def _(make):
    yield ([make(3), make(3, 4), make(4, 2)],), {}
    yield ([make(2, 3), make(3)],), {}


@linalg_multi_dot.expect
def _(tensors):
    return np.linalg.multi_dot(tensors)


# -- operations that have another first argument under this name ---------------------------------


def _renamed(op: Any, name: str, *more: str) -> Any:
    """The same operation under another name, with its matrices called A."""

    def unary(A: Any) -> Any:
        return op(A)

    def with_power(A: Any, n: int) -> Any:
        return op(A, n)

    body = with_power if more else unary
    body.__name__, body.__doc__ = f"linalg_{name}", op.doc
    body.__annotations__["return"] = op.body.__annotations__["return"]
    renamed = composite(tensors=("A",), home="linalg", takes="fc")(body)
    renamed.samples(op.make_samples)
    renamed.expect(op.reference)
    return renamed


linalg_det = _renamed(det, "det")
linalg_slogdet = _renamed(slogdet, "slogdet")
linalg_inv = _renamed(inverse, "inv")
linalg_matrix_power = _renamed(matrix_power, "matrix_power", "n")
