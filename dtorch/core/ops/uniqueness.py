"""Different elements and how often they occur."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.base import wrap
from dtorch.core.composites import composite
from dtorch.core.dtype import refuse_dtypes
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.core.half import narrowed, widened
from dtorch.core.shapes import normalize_dim
from dtorch.core.tensor import Tensor


def _chosen(parts: tuple[Any, ...], flags: tuple[bool, bool]) -> Any:
    """The values, and the inverse and the counts as far as asked for."""
    kept = [parts[0], *(part for part, wanted in zip(parts[1:], flags, strict=True) if wanted)]
    tensors = tuple(wrap(np.asarray(part, order="C")) for part in kept)
    return tensors if len(tensors) > 1 else tensors[0]


@composite(tensors=("input",), has_out=False)
def unique(
    input: Tensor, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False,
    dim: int | None = None,
) -> Any | tuple[Any, ...]:  # fmt: skip
    """The different elements in order, or the different slices along ``dim``.

    Args:
        sorted: accepted for compatibility; the result is always in order.
        return_inverse: also where in the result each element is found.
        return_counts: also how often each occurs.

    >>> import dtorch
    >>> dtorch.unique(dtorch.tensor([2, 1, 2])).tolist()
    [1, 2]
    """
    array = input._array
    axis = None if dim is None else normalize_dim("unique", dim, array.ndim)
    found: Any = np.unique(  # type: ignore[call-overload]  # the flags are no literals
        widened(array), return_inverse=return_inverse, return_counts=return_counts, axis=axis,
        equal_nan=False,
    )  # fmt: skip
    values, *rest = found if return_inverse or return_counts else (found,)
    values = narrowed(values, array.dtype)
    if return_inverse:
        rest[0] = rest[0].reshape(array.shape if axis is None else -1)
    tensors = tuple(wrap(np.asarray(part, order="C")) for part in (values, *rest))
    return tensors if rest else tensors[0]


@unique.samples
def _(make):
    yield ((make.constant(3, 4) * 2).round().long(),), {}
    yield ((make.constant(9) * 2).round().long(), True, True, True), {}
    yield ((make.constant(6, 1) * 2).round().long(), True, True, True, 0), {}


@unique.expect
def _(input, sorted=True, return_inverse=False, return_counts=False, dim=None):
    values = np.array(list(dict.fromkeys(np.sort(input, None).tolist())))
    shown = values if dim is None else values[:, None]
    if not return_inverse:
        return shown
    inverse = np.argmax(input.ravel()[:, None] == values, 1)
    return shown, inverse, np.bincount(inverse)


@composite(tensors=("input",), has_out=False)
def unique_consecutive(
    input: Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any | tuple[Any, ...]:
    """The elements (or slices along ``dim``) without those equal to the one before.

    >>> import dtorch
    >>> dtorch.unique_consecutive(dtorch.tensor([1, 1, 2, 1])).tolist()
    [1, 2, 1]
    """
    array = input._array
    whole = array.reshape(-1) if dim is None else array
    axis = 0 if dim is None else normalize_dim("unique_consecutive", dim, array.ndim)
    lines = np.moveaxis(whole, axis, 0) if whole.ndim else whole.reshape(1)
    begins = np.ones(len(lines), bool)
    rest = lines.reshape(len(lines), math.prod(lines.shape[1:]))
    begins[1:] = (rest[1:] != rest[:-1]).any(1)
    starts = np.flatnonzero(begins)
    inverse = np.cumsum(begins) - 1
    counts = np.diff(np.append(starts, len(lines)))
    if dim is None:
        inverse = inverse.reshape(array.shape)
    return _chosen((np.take(whole, starts, axis), inverse, counts), (return_inverse, return_counts))


@unique_consecutive.samples
def _(make):
    yield ((make.constant(12) * 1.4).round().long(), True, True), {}
    yield ((make.constant(8, 1)).round().long(),), {"dim": 0}


@unique_consecutive.expect
def _(input, return_inverse=False, return_counts=False, dim=None):
    flat = input.ravel()
    starts = [i for i in range(len(flat)) if i == 0 or flat[i] != flat[i - 1]]
    if dim is not None:
        return input[starts]
    counts = [b - a for a, b in zip(starts, [*starts[1:], len(flat)], strict=True)]
    return flat[starts], np.repeat(np.arange(len(starts)), counts), np.array(counts)


@composite(tensors=("input", "weights"))
def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each whole number from 0 on occurs, or the sum of the weights at its places.

    Raises:
        ArgumentError: negative numbers, or too large ones.

    >>> import dtorch
    >>> dtorch.bincount(dtorch.tensor([0, 2, 2])).tolist()
    [1, 0, 2]
    """
    array = input._array
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ShapeError(
            f"bincount: input is {array.dtype} of shape {array.shape}, expected 1-D integers"
        )
    if array.size and array.min() < 0:
        raise ArgumentError(f"bincount: input has the negative number {array.min()}")
    if array.size and int(array.max()) >= 2**60:  # whose counts have no addresses
        raise ArgumentError(f"bincount: input has {array.max()}, too large a number to count up to")
    if minlength < 0:
        raise ArgumentError(f"bincount: minlength is {minlength}, expected at least 0")
    if weights is None:
        return wrap(np.bincount(array, minlength=minlength))
    values = weights._array
    if values.shape != array.shape:
        raise ShapeError(f"bincount: weights of shape {values.shape} for input of {array.shape}")
    refuse_dtypes("bincount", "c", weights.dtype)
    sums = np.bincount(array, values, minlength)
    return wrap(sums.astype(values.dtype, copy=False) if values.dtype == np.float32 else sums)


@bincount.samples
def _(make):
    yield (make.index(9, high=5),), {}
    yield (make.index(9, high=5), make.constant(9), 8), {}


@bincount.expect
def _(input, weights=None, minlength=0):
    size = max(minlength, input.max() + 1)
    weight = np.ones(len(input), int) if weights is None else weights
    return np.array([weight[input == i].sum() for i in range(size)])


@composite(tensors=("input",))
def histc(input: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of ``bins`` intervals of one width from ``min`` to ``max``.

    Args:
        min, max: if equal, the smallest and largest element. The upper bound belongs to the last
            interval; elements outside are ignored.
    """
    array = input._array
    if array.dtype.kind not in "fV":
        raise DtypeError(f"histc: input is {array.dtype}, expected a floating-point dtype")
    if bins < 1:
        raise ArgumentError(f"histc: bins is {bins}, expected at least 1")
    if max < min:
        raise ArgumentError(f"histc: max is {max}, below min, which is {min}")
    low, high = float(min), float(max)
    if low == high and array.size:
        low, high = float(array.min()), float(array.max())
    if not np.isfinite((low, high)).all():
        raise ArgumentError(f"histc: the range from {low} to {high} is not finite")
    if low == high:
        low, high = low - 1, high + 1
    flat = array.reshape(-1).astype(np.float64)
    flat = flat[(flat >= low) & (flat <= high)]
    place = np.minimum(((flat - low) * (bins / (high - low))).astype(np.int64), bins - 1)
    return wrap(np.bincount(place, minlength=bins).astype(array.dtype))


@histc.samples
def _(make):
    yield (make.constant(20),), {}
    yield (make.constant(20), 5, -0.5, 0.5), {}


@histc.expect
def _(input, bins=100, min=0, max=0):
    low, high = (min, max) if max > min else (input.min(), input.max())
    return np.histogram(input, bins, (low, high))[0].astype(input.dtype)


@composite(tensors=("elements", "test_elements"), method=False, has_out=False, takes="bif")
def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is among others; one of the two may be a number.

    Args:
        assume_unique: no number comes twice in either; nothing is gained by saying so.
        invert: whether it is not.
    """
    given = elements if isinstance(elements, Tensor) else test_elements
    arrays = [
        t._array if isinstance(t, Tensor) else np.asarray(t) for t in (elements, test_elements)
    ]
    xp = backend.array_module(given._array)
    if xp is not np:
        return wrap(xp.empty(arrays[0].shape, np.bool_))
    wide = [a.astype(np.float32) if a.dtype.kind == "V" else a for a in arrays]
    return wrap(np.isin(wide[0], wide[1], invert=invert))


@isin.samples
def _(make):
    yield (make.index(3, 4, high=6), make.index(3, high=6)), {}
    yield (make.index(3, 4, high=6), make.index(3, high=6)), {"invert": True}


@isin.expect
def _(elements, test_elements, invert=False):
    wanted = set(np.atleast_1d(test_elements).tolist())
    return np.vectorize(lambda element: (element in wanted) != invert, otypes=[bool])(elements)
