"""Histograms: how many elements, or how much weight, lie in each of several bins."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.core.half import is_half
from dtorch.core.tensor import Tensor


class Histogram(NamedTuple):
    """What lies in each bin, and the edges of the bins."""

    hist: Tensor
    bin_edges: Tensor


class HistogramOfSeveral(NamedTuple):
    """What lies in each bin, and the edges of the bins along each dim."""

    hist: Tensor
    bin_edges: tuple[Tensor, ...]


def _edges(name: str, values: Any, bins: Any, bounds: Any) -> Any:
    """The edges of the bins: those given, or of ``bins`` equal ones."""
    if is_half(values):
        raise DtypeError(f"{name}: input is {values.dtype}, expected float32 or float64")
    if isinstance(bins, Tensor):
        if bins.ndim != 1 or bins.shape[0] < 2:
            raise ArgumentError(
                f"{name}: the edges have shape {tuple(bins.shape)}, expected a vector of 2 or more"
            )
        if bins._array.dtype != values.dtype:
            raise DtypeError(f"{name}: the edges are {bins._array.dtype}, input is {values.dtype}")
        return np.array(bins._array)
    if bins < 1:
        raise ArgumentError(f"{name}: bins is {bins}, expected at least 1")
    if bounds is None:
        low, high = (values.min(), values.max()) if values.size else (0, 1)
    else:
        low, high = bounds
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ArgumentError(f"{name}: the range from {low} to {high} is not finite")
    if high < low:
        raise ArgumentError(f"{name}: range is {(low, high)}, expected the lower bound first")
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1, dtype=values.dtype)


def _filled(name: str, points: Any, edges: Sequence[Any], weight: Any, density: bool) -> Any:
    """What lies in each bin, of points ``(count, dims)``."""
    sizes = tuple(len(edge) - 1 for edge in edges)
    inside = np.ones(len(points), bool)
    places = []
    for column, edge in zip(points.T, edges, strict=True):
        inside &= (column >= edge[0]) & (column <= edge[-1])
        place = np.searchsorted(edge, column, "right") - 1
        places.append(np.minimum(place, len(edge) - 2))  # the last edge belongs to the last bin
    if weight is not None:
        if weight._array.size != len(points):
            raise ShapeError(
                f"{name}: weight has shape {tuple(weight.shape)}, expected one for each of "
                f"{len(points)} elements"
            )
        if weight._array.dtype != points.dtype:
            raise DtypeError(f"{name}: weight is {weight._array.dtype}, input is {points.dtype}")
        weight = weight._array.reshape(-1)[inside]
    flat = np.ravel_multi_index([place[inside] for place in places], sizes)
    filled = np.bincount(flat, weight, math.prod(sizes)).reshape(sizes).astype(points.dtype)
    if density:
        filled /= filled.sum()
        for along, edge in enumerate(edges):
            filled /= np.diff(edge).reshape(-1, *(1,) * (len(sizes) - along - 1))
    return filled


@composite(tensors=("input", "weight"), takes="f", takes_of=("input",))
def histogram(
    input: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False
) -> Histogram:
    """How many elements lie in each bin; the upper bound belongs to the last one, and elements
    outside are ignored.

    Args:
        bins: number of equal bins, or a vector with the edges of all.
        range: lower and upper bound of equal bins. Default: the smallest and largest element.
        weight: counts instead of 1, for each element.
        density: divide by the total and by the widths: the integral is 1.

    Returns: ``(hist, bin_edges)``.

    >>> import dtorch
    >>> dtorch.histogram(dtorch.tensor([1.0, 2.0, 1.0]), 3, range=(0.0, 3.0)).hist
    tensor([0., 2., 1.])
    """
    values = input._array.reshape(-1)
    edges = _edges("histogram", values, bins, range)
    filled = _filled("histogram", values[:, None], [edges], weight, density)
    return Histogram(wrap(filled), wrap(edges))


@histogram.samples
def _(make):
    yield (make.constant(20), 4), {}
    yield (make.constant(4, 5), make.constant(5).sort()[0]), {}
    weight = make.constant(20, low=0.1)
    yield (make.constant(20), 4), {"range": (-0.5, 0.5), "weight": weight, "density": True}


@histogram.expect
def _(input, bins, range=None, weight=None, density=False):
    return np.histogram(input, bins, range, density, weight)


@composite(tensors=("input", "weight"), takes="f", takes_of=("input",), method=False, has_out=False)
def histogramdd(
    input: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False
) -> HistogramOfSeveral:
    """How many points lie in each bin of a grid.

    Args:
        input: points ``(*, dims)``.
        bins: number of equal bins along every dim, or one for each; or a vector with the edges for
            each.
        range: lower and upper bound of each dim in turn, in one sequence.
        weight: counts instead of 1, for each point.
        density: divide by the total and by the sizes of the bins: the integral is 1.

    Returns: ``(hist, bin_edges)``, the edges of each dim in a tuple.
    """
    if input.ndim < 2:
        raise ShapeError(
            f"histogramdd: input has shape {tuple(input.shape)}, expected points (*, dims)"
        )
    dims = input.shape[-1]
    each = list(bins) if isinstance(bins, (list, tuple)) else [bins] * dims
    bounds: Any = (
        [None] * dims if range is None else list(zip(range[::2], range[1::2], strict=True))
    )
    if len(each) != dims or len(bounds) != dims:
        raise ArgumentError(
            f"histogramdd: bins and range are for {len(each)} and {len(bounds)} dims, expected "
            f"{dims}, those of the points"
        )
    points = input._array.reshape(-1, dims)
    edges = [_edges("histogramdd", *of_dim) for of_dim in zip(points.T, each, bounds, strict=True)]
    filled = _filled("histogramdd", points, edges, weight, density)
    return HistogramOfSeveral(wrap(filled), tuple(map(wrap, edges)))


@histogramdd.samples
def _(make):
    yield (make.constant(20, 2), 3), {}
    yield (make.constant(20, 2), (3, 2)), {"range": (-0.5, 0.5, -1.0, 0.5), "density": True}
    yield (make.constant(20, 2), (make.constant(4).sort()[0], make.constant(3).sort()[0])), {}


@histogramdd.expect
def _(input, bins, range=None, weight=None, density=False):
    bounds: Any = None if range is None else np.reshape(range, (-1, 2))
    return np.histogramdd(input, bins, bounds, density, weight)
