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
    out = _between(ordered, points.reshape(-1), interpolation)
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


def _between(ordered: Any, points: np.ndarray, interpolation: str) -> Any:
    n = ordered.shape[-1]
    place = points.astype(np.float64) * (n - 1)
    low, high = np.floor(place), np.ceil(place)
    if interpolation == "lower":
        high = low
    elif interpolation == "higher":
        low = high
    elif interpolation == "nearest":
        low = high = np.rint(place)
    if low is high:  # no mean of two, which infinities have not
        return index_select(ordered, -1, wrap(low.astype(np.int64)))
    part = np.full_like(place, 0.5) if interpolation == "midpoint" else place - low
    weight = wrap(part.astype(ordered._array.dtype))
    below = index_select(ordered, -1, wrap(low.astype(np.int64)))
    above = index_select(ordered, -1, wrap(high.astype(np.int64)))
    return lerp(below, above, weight)


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
