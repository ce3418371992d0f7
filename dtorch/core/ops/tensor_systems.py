"""Linear systems between tensors: several dims are taken for one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.ops.solving import inverse, solve
from dtorch.core.shapes import normalize_dim
from dtorch.core.tensor import Tensor


@composite(tensors=("A",), home="linalg", takes="fc")
def linalg_tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse for `tensordot`: ``tensordot(tensorinv(A), B, ind)`` solves ``tensordot(A, X) = B``.

    Args:
        A: the product of its first ``ind`` sizes is that of the others.

    Shape: the others, then the first ``ind``.

    Raises:
        LinAlgError: there is no inverse.

    >>> import dtorch
    >>> dtorch.linalg.tensorinv(dtorch.eye(6).reshape(6, 2, 3), 1).shape
    dtorch.Size([2, 3, 6])
    """
    if ind < 1:
        raise ArgumentError(f"tensorinv: ind is {ind}, expected at least 1")
    first, rest = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if math.prod(first) != math.prod(rest):
        raise ShapeError(
            f"tensorinv: A has shape {tuple(A.shape)}, expected as many elements in the first {ind} "
            f"dims as in the others, got {math.prod(first)} and {math.prod(rest)}"
        )
    return inverse(A.reshape(math.prod(first), -1)).reshape(*rest, *first)


@linalg_tensorinv.samples
def _(make):
    yield (make(2, 2, 4),), {}
    yield (make(4, 2, 2), 1), {}


@linalg_tensorinv.expect
def _(A, ind=2):
    return np.linalg.tensorinv(A, ind)


@composite(tensors=("A", "B"), home="linalg", takes="fc")
def linalg_tensorsolve(A: Tensor, B: Tensor, dims: Sequence[int] | None = None) -> Tensor:
    """Solution X of ``tensordot(A, X, X.ndim) = B``.

    Args:
        dims: dims of A that are put last first.

    Shape: A is B's sizes and then X's, whose products are equal.

    Raises:
        LinAlgError: there is none, or several.

    >>> import dtorch
    >>> A = dtorch.eye(6).reshape(2, 3, 6)
    >>> dtorch.linalg.tensorsolve(A, dtorch.ones(2, 3)).shape
    dtorch.Size([6])
    """
    if dims is not None:
        last = [normalize_dim("tensorsolve", dim, A.ndim) for dim in dims]
        A = A.permute([dim for dim in range(A.ndim) if dim not in last] + last)
    sizes = tuple(A.shape[B.ndim :])
    if math.prod(sizes) != B.numel() or A.numel() != B.numel() ** 2:
        raise ShapeError(
            f"tensorsolve: A has shape {tuple(A.shape)}, expected that of B, {tuple(B.shape)}, and "
            f"then sizes of as many elements"
        )
    return solve(A.reshape(B.numel(), -1), B.reshape(-1)).reshape(sizes)


@linalg_tensorsolve.samples
def _(make):
    yield (make(2, 2, 4), make(2, 2)), {}
    yield (make(4, 2, 2), make(4)), {}
    yield (make(2, 4, 2), make(2, 2), (1,)), {}


@linalg_tensorsolve.expect
def _(A, B, dims=None):
    return np.linalg.tensorsolve(A, B, dims)
