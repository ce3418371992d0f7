"""Pooling whose windows follow from the size of the output."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.op import structured
from dtorch.core.ops.max_pooling import unpool_sum
from dtorch.core.ops.pooling import sides_of_input, window_sum
from dtorch.core.ops.resampling import Taps, resample
from dtorch.core.random import uniform
from dtorch.core.shapes import merged, per_dim
from dtorch.core.tensor import Tensor

Ints = tuple[int, ...]


def _output_sides(name: str, output_size: Any, sides: Ints) -> Ints:
    """Sizes of the output; None keeps one of the input's."""
    wanted = output_size if isinstance(output_size, Iterable) else [output_size] * len(sides)
    wanted = list(wanted)
    if len(wanted) == 1:
        wanted *= len(sides)
    if len(wanted) != len(sides):
        raise ArgumentError(
            f"{name}: output_size is {tuple(wanted)}, expected an int or {len(sides)} of them"
        )
    found = tuple(n if w is None else int(w) for w, n in zip(wanted, sides, strict=True))
    if min(found) < 0:
        raise ArgumentError(f"{name}: output_size is {found}, expected sizes of at least 0")
    if 0 in sides:
        raise ShapeError(f"{name}: input with sides {sides} has no elements to pool")
    return found


def _bounds(n: int, count: int) -> list[tuple[int, int]]:
    """First and last-but-one element of ``count`` windows that divide ``n`` elements evenly."""
    return [(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]


def _mean_taps(n: int, count: int) -> Taps:
    bounds = _bounds(n, count)
    longest = max((b - a for a, b in bounds), default=1)
    index = np.zeros((longest, count), np.int64)
    weight = np.zeros((longest, count))
    for i, (a, b) in enumerate(bounds):
        index[: b - a, i] = np.arange(a, b)
        index[b - a :, i] = a
        weight[: b - a, i] = 1 / (b - a)
    return index, weight


def _adaptive_avg(nd: int, input: Any, output_size: Any) -> Any:
    name = f"adaptive_avg_pool{nd}d"
    sides = sides_of_input(name, nd, input)
    wanted = _output_sides(name, output_size, sides)
    if all(w and n % w == 0 for n, w in zip(sides, wanted, strict=True)):
        kernel = tuple(n // w for n, w in zip(sides, wanted, strict=True))
        return window_sum(input, kernel, kernel, (0,) * nd, wanted, math.prod(kernel))
    return resample(
        input, tuple(_mean_taps(n, w) for n, w in zip(sides, wanted, strict=True))
    )  # fmt: skip


@composite(tensors=("input",), home="nn", takes="f")
def adaptive_avg_pool1d(input: Tensor, output_size: Any) -> Tensor:
    """Means of ``output_size`` windows that divide ``(N, C, L)`` evenly."""
    return _adaptive_avg(1, input, output_size)


@composite(tensors=("input",), home="nn", takes="f")
def adaptive_avg_pool2d(input: Tensor, output_size: Any) -> Tensor:
    """Means of windows that divide ``(N, C, H, W)`` evenly into ``output_size`` rows and columns.

    Window i reaches from ``floor(i * n / count)`` to ``ceil((i + 1) * n / count)``.

    Args:
        output_size: rows and columns of the output; one int means square, None keeps a size.
    """
    return _adaptive_avg(2, input, output_size)


@composite(tensors=("input",), home="nn", takes="f")
def adaptive_avg_pool3d(input: Tensor, output_size: Any) -> Tensor:
    """Means of windows that divide ``(N, C, D, H, W)`` evenly; see `adaptive_avg_pool2d`."""
    return _adaptive_avg(3, input, output_size)


@structured(
    tensors=("input",), outputs=("out", "index"), public=False, wide=True, keeps_format=("input",)
)
def largest_between(xp: ArrayModule, input: Any, bounds: Any) -> Any:
    """Largest value between the bounds given for each of the last dims, and its flat index."""
    nd = len(bounds)
    sides = input.shape[-nd:]
    shape = (*input.shape[:-nd], *map(len, bounds))
    out = xp.empty(shape, input.dtype)
    index = xp.empty(shape, np.int64)
    for at in np.ndindex(*map(len, bounds)):
        window = [bounds[dim][i] for dim, i in enumerate(at)]
        part = input[(..., *(slice(a, b) for a, b in window))]
        part = part.reshape(merged(part.shape, part.ndim - nd, part.ndim))
        best = part.argmax(-1)
        out[(..., *at)] = xp.take_along_axis(part, best[..., None], -1)[..., 0]
        places = np.unravel_index(best, [b - a for a, b in window])
        index[(..., *at)] = np.ravel_multi_index(
            [p + a for p, (a, _) in zip(places, window, strict=True)], sides
        )
    return out, index


@largest_between.gradient("input")
def _(grad, index, input_shape, bounds):
    return unpool_sum(grad, index, tuple(input_shape), len(bounds))


def _adaptive_max(nd: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    name = f"adaptive_max_pool{nd}d"
    sides = sides_of_input(name, nd, input)
    wanted = _output_sides(name, output_size, sides)
    bounds = tuple(tuple(_bounds(n, w)) for n, w in zip(sides, wanted, strict=True))
    out, index = largest_between(input, bounds)
    return (out, index) if return_indices else out


@composite(tensors=("input",), home="nn", has_out=False, takes="bif")
def adaptive_max_pool1d(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> Any | tuple[Any, Any]:
    """Largest values of ``output_size`` windows that divide ``(N, C, L)`` evenly."""
    return _adaptive_max(1, input, output_size, return_indices)


@composite(tensors=("input",), home="nn", has_out=False, takes="bif")
def adaptive_max_pool2d(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> Any | tuple[Any, Any]:
    """Largest values of windows that divide ``(N, C, H, W)`` evenly; see `adaptive_avg_pool2d`.

    Args:
        return_indices: return also where each value was found, as an index into the plane.
    """
    return _adaptive_max(2, input, output_size, return_indices)


@composite(tensors=("input",), home="nn", has_out=False, takes="bif")
def adaptive_max_pool3d(
    input: Tensor, output_size: Any, return_indices: bool = False
) -> Any | tuple[Any, Any]:
    """Largest values of windows that divide ``(N, C, D, H, W)`` evenly."""
    return _adaptive_max(3, input, output_size, return_indices)


def _adaptive_samples(*cases):
    def samples(make):
        for shape, size in cases:
            yield (make(*shape), size), {}

    return samples


_CASES = (
    (((2, 3, 7), 3), ((2, 6), 2)),
    (((1, 2, 5, 4), (3, 2)), ((2, 6, 4), (None, 2)), ((1, 1, 2, 3), (3, 5))),
    (((1, 2, 3, 4, 2), (2, 2, 1)),),
)


def _adaptive_reference(nd, reduce):
    def reference(input, output_size):
        sizes = output_size if isinstance(output_size, tuple) else (output_size,) * nd
        sides = input.shape[-nd:]
        sizes = [n if w is None else w for w, n in zip(sizes, sides, strict=True)]
        out = np.zeros((*input.shape[:-nd], *sizes))
        for at in np.ndindex(*sizes):
            cut = tuple(
                slice(math.floor(i * n / w), math.ceil((i + 1) * n / w))
                for i, n, w in zip(at, sides, sizes, strict=True)
            )
            out[(..., *at)] = reduce(input[(..., *cut)], tuple(range(-nd, 0)))
        return out

    return reference


for _nd, _avg, _max in (
    (1, adaptive_avg_pool1d, adaptive_max_pool1d),
    (2, adaptive_avg_pool2d, adaptive_max_pool2d),
    (3, adaptive_avg_pool3d, adaptive_max_pool3d),
):
    for _op, _reduce in ((_avg, np.mean), (_max, np.max)):
        _op.samples(_adaptive_samples(*_CASES[_nd - 1]))
        _op.expect(_adaptive_reference(_nd, _reduce))


# -- fractional ---------------------------------------------------------------------------------


def check_fractional(name: str, output_size: Any, output_ratio: Any) -> None:
    """Complain unless exactly one of size and ratio of the output is given."""
    if (output_size is None) == (output_ratio is None):
        raise ArgumentError(
            f"{name}: output_size is {output_size}, output_ratio {output_ratio}; expected exactly "
            "one of them"
        )
    if output_ratio is not None:
        ratios = output_ratio if isinstance(output_ratio, Iterable) else (output_ratio,)
        if any(not 0 < r < 1 for r in ratios):
            raise ArgumentError(f"{name}: output_ratio is {output_ratio}, expected between 0 and 1")


def _starts(sample: Any, n: int, count: int, kernel: int) -> Any:
    """Where ``count`` windows begin: steps of the same length, shifted by ``sample`` of one."""
    if count == 1:
        return np.full((*sample.shape, 1), n - kernel)
    step = (n - kernel) / (count - 1)
    i = np.arange(count - 1)
    first = np.floor((i + sample[..., None]) * step) - np.floor(sample[..., None] * step)
    last = np.full((*sample.shape, 1), n - kernel)
    return np.concatenate((first.astype(np.int64), last), -1)


@structured(tensors=("input",), outputs=("out", "index"), public=False, wide=True)
def largest_from(xp: ArrayModule, input: Array, starts: Any, kernel: Ints) -> Any:
    """Largest value of the windows that begin at ``starts``, and its flat index.

    Args:
        starts: for each of the last dims ``(*planes, windows)``.
    """
    nd = len(kernel)
    planes, sides = input.shape[:-nd], input.shape[-nd:]
    flat = input.reshape(merged(input.shape, input.ndim - nd, input.ndim))
    best = index = None
    for tap in itertools.product(*map(range, kernel)):
        place: Any = 0
        for dim in range(nd):
            along = starts[dim] + tap[dim]
            spread = along.reshape(*planes, *(1,) * dim, along.shape[-1], *(1,) * (nd - 1 - dim))
            place = place * sides[dim] + spread
        at = place.reshape(merged(place.shape, len(planes), place.ndim))
        values = xp.take_along_axis(flat, at, -1).reshape(place.shape)
        if best is None:
            best, index = values, place
        else:
            larger = (values > best) | (values != values)
            best = xp.where(larger, values, best)
            index = xp.where(larger, place, index)
    return best, index


@largest_from.gradient("input")
def _(grad, index, input_shape, kernel):
    return unpool_sum(grad, index, tuple(input_shape), len(kernel))


def _fractional(
    nd: int, input: Any, kernel_size: Any, output_size: Any, output_ratio: Any,
    return_indices: bool, samples: Any,
) -> Any:  # fmt: skip
    name = f"fractional_max_pool{nd}d"
    check_fractional(name, output_size, output_ratio)
    sides = sides_of_input(name, nd, input)
    kernel = per_dim(name, "kernel_size", kernel_size, nd)
    if output_size is not None:
        wanted = per_dim(name, "output_size", output_size, nd)
    else:
        ratio = output_ratio if isinstance(output_ratio, Sequence) else (output_ratio,) * nd
        wanted = tuple(int(n * r) for n, r in zip(sides, ratio, strict=True))
    if any(k + w - 1 > n or w < 1 for k, w, n in zip(kernel, wanted, sides, strict=True)):
        raise ShapeError(
            f"{name}: {wanted} windows of {kernel} do not fit into an input of shape "
            f"{tuple(input.shape)}"
        )
    planes = tuple(input.shape)[:-nd]
    if samples is None:
        drawn = uniform((*planes, nd), np.dtype(np.float64), None)
    else:
        lead = (1,) * (2 - len(planes)) + planes
        if tuple(samples.shape) != (*lead, nd):
            raise ShapeError(
                f"{name}: _random_samples have shape {tuple(samples.shape)}, expected {(*lead, nd)}"
            )
        drawn = samples._array.reshape(*planes, nd).astype(np.float64)
    # Samples are for the width first.
    starts = tuple(
        _starts(drawn[..., nd - 1 - dim] if nd == 2 else drawn[..., dim], n, w, k)
        for dim, (n, w, k) in enumerate(zip(sides, wanted, kernel, strict=True))
    )
    out, index = largest_from(input, starts, kernel)
    return (out, index) if return_indices else out


@composite(tensors=("input",), home="nn", has_out=False, takes="bif")
def fractional_max_pool2d(
    input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Any = None,
) -> Any | tuple[Any, Any]:  # fmt: skip
    """Largest values of windows that begin at random places, in order, of ``(N, C, H, W)``.

    Args:
        output_size: rows and columns of the output; or
        output_ratio: their ratio to the input's, between 0 and 1.
        return_indices: return also where the values were found.
        _random_samples: ``(N, C, 2)`` in [0, 1), from which the places follow.

    Reference: Graham 2014, arXiv:1412.6071.
    """
    return _fractional(
        2, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


@composite(tensors=("input",), home="nn", has_out=False, takes="bif")
def fractional_max_pool3d(
    input: Tensor, kernel_size: Any, output_size: Any = None, output_ratio: Any = None,
    return_indices: bool = False, _random_samples: Any = None,
) -> Any | tuple[Any, Any]:  # fmt: skip
    """Largest values of windows that begin at random places, in order, of ``(N, C, D, H, W)``;
    see `fractional_max_pool2d`."""
    return _fractional(
        3, input, kernel_size, output_size, output_ratio, return_indices, _random_samples
    )


@fractional_max_pool2d.samples
def _(make):
    yield (make(1, 2, 6, 7), 2, (3, 4)), {"_random_samples": make.constant(1, 2, 2, low=0, high=1)}
    yield (make(1, 1, 5, 5), 2, 1), {}


@fractional_max_pool3d.samples
def _(make):
    yield (
        (make(1, 1, 4, 5, 4), 2, (2, 3, 2)),
        {"_random_samples": make.constant(1, 1, 3, low=0, high=1)},
    )


def _fractional_reference(nd):
    def reference(input, kernel_size, output_size, _random_samples=None):
        sizes = output_size if isinstance(output_size, tuple) else (output_size,) * nd
        out = np.zeros((*input.shape[:-nd], *sizes))
        for plane in np.ndindex(*input.shape[:-nd]):
            begins = []
            for dim, (n, w) in enumerate(zip(input.shape[-nd:], sizes, strict=True)):
                if w == 1:
                    begins.append([n - kernel_size])
                    continue
                u = _random_samples[plane][1 - dim if nd == 2 else dim]
                a = (n - kernel_size) / (w - 1)
                begins.append([int((i + u) * a) - int(u * a) for i in range(w - 1)]
                              + [n - kernel_size])  # fmt: skip
            for at in np.ndindex(*sizes):
                cut = tuple(
                    slice(b[i], b[i] + kernel_size) for b, i in zip(begins, at, strict=True)
                )
                out[(*plane, *at)] = input[plane][cut].max()
        return out

    return reference


fractional_max_pool2d.expect(_fractional_reference(2))
fractional_max_pool3d.expect(_fractional_reference(3))
