"""Order: sorting, largest and smallest elements, medians, the most frequent one."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase, wrap
from dtorch.core.composites import composite
from dtorch.core.dtype import int32
from dtorch.core.errors import ArgumentError, DimensionError, ShapeError
from dtorch.core.half import widened
from dtorch.core.meta import MetaArray
from dtorch.core.op import structured
from dtorch.core.ops.scatter import gather_along
from dtorch.core.ops.selection import (
    SelectionOp,
    ValuesIndices,
    put_back,
    selection,
    take_one_along,
)
from dtorch.core.shapes import normalize_dim
from dtorch.core.tensor import Tensor


def _order(xp: ArrayModule, input: Any, dim: int, descending: bool) -> Any:
    """Indices that sort along ``dim``; equal elements keep their order, nan counts as largest."""
    if not descending:
        return xp.argsort(input, dim, kind="stable")
    backward = xp.argsort(xp.flip(input, dim), dim, kind="stable")
    return xp.ascontiguousarray(input.shape[dim] - 1 - xp.flip(backward, dim))


def _sort(xp: ArrayModule, name: str, input: Any, dim: int, descending: bool) -> Any:
    dim = normalize_dim(name, dim, input.ndim)
    if not input.ndim:
        return input.copy(), xp.zeros((), np.int64)
    index = _order(xp, input, dim, descending)
    return xp.take_along_axis(input, index, dim), index


@selection
def sort(
    xp: ArrayModule, input: Array, dim: int = -1, descending: bool = False, stable: bool = False
) -> Any:
    """Elements in order along ``dim``, and their indices; nan counts as largest.

    Equal elements keep their order, whatever ``stable`` says.

    >>> import dtorch
    >>> dtorch.tensor([3, 1, 2]).sort()[0].tolist()
    [1, 2, 3]
    """
    return _sort(xp, "sort", input, dim, descending)


def _put_back_all(grad: Any, indices: Any, input_shape: Any, dim: int) -> Any:
    return put_back(grad, indices, input_shape, dim, True)


sort.gradient("input")(_put_back_all)


@sort.samples
def _(make):
    yield (make(3, 4),), {}
    yield (make(3, 4), 0, True), {}
    yield (make(3, 5, low=-3, high=3).long(), 1, True), {}
    yield (make(3, 5, low=-3, high=3).long(), 1), {"stable": True}


@sort.expect
def _(input, dim=-1, descending=False, stable=False):
    key = -input if descending else input
    index = np.apply_along_axis(
        lambda line: np.array(sorted(range(len(line)), key=line.__getitem__)), dim, key
    )
    return np.take_along_axis(input, index, dim), index


@structured(tensors=("input",), wide=True, rounded=0, takes="bif")
def argsort(
    xp: ArrayModule, input: Array, dim: int = -1, descending: bool = False, stable: bool = False
) -> Array:
    """Indices that put the elements in order along ``dim``; equal ones keep their order.

    >>> import dtorch
    >>> dtorch.tensor([3, 1, 2]).argsort().tolist()
    [1, 2, 0]
    """
    return _sort(xp, "argsort", input, dim, descending)[1]


@argsort.samples
def _(make):
    yield (make(3, 4),), {}
    yield (make(3, 4), 0, True), {}


@argsort.expect
def _(input, dim=-1, descending=False):
    return np.argsort(-input if descending else input, dim)


@composite(tensors=("input",), takes="bif")
def msort(input: Tensor) -> Tensor:
    """Elements in order along the first dim."""
    return sort(input, 0)[0]


msort.samples(lambda make: iter([((make(4, 3),), {})]))
msort.expect(lambda input: np.sort(input, 0))


@selection
def topk(
    xp: ArrayModule, input: Array, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> Any:
    """The ``k`` largest (or smallest) elements along ``dim`` in order, and their indices.

    Raises:
        ArgumentError: ``k`` is negative or above the size of the dim.

    >>> import dtorch
    >>> dtorch.topk(dtorch.tensor([3, 1, 2]), 2)[1].tolist()
    [0, 2]
    """
    dim = normalize_dim("topk", dim, input.ndim)
    n = input.shape[dim] if input.ndim else 1
    if not 0 <= k <= n:
        raise ArgumentError(f"topk: k is {k}, expected 0 to {n}, the size of dim {dim}")
    if not input.ndim:
        return input.copy(), xp.zeros((), np.int64)
    if 0 < k < n // 4:
        at = n - k if largest else k - 1
        part = xp.argpartition(input, at, dim)
        index = xp.take(part, range(at, n) if largest else range(k), dim)
        index = xp.sort(index, dim)  # so that equal elements keep their order
        candidates = xp.take_along_axis(input, index, dim)
        index = xp.take_along_axis(index, _order(xp, candidates, dim, largest), dim)
    else:
        index = xp.take(_order(xp, input, dim, largest), range(k), dim)
    return xp.take_along_axis(input, index, dim), index


topk.gradient("input")(_put_back_all)


@topk.samples
def _(make):
    yield (make(make.size(3, 9000), make.size(5, 8)), 2), {}
    yield (make(5, 3), 3, 0, False), {}
    yield (make(2, 20), 3), {}
    yield (make(2, 20), 3, 1, False), {}


@topk.expect
def _(input, k, dim=-1, largest=True):
    index = np.take(np.argsort(-input if largest else input, dim), range(k), dim)
    return np.take_along_axis(input, index, dim), index


@selection
def kthvalue(xp: ArrayModule, input: Array, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """The ``k``-th smallest element along ``dim``, counted from 1, and its index.

    >>> import dtorch
    >>> int(dtorch.kthvalue(dtorch.tensor([3, 1, 2]), 2)[0])
    2
    """
    dim = normalize_dim("kthvalue", dim, input.ndim)
    n = input.shape[dim] if input.ndim else 1
    if not 1 <= k <= n:
        raise ArgumentError(f"kthvalue: k is {k}, expected 1 to {n}, the size of dim {dim}")
    return _nth(xp, input, k - 1, dim, keepdim)


def _nth(xp: ArrayModule, input: Any, nth: int, dim: int, keepdim: bool) -> Any:
    """The element that comes at ``nth`` in order along ``dim``, and its index."""
    if not input.ndim:
        return input.copy(), xp.zeros((), np.int64)
    index = xp.take(xp.argpartition(input, nth, dim), nth, dim)
    return take_one_along(xp, input, index, dim, keepdim)


kthvalue.gradient("input")(put_back)


@kthvalue.samples
def _(make):
    yield (make(3, 5), 2), {}
    yield (make(5, 3), 5, 0, True), {}


@kthvalue.expect
def _(input, k, dim=-1, keepdim=False):
    index = np.take(np.argsort(input, dim), [k - 1], dim)
    values = np.take_along_axis(input, index, dim)
    return (values, index) if keepdim else (values.squeeze(dim), index.squeeze(dim))


def _median_along(xp: ArrayModule, input: Array, dim: int, keepdim: bool = False) -> Any:
    dim = normalize_dim("median", dim, input.ndim)
    if not input.ndim:
        return input.copy(), xp.zeros((), np.int64)
    _refuse_no_elements("median", input, dim)
    nth = (input.shape[dim] - 1) // 2
    index = xp.take(xp.argpartition(input, nth, dim), nth, dim)
    if input.dtype.kind in "fV":
        missing = input != input
        index = xp.where(missing.any(dim), missing.argmax(dim), index)
    return take_one_along(xp, input, index, dim, keepdim)


def _nanmedian_along(xp: ArrayModule, input: Array, dim: int, keepdim: bool = False) -> Any:
    dim = normalize_dim("nanmedian", dim, input.ndim)
    if not input.ndim:
        return input.copy(), xp.zeros((), np.int64)
    _refuse_no_elements("nanmedian", input, dim)
    order = xp.argsort(input, dim, kind="stable")
    known = (input == input).sum(dim, keepdims=True)
    index = xp.take_along_axis(order, xp.maximum(known - 1, 0) // 2, dim).squeeze(dim)
    return take_one_along(xp, input, index, dim, keepdim)


def _refuse_no_elements(name: str, input: Any, dim: int) -> None:
    if input.shape[dim] == 0:
        raise DimensionError(
            f"{name}: input has shape {tuple(input.shape)}, no elements in dim {dim}"
        )


median_along = SelectionOp(_median_along, public=False)
nanmedian_along = SelectionOp(_nanmedian_along, public=False)
median_along.gradient("input")(put_back)
nanmedian_along.gradient("input")(put_back)


@composite(tensors=("input",), takes="bif")
def median(input: Tensor, dim: int | None = None, keepdim: bool = False) -> Tensor | ValuesIndices:
    """The lower of the two elements in the middle: of all, or along ``dim`` with its index.

    A nan among the elements is the result, and that of no elements at all.

    >>> import dtorch
    >>> dtorch.median(dtorch.tensor([4, 1, 2, 3])).item()
    2
    """
    if dim is None:
        if not input.numel() and input.is_floating_point():
            return input.new_full((), np.nan)
        return median_along(input.reshape(-1), 0)[0]
    return median_along(input, dim, keepdim)


@composite(tensors=("input",), takes="bif")
def nanmedian(
    input: Tensor, dim: int | None = None, keepdim: bool = False
) -> Tensor | ValuesIndices:
    """Like `median`, of the elements that are not nan."""
    if dim is None:
        if not input.numel() and input.is_floating_point():
            return input.new_full((), np.nan)
        return nanmedian_along(input.reshape(-1), 0)[0]
    return nanmedian_along(input, dim, keepdim)


def _lower_median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    if dim is None:
        return np.sort(input, None)[(input.size - 1) // 2]
    index = np.take(np.argsort(input, dim), [(input.shape[dim] - 1) // 2], dim)
    values = np.take_along_axis(input, index, dim)
    return (values, index) if keepdim else (values.squeeze(dim), index.squeeze(dim))


for _op in (median, nanmedian):
    _op.expect(_lower_median)

    @_op.samples
    def _(make):
        yield (make(3, 4),), {}
        yield (make(3, 4), 1), {}
        yield (make(3, 5), 0, True), {}


@selection
def mode(xp: ArrayModule, input: Array, dim: int = -1, keepdim: bool = False) -> Any:
    """The most frequent element along ``dim``, the smallest of several, and its last index.

    >>> import dtorch
    >>> dtorch.mode(dtorch.tensor([1, 2, 2]))[0].item()
    2
    """
    dim = normalize_dim("mode", dim, input.ndim)
    if not input.ndim:
        return input.copy(), xp.zeros((), np.int64)
    _refuse_no_elements("mode", input, dim)
    order = xp.moveaxis(xp.argsort(input, dim, kind="stable"), dim, -1)
    ranked = xp.take_along_axis(xp.moveaxis(input, dim, -1), order, -1)
    places = xp.arange(ranked.shape[-1])
    begins = xp.ones(ranked.shape, bool)
    begins[..., 1:] = ranked[..., 1:] != ranked[..., :-1]
    length = places - xp.maximum.accumulate(xp.where(begins, places, 0), -1)
    best = length.argmax(-1)[..., None]  # the end of the first of the longest runs
    index = xp.take_along_axis(order, best, -1)[..., 0]
    return take_one_along(xp, input, index, dim, keepdim)


mode.gradient("input")(put_back)


@mode.samples
def _(make):
    yield ((make(3, 7) * 2).long(),), {}
    yield ((make(7, 3) * 2).long(), 0, True), {}


@mode.expect
def _(input, dim=-1, keepdim=False):
    def of_line(line: Any) -> Any:
        values = line.tolist()
        best = max(sorted(set(values)), key=values.count)
        return best, len(values) - 1 - values[::-1].index(best)

    lines = np.moveaxis(input, dim, -1)
    found = np.array([of_line(line) for line in lines])
    values, index = found[:, 0], found[:, 1].astype(int)
    if keepdim:
        return np.expand_dims(values, dim), np.expand_dims(index, dim)
    return values, index


# -- looking up --------------------------------------------------------------------------------


@composite(
    tensors=("sorted_sequence", "input"), method=False, aliases={"self": "input"}, takes="bif"
)
def searchsorted(
    sorted_sequence: Tensor, input: Tensor, *, out_int32: bool = False, right: bool = False,
    side: str | None = None, sorter: Any = None,
) -> Tensor:  # fmt: skip
    """Places in a sorted sequence at which elements can be inserted without breaking the order.

    Args:
        sorted_sequence: sorted along its last dim; leading dims as those of ``input``, or 1-D.
        right: after equal elements instead of before them (also ``side="right"``).
        sorter: indices that sort ``sorted_sequence``.

    >>> import dtorch
    >>> dtorch.searchsorted(dtorch.tensor([1, 3, 5]), dtorch.tensor([3, 4])).tolist()
    [1, 2]
    """
    if side not in (None, "left", "right"):
        raise ArgumentError(f"searchsorted: side is {side!r}, expected 'left' or 'right'")
    if sorter is not None:
        sorted_sequence = gather_along(sorted_sequence, sorted_sequence.ndim - 1, sorter)
    rows = widened(sorted_sequence._array)
    values = widened(input._array) if isinstance(input, TensorBase) else np.asarray(input)
    way: Any = side or ("right" if right else "left")
    if rows.ndim == 1 or type(rows) is MetaArray:
        found = np.searchsorted(rows, values, way)
    elif rows.shape[:-1] == values.shape[:-1]:
        found = np.empty(values.shape, np.int64)
        for place in np.ndindex(rows.shape[:-1]):
            found[place] = np.searchsorted(rows[place], values[place], way)
    else:
        raise ShapeError(
            f"searchsorted: sequences of shape {rows.shape} and values of shape {values.shape} "
            "differ in a leading dim"
        )
    result: Any = wrap(found)
    return result.to(int32) if out_int32 else result


@searchsorted.samples
def _(make):
    yield (make(5).sort()[0], make(2, 3)), {}
    yield (make(2, 5).sort()[0], make(2, 3)), {}
    yield (make(5).round().sort()[0], make(3).round()), {"right": True}


@searchsorted.expect
def _(sorted_sequence, input, right=False):
    out = np.zeros(input.shape, int)
    for place in np.ndindex(input.shape):
        row = sorted_sequence if sorted_sequence.ndim == 1 else sorted_sequence[place[0]]
        out[place] = sum(v <= input[place] if right else v < input[place] for v in row)
    return out


@composite(tensors=("input", "boundaries"), method=False, takes="bif")
def bucketize(
    input: Tensor, boundaries: Tensor, *, out_int32: bool = False, right: bool = False
) -> Tensor:
    """Number of the interval between sorted ``boundaries`` in which each element lies."""
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


@bucketize.samples
def _(make):
    yield (make(2, 3), make(5).sort()[0]), {}


@bucketize.expect
def _(input, boundaries):
    return np.digitize(input, boundaries, right=True)
