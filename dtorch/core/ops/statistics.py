"""Statistics: variance, quantiles, covariance, counts."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase, wrap
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, DtypeError, RankError
from dtorch.core.op import structured
from dtorch.core.ops.arithmetic import lerp
from dtorch.core.ops.comparison import choose
from dtorch.core.ops.complex import real
from dtorch.core.ops.elements import index_select
from dtorch.core.ops.gathering import gather
from dtorch.core.ops.joining import cat
from dtorch.core.ops.power import root
from dtorch.core.ops.reduction import any as any_of, mean, spread, sum
from dtorch.core.ops.sorting import sort
from dtorch.core.shapes import normalize_dim, normalize_dims
from dtorch.core.tensor import Tensor


@composite(tensors=("input",), wide=True, takes="fc")
def var(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Tensor:  # fmt: skip
    """Variance over ``dim``: squared deviations divided by their number less ``correction``.

    Args:
        unbiased: take a correction of 1 (True) or 0 (False).
    """
    if isinstance(dim, bool):  # classic var(unbiased)
        dim, unbiased = None, dim
    if correction is None:
        correction = 1 if unbiased else 0
    shape = tuple(input.shape)
    dims = normalize_dims("var", dim, len(shape))
    count = math.prod(shape[d] for d in dims)
    over = None if len(dims) == len(shape) else dims
    return squared_deviations(input, over, keepdim) / max(count - correction, 0)


@structured(tensors=("input",), public=False, wide=True)
def squared_deviations(xp: ArrayModule, input: Array, dim: Any, keepdim: bool) -> Array:
    """Sum of the squared magnitudes of the differences from the mean."""
    deviation = centred(input, dim)
    squares = (deviation * deviation.conj()).real if input.dtype.kind == "c" else deviation**2
    return sum(squares, dim, keepdim)


@squared_deviations.gradient("input")
def _(grad, input, dim, keepdim):
    return spread(2 * grad, tuple(input.shape), dim, keepdim) * centred(input, dim)


def centred(input: Any, dim: Any) -> Any:
    """Differences from the mean, twice: the first mean was rounded."""
    deviation = input - mean(input, dim, True)
    return deviation - mean(deviation, dim, True)


@squared_deviations.samples
def _(make):
    yield (make(2, 3, 4), None, False), {}
    yield (make(make.size(2, 60), 3, make.size(4, 400)), (1,), True), {}
    yield (make(2, 3, 4), (0, 2), False), {}


@squared_deviations.expect
def _(input, dim, keepdim):
    return np.var(input, axis=dim, keepdims=keepdim) * (input.size / np.var(input, dim).size)


@composite(tensors=("input",), wide=True, takes="fc")
def std(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> Tensor:  # fmt: skip
    """Standard deviation: the square root of `var`; the gradient at 0 is 0."""
    return root(var(input, dim, unbiased, keepdim, correction=correction), 2)


def _var_samples(make):
    yield (make(2, 3, 4),), {}
    yield (make(2, 3, 4), 1), {}
    yield (make(2, 3, 4), (0, -1), False, True), {}
    yield (make(2, 3, 4), 2), {"correction": 2}


for _op, _reference in ((var, np.var), (std, np.std)):
    _op.samples(_var_samples)

    @_op.expect
    def _(input, dim=None, unbiased=True, keepdim=False, correction=None, _reference=_reference):
        ddof = correction if correction is not None else int(unbiased)
        return _reference(input, axis=dim, ddof=ddof, keepdims=keepdim)


@composite(tensors=("input",), wide=True, takes="fc")
def var_mean(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Variance and mean over ``dim``."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return var(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


@composite(tensors=("input",), wide=True, takes="fc")
def std_mean(
    input: Tensor, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *,
    correction: Any = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Standard deviation and mean over ``dim``."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    return std(input, dim, unbiased, keepdim, correction=correction), mean(input, dim, keepdim)


for _op, _reference in ((var_mean, np.var), (std_mean, np.std)):
    _op.samples(_var_samples)

    @_op.expect
    def _(input, dim=None, unbiased=True, keepdim=False, correction=None, _reference=_reference):
        ddof = correction if correction is not None else int(unbiased)
        spread = _reference(input, axis=dim, ddof=ddof, keepdims=keepdim)
        return spread, np.average(input, axis=dim, keepdims=keepdim)


_INTERPOLATIONS = ("linear", "lower", "higher", "nearest", "midpoint")


def _quantile(
    name: str, input: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str
) -> Any:
    if interpolation not in _INTERPOLATIONS:
        raise ArgumentError(
            f"{name}: interpolation is {interpolation!r}, expected one of {_INTERPOLATIONS}"
        )
    if not input.is_floating_point():
        raise DtypeError(f"{name}: input is {input.dtype}, expected a floating-point dtype")
    ndim = input.ndim
    if dim is not None:
        dim = normalize_dim(name, dim, ndim)
    if dim is None or not ndim:
        lines = input.reshape(1, -1) if keepdim else input.reshape(-1)
        kept = (1,) * ndim if keepdim else ()
        dim = None
    else:
        lines = input.transpose(dim, -1)
        kept = ()
    points = q._array if isinstance(q, TensorBase) else np.asarray(q)
    if not input.numel():
        raise ArgumentError(f"{name}: the tensor of shape {tuple(input.shape)} has no elements")
    if points.ndim > 1 or not ((points >= 0) & (points <= 1)).all():
        raise ArgumentError(f"{name}: q is {q}, expected one number or 1-D numbers from 0 to 1")
    ordered = sort(lines, -1)[0]
    last: Any = ordered.shape[-1] - 1
    if name == "nanquantile":  # nan come last in order
        found = ordered._array
        last = np.maximum((found == found).sum(-1, keepdims=True) - 1, 0)
    out = _between(ordered, points.reshape(-1).astype(np.float64) * last, interpolation)
    if name == "quantile":
        out = choose(any_of(lines != lines, -1, True), math.nan, out)
    if dim is None:
        out = out.reshape(-1, *kept)  # (q, ...)
    else:
        out = out.transpose(dim, -1) if keepdim else out.unsqueeze(-1).transpose(dim, -2)
        out = _quantiles_first(out, dim, keepdim, ndim)
    return out if points.ndim else out[0]


def _quantiles_first(out: Any, dim: int, keepdim: bool, ndim: int) -> Any:
    """The dim of the quantiles in front; where it was there is one of size 1, or none."""
    if keepdim:
        return out.unsqueeze(0).transpose(0, dim + 1)
    order = [dim, *(d for d in range(ndim) if d != dim)]
    return out.squeeze(-1).permute(order)


def _between(ordered: Any, place: np.ndarray, interpolation: str) -> Any:
    low, high = np.floor(place), np.ceil(place)
    if interpolation == "lower":
        high = low
    elif interpolation == "higher":
        low = high
    elif interpolation == "nearest":
        low = high = np.rint(place)
    if low is high:  # no mean of two, which infinities have not
        return _at(ordered, low)
    part = np.full_like(place, 0.5) if interpolation == "midpoint" else place - low
    return lerp(_at(ordered, low), _at(ordered, high), wrap(part.astype(ordered._array.dtype)))


def _at(ordered: Any, place: np.ndarray) -> Any:
    """The elements at the same places of all lines, or at each line's own."""
    pick = index_select if place.ndim == 1 else gather
    return pick(ordered, -1, wrap(place.astype(np.int64)))


@composite(tensors=("input",), wide=True)
def quantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """Quantiles of all elements or along ``dim``; nan where an element is nan.

    Args:
        q: a number from 0 to 1, or a 1-D tensor of such; then the result has their dim in front.
        interpolation: between two elements: linear, lower, higher, nearest or midpoint.
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


@quantile.samples
def _(make):
    yield (make(3, 4), 0.3), {}
    yield (make(3, 4), 0.3, 1, True), {}
    yield (make(3, 4, 2), make.constant(2, low=0.1, high=0.9), 1), {}
    yield (make(3, 4, 2), make.constant(2, low=0.1, high=0.9), 0, True), {}
    yield (make(3, 4), 0.4, 0), {"interpolation": "midpoint"}
    yield (make(3, 4), 0.4, 0), {"interpolation": "lower"}


@quantile.expect
def _(input, q, dim=None, keepdim=False, interpolation="linear"):
    return np.quantile(input, q, dim, keepdims=keepdim, method=interpolation)


@composite(tensors=("input",), wide=True)
def nanquantile(
    input: Tensor, q: Any, dim: int | None = None, keepdim: bool = False, *,
    interpolation: str = "linear",
) -> Tensor:  # fmt: skip
    """Quantiles of the elements that are not nan, of all or along ``dim``; nan where there is none.

    The parameters are those of `quantile`.

    >>> import dtorch
    >>> dtorch.nanquantile(dtorch.tensor([1.0, float("nan"), 2.0]), 0.5)
    tensor(1.5000)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


@nanquantile.samples
def _(make):
    holes = make.constant(3, 4)
    holes[0, 1] = holes[2, 0] = holes[2, 3] = math.nan
    yield (make(3, 4), 0.3), {}
    yield (make(3, 4, 2), make.constant(2, low=0.1, high=0.9), 0, True), {}
    yield (holes, 0.3, 1), {}
    yield (holes, make.constant(2, low=0.1, high=0.9), 1), {}


@nanquantile.expect
def _(input, q, dim=None, keepdim=False, interpolation="linear"):
    return np.nanquantile(input, q, dim, keepdims=keepdim, method=interpolation)


@composite(tensors=("input",), wide=True, takes="ifc")
def cov(
    input: Tensor, *, correction: int = 1, fweights: Any = None, aweights: Any = None
) -> Tensor:
    """Covariance matrix of variables in rows, observed in columns.

    Args:
        correction: subtracted from the number of observations.
        fweights: how often each observation counts, ints.
        aweights: weight of each observation.
    """
    if input.ndim > 2:
        raise RankError(f"cov: input has shape {tuple(input.shape)}, expected at most 2 dimensions")
    if input.dtype.category < 2:
        input = input * 1.0
    rows = input if input.ndim == 2 else input.reshape(1, -1)
    n = rows.shape[1]
    weight: Any = None
    for given in (fweights, aweights):
        if given is not None:
            weight = given if weight is None else weight * given
    if weight is None:
        center = rows - mean(rows, 1, True)
        out = center @ center.conj().t() / max(n - correction, 0)
    else:
        total = sum(weight)
        center = rows - sum(rows * weight, 1, True) / total
        used = sum(weight * aweights) / total if aweights is not None else 1
        out = (center * weight) @ center.conj().t() / (total - used * correction)
    return out if rows.shape[0] != 1 else out.reshape(())


@cov.samples
def _(make):
    yield (make(3, 5),), {}
    yield (make(5),), {"correction": 0}
    yield (make(3, 5),), {"aweights": make.constant(5, low=0.2), "correction": 0}
    yield (make(3, 5),), {"fweights": make.index(5, high=4) + 1}


@cov.expect
def _(input, correction=1, fweights=None, aweights=None):
    return np.cov(input, ddof=correction, fweights=fweights, aweights=aweights)


@composite(tensors=("input",), wide=True, takes="ifc")
def corrcoef(input: Tensor) -> Tensor:
    """Correlations of variables in rows, observed in columns."""
    matrix = cov(input)
    if matrix.ndim == 0:
        return matrix / matrix
    scale = real(matrix.diagonal()) ** 0.5
    return matrix / scale.unsqueeze(1) / scale.unsqueeze(0)


@corrcoef.samples
def _(make):
    yield (make(3, 5),), {}


@corrcoef.expect
def _(input):
    return np.corrcoef(input)


def _floating(input: Any) -> Any:
    """Integers as floating-point numbers, whose differences may be negative."""
    return input * 1.0 if input.dtype.category < 2 else input


@composite(tensors=("y", "x"), wide=True, takes="ifc")
def trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    """Integral along ``dim`` by the trapezoidal rule.

    Args:
        x: places at which ``y`` was taken; a vector or of the shape of ``y``.
        dx: distance of all places, in place of ``x``. Default 1.
    """
    lines = _floating(y).transpose(dim, -1)
    pair = (lines[..., 1:] + lines[..., :-1]) / 2
    if x is None:
        out = sum(pair if dx is None else pair * dx, -1, True)
    else:
        places = _floating(x if x.ndim == 1 else x.transpose(dim, -1))
        out = sum(pair * (places[..., 1:] - places[..., :-1]), -1, True)
    return out.transpose(dim, -1).squeeze(dim)


@trapezoid.samples
def _(make):
    yield (make(2, 5),), {}
    yield (make(5, 2), make(5)), {"dim": 0}
    yield (make(2, 5), make(2, 5)), {}
    yield (make(2, 5),), {"dx": 0.5}


@trapezoid.expect
def _(y, x=None, dx=1.0, dim=-1):
    return np.trapezoid(y, x, dx, dim)


@composite(tensors=("y", "x"), wide=True, takes="ifc", method=False)
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    """Integrals along ``dim`` by the trapezoidal rule, from the first place up to each other; the
    parameters are those of `trapezoid`."""
    lines = _floating(y).transpose(dim, -1)
    pair = (lines[..., 1:] + lines[..., :-1]) / 2
    if x is None:
        pair = pair if dx is None else pair * dx
    else:
        places = _floating(x if x.ndim == 1 else x.transpose(dim, -1))
        pair = pair * (places[..., 1:] - places[..., :-1])
    return pair.cumsum(-1).transpose(dim, -1)


@cumulative_trapezoid.samples
def _(make):
    yield (make(2, 5),), {}
    yield (make(5, 2), make(5)), {"dim": 0}
    yield (make(2, 5),), {"dx": 0.5}


@cumulative_trapezoid.expect
def _(y, x=None, dx=1.0, dim=-1):
    from scipy.integrate import cumulative_trapezoid  # noqa: PLC0415 - an oracle of tests

    return cumulative_trapezoid(y, x, dx, dim)


@composite(tensors=("input",), wide=True, takes="ifc", method=False, has_out=False)
def gradient(
    input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1
) -> tuple[Tensor, ...]:
    """Estimates of the slope along each dim, of the size of ``input``: central differences inside,
    one-sided ones at the ends.

    Args:
        spacing: distance of neighbours, or a sequence with one for each dim; or with the places of
            the samples, a vector for each dim.
        dim: the dims, an int or several. Default: all.
        edge_order: 1, or 2 for ends at which a parabola is exact.

    >>> import dtorch
    >>> dtorch.gradient(dtorch.tensor([1.0, 2.0, 4.0, 8.0]))
    (tensor([1.0000, 1.5000, 3.0000, 4.0000]),)
    """
    if edge_order not in (1, 2):
        raise ArgumentError(f"gradient: edge_order is {edge_order!r}, expected 1 or 2")
    dims = normalize_dims("gradient", dim, input.ndim)
    spaces = list(spacing) if isinstance(spacing, (list, tuple)) else [spacing] * len(dims)
    if len(spaces) != len(dims):
        raise ArgumentError(
            f"gradient: spacing has {len(spaces)} elements, expected one for each of {len(dims)} dims"
        )
    for d in dims:
        if input.shape[d] <= edge_order:
            raise ArgumentError(
                f"gradient: input has shape {tuple(input.shape)}, expected at least "
                f"{edge_order + 1} elements along dim {d}"
            )
    lines = _floating(input)
    return tuple(
        _slope(lines.transpose(d, -1), space, edge_order).transpose(d, -1)
        for d, space in zip(dims, spaces, strict=True)
    )


def _slope(lines: Any, space: Any, edge_order: int) -> Any:
    """The slope along the last dim."""
    if isinstance(space, Tensor) and space.ndim:
        if space.shape != lines.shape[-1:]:
            raise ArgumentError(
                f"gradient: the places have shape {tuple(space.shape)}, expected "
                f"{tuple(lines.shape[-1:])}"
            )
        places = _floating(space)
        steps = places[1:] - places[:-1]
        slopes = (lines[..., 1:] - lines[..., :-1]) / steps
        before, after = steps[:-1], steps[1:]
        middle = (slopes[..., :-1] * after + slopes[..., 1:] * before) / (before + after)
    else:
        slopes = (lines[..., 1:] - lines[..., :-1]) / space
        middle = (lines[..., 2:] - lines[..., :-2]) / (2 * space)
    first, final = slopes[..., :1], slopes[..., -1:]
    if edge_order == 2:  # that of a parabola changes evenly
        first, final = 2 * first - middle[..., :1], 2 * final - middle[..., -1:]
    return cat([first, middle, final], -1)


@gradient.samples
def _(make):
    yield (make(5),), {}
    yield (make(3, 4),), {"edge_order": 2}
    yield (make(3, 4),), {"dim": (1, 0), "spacing": (2.0, 0.5)}
    yield (make(3, 4),), {"dim": -1, "spacing": (make.constant(4).sort()[0],)}
    places = make.constant(3).sort()[0], make.constant(4).sort()[0]
    yield (make(3, 4),), {"spacing": places, "edge_order": 2}


@gradient.expect
def _(input, spacing=1, dim=None, edge_order=1):
    dims = range(input.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    spaces = spacing if isinstance(spacing, tuple) else (spacing,) * len(dims)
    pairs = zip(spaces, dims, strict=True)
    return tuple(np.gradient(input, s, axis=d, edge_order=edge_order) for s, d in pairs)
