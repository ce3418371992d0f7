"""Reductions: many elements to one, over all dims or some."""

from __future__ import annotations

import builtins
import math
from typing import Any, NamedTuple

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.coo import CooArray
from dtorch.core.dtype import as_dtype, from_numpy_dtype, get_default_dtype
from dtorch.core.errors import DimensionError, DtypeError
from dtorch.core.op import structured
from dtorch.core.ops.bounds import maximum, minimum
from dtorch.core.ops.comparison import choose, isfinite, keep
from dtorch.core.ops.complex import conjugate, holds_complex
from dtorch.core.ops.cumulative import accumulator, cumprod, wide_accumulator
from dtorch.core.ops.exponential import exp, share
from dtorch.core.ops.joining import cat
from dtorch.core.ops.repetition import flip
from dtorch.core.ops.selection import SelectionOp, ValuesIndices, put_back, take_one_along
from dtorch.core.ops.view import expand, narrow, permute
from dtorch.core.shapes import array_sum, normalize_dim, normalize_dims
from dtorch.core.tensor import Tensor


class MinMax(NamedTuple):
    """The smallest and the largest element."""

    min: Tensor
    max: Tensor


def spread(value: Any, shape: tuple[int, ...], dim: Any, keepdim: bool) -> Any:
    """A reduced value, repeated over the dims that were reduced."""
    if isinstance(value, CooArray):
        value = value.to_dense()
    if not keepdim:
        dims = normalize_dims("reduction", dim, len(shape))
        value = value.reshape(tuple(1 if d in dims else size for d, size in enumerate(shape)))
    return expand(value, tuple(shape))


def _keep_samples(make):
    yield (make(2, 3, 4),), {}
    yield (make(make.size(2, 60), 3, make.size(4, 400)), 1), {}
    yield (make(2, 3, 4), (0, -1), True), {}
    yield (make(),), {}


@structured(tensors=("input",), way="sum")
def sum(
    xp: ArrayModule, input: Array, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Array:
    """Sum over ``dim`` (an int, several, or None for all); integers sum as int64.

    Args:
        keepdim: keep the reduced dims, of size 1.
        dtype: type in which to sum.

    >>> import dtorch
    >>> dtorch.sum(dtorch.tensor([[1, 2], [3, 4]]), 0).tolist()
    [4, 6]
    """
    axis = None if dim is None else normalize_dims("sum", dim, input.ndim)
    target = accumulator(input, dtype)
    wide = wide_accumulator(target)
    total = array_sum(input, axis, keepdim, wide)
    return total if wide is target else total.astype(target)


@sum.gradient("input")
def _(grad, input_shape, dim, keepdim):
    return spread(grad, input_shape, dim, keepdim)


sum.samples(_keep_samples)


@sum.expect
def _(input, dim=None, keepdim=False):
    return np.add.reduce(input, axis=dim if dim is not None else tuple(range(input.ndim)),
                         keepdims=keepdim)  # fmt: skip


@structured(tensors=("input",))
def mean(
    xp: ArrayModule, input: Array, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Array:
    """Mean over ``dim`` (an int, several, or None for all).

    Raises:
        DtypeError: an integer tensor without ``dtype``.

    >>> import dtorch
    >>> dtorch.mean(dtorch.tensor([1.0, 2.0])).item()
    1.5
    """
    if dtype is not None:
        input = input.astype(as_dtype(dtype).numpy)
    if input.dtype.kind in "iub":
        raise DtypeError(
            f"mean: input is {from_numpy_dtype(input.dtype)}, expected a floating-point or complex "
            "dtype; convert it with .float() or pass dtype="
        )
    axis = normalize_dims("mean", dim, input.ndim)
    count = math.prod(input.shape[d] for d in axis)
    wide = wide_accumulator(input.dtype)
    total = array_sum(input, axis, keepdim, wide)
    out = total / wide.type(count) if count else total * np.nan
    return out if wide is input.dtype else out.astype(input.dtype)


@mean.gradient("input")
def _(grad, input_shape, dim, keepdim):
    dims = normalize_dims("mean", dim, len(input_shape))
    count = math.prod(input_shape[d] for d in dims)
    return spread(grad / (count or 1), input_shape, dim, keepdim)


mean.samples(_keep_samples)


@mean.expect
def _(input, dim=None, keepdim=False):
    return np.average(input, axis=dim, keepdims=keepdim)


@structured(tensors=("input",), wide=True)
def prod(
    xp: ArrayModule, input: Array, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Array:
    """Product over ``dim``, or of all elements."""
    axis = None if dim is None else normalize_dims("prod", dim, input.ndim)
    return xp.prod(input, axis=axis, keepdims=keepdim, dtype=accumulator(input, dtype))


@prod.gradient("input")
def _(grad, input, dim, keepdim):
    # The product of the others, formed without division so that zeros are no exception.
    shape = tuple(input.shape)
    dims = normalize_dims("prod", dim, len(shape))
    rest = tuple(d for d in range(len(shape)) if d not in dims)
    order = (*rest, *dims)
    flat = permute(input, order)
    n = math.prod(shape[d] for d in dims)
    flat = flat.reshape((*(shape[d] for d in rest), n))
    others = product_of_others(flat, n)
    g = grad.reshape((*(shape[d] for d in rest), 1)) * others.conj()
    g = g.reshape(tuple(shape[d] for d in order))
    back = tuple(sorted(range(len(shape)), key=lambda i: order[i]))
    return permute(g, back)


def product_of_others(flat: Any, n: int) -> Any:
    if n == 0:
        return flat
    one = keep(narrow(flat, -1, 0, 1), False) + 1
    before = cumprod(cat([one, narrow(flat, -1, 0, n - 1)], -1), -1)
    after = cumprod(cat([one, flip(narrow(flat, -1, 1, n - 1), (-1,))], -1), -1)
    return before * flip(after, (-1,))


prod.samples(_keep_samples)


@prod.expect
def _(input, dim=None, keepdim=False):
    return np.multiply.reduce(input, axis=dim, keepdims=keepdim)


@structured(tensors=("input",), takes="bif")
def amax(xp: ArrayModule, input: Array, dim: Any = (), keepdim: bool = False) -> Array:
    """Largest element over ``dim``; equal ones share the gradient.

    >>> import dtorch
    >>> dtorch.amax(dtorch.tensor([[1, 2], [4, 3]]), 1).tolist()
    [2, 4]
    """
    _refuse_empty("amax", input, dim)
    return xp.max(input, axis=normalize_dims("amax", dim, input.ndim), keepdims=keepdim)


@structured(tensors=("input",), takes="bif")
def amin(xp: ArrayModule, input: Array, dim: Any = (), keepdim: bool = False) -> Array:
    """Smallest element over ``dim``; equal ones share the gradient."""
    _refuse_empty("amin", input, dim)
    return xp.min(input, axis=normalize_dims("amin", dim, input.ndim), keepdims=keepdim)


def _refuse_empty(name: str, input: Any, dim: Any) -> None:
    dims = normalize_dims(name, dim, input.ndim)
    if builtins.any(input.shape[d] == 0 for d in dims):
        raise DimensionError(
            f"{name}: input has shape {tuple(input.shape)}, no elements in dim {dim}"
        )


def _extreme_gradient(grad: Any, input: Any, out: Any, dim: Any, keepdim: bool) -> Any:
    shape = tuple(input.shape)
    hit = input == spread(out, shape, dim, keepdim)
    if bool((out != out).any()):
        hit = hit | (input != input)
    hits = sum(choose(hit, 1.0, keep(input, False)), dim, keepdim)
    return keep(spread(grad / hits, shape, dim, keepdim), hit)


_reference: Any
for _op, _reference in ((amax, np.max), (amin, np.min)):
    _op.gradient("input")(_extreme_gradient)
    _op.samples(_keep_samples)

    @_op.expect
    def _(input, dim=None, keepdim=False, _reference=_reference):
        return _reference(input, axis=dim, keepdims=keepdim)


def _selection(xp: ArrayModule, name: str, input: Any, dim: int, keepdim: bool) -> Any:
    dim = normalize_dim(name, dim, input.ndim)
    if not input.ndim:
        return input.copy(), xp.zeros((), np.int64)
    _refuse_empty(name, input, dim)
    index = (xp.argmax if name == "max" else xp.argmin)(input, axis=dim)
    return take_one_along(xp, input, index, dim, keepdim)


def _max_along(xp: ArrayModule, input: Array, dim: int, keepdim: bool = False) -> Any:
    return _selection(xp, "max", input, dim, keepdim)


def _min_along(xp: ArrayModule, input: Array, dim: int, keepdim: bool = False) -> Any:
    return _selection(xp, "min", input, dim, keepdim)


max_along = SelectionOp(_max_along, public=False)
min_along = SelectionOp(_min_along, public=False)


for _op in (max_along, min_along):
    _op.gradient("input")(put_back)


def _extreme(all_of: Any, along: Any, pairwise: Any, args: tuple[Any, ...]) -> Any:
    input, dim, keepdim = args
    if dim is None:
        return all_of(input)
    if isinstance(dim, (bool, int, np.integer)):
        return along(input, int(dim), keepdim)
    return pairwise(input, dim)


@composite(tensors=("input",), aliases={"other": "dim"}, takes="bif")
def max(
    input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False
) -> Tensor | ValuesIndices:
    """Largest element: of all; along ``dim``, with its index; or of two tensors, element by
    element (``max(input, other)``)."""
    return _extreme(amax, max_along, maximum, (input, dim, keepdim))


@composite(tensors=("input",), aliases={"other": "dim"}, takes="bif")
def min(
    input: Tensor, dim: int | Tensor | None = None, keepdim: bool = False
) -> Tensor | ValuesIndices:
    """Smallest element: of all; along ``dim``, with its index; or of two tensors, element by
    element (``min(input, other)``)."""
    return _extreme(amin, min_along, minimum, (input, dim, keepdim))


def _extreme_samples(make):
    yield (make(2, 3),), {}
    yield (make(2, 3), 1), {}
    yield (make(2, 3), 0, True), {}
    yield (make(2, 3), make(3)), {}


for _op, _reduce, _arg, _pairwise in (
    (max, np.max, np.argmax, np.maximum),
    (min, np.min, np.argmin, np.minimum),
):
    _op.samples(_extreme_samples)

    @_op.expect
    def _(input, dim=None, keepdim=False, _reduce=_reduce, _arg=_arg, _pairwise=_pairwise):
        if dim is None:
            return _reduce(input)
        if not isinstance(dim, int):
            return _pairwise(input, dim)
        return _reduce(input, dim, keepdims=keepdim), _arg(input, dim, keepdims=keepdim)


def _index_samples(make):
    yield (make(2, 3),), {}
    yield (make(2, 3), 1), {}
    yield (make(2, 3), -2, True), {}


@structured(tensors=("input",), takes="if")
def argmax(xp: ArrayModule, input: Array, dim: Any = None, keepdim: bool = False) -> Array:
    """Index of the largest element along ``dim``, or in the flattened tensor; the first of equals.

    >>> import dtorch
    >>> dtorch.argmax(dtorch.tensor([1, 3, 2])).item()
    1
    """
    return xp.argmax(input, axis=_arg_dim("argmax", input, dim), keepdims=keepdim)


@structured(tensors=("input",), takes="if")
def argmin(xp: ArrayModule, input: Array, dim: Any = None, keepdim: bool = False) -> Array:
    """Index of the smallest element along ``dim``, or in the flattened tensor; the first of
    equals."""
    return xp.argmin(input, axis=_arg_dim("argmin", input, dim), keepdims=keepdim)


def _arg_dim(name: str, input: Any, dim: Any) -> int | None:
    _refuse_empty(name, input, dim)
    if dim is None:
        return None
    dim = normalize_dim(name, dim, input.ndim)
    return dim if input.ndim else None


argmax.samples(_index_samples)
argmin.samples(_index_samples)
argmax.expect(lambda input, dim=None, keepdim=False: np.argmin(-input, dim, keepdims=keepdim))
argmin.expect(lambda input, dim=None, keepdim=False: np.argmax(-input, dim, keepdims=keepdim))


@structured(tensors=("input",))
def all(xp: ArrayModule, input: Array, dim: Any = None, keepdim: bool = False) -> Array:
    """Whether all elements are not zero: bool, but uint8 of a uint8 tensor, the classic mask."""
    out = xp.all(input, axis=normalize_dims("all", dim, input.ndim), keepdims=keepdim)
    return out.astype(np.uint8) if input.dtype == np.uint8 else out


@structured(tensors=("input",))
def any(xp: ArrayModule, input: Array, dim: Any = None, keepdim: bool = False) -> Array:
    """Whether some element is not zero: bool, but uint8 of a uint8 tensor, the classic mask."""
    out = xp.any(input, axis=normalize_dims("any", dim, input.ndim), keepdims=keepdim)
    return out.astype(np.uint8) if input.dtype == np.uint8 else out


for _op, _reference in ((all, np.min), (any, np.max)):
    _op.samples(lambda make: iter([((make(2, 3) > 0,), {}), ((make(2, 3) > 0, 1, True), {})]))

    @_op.expect
    def _(input, dim=None, keepdim=False, _reference=_reference):
        return _reference(input, axis=dim, keepdims=keepdim)


@structured(tensors=("input",), wide=True)
def logsumexp(xp: ArrayModule, input: Array, dim: Any, keepdim: bool = False) -> Array:
    """``log(sum(exp(input)))`` over ``dim``, without overflow.

    >>> import dtorch
    >>> dtorch.logsumexp(dtorch.zeros(1), 0).item()
    0.0
    """
    if input.dtype.kind in "iub":
        input = input.astype(get_default_dtype().numpy)
    axis = normalize_dims("logsumexp", dim, input.ndim)
    top = xp.max(input, axis=axis, keepdims=True, initial=-np.inf)
    top = xp.where(xp.isfinite(top), top, input.dtype.type(0))
    total = xp.log(xp.sum(xp.exp(input - top), axis=axis, keepdims=True)) + top
    return total if keepdim else xp.squeeze(total, axis)


@logsumexp.gradient("input")
def _(grad, input, out, dim, keepdim):
    shape = tuple(input.shape)
    total = spread(out, shape, dim, keepdim)
    found = exp(input - total) if bool(isfinite(out).all()) else share(input, total)
    if holds_complex(found):
        found = conjugate(found)
    whole = sum(found, dim, keepdim)  # 1 but for the rounding of the result, or 0
    return found * spread(grad / choose(whole == 0, 1.0, whole), shape, dim, keepdim)


@logsumexp.samples
def _(make):
    yield (make(2, 3), 1), {}
    yield (make(2, 3), 0, True), {}


@logsumexp.expect
def _(input, dim, keepdim=False):
    return np.log(np.sum(np.exp(input), dim, keepdims=keepdim))


@composite(tensors=("input",), takes="bif")
def aminmax(input: Tensor, *, dim: int | None = None, keepdim: bool = False) -> MinMax:
    """Smallest and largest element, of all or along ``dim``, as ``(min, max)``."""
    dims = () if dim is None else dim
    return MinMax(amin(input, dims, keepdim), amax(input, dims, keepdim))


@aminmax.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(2, 3),), {"dim": 1, "keepdim": True}


@aminmax.expect
def _(input, dim=None, keepdim=False):
    return np.min(input, dim, keepdims=keepdim), np.max(input, dim, keepdims=keepdim)


@structured(tensors=("input",))
def count_nonzero(xp: ArrayModule, input: Array, dim: Any = None) -> Array:
    """How many elements are not zero, over ``dim`` or in all."""
    axis = None if dim is None else normalize_dims("count_nonzero", dim, input.ndim)
    return xp.asarray(xp.count_nonzero(input, axis=axis), np.int64)


@count_nonzero.samples
def _(make):
    yield (make(2, 3).round(),), {}
    yield (make(2, 3).round(), 1), {}


@count_nonzero.expect
def _(input, dim=None):
    return np.sum(input != 0, axis=dim)


@composite(tensors=("input",))
def nansum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Sum over ``dim``, in which nan counts as 0."""
    return sum(choose(input != input, 0, input), dim, keepdim, dtype=dtype)


@composite(tensors=("input",), wide=True)
def nanmean(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """Mean over ``dim`` of the elements that are not nan."""
    return nansum(input, dim, keepdim, dtype=dtype) / sum(input == input, dim, keepdim)


for _op, _reference in ((nansum, np.nansum), (nanmean, np.nanmean)):

    @_op.samples
    def _(make):
        holed = make.constant(3, 4)
        holed[1, 2] = math.nan
        yield (holed,), {}
        yield (holed, 1), {}
        yield (make(3, 4), 0, True), {}

    @_op.expect
    def _(input, dim=None, keepdim=False, _reference=_reference):
        return _reference(input, dim, keepdims=keepdim)
