"""Whole numbers near the elements; steps, so the gradient is zero."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.elementwise import elementwise
from dtorch.core.ops.comparison import keep


def _rounding(op: Any, reference: Any) -> None:
    """Steps have zero gradient."""
    op.gradient("input")(lambda grad: keep(grad, False))
    op.samples(_rounding_samples)
    op.expect(reference)


def _rounding_samples(make):
    yield (make(2, 3, low=-3, high=3),), {}


@elementwise(takes="if")
def floor(xp: ArrayModule, input: Array) -> Array:
    """Largest whole number not above the element."""
    return input.copy() if input.dtype.kind in "iu" else xp.floor(input)


_rounding(floor, lambda input: input // 1)


@elementwise(takes="if")
def ceil(xp: ArrayModule, input: Array) -> Array:
    """Smallest whole number not below the element."""
    return input.copy() if input.dtype.kind in "iu" else xp.ceil(input)


_rounding(ceil, lambda input: -(-input // 1))


@elementwise(takes="if")
def trunc(xp: ArrayModule, input: Array) -> Array:
    """The whole part, rounded toward zero."""
    return input.copy() if input.dtype.kind in "iu" else xp.trunc(input)


_rounding(trunc, lambda input: np.sign(input) * (np.abs(input) // 1))


@elementwise(takes="if")
def round(xp: ArrayModule, input: Array, *, decimals: int = 0) -> Array:
    """The nearest whole number, or multiple of ``10**-decimals``; halves go to the even one."""
    return xp.round(input, decimals)


_rounding(round, lambda input: np.rint(input))


@elementwise(takes="if")
def frac(xp: ArrayModule, input: Array) -> Array:
    """The part after the point, with the sign of the element."""
    return input - xp.trunc(input)


@frac.gradient("input")
def _(grad):
    return grad


@frac.samples
def _(make):
    yield (make(2, 3, low=-3, high=3),), {}


@frac.expect
def _(input):
    return np.sign(input) * (np.abs(input) % 1)
