"""Resizing: signals, images and volumes of another size."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dtorch.core.composites import composite
from dtorch.core.dtype import float32, refuse_dtypes, uint8
from dtorch.core.errors import ArgumentError, ShapeError, UnsupportedError
from dtorch.core.ops.adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from dtorch.core.ops.bounds import clamp
from dtorch.core.ops.conversion import convert
from dtorch.core.ops.resampling import Taps, resample
from dtorch.core.ops.rounding import floor
from dtorch.core.tensor import Tensor

_DIMS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}
_MODES = ("nearest", "nearest-exact", "area", *_DIMS)


def _nearest(n: int, count: int, step: float, shift: float) -> Taps:
    index = np.floor((np.arange(count) + shift) * step + 1e-9 * (shift == 0)).astype(np.int64)
    return np.minimum(index, n - 1)[None], np.ones((1, count))


def _sources(n: int, count: int, step: float, align_corners: bool) -> Any:
    """Where each output lies in the input."""
    if align_corners:
        return np.arange(count) * ((n - 1) / (count - 1) if count > 1 else 0.0)
    return (np.arange(count) + 0.5) * step - 0.5


def _linear(n: int, count: int, step: float, align_corners: bool) -> Taps:
    place = np.maximum(_sources(n, count, step, align_corners), 0)
    left = np.minimum(np.floor(place).astype(np.int64), n - 1)
    share = np.clip(place - left, 0, 1)
    return np.stack((left, np.minimum(left + 1, n - 1))), np.stack((1 - share, share))


def cubic_weights(t: Any, a: float) -> list[Any]:
    """Weights of the four neighbours of a place ``t`` behind the second of them."""

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]


def _cubic(n: int, count: int, step: float, align_corners: bool) -> Taps:
    place = _sources(n, count, step, align_corners)
    left = np.floor(place)
    index = np.stack([left + k for k in (-1, 0, 1, 2)]).astype(np.int64)
    return np.clip(index, 0, n - 1), np.stack(cubic_weights(place - left, -0.75))


def _triangle(x: Any) -> Any:
    return np.maximum(1 - np.abs(x), 0)


def _catmull_rom(x: Any) -> Any:
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _smooth(n: int, count: int, step: float, kernel: Callable[[Any], Any], radius: float) -> Taps:
    """Weights of a filter as wide as the step, so that fine patterns do not fold over."""
    scale = max(step, 1.0)
    support = radius * scale
    centre = step * (np.arange(count) + 0.5)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), n)
    taps = np.arange(int((last - first).max()))[:, None]
    index = first + taps
    weight = np.where(index < last, kernel((index - centre + 0.5) / scale), 0)
    return np.minimum(index, n - 1), weight / weight.sum(0)


def _taps(mode: str, n: int, count: int, step: float, align: bool, antialias: bool) -> Taps:
    if mode == "nearest":
        return _nearest(n, count, step, 0.0)
    if mode == "nearest-exact":
        return _nearest(n, count, step, 0.5)
    if antialias and align:
        step = (n - 1) / (count - 1) if count > 1 else 0.0
    if mode == "bicubic":
        if antialias:
            return _smooth(n, count, step, _catmull_rom, 2.0)
        return _cubic(n, count, step, align)
    if antialias:
        return _smooth(n, count, step, _triangle, 1.0)
    return _linear(n, count, step, align)


def _several(name: str, what: str, value: Any, nd: int) -> list[Any]:
    values = list(value) if isinstance(value, Iterable) else [value] * nd
    if len(values) != nd:
        raise ArgumentError(f"{name}: {what} is {tuple(values)}, expected one number or {nd}")
    return values


@composite(tensors=("input",), home="nn")
def interpolate(
    input: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest",
    align_corners: bool | None = None, recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:  # fmt: skip
    """The input resized: ``(N, C, L)``, ``(N, C, H, W)`` or ``(N, C, D, H, W)``.

    Args:
        size: sizes of the output; or
        scale_factor: how many times the input's; one number or one for each dim.
        mode: ``"nearest"``, ``"nearest-exact"``, ``"area"`` (means), ``"linear"`` for 3
            dimensions, ``"bilinear"`` and ``"bicubic"`` for 4, ``"trilinear"`` for 5.
        align_corners: the centres of the corner elements of input and output coincide, instead of
            their outer edges.
        recompute_scale_factor: take the ratio of the sizes instead of ``scale_factor`` itself.
        antialias: widen the filter when shrinking (``"bilinear"`` and ``"bicubic"``).

    Integers are taken as they are for ``"nearest"``; of bytes, ``"bilinear"`` and ``"bicubic"`` give
    the nearest bytes.
    """
    name, shape = "interpolate", tuple(input.shape)
    nd = len(shape) - 2
    if nd not in (1, 2, 3):
        raise UnsupportedError(f"{name}: input has shape {shape}, expected 3, 4 or 5 dimensions")
    if mode not in _MODES:
        raise UnsupportedError(f"{name}: mode is {mode!r}, expected one of {', '.join(_MODES)}")
    if _DIMS.get(mode, nd) != nd:
        raise UnsupportedError(
            f"{name}: mode {mode!r} is for {_DIMS[mode] + 2} dimensions, input has shape {shape}"
        )
    if align_corners is not None and mode not in _DIMS:
        raise ArgumentError(f"{name}: align_corners has no meaning for mode {mode!r}")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ArgumentError(f"{name}: antialias is for 'bilinear' and 'bicubic', not {mode!r}")
    of_bytes = input.dtype is uint8 and mode in ("bilinear", "bicubic")
    if not (of_bytes or mode.startswith("nearest")):
        refuse_dtypes(name, "bic", input.dtype)
    least = 0 if mode == "area" else 1  # there may be no means at all
    counts, steps = _resized(name, shape[2:], size, scale_factor, recompute_scale_factor, least)
    if mode == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[nd - 1](
            input, tuple(counts)
        )
    taps = tuple(
        None
        if n == count and step == 1
        else _taps(mode, n, count, step, bool(align_corners), antialias)
        for n, count, step in zip(shape[2:], counts, steps, strict=True)
    )
    if of_bytes:
        out = convert(input, float32)
        for d in range(nd - 1, -1, -1):  # bytes again after each dim, as in the reference API
            along = tuple(_in_steps(taps[d]) if k == d else None for k in range(nd))
            out = clamp(floor(resample(out, along) + 0.5), 0, 255)
        return convert(out, uint8)
    return resample(input, taps)


def _in_steps(taps: Taps | None) -> Taps | None:
    """Weights of bytes rounded to the steps of 16-bit numbers of one scale, as the reference API does
    it: results that lie near the middle of two bytes depend on it."""
    if taps is None:
        return None
    index, weights = taps
    weights = weights.copy()
    for k in range(1, len(index)):  # an element at the border that is met again
        again = index[k] == index[k - 1]
        weights[k] += np.where(again, weights[k - 1], 0)
        weights[k - 1] *= ~again
    scale = 2.0 ** (15 - math.frexp(weights.max() * (1 + 2**-16))[1])
    return index, np.trunc(weights * scale + np.copysign(0.5, weights)) / scale


def _resized(
    name: str, sides: tuple[int, ...], size: Any, scale_factor: Any, recompute: Any, least: int
) -> tuple[list[int], list[float]]:
    """Sizes of the output, and how far its elements lie apart in the input."""
    nd = len(sides)
    if (size is None) == (scale_factor is None):
        raise ArgumentError(
            f"{name}: size is {size}, scale_factor {scale_factor}; expected exactly one of them"
        )
    if size is not None:
        if recompute:
            raise ArgumentError(f"{name}: recompute_scale_factor has no meaning with size")
        counts = [int(n) for n in _several(name, "size", size, nd)]
        factors = None
    else:
        factors = [float(f) for f in _several(name, "scale_factor", scale_factor, nd)]
        counts = [math.floor(n * f) for n, f in zip(sides, factors, strict=True)]
    if min(counts) < least or min(sides) < 1:
        raise ShapeError(
            f"{name}: from sides {sides} to {tuple(counts)}, expected at least 1 and {least} each"
        )
    if factors is None or recompute:
        return counts, [n / max(count, 1) for n, count in zip(sides, counts, strict=True)]
    return counts, [1 / f for f in factors]


@interpolate.samples
def _(make):
    yield (make(2, 2, 4),), {"scale_factor": 2}
    yield (make(1, 2, 3, 4), (5, 6)), {}
    yield (make(1, 2, 3, 4), (2, 7)), {"mode": "nearest-exact"}
    yield (make(1, 2, 4, 6), (2, 3)), {"mode": "area"}
    yield (make(1, 2, 4), 7), {"mode": "linear"}
    yield (make(1, 1, 3, 4), (5, 3)), {"mode": "bilinear"}
    yield (make(1, 1, 3, 4), (5, 7)), {"mode": "bilinear", "align_corners": True}
    yield (make(1, 1, 2, 3, 2), (3, 2, 4)), {"mode": "trilinear"}
    yield (make(1, 1, 4, 5), (7, 4)), {"mode": "bicubic"}


@interpolate.expect
def _(input, size=None, scale_factor=None, mode="nearest", align_corners=None):
    nd = input.ndim - 2
    if size is None:
        size = tuple(n * scale_factor for n in input.shape[2:])
    sizes = size if isinstance(size, tuple) else (size,) * nd
    out = input
    for dim, (n, count) in enumerate(zip(input.shape[2:], sizes, strict=True), 2):
        slices = [_one(out, dim, i, n, count, mode, align_corners) for i in range(count)]
        out = np.stack(slices, dim)
    return out


def _one(x, dim, i, n, count, mode, align_corners):
    """Element ``i`` of ``count`` along ``dim``, by the definition of the mode."""

    def at(k):
        return np.take(x, int(min(max(k, 0), n - 1)), dim)

    if mode == "nearest":
        return at(i * n // count)
    if mode == "nearest-exact":
        return at(math.floor((i + 0.5) * n / count))
    if mode == "area":
        return np.mean([at(k) for k in range(i * n // count, -(-(i + 1) * n // count))], axis=0)
    place = i * (n - 1) / (count - 1) if align_corners else (i + 0.5) * n / count - 0.5
    if mode != "bicubic":
        place = max(place, 0)
        k = math.floor(place)
        return at(k) * (1 - place + k) + at(k + 1) * (place - k)
    k = math.floor(place)
    total = 0
    for j in range(k - 1, k + 3):
        d = abs(place - j)
        near, far = 1.25 * d**3 - 2.25 * d**2 + 1, -0.75 * (d**3 - 5 * d**2 + 8 * d - 4)
        total = total + at(j) * (near if d <= 1 else far)
    return total
