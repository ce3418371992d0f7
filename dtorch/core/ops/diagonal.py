"""Diagonals and triangles of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import wrap
from dtorch.core.composites import composite
from dtorch.core.dtype import as_dtype, int64
from dtorch.core.entry import entry
from dtorch.core.errors import ArgumentError, RankError, ShapeError
from dtorch.core.op import method, structured
from dtorch.core.ops.reduction import sum
from dtorch.core.ops.scatter import unslice
from dtorch.core.ops.view import permute, unsqueeze
from dtorch.core.shapes import normalize_dim
from dtorch.core.tensor import Tensor
from dtorch.core.views import view


@view(aliases={"axis1": "dim1", "axis2": "dim2"})
def diagonal(xp: ArrayModule, input: Array, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Array:
    """A view of the diagonal of two dims, put last; writable."""
    a = normalize_dim("diagonal", dim1, input.ndim)
    b = normalize_dim("diagonal", dim2, input.ndim)
    moved = xp.moveaxis(input, (a, b), (-2, -1))
    part = moved[..., max(-offset, 0) :, max(offset, 0) :]
    *lead, down, right = part.strides
    return xp.lib.stride_tricks.as_strided(
        part, (*part.shape[:-2], min(part.shape[-2:])), (*lead, down + right), writeable=True
    )


@diagonal.gradient("input")
def _(grad, input_shape, offset, dim1, dim2):
    return undiagonal(grad, input_shape, offset, dim1, dim2)


def undiagonal(grad: Any, shape: Any, offset: int, dim1: int, dim2: int) -> Any:
    """Zeros of ``shape`` with ``grad`` on a diagonal: the gradient of `diagonal`."""
    ndim = len(shape)
    a, b = dim1 % ndim, dim2 % ndim
    n = grad.shape[-1]
    rows = np.arange(n) + max(-offset, 0)
    columns = np.arange(n) + max(offset, 0)
    # An advanced index on two separate dims puts their joint dim first.
    order = [d for d in range(ndim) if d not in (a, b)]
    moved = (rows, columns)
    zeros_shape = (shape[a], shape[b], *(shape[d] for d in order))
    back = [0] * ndim
    for position, d in enumerate((a, b, *order)):
        back[d] = position
    last_first = permute(grad, (grad.ndim - 1, *range(grad.ndim - 1)))
    return permute(unslice(last_first, moved, zeros_shape), tuple(back))


@diagonal.samples
def _(make):
    yield (make(3, 4),), {}
    yield (make(3, 4), 1), {}
    yield (make(2, 3, 3), -1, 1, 2), {}


@diagonal.expect
def _(input, offset=0, dim1=0, dim2=1):
    return np.diagonal(input, offset, dim1, dim2)


def _expect_matrix(name: str, input: Any) -> None:
    if input.ndim < 2:
        raise RankError(
            f"{name}: input has shape {tuple(input.shape)}, expected at least 2 dimensions"
        )


@structured(tensors=("input",), inplace=True, aliases={"k": "diagonal"})
def tril(xp: ArrayModule, input: Array, diagonal: int = 0) -> Array:
    """The lower triangles of matrices, zeros above.

    Args:
        diagonal: the last diagonal kept; 0 is the main one, 1 the one above.

    >>> import dtorch
    >>> dtorch.tril(dtorch.ones(2, 2)).tolist()
    [[1.0, 0.0], [1.0, 1.0]]
    """
    _expect_matrix("tril", input)
    return xp.tril(input, diagonal)


@tril.gradient("input")
def _(grad, diagonal):
    return tril(grad, diagonal)


@structured(tensors=("input",), inplace=True, aliases={"k": "diagonal"})
def triu(xp: ArrayModule, input: Array, diagonal: int = 0) -> Array:
    """The upper triangles of matrices, zeros below.

    Args:
        diagonal: the first diagonal kept; 0 is the main one, 1 the one above.
    """
    _expect_matrix("triu", input)
    return xp.triu(input, diagonal)


@triu.gradient("input")
def _(grad, diagonal):
    return triu(grad, diagonal)


def _triangle_samples(make):
    yield (make(3, 4),), {}
    yield (make(2, 4, 3), 1), {}
    yield (make(4, 3), -1), {}


def _triangle(keep: Any) -> Any:
    def reference(input: Any, diagonal: int = 0) -> Any:
        rows, columns = np.indices(input.shape[-2:])
        return input * keep(columns - rows, diagonal)

    return reference


tril.samples(_triangle_samples)
triu.samples(_triangle_samples)
tril.expect(_triangle(np.less_equal))
triu.expect(_triangle(np.greater_equal))


@structured(tensors=("input",))
def diag_embed(
    xp: ArrayModule, input: Array, offset: int = 0, dim1: int = -2, dim2: int = -1
) -> Array:
    """Matrices with the last dim of ``input`` on a diagonal, zeros elsewhere.

    Args:
        dim1, dim2: dims of the result in which the matrices lie.
    """
    ndim = input.ndim + 1
    a, b = normalize_dim("diag_embed", dim1, ndim), normalize_dim("diag_embed", dim2, ndim)
    if a == b:
        raise ShapeError(f"diag_embed: dim1 and dim2 are both {dim1}, expected two different dims")
    n = input.shape[-1] + (offset if offset > 0 else -offset)
    rest = iter(input.shape[:-1])
    out = xp.zeros([n if d in (a, b) else next(rest) for d in range(ndim)], input.dtype)
    view = diagonal.body(xp, out, offset, a, b)
    view[...] = input
    return out


@diag_embed.gradient("input")
def _(grad, offset, dim1, dim2):
    return diagonal(grad, offset, dim1, dim2)


@diag_embed.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(2, 3), 1), {}
    yield (make(2, 3), -1, 0, 2), {}


@diag_embed.expect
def _(input, offset=0, dim1=-2, dim2=-1):
    flat = input.reshape(-1, input.shape[-1])
    out = np.stack([np.diag(row, offset) for row in flat])
    out = out.reshape(*input.shape[:-1], *out.shape[1:])
    return np.moveaxis(out, (-2, -1), (dim1, dim2))


@composite(tensors=("input",))
def diag(input: Tensor, diagonal: int = 0) -> Tensor:
    """A matrix with a vector on a diagonal; or of a matrix, the diagonal."""
    if input.ndim == 1:
        return diag_embed(input, diagonal)
    if input.ndim != 2:
        raise RankError(
            f"diag: input has shape {tuple(input.shape)}, expected 1 or 2 dimensions; "
            "use diagonal or diag_embed for batches"
        )
    return _diagonal(input, diagonal).clone()


_diagonal = diagonal  # the name is taken by a parameter above


@diag.samples
def _(make):
    yield (make(3),), {}
    yield (make(3), -1), {}
    yield (make(3, 4), 1), {}


@diag.expect
def _(input, diagonal=0):
    return np.diag(input, diagonal)


@composite(tensors=("input",))
def diagflat(input: Tensor, offset: int = 0) -> Tensor:
    """A matrix with the elements of ``input``, in order, on a diagonal."""
    return diag_embed(input.reshape(-1), offset)


@diagflat.samples
def _(make):
    yield (make(2, 2), 1), {}


@diagflat.expect
def _(input, offset=0):
    return np.diagflat(input, offset)


@composite(tensors=("input",), takes="ifc")
def trace(input: Tensor) -> Tensor:
    """Sum of the diagonal of a matrix."""
    if input.ndim != 2:
        raise RankError(f"trace: input has shape {tuple(input.shape)}, expected 2 dimensions")
    return sum(diagonal(input))


@trace.samples
def _(make):
    yield (make(3, 4),), {}


@trace.expect
def _(input):
    return np.trace(input)


def _fill_diagonal(input: Any, fill_value: Any, wrap: bool = False) -> Any:
    """Overwrite the main diagonal with a number.

    Args:
        wrap: in a tall matrix, begin anew below the last column.
    """
    shape = tuple(input.shape)
    if len(shape) < 2 or (len(shape) > 2 and len(set(shape)) > 1):
        raise ShapeError(
            f"fill_diagonal_: the tensor has shape {shape}, expected a matrix, or more dimensions "
            "of one size"
        )
    step = 1
    for size in reversed(shape[1:]):
        step = step * size + 1
    if len(shape) == 2 and not wrap:
        diagonal.function(input).fill_(fill_value)
    else:
        places = np.unravel_index(np.arange(0, input.numel(), step), shape)
        input[places] = fill_value
    return input


method("fill_diagonal_", _fill_diagonal)


def _triangle_indices(function: Any, row: int, col: int, offset: int, dtype: Any) -> Any:
    if row < 0 or col < 0:
        name = function.__name__
        raise ArgumentError(f"{name}: row is {row} and col {col}, expected at least 0 each")
    places = function(row, offset, col)
    return wrap(np.stack(places).astype((int64 if dtype is None else as_dtype(dtype)).numpy))


@entry("tril_indices", computes=False)
def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = "cpu"
) -> Any:
    """Rows and columns, ``(2, n)``, of the elements on and below a diagonal."""
    return _triangle_indices(np.tril_indices, row, col, offset, dtype)


@entry("triu_indices", computes=False)
def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = "cpu"
) -> Any:
    """Rows and columns, ``(2, n)``, of the elements on and above a diagonal."""
    return _triangle_indices(np.triu_indices, row, col, offset, dtype)


@composite(tensors=("x",), method=False)
def vander(x: Tensor, N: int | None = None, increasing: bool = False) -> Tensor:  # noqa: N803
    """Matrix of powers of the elements of a vector, the highest first.

    Args:
        N: number of columns. Default: the number of elements.
        increasing: the lowest power first.
    """
    count = x.shape[-1] if N is None else N
    powers = np.arange(count) if increasing else np.arange(count)[::-1].copy()
    return unsqueeze(x, -1) ** wrap(powers)


@vander.samples
def _(make):
    yield (make(3),), {}
    yield (make(3), 4, True), {}


@vander.expect
def _(x, N=None, increasing=False):  # noqa: N803
    return np.vander(x, N, increasing)
