"""The transposes of taking parts: they put a gradient back to where its elements came from."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.coo import CooArray
from dtorch.core.meta import MetaArray
from dtorch.core.op import structured


@structured(tensors=("grad",), public=False, wide=True)
def unslice(xp: ArrayModule, grad: Array, index: Any, shape: Any) -> Array:
    """Zeros of ``shape`` to which ``grad`` is added at ``index``; repeated places add up."""
    if isinstance(grad, CooArray):
        return grad.spread(index, tuple(shape))
    out = xp.zeros(shape, grad.dtype)
    if names_no_place_twice(index):
        out[index] = grad
    else:
        xp.add.at(out, index, grad)
    return out


# Where nothing is added up nothing is rounded.
unslice.keeps_half = lambda known: names_no_place_twice(known["index"])


@unslice.gradient("grad")
def _(grad, index):
    return take_slice(grad, index)


@structured(tensors=("input",), public=False, recorded_as="Index")
def take_slice(xp: ArrayModule, input: Array, index: Any) -> Array:
    """The elements at ``index``, copied."""
    return input[index].copy()


@take_slice.gradient("input")
def _(grad, index, input_shape):
    return unslice(grad, index, input_shape)


def names_no_place_twice(index: Any) -> bool:
    """Whether ``index`` surely names each place at most once: no arrays but masks."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(
        part is None
        or part is Ellipsis
        or type(part) is slice
        or type(part) is int
        or (getattr(part, "dtype", None) is np.dtype(np.bool_))
        for part in parts
    )


@structured(tensors=("input", "index"), public=False, recorded_as="IndexSelect")
def gather_rows(xp: ArrayModule, input: Array, dim: int, index: Array) -> Array:
    """The slices of ``input`` at ``index``, 1-D ints, along ``dim``."""
    return xp.take(input, index, axis=dim)


@gather_rows.gradient("input")
def _(grad, dim, index, input_shape):
    return add_rows(grad, dim, index, input_shape)


@structured(tensors=("grad", "index"), public=False, wide=True)
def add_rows(xp: ArrayModule, grad: Array, dim: int, index: Array, shape: Any) -> Array:
    """Zeros of ``shape`` to whose slices ``index`` along ``dim`` those of ``grad`` are added.

    Slices of one index are sorted together and summed by `reduceat`: far faster than `add.at`.
    """
    out = xp.zeros(shape, grad.dtype)
    if index.size and out.size:
        places, sums = sums_by_index(xp, grad, dim, index)
        out[(slice(None),) * dim + (places,)] = sums
    return out


def sums_by_index(xp: ArrayModule, source: Any, dim: int, index: Any) -> tuple[Any, Any]:
    """The different numbers in ``index``, and for each the sum of the slices that have it."""
    if MetaArray in (type(index), type(source)):
        return index, source  # how many are different is not known, and all that is written fits
    if source.ndim == 1 and source.dtype.char in "fd" and int(index.min()) >= 0:
        places = xp.flatnonzero(xp.bincount(index))
        return places, xp.bincount(index, source)[places].astype(source.dtype, copy=False)
    order = xp.argsort(index, kind="stable")
    places = index[order]
    first = xp.flatnonzero(xp.concatenate(([True], places[1:] != places[:-1])))
    rows = xp.take(source, order, axis=dim)
    if len(first) == len(places):
        return places, rows
    return places[first], xp.add.reduceat(rows, first, axis=dim, dtype=source.dtype)


def add_at_flat(xp: ArrayModule, out: Any, index: Any, source: Any, dim: int) -> None:
    """``out[index[i, j], j] += source[i, j]`` for ``dim`` 0, and so on; ``out`` is contiguous.

    On the flattened array: NumPy adds at one index faster than at one for each dim.
    """
    if index.size:
        place = flat_places(xp, index, out.shape, dim)
        xp.add.at(out.reshape(-1), place.reshape(-1), source.reshape(-1))


def flat_places(xp: ArrayModule, index: Any, shape: tuple[int, ...], dim: int) -> Any:
    """Where in a flattened array of ``shape`` the elements at ``index`` along ``dim`` lie."""
    if len(shape) < 2:
        return index
    place = xp.zeros((1,) * index.ndim, np.int64)
    step = 1
    for d in range(index.ndim - 1, -1, -1):
        along_d = index if d == dim else xp.arange(index.shape[d]).reshape(
            [-1 if k == d else 1 for k in range(index.ndim)])  # fmt: skip
        place = place + along_d * step
        step *= shape[d]
    return place


@add_rows.gradient("grad")
def _(grad, dim, index):
    return gather_rows(grad, dim, index)


@structured(tensors=("grad", "index"), public=False, wide=True)
def scatter_sum(xp: ArrayModule, grad: Array, dim: int, index: Array, shape: Any) -> Array:
    """Zeros of ``shape`` to which ``grad`` is added at ``index`` along ``dim``."""
    out = xp.zeros(shape, grad.dtype)
    add_at_flat(xp, out, index, grad, dim)
    return out


@scatter_sum.gradient("grad")
def _(grad, dim, index):
    return gather_along(grad, dim, index)


@structured(tensors=("input", "index"), public=False)
def gather_along(xp: ArrayModule, input: Array, dim: int, index: Array) -> Array:
    """Elements at ``index`` along ``dim``; other indices are those of their place in ``index``."""
    vector, at = as_vectors(input, index)
    return vector[along(xp, at, dim)].reshape(index.shape)


@gather_along.gradient("input")
def _(grad, dim, index, input_shape):
    return scatter_sum(grad, dim, index, input_shape)


def _places(make):
    """A shape, a dim of it, and indices along it."""
    n, m = make.size(3, 300), make.size(4, 300)
    yield (n, m), 0, make.index(2 * n, m, high=n)
    yield (n, m), 1, make.index(n, m // 2, high=m)


@gather_along.samples
def _(make):
    for shape, dim, index in _places(make):
        yield (make(*shape), dim, index), {}


@scatter_sum.samples
def _(make):
    for shape, dim, index in _places(make):
        yield (make(*tuple(index.shape)), dim, index, shape), {}


@add_rows.samples
def _(make):
    n, m = make.size(3, 300), make.size(4, 300)
    yield (make(2 * n, m), 0, make.index(2 * n, high=n), (n, m)), {}
    yield (make(m, 2 * n), 1, make.index(2 * n, high=n), (m, n)), {}


def as_vectors(*values: Any) -> list[Any]:
    """Arrays or tensors, the 0-dim ones as vectors of one element: beside a vector, a number of a
    place or an element counts as one."""
    return [value.reshape(value.shape or (1,)) for value in values]


def along(xp: ArrayModule, index: Any, dim: int) -> tuple[Any, ...]:
    """The full index that replaces only dimension ``dim`` of each place in ``index`` by it."""
    grid = list(xp.ogrid[tuple(slice(size) for size in index.shape)])
    grid[dim] = index
    return tuple(grid)
