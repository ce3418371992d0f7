"""Whole slices read and written by an index, and single elements of the flattened tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase, wrap
from dtorch.core.composites import composite
from dtorch.core.dtype import number_in
from dtorch.core.errors import ArgumentError, DimensionError, DtypeError, IndicesError, ShapeError
from dtorch.core.op import structured
from dtorch.core.ops.arithmetic import refuse_factor
from dtorch.core.ops.comparison import keep
from dtorch.core.ops.gathering import expect_in_range, refuse_mean_of_bools, scatter_reduce
from dtorch.core.ops.scatter import gather_rows, sums_by_index, unslice
from dtorch.core.shapes import ends, normalize_dim
from dtorch.core.tensor import Tensor


def check_rows(name: str, input: Any, dim: int, index: Any) -> tuple[int, Any]:
    dim = normalize_dim(name, dim, input.ndim)
    if index.ndim > 1 or index.dtype.kind not in "iu":
        raise IndicesError(
            f"{name}: index is {index.dtype} of shape {tuple(index.shape)}, expected 1-D int64"
        )
    expect_in_range(name, index, input.shape[dim] if input.ndim else 1, dim)
    return dim, index.reshape(-1)


def _raw(index: Any) -> Any:
    return index._array if isinstance(index, TensorBase) else index


@composite(tensors=("input", "index"))
def index_select(input: Tensor, dim: int, index: Tensor) -> Tensor:
    """The slices of ``input`` at ``index`` (1-D) along ``dim``.

    >>> import dtorch
    >>> dtorch.tensor([[1, 2], [3, 4]]).index_select(1, dtorch.tensor([1])).tolist()
    [[2], [4]]
    """
    dim, _ = check_rows("index_select", input._array, dim, index._array)
    return gather_rows(input, dim, index.reshape(-1)) if input.ndim else input.clone()


@index_select.samples
def _(make):
    yield (make(3, 4), 1, make.index(5, high=4)), {}
    yield (make(3, 4), 0, make.index(2, high=3)), {}
    yield (make(), 0, make.index(1, high=1)), {}


@index_select.expect
def _(input, dim, index):
    return np.take(input, index, dim) if input.ndim else input


def expect_source(name: str, input: Any, dim: int, index: Any, source: Any) -> None:
    expected = (*input.shape[:dim], index.size, *input.shape[dim + 1 :]) if input.ndim else (1,)
    one = input.ndim < 2 and source.size == index.size == 1
    if tuple(source.shape) != expected and not one:
        raise IndicesError(f"{name}: source has shape {tuple(source.shape)}, expected {expected}")
    if source.dtype != input.dtype:
        raise DtypeError(f"{name}: source is {source.dtype}, the tensor {input.dtype}")


def _rows(input: Any, dim: int, index: Any) -> Any:
    """The slices at ``index``; a 0-dim tensor counts as one slice."""
    if input.ndim == 0:
        input = input.reshape((1,))
    return gather_rows(input, dim % input.ndim, index.reshape((-1,)))


def _at(dim: int, index: Any) -> tuple[Any, ...]:
    return (*(slice(None),) * dim, index)


@structured(
    tensors=("input", "index", "source"), inplace=True, aliases={"tensor": "source"}, wide=True
)
def index_add(
    xp: ArrayModule, input: Array, dim: int, index: Array, source: Array, *, alpha: Any = 1
) -> Array:
    """``input`` with ``alpha`` times the slices of ``source`` added at ``index`` along ``dim``.

    >>> import dtorch
    >>> dtorch.zeros(3).index_add(0, dtorch.tensor([2, 2]), dtorch.ones(2)).tolist()
    [0.0, 0.0, 2.0]
    """
    dim, index = check_rows("index_add", input, dim, index)
    expect_source("index_add", input, dim, index, source)
    out = input.copy()
    source = scaled(source, alpha)
    if index.size and out.size:
        places, sums = sums_by_index(xp, source.reshape(source.shape or (1,)), dim, index)
        out.reshape(out.shape or (1,))[_at(dim, places)] += sums
    return out


def scaled(source: Any, alpha: Any) -> Any:
    refuse_factor("index_add", "alpha", alpha, source)
    return source if alpha == 1 else source * source.dtype.type(alpha)


@index_add.gradient("input")
def _(grad):
    return grad


@index_add.gradient("source")
def _(grad, dim, index, source_shape, alpha):
    part = _rows(grad, dim, index)
    return part.reshape(tuple(source_shape)) * alpha


@composite(tensors=("input", "index", "source"), inplace=True, wide=True)
def index_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    source: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> Tensor:
    """``input`` combined with the slices of ``source`` that ``index`` (1-D) sends to each place.

    Args:
        reduce: ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``; for sums there is `index_add`.
        include_self: whether the slice of ``input`` takes part where something is sent.

    >>> import dtorch
    >>> index = dtorch.tensor([0, 0])
    >>> dtorch.ones(2).index_reduce(0, index, dtorch.tensor([2.0, 3.0]), "prod").tolist()
    [6.0, 1.0]
    """
    if reduce not in _REDUCE:
        raise ArgumentError(f"index_reduce: reduce is {reduce!r}, expected one of {_REDUCE}")
    refuse_mean_of_bools("index_reduce", input._array, reduce)
    dim, rows = check_rows("index_reduce", input._array, dim, index._array)
    expect_source("index_reduce", input._array, dim, rows, source._array)
    along = [1] * input.ndim
    if along:
        along[dim] = -1
    source = source.reshape(*input.shape[:dim], rows.size, *input.shape[dim + 1 :])
    places = index.reshape(along or (1,)).expand(source.shape)
    return scatter_reduce(input, dim, places, source, reduce, include_self=include_self)


_REDUCE = ("prod", "mean", "amax", "amin")


@index_reduce.samples
def _(make):
    for reduce in _REDUCE:
        yield (make(3, 4), 1, make.index(5, high=4), make(3, 5), reduce), {}
        yield (make(3, 2), 0, make.index(2, high=3), make(2, 2), reduce), {"include_self": False}


@index_reduce.expect
def _(input, dim, index, source, reduce, include_self=True):
    folds: Any = {"prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}
    out = input.copy()
    for place in set(index.tolist()):
        sent = source.compress(index == place, dim)
        own = input.take([place], dim)
        whole = np.concatenate([own, sent], dim) if include_self else sent
        out[(slice(None),) * dim + (place,)] = folds[reduce](whole, dim)
    return out


@structured(tensors=("input", "index", "source"), inplace=True, aliases={"tensor": "source"})
def index_copy(xp: ArrayModule, input: Array, dim: int, index: Array, source: Array) -> Array:
    """``input`` with the slices of ``source`` written at ``index`` along ``dim``; of several for
    one place the last."""
    dim, index = check_rows("index_copy", input, dim, index)
    expect_source("index_copy", input, dim, index, source)
    out = input.copy()
    out.reshape(out.shape or (1,))[_at(dim, index)] = source
    return out


@structured(tensors=("input", "index"), public=False)
def _clear_rows(xp: ArrayModule, input: Array, dim: int, index: Array) -> Array:
    out = input.copy()
    out.reshape(out.shape or (1,))[_at(dim % max(input.ndim, 1), index.reshape(-1))] = 0
    return out


@_clear_rows.gradient("input")
def _(grad, dim, index):
    return _clear_rows(grad, dim, index)


@index_copy.gradient("input")
def _(grad, dim, index):
    return _clear_rows(grad, dim, index)


@index_copy.gradient("source")
def _(grad, dim, index, source_shape):
    part = _rows(grad, dim, index)
    return part.reshape(tuple(source_shape))


for _op, _add in ((index_add, True), (index_copy, False)):

    @_op.samples
    def _(make, _add=_add):
        yield (make(3, 4), 1, make.index(1, high=1).new_tensor([2, 0]), make(3, 2)), {}
        yield (make(3, 4), 0, make.index(1, high=1).new_tensor([2]), make(1, 4)), {}
        if _add:
            n = make.size(3, 300)
            yield (make(n, n), 0, make.index(n, high=n), make(n, n)), {"alpha": 0.5}

    @_op.expect
    def _(input, dim, index, source, alpha=1, _add=_add):
        out = np.moveaxis(input.copy(), dim, 0)
        for row, value in zip(index, np.moveaxis(source, dim, 0), strict=True):
            out[row] = out[row] + alpha * value if _add else value
        return np.moveaxis(out, 0, dim)


@structured(tensors=("input", "index", "value"), public=False)
def _fill_rows(xp: ArrayModule, input: Array, dim: int, index: Array, value: Array) -> Array:
    """``input`` with ``value`` (a 0-dim tensor) in the slices at ``index`` along ``dim``."""
    dim, index = check_rows("index_fill", input, dim, index)
    out = input.copy()
    out.reshape(out.shape or (1,))[_at(dim, index)] = value.astype(out.dtype)
    return out


@_fill_rows.gradient("input")
def _(grad, dim, index):
    return _clear_rows(grad, dim, index)


@_fill_rows.gradient("value")
def _(grad, dim, index):
    filled = _clear_rows(keep(grad, False) + 1, dim, index) == 0
    return keep(grad, filled).sum()


@composite(tensors=("input", "index", "value"), inplace=True, aliases={"val": "value"})
def index_fill(input: Any, dim: int, index: Any, value: Any | float) -> Any:
    """``input`` with ``value`` (a number or 0-dim tensor) in the slices at ``index`` along
    ``dim``."""
    if not isinstance(value, TensorBase):
        value = wrap(number_in("index_fill", value, input._array.dtype))
    if value._array.ndim:
        raise ShapeError(f"index_fill: value has shape {tuple(value._array.shape)}, expected ()")
    return _fill_rows(input, dim, index, value)


@index_fill.samples
def _(make):
    yield (make(3, 4), 1, make.index(2, high=4), 2.5), {}
    yield (make(3, 4), 0, make.index(2, high=3), make()), {}


@index_fill.expect
def _(input, dim, index, value):
    hit = np.isin(np.arange(input.shape[dim]), index)
    shape = [-1 if d == dim else 1 for d in range(input.ndim)]
    return np.where(hit.reshape(shape), value, input)


def _flat_index(name: str, input: Any, index: Any) -> Any:
    """Indices into the flattened tensor, counted from the front."""
    if index.dtype.kind not in "iu":
        raise DtypeError(f"{name}: index is {index.dtype}, expected int64")
    size = input.size
    least, most = ends(index) if index.size else (0, -1)
    if least < -size or most >= size:
        raise DimensionError(
            f"{name}: an index out of range for {size} elements: from {least} to {most}"
        )
    return index % max(size, 1)


@structured(tensors=("input", "index"))
def take(xp: ArrayModule, input: Array, index: Array) -> Array:
    """Elements of the flattened tensor; the result has the shape of ``index``."""
    return xp.take(input.reshape(-1), _flat_index("take", input, index))


@take.gradient("input")
def _(grad, index, input_shape):
    size = int(np.prod(input_shape, dtype=int))
    flat = unslice(grad, (_raw(index) % max(size, 1),), (size,))
    return flat.reshape(tuple(input_shape))


@take.samples
def _(make):
    yield (make(3, 4), make.index(2, 2, high=12)), {}
    yield (make(3), make.index(4, high=6) - 3), {}


@take.expect
def _(input, index):
    return input.ravel()[index]


@structured(tensors=("input", "index", "source"), inplace=True, wide=True)
def put(
    xp: ArrayModule, input: Array, index: Array, source: Array, accumulate: bool = False
) -> Array:
    """``input`` with ``source`` written at ``index`` of the flattened tensor.

    Args:
        accumulate: add instead; repeated places then add up.
    """
    places = _flat_index("put", input, index).reshape(-1)
    if source.size != places.size:
        raise IndicesError(f"put: {source.size} elements for {places.size} indices")
    out = input.copy()
    flat = out.reshape(-1)
    if accumulate:
        xp.add.at(flat, places, source.reshape(-1))
    else:
        flat[places] = source.reshape(-1)
    return out if flat.base is out else flat.reshape(out.shape)


put.keeps_half = lambda saved: not saved.get("accumulate", False)


@put.gradient("input")
def _(grad, index, accumulate):
    return grad if accumulate else put(grad, index, index * 0.0, False)


@put.gradient("source")
def _(grad, index, source_shape):
    return take(grad, index).reshape(tuple(source_shape))


@put.samples
def _(make):
    yield (make(3, 4), make.index(1, high=1).new_tensor([3, -1]), make(2)), {}
    yield (make(3, 4), make.index(4, high=12), make(4), True), {}


@put.expect
def _(input, index, source, accumulate=False):
    flat = input.flatten()
    for place, value in zip(index, source, strict=True):
        flat[place] = value + (flat[place] if accumulate else 0)
    return flat.reshape(input.shape)
