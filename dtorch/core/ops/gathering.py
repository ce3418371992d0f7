"""Reading and writing by an index along one dim: gather and scatter."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase, wrap
from dtorch.core.classic import Classic
from dtorch.core.composites import composite
from dtorch.core.dtype import number_in
from dtorch.core.errors import ArgumentError, DimensionError, DtypeError, RankError, ShapeError
from dtorch.core.op import structured
from dtorch.core.ops.comparison import choose, keep
from dtorch.core.ops.complex import conjugate
from dtorch.core.ops.scatter import (
    add_at_flat,
    along,
    as_vectors,
    flat_places,
    gather_along,
    scatter_sum,
    unslice,
)
from dtorch.core.shapes import ends, normalize_dim
from dtorch.core.tensor import Tensor


@structured(tensors=("input", "index"))
def gather(xp: ArrayModule, input: Array, dim: int, index: Array) -> Array:
    """Elements picked along ``dim``: ``out[i, j] = input[index[i, j], j]`` for ``dim`` 0.

    Args:
        index: int64, of as many dims as ``input``; the shape of the result.

    >>> import dtorch
    >>> dtorch.gather(dtorch.tensor([[1, 2], [3, 4]]), 1, dtorch.tensor([[1], [0]])).tolist()
    [[2], [3]]
    """
    dim, index = _check_index("gather", input, dim, index)
    if not index.size:
        return xp.empty(index.shape, input.dtype)
    return xp.take(input.reshape(-1), flat_places(xp, index, input.shape, dim))


def _index_with_kept_dim(values):
    """The index with the dim that it has lost in a reduction along ``dim``, as by ``max(dim)``."""
    input, dim, index = values[:3]
    if not isinstance(dim, int) or index.ndim != input.ndim - 1 or not -1 <= dim < input.ndim:
        return None
    return [input, dim, index.unsqueeze(dim), *values[3:]]


gather.formerly(Classic.KEPT_DIM)(_index_with_kept_dim)


def _check_index(name: str, input: Any, dim: int, index: Any) -> tuple[int, Any]:
    dim, index = check_index_shape(name, input, dim, index)
    expect_in_range(name, index, input.shape[dim] if input.ndim else 1, dim)
    return dim, index


def check_index_shape(name: str, input: Any, dim: int, index: Any) -> tuple[int, Any]:
    dim = normalize_dim(name, dim, input.ndim)
    if index.dtype.kind not in "iu":
        raise DtypeError(f"{name}: index is {index.dtype}, expected int64")
    if index.ndim != input.ndim and index.size and max(index.ndim, input.ndim) > 1:
        raise RankError(
            f"{name}: index has shape {index.shape}, expected as many dims as {input.shape}"
        )
    for d, (size, limit) in enumerate(zip(index.shape, input.shape, strict=False)):
        if d != dim and size > limit and index.size:
            raise ShapeError(
                f"{name}: index of shape {index.shape} is larger than {input.shape} in dim {d}"
            )
    return dim, index


def expect_in_range(name: str, index: Any, size: int, dim: Any) -> None:
    """Complain about an index outside of ``size`` elements."""
    least, most = ends(index) if index.size else (0, -1)
    if least < 0 or most >= size:
        raise DimensionError(
            f"{name}: an index out of range for dim {dim} of size {size}: from {least} to {most}"
        )


@gather.gradient("input")
def _(grad, dim, index, input_shape):
    return scatter_sum(grad, dim % max(len(input_shape), 1), index, input_shape)


@gather.samples
def _(make):
    n = make.size(4, 300)
    yield (make(n, n), 1, make.index(n, 2, high=n)), {}
    yield (make(3, 4), 0, make.index(2, 4, high=3)), {}


@gather.expect
def _(input, dim, index):
    return np.take_along_axis(input, index, dim)


@structured(tensors=("input", "index", "src"), inplace=True, wide=True)
def scatter_add(xp: ArrayModule, input: Array, dim: int, index: Array, src: Array) -> Array:
    """``input`` with ``src`` added at ``index`` along ``dim``; repeated places add up.

    >>> import dtorch
    >>> dtorch.scatter_add(dtorch.zeros(2), 0, dtorch.tensor([1, 1]), dtorch.ones(2)).tolist()
    [0.0, 2.0]
    """
    dim, index = _check_index("scatter_add", input, dim, index)
    out = input.copy("C")
    add_at_flat(xp, out, index, covered("scatter_add", src, index, input), dim)
    return out


def covered(name: str, src: Any, index: Any, input: Any) -> Any:
    """The part of ``src`` that ``index`` covers."""
    if src.dtype != input.dtype:
        raise DtypeError(f"{name}: src is {src.dtype}, the tensor {input.dtype}; convert one")
    shape = src.shape
    src, index = as_vectors(src, index)
    if src.ndim != index.ndim or any(s < i for s, i in zip(src.shape, index.shape, strict=True)):
        raise ShapeError(f"{name}: src of shape {shape} is smaller than the index {index.shape}")
    return src[tuple(slice(size) for size in index.shape)]


def uncovered(grad: Any, shape: Any) -> Any:
    """The gradient of a src of ``shape`` from that of the part that the index covers."""
    (part,) = as_vectors(grad)
    whole = unslice(part, tuple(slice(size) for size in part.shape), tuple(shape) or (1,))
    return whole.reshape(tuple(shape))


@scatter_add.gradient("input")
def _(grad):
    return grad


@scatter_add.gradient("src")
def _(grad, dim, index, src_shape):
    return uncovered(gather(grad, dim, index), src_shape)


@scatter_add.samples
def _(make):
    n = make.size(4, 300)
    yield (make(n, n), 1, make.index(n, n - 1, high=n), make(n, n)), {}
    yield (make(3, 4), 0, make.index(2, 4, high=3), make(2, 4)), {}


@scatter_add.expect
def _(input, dim, index, src):
    out = input.copy()
    for place in np.ndindex(index.shape):
        to = list(place)
        to[dim] = index[place]
        out[tuple(to)] += src[place]
    return out


@structured(tensors=("input", "index", "src"), public=False, wide=True)
def _scatter(xp: ArrayModule, input: Array, dim: int, index: Array, src: Array) -> Array:
    dim, index = _check_index("scatter", input, dim, index)
    out = input.copy()
    at, vector = as_vectors(index, out)
    vector[along(xp, at, dim)] = covered("scatter", src, index, input)
    return out


@_scatter.gradient("input")
def _(grad, dim, index):
    return _blank(grad, dim, index)


@_scatter.gradient("src")
def _(grad, dim, index, src_shape):
    return uncovered(gather(grad, dim, index), src_shape)


@structured(tensors=("input", "index"), public=False)
def _blank(xp: ArrayModule, input: Array, dim: int, index: Array) -> Array:
    """``input`` with zeros at ``index`` along ``dim``."""
    out = input.copy()
    at, vector = as_vectors(index, out)
    vector[along(xp, at, dim % max(input.ndim, 1))] = 0
    return out


@_blank.gradient("input")
def _(grad, dim, index):
    return _blank(grad, dim, index)


@composite(tensors=("input", "index", "src"), inplace=True, aliases={"value": "src"})
def scatter(
    input: Tensor, dim: int, index: Tensor, src: Tensor | float, *, reduce: str | None = None
) -> Tensor:
    """``input`` with ``src`` written at ``index`` along ``dim``:
    ``out[index[i, j], j] = src[i, j]`` for ``dim`` 0.

    Args:
        src: a tensor at least as large as ``index``, or a number. Of several elements for one
            place the last is written.
        reduce: ``"add"`` or ``"multiply"`` combines with what is there instead.
    """
    if not isinstance(src, TensorBase):
        kind = input._array.dtype
        src = wrap(np.full(tuple(index.shape), number_in("scatter", src, kind), kind))
    if reduce is None:
        return _scatter(input, dim, index, src)
    if reduce == "add":
        return scatter_add(input, dim, index, src)
    if reduce == "multiply":
        return scatter_reduce(input, dim, index, src, "prod")
    raise ArgumentError(f"scatter: reduce is {reduce!r}, expected 'add' or 'multiply'")


scatter.formerly(Classic.KEPT_DIM)(_index_with_kept_dim)


@scatter.samples
def _(make):
    index = make.index(2, 3, high=2)
    yield (make(3, 4), 1, index.new_tensor([[0, 2], [3, 1], [1, 0]]), make(3, 3)), {}
    yield (make(3, 4), 0, index.new_tensor([[0, 2, 1, 1], [2, 0, 0, 2]]), make(2, 4)), {}
    yield (make(3, 4), 0, make.index(2, 4, high=3), 1.5), {}
    yield (make(3, 4), 0, make.index(2, 4, high=3), make(2, 4)), {"reduce": "add"}


@scatter.expect
def _(input, dim, index, src, reduce=None):
    out = input.copy()
    for place in np.ndindex(index.shape):
        to = list(place)
        to[dim] = index[place]
        value = src if isinstance(src, float) else src[place]
        out[tuple(to)] = value if reduce is None else out[tuple(to)] + value
    return out


_REDUCE = {
    "sum": (np.add, 0), "mean": (np.add, 0), "prod": (np.multiply, 1),
    "amax": (np.maximum, -np.inf), "amin": (np.minimum, np.inf),
}  # fmt: skip


@structured(tensors=("input", "index", "src"), inplace=True, wide=True)
def scatter_reduce(
    xp: ArrayModule,
    input: Array,
    dim: int,
    index: Array,
    src: Array,
    reduce: str,
    *,
    include_self: bool = True,
) -> Array:
    """``input`` combined with the elements of ``src`` that ``index`` sends to each place.

    Args:
        reduce: ``"sum"``, ``"prod"``, ``"mean"``, ``"amax"`` or ``"amin"``.
        include_self: whether the element of ``input`` takes part where something is sent.
    """
    if reduce not in _REDUCE:
        raise ArgumentError(
            f"scatter_reduce: reduce is {reduce!r}, expected one of {list(_REDUCE)}"
        )
    refuse_mean_of_bools("scatter_reduce", input, reduce)
    dim, index = _check_index("scatter_reduce", input, dim, index)
    src = covered("scatter_reduce", src, index, input)
    combine, neutral = _REDUCE[reduce]
    out = input.copy()
    places, vector = as_vectors(index, out)
    at = along(xp, places, dim)
    if not include_self:
        vector[at] = _lowest_and_highest(input.dtype).get(reduce, neutral)
    combine.at(vector, at, src)
    if reduce == "mean":
        count = _counts(xp, input.shape, at, include_self).astype(out.dtype)
        out = out / count if out.dtype.kind in "fc" else out // count
    return out


def refuse_mean_of_bools(op: str, array: Array, reduce: str) -> None:
    if reduce == "mean" and array.dtype.kind == "b":
        raise DtypeError(
            f"{op}: the mean of dtorch.bool is no bool; convert the tensor, or pass reduce='amax' or "
            "'amin'"
        )


def _lowest_and_highest(numpy_dtype: Any) -> dict[str, Any]:
    """What loses against every element when the largest or the smallest is sought."""
    if numpy_dtype.kind == "b":
        return {"amax": False, "amin": True}
    if numpy_dtype.kind in "iu":
        return {"amax": np.iinfo(numpy_dtype).min, "amin": np.iinfo(numpy_dtype).max}
    return {"amax": -np.inf, "amin": np.inf}


def _counts(xp: ArrayModule, shape: Any, at: Any, include_self: bool) -> Any:
    """How many elements make up each place."""
    count = xp.full(tuple(shape) or (1,), int(include_self), np.int64)
    xp.add.at(count, at, 1)
    return xp.maximum(count, 1).reshape(shape)


@structured(tensors=("index",), public=False)
def _send_counts(xp: ArrayModule, index: Array, dim: int, shape: Any, include_self: bool) -> Array:
    return _counts(xp, shape, along(xp, as_vectors(index)[0], dim), include_self)


def _ones(like: Any, condition: Any) -> Any:
    """1 where a condition holds, 0 elsewhere, in the dtype of ``like``."""
    return choose(condition, 1.0, keep(like, False))


@scatter_reduce.gradient("input", "src")
def _(grad, input, dim, index, src, out, reduce, include_self):
    dim = dim % max(input.ndim, 1)
    part, at = as_vectors(src, index)
    part = part[tuple(slice(size) for size in at.shape)].reshape(tuple(index.shape))
    kept = grad if include_self else _blank(grad, dim, index)
    if reduce == "mean":
        share = grad / _send_counts(index, dim, tuple(input.shape), include_self)
        kept = share if include_self else _blank(grad, dim, index)
        to_part = gather_along(share, dim, index)
    elif reduce == "sum":
        to_part = gather_along(grad, dim, index)
    elif reduce == "prod":
        # The product of the others: of all that are not 0, and 0 if one of the others is.
        zeros = scatter_sum(_ones(part, part == 0), dim, index, tuple(input.shape))
        if include_self:
            zeros = zeros + _ones(input, input == 0)
        safe_input, safe_part = choose(input == 0, 1.0, input), choose(part == 0, 1.0, part)
        whole = scatter_reduce(safe_input, dim, index, safe_part, "prod", include_self=include_self)
        if include_self:
            kept = grad * keep(conjugate(whole / safe_input), zeros == _ones(input, input == 0))
        others = conjugate(gather_along(whole, dim, index) / safe_part)
        alone = gather_along(zeros, dim, index) == _ones(part, part == 0)
        to_part = gather_along(grad, dim, index) * keep(others, alone)
    else:  # equal extremes share the gradient
        sent = (part == gather_along(out, dim, index)) | (part != part)
        hits = scatter_sum(_ones(part, sent), dim, index, tuple(input.shape))
        untouched = _send_counts(index, dim, tuple(input.shape), False) * 0 + 1
        untouched = _blank(untouched, dim, index)
        own = (input == out) | (input != input)
        if not include_self:
            own = own & (untouched != 0)
        hits = hits + _ones(input, own)
        share = grad / choose(hits == 0, 1.0, hits)
        kept = keep(share, own)
        to_part = keep(gather_along(share, dim, index), sent)
    return kept, uncovered(to_part, src.shape)


@scatter_reduce.samples
def _(make):
    for reduce in _REDUCE:
        yield (make(3, 4), 1, make.index(3, 5, high=4), make(3, 5), reduce), {}
        index = make.index(2, 4, high=3)
        yield (make(3, 4), 0, index, make(3, 4), reduce), {"include_self": False}


@scatter_reduce.expect
def _(input, dim, index, src, reduce, include_self=True):
    sent: Any = {place: [] for place in np.ndindex(input.shape)}
    for place in np.ndindex(index.shape):
        to = list(place)
        to[dim] = index[place]
        sent[tuple(to)].append(src[place])
    folds: Any = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}
    fold = folds[reduce]
    out = input.copy()
    for place, values in sent.items():
        if values:
            out[place] = fold([*values, input[place]] if include_self else values)
    return out


@composite(tensors=("input", "indices"))
def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Elements picked along ``dim``; ``indices`` broadcasts against ``input`` in other dims."""
    if dim is None:
        return gather(input.reshape(-1), 0, indices.reshape(-1))
    at = normalize_dim("take_along_dim", dim, input.ndim)
    if indices.ndim != input.ndim:
        raise ShapeError(
            f"take_along_dim: indices have shape {tuple(indices.shape)}, expected as many dims as "
            f"{tuple(input.shape)}"
        )
    sizes = np.broadcast_shapes(*((*t.shape[:at], 1, *t.shape[at + 1 :]) for t in (input, indices)))

    def widened(t: Any) -> Any:
        return t.expand(*sizes[:at], t.shape[at], *sizes[at + 1 :])

    return gather(widened(input), at, widened(indices))


@take_along_dim.samples
def _(make):
    yield (make(3, 4), make.index(3, 2, high=4), 1), {}
    yield (make(3, 4), make.index(1, 2, high=4), 1), {}
    yield (make(3, 4), make.index(2, high=12)), {}


@take_along_dim.expect
def _(input, indices, dim=None):
    return np.take_along_axis(input, indices, dim)
