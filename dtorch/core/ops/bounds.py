"""Bounds: elements limited from below and above, larger and smaller of two."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.elementwise import elementwise
from dtorch.core.errors import ArgumentError
from dtorch.core.ops.comparison import choose, keep, logical_not
from dtorch.core.tensor import Tensor


@elementwise(
    tensors=("input", "min", "max"), promoted=("input", "min", "max"), takes="bif",
    beyond={"min": "lower", "max": "upper"},
)  # fmt: skip
def clamp(
    xp: ArrayModule, input: Array, min: Array | None = None, max: Array | None = None
) -> Array:
    """The elements, but at least ``min`` and at most ``max`` (numbers, tensors, or None).

    Raises:
        ArgumentError: neither bound is given.

    >>> import dtorch
    >>> dtorch.clamp(dtorch.tensor([-2, 0, 2]), -1, 1).tolist()
    [-1, 0, 1]
    """
    if min is None and max is None:
        raise ArgumentError("clamp: neither min nor max is given, expected at least one")
    if min is not None and max is not None:
        return xp.clip(input, min, max)
    if min is not None:
        input = xp.maximum(input, min)
    return input if max is None else xp.minimum(input, max)


@clamp.gradient("input")
def _(grad, input, min, max):
    inside = (input == input) if min is None else (input >= min)
    if max is not None:
        inside = inside & (input <= max)
    return keep(grad, inside)


@clamp.gradient("min")
def _(grad, input, min, max):
    below = input < min
    if max is not None:
        below = below & (min < max)
    return keep(grad, below)


@clamp.gradient("max")
def _(grad, input, min, max):
    above = input > max
    if min is not None:
        above = above | (min > max)
    return keep(grad, above)


@clamp.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {"min": -0.5, "max": 0.7}
    yield (make(3, 4, low=-2, high=2),), {"min": 0.1}
    yield (make(3, 4, low=-2, high=2), make(4, low=-1, high=-0.2), make(4, low=0.2)), {}


@clamp.expect
def _(input, min=None, max=None):
    return np.clip(input, min, max)


_LOWER, _UPPER = (
    dict.fromkeys(("input", "other"), "lower"),
    dict.fromkeys(("input", "other"), "upper"),
)


@elementwise(ufunc=np.maximum, loop="maximum", takes="bif", beyond=_LOWER)
def maximum(xp: ArrayModule, input: Array, other: Array) -> Array:
    """The larger of two elements; nan if one is nan. Equal ones share the gradient."""
    return xp.maximum(input, other)


@elementwise(ufunc=np.minimum, loop="minimum", takes="bif", beyond=_UPPER)
def minimum(xp: ArrayModule, input: Array, other: Array) -> Array:
    """The smaller of two elements; nan if one is nan. Equal ones share the gradient."""
    return xp.minimum(input, other)


def _share(grad: Any, same: Any, beaten: Any) -> Any:
    """The gradient of an operand; not by the result, to whose dtype it may have been rounded."""
    return keep(choose(same, grad * 0.5, grad), ~beaten)


@maximum.gradient("input")
def _(grad, input, other):
    return _share(grad, input == other, input < other)


@maximum.gradient("other")
def _(grad, input, other):
    return _share(grad, input == other, other < input)


@minimum.gradient("input")
def _(grad, input, other):
    return _share(grad, input == other, input > other)


@minimum.gradient("other")
def _(grad, input, other):
    return _share(grad, input == other, other > input)


_reference: Any
for _op, _reference in ((maximum, np.fmax), (minimum, np.fmin)):
    _op.expect(_reference)

    @_op.samples
    def _(make):
        yield (make(3, 4), make(3, 4)), {}
        yield (make(3, 4), make(4)), {}


@composite(tensors=("input",), inplace=True, takes="bif")
def clamp_min(input: Tensor, min: Any) -> Tensor:
    """The elements, but at least ``min``."""
    return clamp(input, min=min)


@composite(tensors=("input",), inplace=True, takes="bif")
def clamp_max(input: Tensor, max: Any) -> Tensor:
    """The elements, but at most ``max``."""
    return clamp(input, max=max)


clamp_min.samples(lambda make: iter([((make(3, 4), -0.2), {})]))
clamp_max.samples(lambda make: iter([((make(3, 4), 0.3), {})]))
clamp_min.expect(lambda input, min: np.where(input < min, min, input))
clamp_max.expect(lambda input, max: np.where(input > max, max, input))


@composite(tensors=("input",), inplace=True, takes="bif")
def clip(input: Tensor, min: Any = None, max: Any = None) -> Tensor:
    """The same as `clamp`."""
    return clamp(input, min, max)


@clip.samples
def _(make):
    yield (make(3, 4, low=-2, high=2), -0.5, 0.7), {}


@clip.expect
def _(input, min=None, max=None):
    return np.clip(input, min, max)


@elementwise(ufunc=np.fmax, takes="bif", beyond=_LOWER)
def fmax(xp: ArrayModule, input: Array, other: Array) -> Array:
    """The larger of two elements; if one is nan, the other. Of equal ones the first has the gradient."""
    return xp.fmax(input, other)


@elementwise(ufunc=np.fmin, takes="bif", beyond=_UPPER)
def fmin(xp: ArrayModule, input: Array, other: Array) -> Array:
    """The smaller of two elements; if one is nan, the other. Of equal ones the first has the gradient."""
    return xp.fmin(input, other)


def _taken(input: Any, out: Any, other: Any) -> Any:
    """Where the first of two elements is the result: also where both are nan."""
    return (input == out) | (other != other)


for _op, _reference in ((fmax, np.maximum), (fmin, np.minimum)):
    _op.gradient("input")(lambda grad, input, out, other: keep(grad, _taken(input, out, other)))
    _op.gradient("other")(
        lambda grad, input, out, other: keep(grad, logical_not(_taken(input, out, other)))
    )
    _op.samples(lambda make: iter([((make(3, 4), make(4)), {})]))
    _op.expect(_reference)
