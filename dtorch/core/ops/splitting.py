"""Tensors taken apart: several views of one tensor."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.ops.joining import cat, stack
from dtorch.core.ops.view import narrow
from dtorch.core.shapes import normalize_dim
from dtorch.core.tensor import Tensor
from dtorch.core.views import view


@view(several=True)
def unbind(xp: ArrayModule, input: Array, dim: int = 0) -> tuple[Array, ...]:
    """Views of every index along ``dim``, as a tuple."""
    dim = normalize_dim("unbind", dim, input.ndim, scalars=False)
    return tuple(input[(slice(None),) * dim + (i, ...)] for i in range(input.shape[dim]))


@unbind.gradient("input")
def _(grads, dim):
    return stack(grads, dim)


@unbind.samples
def _(make):
    yield (make(3, 2),), {}
    yield (make(3, 2), 1), {}


@unbind.expect
def _(input, dim=0):
    return tuple(np.moveaxis(input, dim, 0))


@view(
    several=True,
    tensors=("tensor",),
    aliases={"split_size": "split_size_or_sections", "input": "tensor"},
)
def split(
    xp: ArrayModule, tensor: Array, split_size_or_sections: Any, dim: int = 0
) -> tuple[Array, ...]:
    """Views of pieces along ``dim``: of one size (the last may be smaller), or of given sizes.

    >>> import dtorch
    >>> [part.tolist() for part in dtorch.arange(5).split(2)]
    [[0, 1], [2, 3], [4]]
    """
    dim = normalize_dim("split", dim, tensor.ndim, scalars=False)
    size = tensor.shape[dim]
    starts = _starts(split_size_or_sections, size)
    return tuple(
        tensor[(slice(None),) * dim + (slice(a, b),)] for a, b in itertools.pairwise(starts)
    )


def _starts(sizes: Any, total: int) -> list[int]:
    if isinstance(sizes, (tuple, list)):
        if sum(sizes) != total or any(size < 0 for size in sizes):
            raise ShapeError(f"split: sizes {list(sizes)} do not add up to {total}")
        return [0, *np.cumsum(sizes).tolist()]
    if sizes < 0 or (sizes == 0 and total):
        raise ArgumentError(f"split: split_size is {sizes}, expected at least 1")
    return [*range(0, total, sizes or 1), total] if total else [0, 0]


@split.gradient("tensor")
def _(grads, dim):
    return cat(grads, dim)


@split.samples
def _(make):
    yield (make(5, 2), 2), {}
    yield (make(5, 2), [1, 4]), {}
    yield (make(2, 5), 3, 1), {}


@split.expect
def _(tensor, split_size_or_sections, dim=0):
    sizes = split_size_or_sections
    n = tensor.shape[dim]
    at = np.cumsum(sizes)[:-1] if isinstance(sizes, list) else range(sizes, n, sizes)
    return tuple(np.split(tensor, at, dim))


@composite(tensors=("input",), has_out=False)
def split_with_sizes(input: Tensor, split_sizes: Any, dim: int = 0) -> tuple[Any, ...]:
    """`split` into pieces of given sizes."""
    return split(input, list(split_sizes), dim)


@split_with_sizes.samples
def _(make):
    yield (make(5, 2), [1, 4]), {}


@split_with_sizes.expect
def _(input, split_sizes, dim=0):
    return tuple(np.split(input, np.cumsum(split_sizes)[:-1], dim))


@composite(tensors=("input",), has_out=False, aliases={"tensor": "input", "n_chunks": "chunks"})
def chunk(input: Tensor, chunks: int, dim: int = 0) -> tuple[Any, ...]:
    """Views of at most ``chunks`` pieces along ``dim``, of equal size but the last.

    >>> import dtorch
    >>> [part.tolist() for part in dtorch.arange(4).chunk(2)]
    [[0, 1], [2, 3]]
    """
    if chunks < 1:
        raise ArgumentError(f"chunk: chunks is {chunks}, expected at least 1")
    size = input._array.shape[normalize_dim("chunk", dim, input._array.ndim, scalars=False)]
    return split(input, -(-size // chunks) or 1, dim) if size else split(input, [0] * chunks, dim)


@chunk.samples
def _(make):
    yield (make(5, 2), 2), {}
    yield (make(2, 6), 3, -1), {}


@chunk.expect
def _(input, chunks, dim=0):
    step = -(-input.shape[dim] // chunks)
    return tuple(np.split(input, range(step, input.shape[dim], step), dim))


@composite(tensors=("input",), has_out=False)
def tensor_split(input: Tensor, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Views of pieces along ``dim``: a number of nearly equal ones, or cut at given indices.

    Args:
        indices_or_sections: number of pieces, of which the first are larger by one where the size
            is no multiple; or the indices at which to cut.
    """
    size = input._array.shape[normalize_dim("tensor_split", dim, input._array.ndim, scalars=False)]
    cuts = indices_or_sections
    if hasattr(cuts, "tolist"):
        cuts = cuts.tolist()
    if isinstance(cuts, int):
        if cuts < 1:
            raise ArgumentError(f"tensor_split: sections is {cuts}, expected at least 1")
        small, larger = divmod(size, cuts)
        return split(input, [small + 1] * larger + [small] * (cuts - larger), dim)
    bounds = [0, *(range(size)[slice(c, None)].start for c in cuts), size]
    return tuple(
        narrow(input, dim, start, max(stop - start, 0))
        for start, stop in itertools.pairwise(bounds)
    )


@tensor_split.samples
def _(make):
    yield (make(7, 2), 3), {}
    yield (make(2, 7), [1, 5], 1), {}


@tensor_split.expect
def _(input, indices_or_sections, dim=0):
    return tuple(np.array_split(input, indices_or_sections, dim))


def _split_at(name: str, dim_of: Any, doc: str, reference: Any) -> Any:
    def body(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
        return tensor_split(input, indices_or_sections, dim_of(input._array.ndim))

    body.__name__, body.__doc__ = name, doc
    op = composite(tensors=("input",), has_out=False)(body)
    op.samples(lambda make: iter([((make(4, 3, 6), [1, 2]), {})]))
    op.expect(lambda input, where: tuple(reference(input, where)))
    return op


hsplit = _split_at(
    "hsplit", lambda ndim: 0 if ndim == 1 else 1, "Pieces along the columns.", np.hsplit
)
vsplit = _split_at("vsplit", lambda ndim: 0, "Pieces along the rows.", np.vsplit)
dsplit = _split_at("dsplit", lambda ndim: 2, "Pieces along the third dim.", np.dsplit)
