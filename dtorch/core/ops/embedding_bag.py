"""Rows of a table looked up by number and combined, bag by bag."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import wrap
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, ShapeError, UnsupportedError
from dtorch.core.op import structured
from dtorch.core.ops.comparison import keep
from dtorch.core.ops.embedding import check_lookup, check_padding, look_up, lookup, shrink_rows
from dtorch.core.ops.gathering import gather
from dtorch.core.ops.view import unsqueeze
from dtorch.core.shapes import ends
from dtorch.core.tensor import Tensor


@structured(tensors=("input", "group"), public=False, wide=True)
def group_sum(xp: ArrayModule, input: Array, group: Array, count: int) -> Array:
    """Sums of the rows of each of ``count`` groups; ``group`` numbers the group of each row."""
    out = xp.zeros((count, *input.shape[1:]), input.dtype)
    xp.add.at(out, group, input)
    return out


@group_sum.gradient("input")
def _(grad, group):
    return lookup(grad, group, None, False)


def _bags(name: str, input: Any, offsets: Any, include_last: bool) -> tuple[Any, int]:
    """The bag of each element of a flat input, and the number of bags."""
    starts = offsets._array
    if starts.ndim != 1 or starts.dtype.kind not in "iu":
        raise ShapeError(
            f"{name}: offsets are {offsets.dtype} of shape {tuple(starts.shape)}, expected 1-D int64"
        )
    total = input._array.size
    if include_last:
        if not starts.size or int(starts[-1]) != total:
            raise ArgumentError(f"{name}: the last offset is not the length of the input, {total}")
        starts = starts[:-1]
    if starts.size and int(starts[0]) != 0:
        raise ArgumentError(f"{name}: the first offset is {int(starts[0])}, expected 0")
    lengths = np.diff(np.append(starts, total))
    if lengths.size and int(lengths.min()) < 0:
        raise ArgumentError(f"{name}: offsets decrease or exceed the length of the input, {total}")
    return np.repeat(np.arange(starts.size), lengths), int(starts.size)


@composite(
    tensors=("input", "weight", "per_sample_weights"),
    home="nn",
    has_out=False,
    wide=True,
    takes="f",
    takes_of=("weight",),
)
def embedding_bag(
    input: Any, weight: Any, offsets: Any = None, max_norm: float | None = None,
    norm_type: float = 2, scale_grad_by_freq: bool = False, mode: str = "mean",
    sparse: bool = False, per_sample_weights: Any = None, include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:  # fmt: skip
    """Sums, means or maxima of the rows of a table that each bag of numbers asks for.

    Args:
        input: ``(bags, numbers)``; or flat, with
        offsets: where each bag begins in it.
        weight: ``(rows, columns)``.
        mode: ``"sum"``, ``"mean"`` or ``"max"``; an empty bag gives zeros.
        per_sample_weights: a factor of each number (``"sum"`` only).
        include_last_offset: the last offset is the length of the input.
        padding_idx: a row that counts nothing.
        max_norm, norm_type, scale_grad_by_freq: as in `embedding`.
    """
    name = "embedding_bag"
    if mode not in ("sum", "mean", "max"):
        raise ArgumentError(f"{name}: mode is {mode!r}, expected 'sum', 'mean' or 'max'")
    if mode == "max" and scale_grad_by_freq:
        raise ArgumentError(f"{name}: scale_grad_by_freq has no meaning for mode 'max'")
    if per_sample_weights is not None:
        if mode != "sum":
            raise UnsupportedError(f"{name}: per_sample_weights are for mode 'sum', not {mode!r}")
        if tuple(per_sample_weights.shape) != tuple(input.shape):
            raise ShapeError(
                f"{name}: per_sample_weights have shape {tuple(per_sample_weights.shape)}, "
                f"expected {tuple(input.shape)} like the input"
            )
    rows = weight.shape[0]
    numbers = check_lookup(name, input, rows)
    if input.ndim == 2:
        if offsets is not None:
            raise ArgumentError(f"{name}: offsets are for a 1-dimensional input")
        count = numbers.shape[0]
        bag = np.repeat(np.arange(count), numbers.shape[1])
    elif input.ndim == 1 and offsets is not None:
        bag, count = _bags(name, input, offsets, include_last_offset)
    else:
        raise ShapeError(
            f"{name}: input has shape {tuple(input.shape)}, expected (bags, numbers), or (numbers,) "
            "with offsets"
        )
    if max_norm is not None:
        shrink_rows(weight, numbers, max_norm, norm_type)
    padding = check_padding(name, padding_idx, rows)
    flat = numbers.reshape(-1)
    if padding is not None:
        kept = flat != padding
        flat, bag = flat[kept], bag[kept]
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape((-1,))[wrap(kept)]
    found = look_up(name, weight, wrap(flat), None, scale_grad_by_freq, sparse)
    group = wrap(bag)
    if mode == "max" and flat.size:
        return _largest(found, bag, count)
    if per_sample_weights is not None:
        found = found * unsqueeze(per_sample_weights.reshape((-1,)), 1)
    out = group_sum(found, group, count)
    if mode != "mean":
        return out
    sizes = np.maximum(np.bincount(bag, minlength=count), 1).astype(found._array.dtype)
    return out / unsqueeze(wrap(sizes), 1)


def _largest(found: Any, bag: Any, count: int) -> Any:
    """The largest of each column in each bag."""
    columns = found.shape[1]
    index = np.zeros((count, columns), np.int64)
    full = np.zeros((count, 1), bool)
    starts = np.searchsorted(bag, np.arange(count + 1))
    for i in range(count):
        a, b = int(starts[i]), int(starts[i + 1])
        if a < b:
            index[i] = a + found._array[a:b].argmax(0)
            full[i] = True
    return keep(gather(found, 0, wrap(index)), wrap(full))


@embedding_bag.samples
def _(make):
    offsets = make.index(3, high=1)
    offsets._array[...] = [0, 2, 2]
    yield (make.index(2, 3, high=4), make(4, 2)), {}
    yield (make.index(5, high=4), make(4, 2), offsets), {"mode": "sum"}
    yield (make.index(5, high=4), make(4, 2), offsets), {"mode": "max"}
    yield (
        (make.index(2, 3, high=4), make(4, 2)),
        {"mode": "sum", "per_sample_weights": make(2, 3)},
    )
    yield (make.index(3, 4, high=3), make(3, 2)), {"padding_idx": 1}


@embedding_bag.expect
def _(input, weight, offsets=None, mode="mean", per_sample_weights=None, padding_idx=None):
    if offsets is None:
        bags = [list(row) for row in input]
        factors = np.ones(input.shape) if per_sample_weights is None else per_sample_weights
    else:
        ends = [*offsets[1:], len(input)]
        bags = [list(input[a:b]) for a, b in zip(offsets, ends, strict=True)]
        factors = [np.ones(len(bag)) for bag in bags]
    out = np.zeros((len(bags), weight.shape[1]))
    for i, (bag, factor) in enumerate(zip(bags, factors, strict=True)):
        rows = [weight[k] * f for k, f in zip(bag, factor, strict=True) if k != padding_idx]
        if rows:
            fold: Any = {"sum": np.sum, "mean": np.mean, "max": np.max}[mode]
            out[i] = fold(rows, axis=0)
    return out


@composite(tensors=("tensor",), home="nn")
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """Numbers as rows of 0 with a 1 at that position: ``(*)`` to ``(*, num_classes)``, int64.

    Args:
        num_classes: length of the rows. Default (-1): the largest number plus 1.
    """
    numbers = tensor._array
    if numbers.dtype != np.int64:
        raise ShapeError(f"one_hot: tensor is {tensor.dtype}, expected int64")
    if not numbers.size and num_classes <= 0:
        raise ArgumentError("one_hot: the tensor is empty, so num_classes must be given")
    least, top = ends(numbers) if numbers.size else (0, -1)
    if least < 0:
        raise ArgumentError(f"one_hot: class {least} is negative")
    if num_classes == -1:
        num_classes = top + 1
    if num_classes < 1 or top >= num_classes:
        raise ArgumentError(f"one_hot: num_classes is {num_classes}, the largest class {top}")
    out = np.zeros((*numbers.shape, num_classes), np.int64)
    out.reshape(-1, num_classes)[np.arange(numbers.size), numbers.reshape(-1)] = 1
    return wrap(out)


@one_hot.samples
def _(make):
    yield (make.index(2, 3, high=4), 4), {}


@one_hot.expect
def _(tensor, num_classes):
    return np.eye(num_classes, dtype=np.int64)[tensor]
