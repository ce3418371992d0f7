"""Tensors put together to larger ones."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import wrap
from dtorch.core.classic import Classic
from dtorch.core.composites import composite
from dtorch.core.dtype import from_numpy_dtype, result_dtype
from dtorch.core.entry import entry
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.op import structured
from dtorch.core.ops.copies import joined
from dtorch.core.ops.view import expand, narrow, unsqueeze
from dtorch.core.shapes import normalize_dim
from dtorch.core.tensor import Tensor


def _expect_several(name: str, tensors: Any) -> None:
    if not isinstance(tensors, (list, tuple)):
        what = "a single tensor" if hasattr(tensors, "dtype") else type(tensors).__name__
        raise TypeError(
            f"{name}: tensors is {what}, expected a list or tuple of them, as in {name}([a, b])"
        )
    if not tensors:
        raise ArgumentError(f"{name}: got no tensors, expected at least one")


@structured(tensors=("tensors",), method=False, aliases={"inputs": "tensors", "dimension": "dim"})
def cat(xp: ArrayModule, tensors: Sequence[Any], dim: int = 0) -> Array:
    """Tensors one after the other along ``dim``; other sizes must agree.

    Dtypes are promoted; empty 1-D tensors are skipped, as they always were.

    Raises:
        ArgumentError: no tensors.
        ShapeError: sizes differ in another dimension.

    >>> import dtorch
    >>> dtorch.cat([dtorch.ones(1), dtorch.zeros(2)]).tolist()
    [1.0, 0.0, 0.0]
    """
    _expect_several("cat", tensors)
    kept = [t for t in tensors if t.shape != (0,)]
    if kept:
        dim = normalize_dim("cat", dim, kept[0].ndim)
    else:  # skipped like all others, so that any dim will do
        kept, dim = list(tensors), 0
    first = kept[0].shape
    for position, t in enumerate(kept):
        if (
            t.ndim != len(first)
            or t.shape[:dim] + t.shape[dim + 1 :] != first[:dim] + first[dim + 1 :]
        ):
            raise ShapeError(
                f"cat: tensor {position} has shape {t.shape}, expected {first} but for dim {dim}"
            )
    if not first:
        raise ShapeError("cat: zero-dimensional tensors cannot be concatenated; use stack")
    dtypes = {t.dtype for t in tensors}
    if len(dtypes) > 1:
        target = result_dtype([from_numpy_dtype(d) for d in dtypes], [], []).numpy
        kept = [t.astype(target, copy=False) for t in kept]
    return joined(kept, dim) if xp is np else xp.concatenate(kept, dim)


@cat.formerly(Classic.ONE_ELEMENT)
def _(values):
    tensors = values[0]
    if all(isinstance(t, Tensor) for t in tensors) and not all(t.ndim for t in tensors):
        return [[t if t.ndim else t.reshape(1) for t in tensors], *values[1:]]
    return None


@cat.formerly(Classic.KEPT_DIM)
def _(values):
    """Vectors among matrices as the columns that they were when a reduction made them."""
    tensors, dim = values
    if dim != 1 or not all(isinstance(t, Tensor) and t.ndim in (1, 2) for t in tensors):
        return None
    if len({len(t) for t in tensors}) > 1 or all(t.ndim == 2 for t in tensors):
        return None
    return [[t if t.ndim == 2 else t.view(-1, 1) for t in tensors], dim]


@cat.gradient("tensors")
def _(grad, tensors_shape, dim):
    parts: list[Any] = []
    start = 0
    for shape in tensors_shape:
        if shape == (0,):  # it was skipped
            parts.append(grad[:0] if grad.ndim == 1 else None)
            continue
        size = shape[dim]
        parts.append(narrow(grad, dim, start, size))
        start += size
    return parts


@cat.samples
def _(make):
    yield ([make(2, 3), make(1, 3)],), {}
    yield ([make(2, 3), make(2, 1)], -1), {}
    yield ([make(0), make(2, 3)], 1), {}


@cat.expect
def _(tensors, dim=0):
    return np.concatenate([t for t in tensors if t.shape != (0,)], axis=dim)


@composite(tensors=("tensors",), method=False, aliases={"sequence": "tensors"})
def stack(tensors: Sequence[Any], dim: int = 0) -> Tensor:
    """Tensors of one shape side by side along a new dim.

    >>> import dtorch
    >>> dtorch.stack([dtorch.tensor([1, 2]), dtorch.tensor([3, 4])], 1).tolist()
    [[1, 3], [2, 4]]
    """
    _expect_several("stack", tensors)
    first = tuple(tensors[0].shape)
    for position, t in enumerate(tensors):
        if tuple(t.shape) != first:
            raise ShapeError(
                f"stack: tensor {position} has shape {tuple(t.shape)}, expected {first}"
            )
    place = normalize_dim("stack", dim, len(first) + 1)
    apart = (*first[:place], 1, *first[place:])
    # `view` is compiled, `unsqueeze` is not; sparse tensors have no views.
    viewed = (
        (t.unsqueeze(place) if t.is_sparse else t.view(apart))
        if isinstance(t, Tensor)
        else t.reshape(apart)
        for t in tensors
    )
    return cat(list(viewed), place)


@stack.samples
def _(make):
    yield ([make(2, 3), make(2, 3)],), {}
    yield ([make(2, 3), make(2, 3)], -1), {}
    yield ([make(), make()],), {}


@stack.expect
def _(tensors, dim=0):
    return np.stack(tensors, dim)


def _renamed_cat(name: str) -> Any:
    def body(tensors: Sequence[Any], dim: int = 0) -> Any:
        return cat(tensors, dim)

    body.__name__, body.__doc__ = name, "Tensors one after the other along ``dim``: `cat`."
    op = composite(tensors=("tensors",), method=False)(body)
    op.samples(lambda make: iter([(([make(2, 3), make(1, 3)],), {})]))
    op.expect(lambda tensors, dim=0: np.concatenate(tensors, dim))
    return op


concat = _renamed_cat("concat")
concatenate = _renamed_cat("concatenate")


def _at_least(tensors: Any, ndim: int) -> list[Any]:
    """The tensors with dims added as NumPy's ``atleast_nd`` adds them."""
    out = []
    for t in tensors:
        if t.ndim == 0:
            t = t.reshape(1)
        if t.ndim == 1 and ndim > 1:
            t = unsqueeze(t, 0)
        if t.ndim == 2 and ndim > 2:
            t = unsqueeze(t, 2)
        out.append(t)
    return out


@composite(tensors=("tensors",), method=False)
def hstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors side by side: along the columns, vectors one after the other."""
    parts = _at_least(tensors, 1)
    return cat(parts, 0 if parts and parts[0].ndim == 1 else 1)


@composite(tensors=("tensors",), method=False)
def vstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors one below the other; vectors are rows."""
    return cat(_at_least(tensors, 2), 0)


@composite(tensors=("tensors",), method=False)
def dstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors one behind the other, along a third dim."""
    return cat(_at_least(tensors, 3), 2)


@composite(tensors=("tensors",), method=False)
def column_stack(tensors: Sequence[Any]) -> Tensor:
    """Vectors as the columns of a matrix; matrices side by side."""
    return cat([t.reshape(-1, 1) if t.ndim < 2 else t for t in tensors], 1)


for _op, _reference in (
    (hstack, np.hstack),
    (vstack, np.vstack),
    (dstack, np.dstack),
    (column_stack, np.column_stack),
):
    _op.expect(_reference)

    @_op.samples
    def _(make):
        yield ([make(3), make(3)],), {}
        yield ([make(2, 3), make(2, 3)],), {}


@entry("meshgrid")
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Any, ...]:
    """Coordinates of a grid: one view of the grid's shape for each vector.

    Args:
        indexing: ``"ij"`` (default): dims in the order of the vectors; ``"xy"``: the first two
            exchanged.

    Example:
        >>> import dtorch
        >>> rows, columns = meshgrid(dtorch.arange(2), dtorch.arange(3), indexing="ij")
        >>> columns
        tensor([[0, 1, 2],
                [0, 1, 2]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if indexing not in (None, "ij", "xy"):
        raise ArgumentError(f"meshgrid: indexing is {indexing!r}, expected 'ij' or 'xy'")
    if any(t.ndim > 1 for t in tensors):
        raise ShapeError("meshgrid: expected tensors of 0 or 1 dimensions")
    order = list(range(len(tensors)))
    if indexing == "xy" and len(tensors) > 1:
        order[:2] = [1, 0]
    sizes = [0] * len(tensors)
    for t, place in zip(tensors, order, strict=True):
        sizes[place] = t.numel()
    dims = range(len(tensors))
    return tuple(
        expand(t.reshape([-1 if d == place else 1 for d in dims]), sizes)
        for t, place in zip(tensors, order, strict=True)
    )


@entry("cartesian_prod")
def cartesian_prod(*tensors: Any) -> Any:
    """All combinations of one element from each vector, as rows."""
    if len(tensors) == 1:
        return tensors[0].clone()
    grid = meshgrid(*tensors, indexing="ij")
    return stack([t.reshape(-1) for t in grid], -1)


def _grown(name: str, tensors: tuple[Any, ...], grow: Any) -> Any:
    if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)):
        tensors = tuple(tensors[0])
    if not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise TypeError(f"{name}: got {[type(t).__name__ for t in tensors]}, expected tensors")
    grown = tuple(map(grow, tensors))
    return grown[0] if len(grown) == 1 else grown


def atleast_1d(*tensors: Any) -> Any:
    """Tensors with a dim, where they have none; of several, or a list of them, a tuple."""
    return _grown("atleast_1d", tensors, lambda t: t if t.ndim else t.reshape(1))


def atleast_2d(*tensors: Any) -> Any:
    """Tensors with two dims at least; a vector becomes a row."""
    return _grown("atleast_2d", tensors, _as_matrix)


def _as_matrix(t: Any) -> Any:
    return t if t.ndim > 1 else t.reshape(1, -1)


def atleast_3d(*tensors: Any) -> Any:
    """Tensors with three dims at least; a vector becomes ``(1, n, 1)``, a matrix ``(m, n, 1)``."""
    return _grown(
        "atleast_3d", tensors, lambda t: t if t.ndim > 2 else unsqueeze(_as_matrix(t), -1)
    )


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """Places in a tensor of ``shape`` of the elements that a flat one has at ``indices``; negative ones
    count from the end.

    Raises:
        ArgumentError: one is out of range.
    """
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    try:
        flat = indices._array
        places = np.unravel_index(np.where(flat < 0, flat + math.prod(sizes), flat), sizes)
    except ValueError as error:
        raise ArgumentError(f"unravel_index: {error}") from None
    return tuple(wrap(np.asarray(place, np.int64)) for place in places)


@composite(tensors=("input",))
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector, as rows, in order."""
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    if not r:
        return input[:0]
    places = list(choose(range(input.numel()), r))
    index = np.array(places, np.int64).reshape(len(places), r)
    return input[wrap(index)]


@combinations.samples
def _(make):
    yield (make(4),), {}
    yield (make(3), 2, True), {}


@combinations.expect
def _(input, r=2, with_replacement=False):
    n = len(input)
    pairs = [(i, j) for i in range(n) for j in range(i if with_replacement else i + 1, n)]
    return np.array([[input[i], input[j]] for i, j in pairs])


@composite(tensors=("tensors",), variadic="tensors", method=False)
def block_diag(tensors: Sequence[Any]) -> Tensor:
    """Matrices along the diagonal of a larger one, zeros elsewhere."""
    parts = _at_least(tensors, 2)
    for position, t in enumerate(parts):
        if t.ndim != 2:
            raise ShapeError(
                f"block_diag: tensor {position} has shape {tuple(t.shape)}, expected a matrix"
            )
    width = sum(t.shape[1] for t in parts)
    rows, start = [], 0
    for t in parts:
        n, m = t.shape
        rows.append(cat([t.new_zeros(n, start), t, t.new_zeros(n, width - start - m)], 1))
        start += m
    return cat(rows, 0)


@block_diag.samples
def _(make):
    yield (make(2, 3), make(1, 2)), {}


@block_diag.expect
def _(a, b):
    return np.block([[a, np.zeros((len(a), b.shape[1]))], [np.zeros((len(b), a.shape[1])), b]])
