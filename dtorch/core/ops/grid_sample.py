"""Values of images and volumes at places between their elements."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, ShapeError, UnsupportedError
from dtorch.core.half import is_half
from dtorch.core.ops.comparison import choose, keep
from dtorch.core.ops.gathering import gather
from dtorch.core.ops.linalg import matmul
from dtorch.core.ops.upsample import cubic_weights
from dtorch.core.ops.view import expand, transpose, unsqueeze
from dtorch.core.shapes import merged
from dtorch.core.tensor import Tensor

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")


def _place(coordinate: Any, n: int, align_corners: bool) -> Any:
    """From -1 ... 1 to positions of elements."""
    if align_corners:
        return (coordinate + 1) * ((n - 1) / 2)
    return (coordinate + 1) * (n / 2) - 0.5


def _into(place: Any, n: int, padding_mode: str, align_corners: bool) -> Any:
    """Places outside brought to where their value is taken from."""
    if padding_mode == "zeros":
        return place
    if padding_mode == "reflection":
        place = _reflected(place, n, align_corners)
    array = place._array
    # Nothing moves the value of a place on the edge or beyond: its gradient is 0.
    inside = (array > 0) & (array < n - 1)
    return choose(wrap(inside), place, wrap(np.clip(array, 0, n - 1)))


def _reflected(place: Any, n: int, align_corners: bool) -> Any:
    low, span = (0.0, n - 1.0) if align_corners else (-0.5, float(n))
    if span <= 0:
        return keep(place, False)
    size = (place - low).abs()
    turns = wrap(np.floor(size._array / span))
    rest = size - turns * span
    return choose(wrap(turns._array % 2 == 0), rest + low, span - rest + low)


def _values(flat: Any, indices: list[Any], sides: tuple[int, ...]) -> Any:
    """Elements ``(N, C, P)`` at whole positions ``(N, P)`` of each dim; 0 outside."""
    inside: Any = True
    at: Any = 0
    for index, n in zip(indices, sides, strict=True):
        inside = inside & (index >= 0) & (index < n)
        at = at * n + np.clip(np.nan_to_num(index), 0, n - 1)
    n, c = flat.shape[:2]
    spread = expand(unsqueeze(wrap(at.astype(np.int64)), 1), (n, c, at.shape[1]))
    found = gather(flat, 2, spread)
    return keep(found, unsqueeze(wrap(inside), 1))


@composite(tensors=("input", "grid"), home="nn", takes="f")
def grid_sample(
    input: Tensor, grid: Tensor, mode: str = "bilinear", padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:  # fmt: skip
    """Values of an image or volume at the places a grid states.

    Args:
        input: ``(N, C, H, W)`` or ``(N, C, D, H, W)``.
        grid: ``(N, H', W', 2)`` or ``(N, D', H', W', 3)``: places x, y (, z) from -1 to 1.
        mode: ``"bilinear"``, ``"nearest"``, or for images ``"bicubic"``.
        padding_mode: outside there are ``"zeros"``, the ``"border"`` repeated, or the image
            mirrored (``"reflection"``).
        align_corners: -1 and 1 are the centres of the corner elements, not their outer edges.
    """
    name = "grid_sample"
    shape, places = tuple(input.shape), tuple(grid.shape)
    nd = len(shape) - 2
    if nd not in (2, 3) or len(places) != nd + 2 or places[-1] != nd or places[0] != shape[0]:
        raise ShapeError(
            f"{name}: input of shape {shape} and grid of shape {places}, expected (N, C, H, W) and "
            "(N, H', W', 2), or (N, C, D, H, W) and (N, D', H', W', 3)"
        )
    if mode not in _MODES or (mode == "bicubic" and nd == 3):
        raise ArgumentError(f"{name}: mode is {mode!r}, expected one of {', '.join(_MODES)}")
    if padding_mode not in _PADDINGS:
        raise ArgumentError(
            f"{name}: padding_mode is {padding_mode!r}, expected one of {', '.join(_PADDINGS)}"
        )
    if 0 in shape[2:]:
        raise ShapeError(f"{name}: input has shape {shape}, expected sides of at least 1")
    if is_half(input._array):  # too coarse for places
        wide = grid_sample(input.float(), grid.float(), mode, padding_mode, align_corners)
        return wide.to(input.dtype)
    align = bool(align_corners)
    sides = shape[2:]
    points = grid.reshape(merged(places, 1, nd + 1))
    # The grid states x first, the input has it last.
    coordinates = [_place(points[..., nd - 1 - dim], sides[dim], align) for dim in range(nd)]
    flat = input.reshape(merged(shape, 2, nd + 2))
    if mode == "bicubic":
        out = _bicubic(flat, coordinates, sides, padding_mode, align)
    else:
        coordinates = [
            _into(c, n, padding_mode, align) for c, n in zip(coordinates, sides, strict=True)
        ]
        if mode == "nearest":
            out = _values(flat, [np.rint(c._array) for c in coordinates], sides)
        else:
            out = _multilinear(flat, coordinates, sides)
    return out.reshape((*shape[:2], *places[1:-1]))


def _multilinear(flat: Any, coordinates: list[Any], sides: tuple[int, ...]) -> Any:
    first = [np.floor(c._array) for c in coordinates]
    share = [c - wrap(f) for c, f in zip(coordinates, first, strict=True)]
    total = None
    for corner in itertools.product((0, 1), repeat=len(sides)):
        weight = None
        for bit, s in zip(corner, share, strict=True):
            factor = s if bit else 1 - s
            weight = factor if weight is None else weight * factor
        values = _values(flat, [f + bit for f, bit in zip(first, corner, strict=True)], sides)
        part = values * unsqueeze(weight, 1)
        total = part if total is None else total + part
    return total


def _bicubic(
    flat: Any, coordinates: list[Any], sides: tuple[int, ...], padding_mode: str, align: bool
) -> Any:
    first = [np.floor(c._array) for c in coordinates]
    weights = [cubic_weights(c - wrap(f), -0.75) for c, f in zip(coordinates, first, strict=True)]
    total = None
    for i, j in itertools.product(range(4), repeat=2):
        taps = [
            _into(wrap(f + k - 1), n, padding_mode, align)._array
            for f, k, n in zip(first, (i, j), sides, strict=True)
        ]
        values = _values(flat, [np.rint(t) for t in taps], sides)
        part = values * unsqueeze(weights[0][i] * weights[1][j], 1)
        total = part if total is None else total + part
    return total


@composite(tensors=("theta",), home="nn", wide=True, takes="f")
def affine_grid(theta: Tensor, size: Any, align_corners: bool | None = None) -> Tensor:
    """The grid for `grid_sample` that affine maps of the output's places make.

    Args:
        theta: ``(N, 2, 3)`` for images, ``(N, 3, 4)`` for volumes.
        size: ``(N, C, H, W)`` or ``(N, C, D, H, W)`` of the output.
    """
    sizes, shape = tuple(int(n) for n in size), tuple(theta.shape)
    nd = len(sizes) - 2
    if nd not in (2, 3):
        raise UnsupportedError(
            f"affine_grid: size is {sizes}, expected (N, C, H, W) or (N, C, D, H, W)"
        )
    if shape != (sizes[0], nd, nd + 1):
        raise ShapeError(
            f"affine_grid: theta of shape {shape} and size {sizes}, expected (N, 2, 3) and "
            "(N, C, H, W), or (N, 3, 4) and (N, C, D, H, W)"
        )
    axes = []
    for n in sizes[2:]:
        axis = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
        axes.append(axis if align_corners else axis * ((n - 1) / n))
    mesh = np.meshgrid(*axes, indexing="ij")
    base = np.stack([*reversed(mesh), np.ones(sizes[2:])], -1).reshape(-1, nd + 1)
    out = matmul(wrap(base.astype(theta._array.dtype)), transpose(theta, 1, 2))
    return out.reshape((sizes[0], *sizes[2:], nd))


@grid_sample.samples
def _(make):
    yield (make(1, 2, 3, 4), make(1, 2, 3, 2, low=-1.3, high=1.3)), {}
    yield (
        (make(1, 1, 3, 4), make(1, 2, 2, 2, low=-1.6, high=1.6)),
        {"padding_mode": "border", "align_corners": True},
    )
    yield (
        (make(1, 1, 3, 4), make(1, 2, 2, 2, low=-2.6, high=2.6)),
        {"padding_mode": "reflection"},
    )
    yield (
        (make(1, 1, 3, 4), make.constant(1, 2, 2, 2)), {"mode": "nearest", "align_corners": True}
    )  # fmt: skip
    yield (make(1, 1, 5, 5), make(1, 2, 2, 2, low=-0.9, high=0.9)), {"mode": "bicubic"}
    yield (make(1, 1, 2, 3, 2), make(1, 1, 2, 2, 3, low=-1.2, high=1.2)), {}


@grid_sample.expect
def _(input, grid, mode="bilinear", padding_mode="zeros", align_corners=False):
    sides = input.shape[2:]
    out = np.zeros((*input.shape[:2], *grid.shape[1:-1]))

    def value(n, c, place):
        inside = all(0 <= p < s for p, s in zip(place, sides, strict=True))
        return input[(n, c, *place)] if inside else 0.0

    def fold(p, size):
        low, high = (0, size - 1) if align_corners else (-0.5, size - 0.5)
        while padding_mode == "reflection" and not low <= p <= high:
            p = 2 * low - p if p < low else 2 * high - p
        return p if padding_mode == "zeros" else min(max(p, 0), size - 1)

    for n, *at in np.ndindex(grid.shape[:-1]):
        g = grid[(n, *at)][::-1]
        p = [
            (v + 1) * (s - 1) / 2 if align_corners else ((v + 1) * s - 1) / 2
            for v, s in zip(g, sides, strict=True)
        ]
        if mode != "bicubic":
            p = [fold(q, s) for q, s in zip(p, sides, strict=True)]
        reach = {"nearest": (0,), "bilinear": (0, 1), "bicubic": (-1, 0, 1, 2)}[mode]
        for c in range(input.shape[1]):
            total = 0.0
            for steps in itertools.product(reach, repeat=len(sides)):
                if mode == "nearest":
                    total = value(n, c, [round(q) for q in p])
                    continue
                place = [int(np.floor(q)) + k for q, k in zip(p, steps, strict=True)]
                d = [abs(q - r) for q, r in zip(p, place, strict=True)]
                kernel = _hat if mode == "bilinear" else _keys
                total += value(n, c, place) * np.prod([kernel(x) for x in d])
            out[(n, c, *at)] = total
    return out


def _hat(x):
    return max(1 - x, 0)


def _keys(x):
    if x <= 1:
        return 1.25 * x**3 - 2.25 * x**2 + 1
    return -0.75 * (x**3 - 5 * x**2 + 8 * x - 4) if x < 2 else 0.0


@affine_grid.samples
def _(make):
    yield (make(2, 2, 3), (2, 1, 3, 4)), {}
    yield (make(1, 3, 4), (1, 1, 2, 3, 2)), {"align_corners": True}


@affine_grid.expect
def _(theta, size, align_corners=False):
    n, _, *sides = size
    out = np.zeros((n, *sides, len(sides)))
    for b, *at in np.ndindex(n, *sides):
        if align_corners:
            place = [2 * i / (s - 1) - 1 for i, s in zip(at, sides, strict=True)]
        else:
            place = [(2 * i + 1) / s - 1 for i, s in zip(at, sides, strict=True)]
        out[(b, *at)] = theta[b] @ np.array([*reversed(place), 1.0])
    return out
