"""Classic names of linear algebra, after LAPACK's, with the layouts of results they had."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from dtorch.core import backend
from dtorch.core.base import TensorBase, wrap
from dtorch.core.composites import composite
from dtorch.core.errors import RankError, ShapeError
from dtorch.core.ops.diagonal import diag_embed, tril, triu
from dtorch.core.ops.factorization import by_columns, eigh_pair, svd_reduced
from dtorch.core.ops.failures import linalg_lu_factor_ex
from dtorch.core.ops.joining import cat
from dtorch.core.ops.linalg import matmul
from dtorch.core.ops.matrix import QR, Eigen, least_squares, linalg_cholesky, linalg_qr
from dtorch.core.ops.solving import (
    adjoint,
    expect_finite,
    expect_matrices,
    explain_singular,
    linalg_lu_solve,
    lu_parts,
    order_of_pivots,
    solve,
    solve_triangular,
    zero_pivots,
)
from dtorch.core.ops.view import transpose, unsqueeze
from dtorch.core.tensor import Tensor


def _eye_like(matrix: Any) -> Any:
    return diag_embed(matrix.new_ones(*matrix.shape[:-1]))


def _definite(make: Any) -> Any:
    """A constant positive definite matrix: only one triangle is read."""
    out = make.constant(3, 3)
    product = out @ out.t()
    product.diagonal().add_(1)
    return out.copy_(product)


def _triangle(make: Any, n: int = 3) -> Any:
    out = make(n, n)
    out.diagonal().add_(2)
    return out


# -- Cholesky ----------------------------------------------------------------------------------


@composite(tensors=("input",), takes="fc")
def cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """Triangular factor of Hermitian positive definite matrices: ``L L^H``, or ``U^H U``."""
    return linalg_cholesky(input, upper=upper)


@composite(tensors=("a",), takes="fc")
def potrf(a: Tensor, upper: bool = True) -> Tensor:
    """Triangular factor of Hermitian positive definite matrices: ``U^H U``, or ``L L^H``."""
    return linalg_cholesky(a, upper=upper)


cholesky.samples(lambda make: iter([((_definite(make),), {}), ((_definite(make), True), {})]))
potrf.samples(lambda make: iter([((_definite(make),), {}), ((_definite(make), False), {})]))
cholesky.expect(lambda input, upper=False: _factor(input, upper))
potrf.expect(lambda a, upper=True: _factor(a, upper))


def _factor(matrix: Any, upper: bool) -> Any:
    factor = np.sqrt(1.0) * np.linalg.qr(_root(matrix))[1]
    factor = factor * np.sign(np.diagonal(factor))[:, None]
    return factor if upper else factor.T


def _root(matrix: Any) -> Any:
    """The symmetric square root."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(values)) @ vectors.T


@composite(tensors=("b", "u"), aliases={"input2": "u"}, takes="fc")
def potrs(b: Tensor, u: Tensor, upper: bool = True) -> Tensor:
    """Solution X of ``A X = b`` from the Cholesky factor ``u`` of A."""
    lower = adjoint(u) if upper else u
    middle = solve_triangular(lower, b, upper=False)
    return solve_triangular(adjoint(lower), middle, upper=True)


@composite(tensors=("u",), takes="fc")
def potri(u: Tensor, upper: bool = True) -> Tensor:
    """Inverse of a matrix from its Cholesky factor."""
    return potrs(_eye_like(u), u, upper)


@composite(tensors=("B", "L"), takes="fc")
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """Solution X of ``A X = B`` from the Cholesky factor of A."""
    return potrs(B, L, upper)


@composite(tensors=("L",), takes="fc")
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """Inverse of a matrix from its Cholesky factor."""
    return potri(L, upper)


def _product(factor: Any, upper: bool) -> Any:
    return np.triu(factor).T @ np.triu(factor) if upper else np.tril(factor) @ np.tril(factor).T


for _op, _default in ((potrs, True), (cholesky_solve, False)):

    @_op.samples
    def _(make):
        yield (make(3, 2), _triangle(make)), {}
        yield (make(3, 2), _triangle(make), False), {}
        yield (make(3, 2), _triangle(make), True), {}

    @_op.expect
    def _(b, u, upper=_default):
        return np.linalg.pinv(_product(u, upper)) @ b


for _op, _default in ((potri, True), (cholesky_inverse, False)):

    @_op.samples
    def _(make):
        yield (_triangle(make),), {}
        yield (_triangle(make), False), {}
        yield (_triangle(make), True), {}

    @_op.expect
    def _(u, upper=_default):
        return np.linalg.pinv(_product(u, upper))


@composite(tensors=("a",))
def pstrf(a: Tensor, upper: bool = True, tol: float = -1) -> tuple[Tensor, Tensor]:
    """Cholesky factor with pivoting of a positive semidefinite matrix.

    Args:
        tol: pivots up to this end the factorization. Default: the size of the matrix times the
            largest diagonal element times the dtype's precision.

    Returns: ``(factor, pivots)``: the factor of ``a[pivots][:, pivots]``, int32 pivots from 0.
    """
    expect_matrices("pstrf", a._array)
    if a.ndim != 2:
        raise RankError(f"pstrf: input has shape {tuple(a.shape)}, expected 2 dimensions")
    array = a._array
    rest = np.triu(array) + np.triu(array, 1).T if upper else np.tril(array) + np.tril(array, -1).T
    n = len(rest)
    limit = tol if tol >= 0 else n * np.finfo(array.dtype).eps * rest.diagonal().max(initial=0)
    factor, order = np.zeros_like(rest), np.arange(n)
    for k in range(n):
        best = k + int(rest.diagonal()[k:].argmax())
        if rest[best, best] <= limit:
            break
        for part in (rest, rest.T, factor, order):
            part[[k, best]] = part[[best, k]]
        column = rest[k:, k] / np.sqrt(rest[k, k])
        factor[k:, k] = column
        rest[k:, k:] -= np.outer(column, column)
    return wrap(np.ascontiguousarray(factor.T) if upper else factor), wrap(order.astype(np.int32))


@pstrf.samples
def _(make):
    yield (_definite(make),), {}
    yield (_definite(make), False), {}


@pstrf.expect
def _(a, upper=True):
    from scipy.linalg.lapack import dpstrf, spstrf

    factor, pivots, *_ = (dpstrf if a.dtype == np.float64 else spstrf)(a, lower=not upper)
    return (np.triu if upper else np.tril)(factor), (pivots - 1).astype(np.int32)


# -- QR ----------------------------------------------------------------------------------------


@composite(tensors=("input",), takes="fc")
def qr(input: Tensor, some: bool = True) -> QR:
    """Orthonormal columns Q and upper triangles R with ``Q R = input``; a square Q without
    ``some``."""
    return linalg_qr(input, "reduced" if some else "complete")


@qr.samples
def _(make):
    yield (make(3, 2),), {}
    yield (make(2, 3),), {}
    yield (make.constant(3, 2), False), {}


@qr.expect
def _(input, some=True):
    from scipy.linalg import qr

    return qr(input, mode="economic" if some else "full")


@composite(tensors=("input",))
def geqrf(input: Tensor) -> tuple[Tensor, Tensor]:
    """QR factors as LAPACK packs them: R above, reflectors below the diagonal; and their scales."""
    expect_matrices("geqrf", input._array, square=False)
    packed, tau = np.linalg.qr(input._array, "raw")
    return wrap(np.ascontiguousarray(np.swapaxes(packed, -1, -2))), wrap(tau)


@geqrf.samples
def _(make):
    yield (make.constant(4, 3),), {}


@geqrf.expect
def _(input):
    from scipy.linalg import qr

    (packed, tau), _ = qr(input, mode="raw")
    return packed, tau


def _reflect(packed: Any, tau: Any, other: Any, backward: bool) -> Any:
    """``other`` after the reflections of `geqrf`, last first for ``backward``: ``Q other``."""
    out = other.copy()
    m = packed.shape[-2]
    order = range(tau.shape[-1])
    for k in reversed(order) if backward else order:
        direction = packed[..., k]
        direction = np.where(np.arange(m) < k, 0, np.where(np.arange(m) == k, 1, direction))
        scale = tau[..., k, None, None] if backward else tau[..., k, None, None].conj()
        along = backend.matmul(direction[..., None, :].conj(), out)
        out -= scale * direction[..., :, None] * along
    return out


@composite(tensors=("A", "tau"), home="linalg", wide=True, takes="fc")
def linalg_householder_product(A: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of the reflections ``1 - tau v v^H``, the first on the left.

    Args:
        A: ``(*, m, n)``, ``m >= n``; below the diagonal each column holds a ``v``, which has a 1 on
            the diagonal and zeros above.
        tau: ``(*, k)``, ``k <= n``.

    Raises:
        ShapeError: other shapes.

    >>> import dtorch
    >>> packed, tau = dtorch.geqrf(dtorch.tensor([[3.0], [4.0]]))
    >>> dtorch.linalg.householder_product(packed, tau).squeeze()
    tensor([-0.6000, -0.8000])
    """
    m, n = A.shape[-2:] if A.ndim > 1 else (0, 1)
    if m < n or not tau.ndim or tau.shape[-1] > n or tau.shape[:-1] != A.shape[:-2]:
        raise ShapeError(
            f"householder_product: shapes {tuple(A.shape)} and {tuple(tau.shape)}, expected "
            f"(*, m, n) and (*, k) with m >= n >= k"
        )
    one = wrap(np.eye(m, n, dtype=A._array.dtype))
    columns = tril(A, -1) + one
    out = one.expand(A.shape)
    for k in reversed(range(tau.shape[-1])):
        column = columns[..., k : k + 1]
        along = matmul(adjoint(column), out)
        out = out - unsqueeze(tau[..., k : k + 1], -1) * matmul(column, along)
    return out


@linalg_householder_product.samples
def _(make):
    yield (make(4, 3), make(3)), {}
    yield (make(2, 3, 3), make(2, 2)), {}


@linalg_householder_product.expect
def _(A, tau):
    m, n = A.shape[-2:]
    out = np.broadcast_to(np.eye(m), (*A.shape[:-2], m, m))
    for k in range(tau.shape[-1]):
        column = np.where(np.arange(m) < k, 0, np.where(np.arange(m) == k, 1, A[..., k]))
        square = column[..., :, None] * column[..., None, :]
        out = out @ (np.eye(m) - tau[..., k, None, None] * square)
    return out[..., :n]


@composite(tensors=("input", "input2"), aliases={"tau": "input2"}, wide=True, takes="fc")
def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """The orthonormal columns Q of the factors that `geqrf` packs."""
    return linalg_householder_product(input, input2)


def _packed(make: Any) -> Any:
    packed, tau = geqrf(make.constant(4, 3))
    packed.is_constant = tau.is_constant = True
    return packed, tau


@orgqr.samples
def _(make):
    yield _packed(make), {}


@orgqr.expect
def _(input, input2):
    from scipy.linalg.lapack import dorgqr, sorgqr

    return (dorgqr if input.dtype == np.float64 else sorgqr)(input, input2)[0]


@composite(
    tensors=("input", "input2", "input3"),
    aliases={"tau": "input2", "other": "input3"},
    wide=True,
    takes="fc",
)
def ormqr(
    input: Tensor, input2: Tensor, input3: Tensor, left: bool = True, transpose: bool = False
) -> Tensor:
    """Product of ``input3`` with the square Q of the factors that `geqrf` packs.

    Args:
        input, input2: the packed factors and the scales of their reflectors.
        left: ``Q input3``; else ``input3 Q``.
        transpose: with the conjugate transpose of Q.
    """
    packed, tau, other = input._array, input2._array, input3._array
    if left:
        return wrap(_reflect(packed, tau, other, not transpose))
    turned = np.swapaxes(other, -1, -2).conj()
    out = _reflect(packed, tau, turned, transpose)
    return wrap(np.ascontiguousarray(np.swapaxes(out, -1, -2).conj()))


@ormqr.samples
def _(make):
    packed, tau = _packed(make)
    yield (packed, tau, make.constant(4, 2)), {}
    yield (packed, tau, make.constant(4, 2), True, True), {}
    yield (packed, tau, make.constant(2, 4), False), {}
    yield (packed, tau, make.constant(2, 4), False, True), {}


@ormqr.expect
def _(input, tau, other, left=True, transpose=False):
    q = np.eye(4)
    for k, scale in enumerate(tau):
        direction = np.concatenate([np.zeros(k), [1], input[k + 1 :, k]])
        q = q @ (np.eye(4) - scale * np.outer(direction, direction))
    q = q.T if transpose else q
    return q @ other if left else other @ q


class Singular(NamedTuple):
    """Left singular vectors, singular values, and right singular vectors."""

    U: Tensor
    S: Tensor
    V: Tensor


# -- eigenvalues and singular values -----------------------------------------------------------


@composite(tensors=("input",))
def svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Singular:
    """Singular value decomposition ``U diag(S) V^H``, as ``(U, S, V)``: V is not transposed.

    Args:
        some: U and V without the columns that have no singular value.
        compute_uv: without it U and V are zeros.
    """
    if not compute_uv:
        m, n = input.shape[-2:]
        lead = input.shape[:-2]
        zeros = input.new_zeros(*lead, m, m), input.new_zeros(*lead, n, n)
        return Singular(zeros[0], svd_reduced(input)[1], zeros[1])
    U, S, Vh = svd_reduced(input, not some)
    return Singular(U, S, adjoint(Vh))


@svd.samples
def _(make):
    yield (make(3, 2),), {}
    yield (make(2, 3),), {}
    yield (make.constant(3, 2), False), {}
    yield (make(3, 2), True, False), {}


@svd.expect
def _(input, some=True, compute_uv=True):
    from scipy.linalg import svd

    u, s, vh = svd(input, not some)
    return (u, s, vh.T) if compute_uv else (np.zeros((3, 3)), s, np.zeros((2, 2)))


@composite(tensors=("input",), takes="fc")
def symeig(input: Tensor, eigenvectors: bool = False, upper: bool = True) -> Eigen:
    """Ascending eigenvalues of symmetric matrices, and their eigenvectors if asked for.

    Args:
        upper: read the upper triangle, else the lower one.
    """
    values, vectors = eigh_pair(input, "U" if upper else "L")
    return Eigen(values, vectors if eigenvectors else input.new_empty(0))


@symeig.samples
def _(make):
    yield (make.constant(3, 3),), {}
    yield (make.constant(3, 3), True, False), {}


@symeig.expect
def _(input, eigenvectors=False, upper=True):
    from scipy.linalg import eigh

    values, vectors = eigh(input, lower=not upper, driver="evd")
    return values, vectors if eigenvectors else np.zeros(0)


@composite(tensors=("a",))
def eig(a: Tensor, eigenvectors: bool = False) -> Eigen:
    """Eigenvalues of a real square matrix, and its eigenvectors if asked for.

    Returns: ``(n, 2)`` real and imaginary parts; and ``(n, n)`` columns, in which a conjugate pair
        takes two: the real and the imaginary parts. Without gradient; see ``linalg.eig``.
    """
    expect_matrices("eig", a._array)
    if a.ndim != 2:
        raise RankError(f"eig: input has shape {tuple(a.shape)}, expected 2 dimensions")
    expect_finite("eig", np, a._array)
    values, vectors = np.linalg.eig(a._array)
    pairs = np.stack([values.real, values.imag], -1).astype(a._array.dtype)
    if not eigenvectors:
        return Eigen(wrap(pairs), a.new_empty(0))
    columns = vectors.real.astype(a._array.dtype)
    second = np.flatnonzero(values.imag < 0)  # of each pair, as LAPACK orders them
    columns[:, second] = vectors.imag[:, second - 1]
    return Eigen(wrap(pairs), wrap(by_columns(np, columns)))


@eig.samples
def _(make):
    yield (make.constant(3, 3),), {}
    yield (make.constant(4, 4), True), {}


@eig.expect
def _(a, eigenvectors=False):
    from scipy.linalg.lapack import dgeev, sgeev

    re, im, _, vectors, _ = (dgeev if a.dtype == np.float64 else sgeev)(a)
    return np.stack([re, im], -1), vectors if eigenvectors else np.zeros(0)


# -- linear systems ----------------------------------------------------------------------------


@composite(tensors=("B", "A"), takes="fc")
def gesv(B: Tensor, A: Tensor) -> tuple[Tensor, Tensor]:
    """Solution X of ``A X = B``, and the packed LU factors of A."""
    return solve(A, B), lu_parts(A.detach())[0]


@gesv.samples
def _(make):
    yield (make(3, 2), _triangle(make)), {}


@gesv.expect
def _(B, A):
    from scipy.linalg import lu_factor

    return np.linalg.pinv(A) @ B, lu_factor(A)[0]


@composite(tensors=("B", "A"), takes="fc")
def gels(B: Tensor, A: Tensor) -> tuple[Tensor, Tensor]:
    """Least squares: X that makes ``|A X - B|`` least, of several the shortest; A of full rank.

    Returns: ``(solution, factors)``; the solution has ``max(m, n)`` rows, of which the first n hold
        X and the sum of the squares of the others is the residual; the factors are `geqrf`'s.
    """
    m, n = A.shape[-2:]
    out = least_squares(A, B)
    if m > n:
        complete = wrap(np.linalg.qr(A._array, "complete")[0][..., n:])
        out = cat([out, matmul(adjoint(complete), B)], -2)
    return out, geqrf(A.detach())[0]


@gels.samples
def _(make):
    yield (make(2, 1), make(2, 3)), {}
    yield (make.constant(4, 2), make.constant(4, 2)), {}


@gels.expect
def _(B, A):
    from scipy.linalg import qr

    out = np.linalg.pinv(A) @ B
    if A.shape[0] > A.shape[1]:
        out = np.concatenate([out, qr(A)[0][:, A.shape[1] :].T @ B])
    return out, qr(A, mode="raw")[0][0]


@composite(tensors=("b", "A"), takes="fc")
def trtrs(
    b: Tensor, A: Tensor, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> tuple[Tensor, Tensor]:
    """Solution X of ``A X = b`` with a triangular A, and a copy of A.

    Args:
        transpose: solve with the transpose of A.
    """
    matrix = _turned(A) if transpose else A
    right = unsqueeze(b, -1) if b.ndim == 1 else b
    out = solve_triangular(matrix, right, upper=upper != transpose, unitriangular=unitriangular)
    return out.reshape(out.shape[:-1]) if b.ndim == 1 else out, A.clone()


def _turned(matrix: Any) -> Any:
    return transpose(matrix, -2, -1)


@trtrs.samples
def _(make):
    yield (make(3, 2), _triangle(make)), {}
    yield (make(3, 2), _triangle(make), False), {}
    yield (make(3, 2), _triangle(make), True, True), {}
    yield (make(3, 2), make(3, 3), True, False, True), {}


@trtrs.expect
def _(b, A, upper=True, transpose=False, unitriangular=False):
    from scipy.linalg import solve_triangular

    return solve_triangular(A, b, int(transpose), not upper, unitriangular), A


@composite(tensors=("A",), takes="fc")
def btrifact(A: Tensor, info: Any = None, pivot: bool = True) -> tuple[Tensor, Tensor]:
    """Packed LU factors of a batch of matrices, and int32 pivot rows counted from 1.

    Args:
        info: int tensor that receives 0 for each matrix, or the number of its first zero pivot;
            without it a singular matrix is an error.
    """
    lu, pivots, _ = lu_parts(A, pivot)
    state = zero_pivots(lu._array)
    if isinstance(info, TensorBase):
        info.resize_(state.shape).copy_(wrap(state))  # type: ignore[attr-defined]
    elif state.any():
        raise explain_singular("btrifact", np, A._array)
    return lu, pivots


@btrifact.samples
def _(make):
    yield (make(2, 3, 3),), {}


@btrifact.expect
def _(A):
    from scipy.linalg import lu_factor

    parts = [lu_factor(matrix) for matrix in A]
    pivots = np.stack([p for _, p in parts]) + 1
    return np.stack([lu for lu, _ in parts]), pivots.astype(np.int32)


class ClassicFactors(NamedTuple):
    """L and U in one matrix, the rows exchanged, and 0 for each matrix without a zero pivot."""

    LU: Tensor
    pivots: Tensor
    info: Tensor


@composite(tensors=("A",), takes="fc")
def lu(A: Any, pivot: bool = True, get_infos: bool = False) -> tuple[Any, ...] | ClassicFactors:
    """Packed LU factors, and int32 pivot rows counted from 1; see `linalg.lu` for the matrices.

    Args:
        get_infos: also give the number of the first zero pivot of each matrix, 0 where there is
            none.

    >>> import dtorch
    >>> LU, pivots = dtorch.lu(dtorch.tensor([[2.0, 1.0], [1.0, 2.0]]))
    >>> LU.tolist(), pivots.tolist()
    ([[2.0, 1.0], [0.5, 1.5]], [1, 2])
    """
    parts = linalg_lu_factor_ex(A, pivot=pivot)
    return ClassicFactors(*parts) if get_infos else (parts.LU, parts.pivots)


@lu.samples
def _(make):
    yield (make(3, 3),), {}
    yield (make(2, 3, 3), True, True), {}


@lu.expect
def _(A, pivot=True, get_infos=False):
    from scipy.linalg import lu_factor

    parts = [lu_factor(matrix) for matrix in A.reshape(-1, *A.shape[-2:])]
    packed = np.stack([p[0] for p in parts]).reshape(A.shape)
    pivots = np.stack([p[1] for p in parts]).reshape(A.shape[:-1]) + 1
    info = np.zeros(A.shape[:-2], np.int32)
    return (packed, pivots.astype(np.int32), info)[: 2 + get_infos]


@composite(tensors=("A",), takes="fc")
def btrifact_with_info(A: Tensor, pivot: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Packed LU factors, pivots, and for each matrix 0 or the number of its first zero pivot."""
    info = A.new_empty(0).int()
    return (*btrifact(A, info, pivot), info)


@btrifact_with_info.samples
def _(make):
    yield (make(2, 3, 3),), {}


@btrifact_with_info.expect
def _(A):
    from scipy.linalg import lu_factor

    parts = [lu_factor(matrix) for matrix in A]
    pivots = np.stack([p for _, p in parts]) + 1
    state = np.zeros(len(A), np.int32)
    return np.stack([lu for lu, _ in parts]), pivots.astype(np.int32), state


@composite(tensors=("b", "LU_data", "LU_pivots"), takes="fc", takes_of=("LU_data",))
def btrisolve(b: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """Solutions X of ``A X = b`` of a batch, from the results of `btrifact`.

    Shape: ``b`` is ``(batch, n)`` or ``(batch, n, k)``.
    """
    vector = b.ndim == LU_data.ndim - 1
    out = linalg_lu_solve(LU_data, LU_pivots, unsqueeze(b, -1) if vector else b)
    return out.reshape(out.shape[:-1]) if vector else out


@btrisolve.samples
def _(make):
    factors = make(2, 3, 3)
    factors.diagonal(0, 1, 2).add_(2)
    pivots = make.index(1, high=1).new_tensor([[2, 3, 3], [1, 2, 3]]).int()
    yield (make(2, 3), factors, pivots), {}
    yield (make(2, 3, 2), factors, pivots), {}


@btrisolve.expect
def _(b, LU_data, LU_pivots):
    matrices = (np.tril(LU_data, -1) + np.eye(3)) @ np.triu(LU_data)
    rows = np.stack([b[0][[1, 2, 0]], b[1]])
    right = rows[..., None] if b.ndim == 2 else rows
    out = np.linalg.pinv(matrices) @ right
    return out[..., 0] if b.ndim == 2 else out


@composite(tensors=("LU_data", "LU_pivots"), method=False)
def btriunpack(
    LU_data: Any,
    LU_pivots: Any,
    unpack_data: bool = True,
    unpack_pivots: bool = True,
) -> tuple[Any, Any, Any]:
    """P, L and U with ``P L U = A`` from the results of `btrifact`; None for what is not asked."""
    m, n = LU_data.shape[-2:]
    count = min(m, n)
    P = L = U = None
    if unpack_data:
        square = LU_data[..., :, :count]
        L = (
            tril(square, -1) + LU_data.new_ones(count).diag()
            if m == count
            else _tall(square, count)
        )
        U = triu(LU_data[..., :count, :])
    if unpack_pivots:
        order = order_of_pivots(np, LU_pivots._array, m)
        places = np.zeros((*order.shape[:-1], m, m), LU_data._array.dtype)
        np.put_along_axis(places, order[..., None, :], 1, -2)
        P = wrap(places)
    return P, L, U


def _tall(columns: Any, count: int) -> Any:
    one = wrap(np.eye(columns.shape[-2], count, dtype=columns._array.dtype))
    return tril(columns, -1) + one


@btriunpack.samples
def _(make):
    yield (make(2, 3, 3), make.index(1, high=1).new_tensor([[2, 3, 3], [1, 2, 3]]).int()), {}


@btriunpack.expect
def _(LU_data, LU_pivots):
    swaps = np.stack([np.eye(3)[:, [1, 2, 0]], np.eye(3)]).astype(LU_data.dtype)
    return swaps, np.tril(LU_data, -1) + np.eye(3), np.triu(LU_data)


@composite(tensors=("LU_data", "LU_pivots"), method=False)
def lu_unpack(
    LU_data: Any,
    LU_pivots: Any,
    unpack_data: bool = True,
    unpack_pivots: bool = True,
) -> tuple[Any, Any, Any]:
    """P, L and U with ``P L U = A`` from the results of `linalg.lu_factor`; what is not asked for is
    empty."""
    parts = btriunpack(LU_data, LU_pivots, unpack_data, unpack_pivots)
    P, L, U = (LU_data.new_empty(0) if part is None else part for part in parts)
    return P, L, U


class LU(NamedTuple):
    """Permutation, unit lower and upper triangle, whose product is the matrix."""

    P: Tensor
    L: Tensor
    U: Tensor


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_lu(A: Tensor, *, pivot: bool = True) -> LU:
    """P, L and U with ``P L U = A``: a permutation, a unit lower and an upper triangle.

    Args:
        pivot: exchange rows; without it P is empty.

    >>> import dtorch
    >>> P, L, U = dtorch.linalg.lu(dtorch.tensor([[1.0, 2.0], [2.0, 1.0]]))
    >>> (P @ L @ U).tolist()
    [[1.0, 2.0], [2.0, 1.0]]
    """
    packed, pivots, _ = lu_parts(A, pivot)
    return LU(*lu_unpack(packed, pivots, unpack_pivots=pivot))


@linalg_lu.samples
def _(make):
    yield (make(3, 3),), {}
    yield (make.constant(2, 4, 2),), {}
    yield (make.constant(2, 4),), {}


@linalg_lu.expect
def _(A):
    from scipy.linalg import lu

    parts = [lu(matrix) for matrix in A.reshape(-1, *A.shape[-2:])]
    return tuple(
        np.stack(each).reshape(*A.shape[:-2], *each[0].shape) for each in zip(*parts, strict=True)
    )


@lu_unpack.samples
def _(make):
    pivots = make.index(1, high=1)
    yield (make(2, 3, 3), pivots.new_tensor([[2, 3, 3], [1, 2, 3]]).int()), {}
    yield (make(3, 2), pivots.new_tensor([3, 2]).int()), {}
    yield (make(2, 3), pivots.new_tensor([2, 2]).int(), True, False), {}


@lu_unpack.expect
def _(LU_data, LU_pivots, unpack_data=True, unpack_pivots=True):
    count = min(LU_data.shape[-2:])
    m = LU_data.shape[-2]
    order = np.tile(np.arange(m), (*LU_pivots.shape[:-1], 1))
    for places, pivots in zip(order.reshape(-1, m), LU_pivots.reshape(-1, count), strict=True):
        for row, pivot in enumerate(pivots - 1):
            places[[row, pivot]] = places[[pivot, row]]
    swaps = (order[..., None, :] == np.arange(m)[:, None]).astype(LU_data.dtype)
    lower = np.tril(LU_data[..., :count], -1) + np.eye(m, count)
    return swaps if unpack_pivots else np.zeros(0), lower, np.triu(LU_data[..., :count, :])
