"""Linear systems: triangular ones, LU factors, general ones, inverses."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import wrap
from dtorch.core.composites import composite
from dtorch.core.errors import DtypeError, LinAlgError, ShapeError
from dtorch.core.op import structured
from dtorch.core.ops.diagonal import tril, triu
from dtorch.core.ops.joining import cat
from dtorch.core.ops.linalg import matmul
from dtorch.core.ops.view import narrow, transpose, unsqueeze
from dtorch.core.shapes import merged
from dtorch.core.tensor import Tensor

_BLOCK = 64


def expect_matrices(name: str, array: Array, square: bool = True) -> None:
    """Complain unless ``array`` holds (square) matrices of a dtype LAPACK knows.

    Raises:
        ShapeError: fewer than 2 dims, or not square.
        DtypeError: not float32, float64, complex64 or complex128.
    """
    shape = tuple(array.shape)
    if len(shape) < 2 or (square and shape[-1] != shape[-2]):
        raise ShapeError(
            f"{name}: input has shape {shape}, expected "
            f"{'square matrices (*, n, n)' if square else 'matrices (*, m, n)'}"
        )
    if array.dtype.kind not in "fc" or array.dtype == np.float16:
        raise DtypeError(
            f"{name}: input is {array.dtype}, expected float32, float64, complex64 or complex128"
        )


def expect_finite(name: str, xp: ArrayModule, input: Any) -> None:
    """LAPACK's iterations may never end on nan or inf."""
    if not xp.isfinite(input).all():
        raise LinAlgError(f"{name}: the matrix has elements that are nan or infinite")


def adjoint(matrix: Any) -> Any:
    """The conjugate of the last two dims exchanged, as gradient formulas need it."""
    return transpose(matrix, -2, -1).conj()


# -- triangular systems ------------------------------------------------------------------------


@structured(tensors=("A", "B"), home="linalg")
def solve_triangular(
    xp: ArrayModule, A: Array, B: Array, *, upper: bool, left: bool = True, unitriangular: bool =
    False
) -> Array:  # fmt: skip
    """Solution X of ``A X = B`` (or ``X A = B``) with a triangular matrix A.

    Args:
        upper: whether the upper or the lower triangle of A is used; the other is not read.
        left: whether A stands on the left.
        unitriangular: take the diagonal of A as ones.

    Raises:
        LinAlgError: a zero on the diagonal.
    """
    expect_matrices("solve_triangular", A)
    if B.ndim < 2 or B.shape[-2 if left else -1] != A.shape[-1]:
        raise ShapeError(f"solve_triangular: shapes {A.shape} and {B.shape} do not fit")
    if not left:
        flipped = solve_triangular.body(
            xp, xp.swapaxes(A, -1, -2), xp.swapaxes(B, -1, -2), upper=not upper,
            unitriangular=unitriangular,
        )  # fmt: skip
        return xp.swapaxes(flipped, -1, -2)
    triangle = xp.triu(A, int(unitriangular)) if upper else xp.tril(A, -int(unitriangular))
    if unitriangular:
        triangle = triangle + xp.eye(A.shape[-1], dtype=A.dtype)
    else:
        zero = xp.diagonal(A, axis1=-2, axis2=-1) == 0
        if zero.any():
            zeros = xp.argwhere(zero)
            raise LinAlgError(
                f"solve_triangular: the diagonal is zero at index {zeros[0].tolist()}"
            )
    return _substitute(xp, triangle, B, upper)


def _substitute(xp: ArrayModule, A: Any, B: Any, upper: bool) -> Any:
    """Block substitution: small triangles by LAPACK, everything else by products."""
    n = A.shape[-1]
    lead = np.broadcast_shapes(A.shape[:-2], B.shape[:-2])
    out = xp.broadcast_to(B, (*lead, *B.shape[-2:])).astype(np.result_type(A, B))
    starts = range(0, n, _BLOCK)
    for start in reversed(starts) if upper else starts:
        rows = slice(start, min(start + _BLOCK, n))
        part = out[..., rows, :]
        done = slice(rows.stop, n) if upper else slice(0, start)
        if done.start < done.stop:
            part = part - backend.matmul(A[..., rows, done], out[..., done, :])
        out[..., rows, :] = xp.linalg.solve(A[..., rows, rows], part)
    return out


@solve_triangular.gradient("B")
def _(grad, A, upper, left, unitriangular):
    return solve_triangular(
        adjoint(A), grad, upper=not upper, left=left, unitriangular=unitriangular
    )


@solve_triangular.gradient("A")
def _(grad, A, out, upper, left, unitriangular):
    to_b = solve_triangular(
        adjoint(A), grad, upper=not upper, left=left, unitriangular=unitriangular
    )
    whole = -matmul(to_b, adjoint(out)) if left else -matmul(adjoint(out), to_b)
    unit = int(unitriangular)
    return triu(whole, unit) if upper else tril(whole, -unit)


def _triangle_sample(make: Any, *shape: int) -> Any:
    """A matrix whose triangles are well conditioned."""
    out = make(*shape)
    out.diagonal(0, -2, -1).add_(2)
    return out


@solve_triangular.samples
def _(make):
    yield (_triangle_sample(make, 3, 3), make(3, 2)), {"upper": True}
    yield (_triangle_sample(make, 3, 3), make(3, 2)), {"upper": False}
    yield (_triangle_sample(make, 3, 3), make(2, 3)), {"upper": True, "left": False}
    yield (make(3, 3), make(3, 2)), {"upper": False, "unitriangular": True}
    yield (_triangle_sample(make, 2, 3, 3), make(3, 2)), {"upper": True}


@solve_triangular.expect
def _(A, B, upper, left=True, unitriangular=False):
    triangle = np.triu(A) if upper else np.tril(A)
    if unitriangular:
        n = A.shape[-1]
        triangle[..., np.arange(n), np.arange(n)] = 1
    inverse = np.linalg.pinv(triangle)
    return inverse @ B if left else B @ inverse


# -- LU ----------------------------------------------------------------------------------------


def _sizes(xp: ArrayModule, column: Any) -> Any:
    """By what a pivot is sought: of complex numbers, the sum of both parts' sizes, as LAPACK has it."""
    if column.dtype.kind != "c":
        return xp.abs(column)
    return xp.abs(column.real) + xp.abs(column.imag)


def _eliminate(xp: ArrayModule, lu: Any, order: Any, first: int, width: int, pivot: bool) -> Any:
    """Factor columns ``first`` to ``first + width`` of batches of matrices in place.

    Returns the pivot row of each column.
    """
    batch = xp.arange(len(lu))
    n = lu.shape[-2]
    pivots = []
    for k in range(first, first + width):
        row = k + _sizes(xp, lu[:, k:, k]).argmax(-1) if pivot else xp.full(len(lu), k)
        pivots.append(row)
        if pivot:
            swapped = lu[batch, row].copy()
            lu[batch, row] = lu[:, k]
            lu[:, k] = swapped
            kept = order[batch, row].copy()
            order[batch, row] = order[:, k]
            order[:, k] = kept
        head = lu[:, k, k]
        if k + 1 < n:
            factor = xp.where(head == 0, 1, head)
            lu[:, k + 1 :, k] /= factor[:, None]
            right = slice(k + 1, first + width)
            lu[:, k + 1 :, right] -= lu[:, k + 1 :, k, None] * lu[:, k, None, right]
    return pivots


def factor_lu(xp: ArrayModule, A: Any, pivot: bool = True) -> tuple[Any, Any, Any]:
    """Packed LU factors of ``(*, m, n)``, pivot rows counted from 0, and the order of the rows.

    Right-looking elimination in blocks of columns, so that most of the work is products.
    """
    *lead, m, n = A.shape
    count = min(m, n)
    lu = xp.array(A.reshape((math.prod(lead), m, n)))
    order = xp.tile(xp.arange(m), (len(lu), 1))
    pivots: list[Any] = []
    for first in range(0, count, _BLOCK):
        width = min(_BLOCK, count - first)
        pivots += _eliminate(xp, lu, order, first, width, pivot)
        stop = first + width
        if stop < n:
            corner = xp.tril(lu[:, first:stop, first:stop], -1) + xp.eye(width, dtype=lu.dtype)
            lu[:, first:stop, stop:] = xp.linalg.solve(corner, lu[:, first:stop, stop:])
            lu[:, stop:, stop:] -= backend.matmul(
                lu[:, stop:, first:stop], lu[:, first:stop, stop:]
            )
    rows = xp.stack(pivots, -1) if pivots else xp.zeros((len(lu), 0), np.int64)
    return lu.reshape(A.shape), rows.reshape((*lead, count)), order.reshape((*lead, m))


def zero_pivots(lu: Any) -> Any:
    """For packed factors of each matrix the int32 number of the first zero pivot, 0 without one."""
    zero = np.diagonal(lu, axis1=-2, axis2=-1) == 0
    numbers = np.arange(1, zero.shape[-1] + 1)
    first = np.where(zero, numbers, np.inf).min(-1, initial=np.inf)
    return np.asarray(np.where(np.isfinite(first), first, 0), np.int32)


@structured(tensors=("A",), outputs=("LU", "pivots", "order"), public=False)
def lu_parts(xp: ArrayModule, A: Array, pivot: bool = True) -> Any:
    """Packed LU factors, int32 pivots counted from 1, and the order of the rows."""
    expect_matrices("lu_factor", A, square=False)
    lu, pivots, order = factor_lu(xp, A, pivot)
    return lu, (pivots + 1).astype(np.int32), order


@lu_parts.gradient("A")
def _(grad, LU, order):
    m, n = LU.shape[-2], LU.shape[-1]
    k = min(m, n)
    square = narrow(narrow(LU, -2, 0, k), -1, 0, k)
    to_square = narrow(narrow(grad, -2, 0, k), -1, 0, k)
    if n > m:  # the columns beyond are those of A, solved by L
        upper, to_upper = narrow(LU, -1, k, n - k), narrow(grad, -1, k, n - k)
        beyond = solve_triangular(
            adjoint(_unit_lower(square)), to_upper, upper=True, left=True, unitriangular=True
        )
        to_square = to_square - tril(matmul(beyond, adjoint(upper)), -1)
        out = cat([_square_lu_back(to_square, square), beyond], -1)
    elif m > n:  # the rows beyond are those of A, solved by U
        lower, to_lower = narrow(LU, -2, k, m - k), narrow(grad, -2, k, m - k)
        beyond = solve_triangular(adjoint(triu(square)), to_lower, upper=False, left=False)
        to_square = to_square - triu(matmul(adjoint(lower), beyond))
        out = cat([_square_lu_back(to_square, square), beyond], -2)
    else:
        out = _square_lu_back(to_square, square)
    return permute_rows(out, order)


def _square_lu_back(grad: Any, LU: Any) -> Any:
    lower_rows = tril(matmul(adjoint(_unit_lower(LU)), tril(grad, -1)), -1)
    upper_rows = triu(matmul(triu(grad), adjoint(triu(LU))))
    inner = solve_triangular(adjoint(triu(LU)), lower_rows + upper_rows, upper=False, left=False)
    return solve_triangular(
        adjoint(_unit_lower(LU)), inner, upper=True, left=True, unitriangular=True
    )


def _unit_lower(lu: Any) -> Any:
    n = lu.shape[-1]
    return tril(lu, -1) + _identity_like(lu, n)


@structured(tensors=("input",), public=False)
def _identity_like(xp: ArrayModule, input: Array, n: int) -> Array:
    """The identity in the dtype of ``input``; constant to the gradient."""
    return xp.eye(n, dtype=input.dtype)


@structured(tensors=("input", "order"), public=False)
def permute_rows(xp: ArrayModule, input: Array, order: Array) -> Array:
    """Row ``i`` of each matrix put at row ``order[i]``."""
    out = xp.empty_like(input)
    xp.put_along_axis(out, xp.broadcast_to(order[..., None], input.shape), input, -2)
    return out


@structured(tensors=("input", "order"), public=False)
def pick_rows(xp: ArrayModule, input: Array, order: Array) -> Array:
    """Row ``order[i]`` of each matrix put at row ``i``."""
    lead = np.broadcast_shapes(input.shape[:-2], order.shape[:-1])
    wide = xp.broadcast_to(input, (*lead, *input.shape[-2:]))
    rows = xp.broadcast_to(order, (*lead, order.shape[-1]))
    return xp.take_along_axis(wide, rows[..., None], -2)


@permute_rows.gradient("input")
def _(grad, order):
    return pick_rows(grad, order)


@pick_rows.gradient("input")
def _(grad, order):
    return permute_rows(grad, order)


def order_of_pivots(xp: ArrayModule, pivots: Any, m: int) -> Any:
    """The order of rows after the exchanges that 1-based ``pivots`` stand for."""
    flat = pivots.reshape(merged(pivots.shape, 0, -1))
    order = xp.tile(xp.arange(m), (len(flat), 1))
    batch = xp.arange(len(flat))
    for k in range(flat.shape[-1]):
        row = flat[:, k] - 1
        kept = order[batch, row].copy()
        order[batch, row] = order[:, k]
        order[:, k] = kept
    return order.reshape((*pivots.shape[:-1], m))


@composite(tensors=("B", "LU", "pivots"), home="linalg", takes="fc", takes_of=("LU",))
def linalg_lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """Solution X of ``A X = B`` from the packed factors and 1-based pivots of A.

    Args:
        left: False solves ``X A = B``.
        adjoint: solve with the conjugate transpose of A.
    """
    if not left:
        right = linalg_lu_solve(LU, pivots, _adjoint(B), adjoint=not adjoint)
        return _adjoint(right)
    order = wrap(order_of_pivots(np, pivots._array, LU.shape[-1]))
    if adjoint:
        middle = solve_triangular(_adjoint(triu(LU)), B, upper=False)
        lower = _adjoint(_unit_lower(LU))
        return permute_rows(solve_triangular(lower, middle, upper=True, unitriangular=True), order)
    rows = pick_rows(B, order)
    middle = solve_triangular(LU, rows, upper=False, unitriangular=True)
    return solve_triangular(LU, middle, upper=True)


_adjoint = adjoint  # the parameter has this name, too


@linalg_lu_solve.samples
def _(make):
    LU = _triangle_sample(make, 3, 3)
    yield (LU, make.index(1, high=1).new_tensor([2, 3, 3]).int(), make(3, 2)), {}
    pivots = make.index(1, high=1).new_tensor([2, 3, 3]).int()
    yield (LU, pivots, make(3, 2)), {"adjoint": True}
    yield (LU, pivots, make(2, 3)), {"left": False}


@linalg_lu_solve.expect
def _(LU, pivots, B, left=True, adjoint=False):
    whole = ((np.tril(LU, -1) + np.eye(3)) @ np.triu(LU))[[2, 0, 1]]
    whole = whole.T if adjoint else whole
    return np.linalg.pinv(whole) @ B if left else B @ np.linalg.pinv(whole)


# -- general systems ---------------------------------------------------------------------------


def explain_singular(name: str, xp: ArrayModule, A: Any) -> LinAlgError:
    """The error for singular matrices, with the index of the first zero pivot."""
    lead = A.shape[:-2]
    diagonal = xp.diagonal(factor_lu(xp, A)[0], axis1=-2, axis2=-1)
    diagonal = diagonal.reshape(merged(diagonal.shape, 0, -1))
    zeros = xp.argwhere(diagonal == 0)
    if not len(zeros):
        return LinAlgError(f"{name}: the matrix is singular to working precision")
    batch, at = zeros[0].tolist()
    place = f" of matrix {batch} of the batch" if lead else ""
    return LinAlgError(f"{name}: the matrix is singular: pivot {at + 1}{place} is zero")


@structured(tensors=("A", "B"), method=False, public=False)
def solve_matrices(xp: ArrayModule, A: Array, B: Array) -> Array:
    """Solution X of ``A X = B`` for matrices B."""
    expect_matrices("solve", A)
    if B.ndim < 2 or B.shape[-2] != A.shape[-1]:
        raise ShapeError(f"solve: shapes {A.shape} and {B.shape} do not fit")
    if A.dtype != B.dtype:
        raise DtypeError(f"solve: operands are {A.dtype} and {B.dtype}, expected one dtype")
    try:
        return xp.linalg.solve(A, B)
    except xp.linalg.LinAlgError:
        raise explain_singular("solve", xp, A) from None


@solve_matrices.gradient("B")
def _(grad, A):
    return solve_matrices(adjoint(A), grad)


@solve_matrices.gradient("A")
def _(grad, A, out):
    return -matmul(solve_matrices(adjoint(A), grad), adjoint(out))


@composite(tensors=("A", "B"), home="linalg")
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """Solution X of ``A X = B`` (``X A = B`` without ``left``).

    Shape: A ``(*, n, n)``; B ``(*, n, k)``, or vectors ``(*, n)`` of the batch of A.

    Raises:
        LinAlgError: A is singular.
    """
    vector = B.ndim == 1 or (B.ndim == A.ndim - 1 and tuple(B.shape) == tuple(A.shape[:-1]))
    right = unsqueeze(B, -1) if vector else B
    if left or vector:
        out = solve_matrices(A, right)
    else:
        out = transpose(solve_matrices(transpose(A, -2, -1), transpose(right, -2, -1)), -2, -1)
    return out.reshape(out.shape[:-1]) if vector else out


@solve.samples
def _(make):
    yield (_triangle_sample(make, 3, 3), make(3, 2)), {}
    yield (_triangle_sample(make, 3, 3), make(3)), {}
    yield (_triangle_sample(make, 2, 3, 3), make(2, 3)), {}
    yield (_triangle_sample(make, 3, 3), make(2, 3, 2)), {}
    yield (_triangle_sample(make, 3, 3), make(2, 3)), {"left": False}


@solve.expect
def _(A, B, left=True):
    inverse = np.linalg.pinv(A)
    if B.shape == A.shape[:-1]:
        return (inverse @ B[..., None])[..., 0]
    return inverse @ B if left else B @ inverse


@structured(tensors=("input",), takes="fc")
def inverse(xp: ArrayModule, input: Array) -> Array:
    """Inverses of square matrices.

    Raises:
        LinAlgError: a matrix is singular.
    """
    expect_matrices("inverse", input)
    try:
        return xp.linalg.inv(input)
    except xp.linalg.LinAlgError:
        raise explain_singular("inverse", xp, input) from None


@inverse.gradient("input")
def _(grad, out):
    back = adjoint(out)
    return -matmul(back, matmul(grad, back))


@inverse.samples
def _(make):
    yield (_triangle_sample(make, 3, 3),), {}
    yield (_triangle_sample(make, 2, 2, 2),), {}


@inverse.expect
def _(input):
    return np.linalg.pinv(input)


@structured(tensors=("input",))
def pinverse(xp: ArrayModule, input: Array, rcond: float = 1e-15) -> Array:
    """Pseudo-inverses (Moore and Penrose) of matrices.

    Args:
        rcond: singular values below this share of the largest count as zero.
    """
    expect_matrices("pinverse", input, square=False)
    if not input.size:
        return xp.zeros((*input.shape[:-2], input.shape[-1], input.shape[-2]), input.dtype)
    expect_finite("pinverse", xp, input)
    return xp.linalg.pinv(input, rcond)


@pinverse.gradient("input")
def _(grad, input, out):
    # Golub and Pereyra 1973, for matrices of constant rank.
    up, back = adjoint(grad), adjoint(out)
    if input.shape[-2] <= input.shape[-1]:
        inner = matmul(up, out)
        twice = matmul(inner, back)
        rest = matmul(matmul(back, out), up - matmul(inner, input))
        return rest + twice - adjoint(matmul(out, inner)) - matmul(matmul(input, out), twice)
    inner = matmul(out, up)
    twice = matmul(back, inner)
    rest = matmul(matmul(up - matmul(input, inner), out), back)
    return rest + twice - adjoint(matmul(inner, out)) - matmul(matmul(twice, out), input)


@pinverse.samples
def _(make):
    yield (make(3, 2),), {}
    yield (make(2, 3),), {}


@pinverse.expect
def _(input):
    if input.shape[0] > input.shape[1]:
        return np.linalg.inv(input.T @ input) @ input.T
    return input.T @ np.linalg.inv(input @ input.T)
