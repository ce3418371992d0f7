"""Exponentials and logarithms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.elementwise import elementwise
from dtorch.core.ops.comparison import choose, keep, logical_not


@elementwise(ufunc=np.exp, loop="exp", floating=True, aliases={"tensor": "input"})
def exp(xp: ArrayModule, input: Array) -> Array:
    """Exponential function ``e ** input``."""
    return xp.exp(input)


@exp.gradient("input")
def _(grad, out):
    return grad * out.conj()


@elementwise(ufunc=np.expm1, floating=True)
def expm1(xp: ArrayModule, input: Array) -> Array:
    """``e ** input - 1``, exact also near 0."""
    return xp.expm1(input)


@expm1.gradient("input")
def _(grad, out):
    return grad * (out.conj() + 1)


@elementwise(ufunc=np.log, floating=True)
def log(xp: ArrayModule, input: Array) -> Array:
    """Natural logarithm; -inf at 0, nan for negative numbers."""
    return xp.log(input)


@log.gradient("input")
def _(grad, input):
    return grad / input.conj()


@elementwise(ufunc=np.log1p, floating=True)
def log1p(xp: ArrayModule, input: Array) -> Array:
    """``log(1 + input)``, exact also near 0."""
    return xp.log1p(input)


@log1p.gradient("input")
def _(grad, input):
    return grad / (input.conj() + 1)


@elementwise(ufunc=np.log2, floating=True)
def log2(xp: ArrayModule, input: Array) -> Array:
    """Logarithm to the base 2."""
    return xp.log2(input)


@log2.gradient("input")
def _(grad, input):
    return grad / (input.conj() * math.log(2))


@elementwise(ufunc=np.log10, floating=True)
def log10(xp: ArrayModule, input: Array) -> Array:
    """Logarithm to the base 10."""
    return xp.log10(input)


@log10.gradient("input")
def _(grad, input):
    return grad / (input.conj() * math.log(10))


@elementwise(ufunc=np.exp2, floating=True)
def exp2(xp: ArrayModule, input: Array) -> Array:
    """``2 ** input``."""
    return xp.exp2(input)


@exp2.gradient("input")
def _(grad, out):
    return grad * (out.conj() * math.log(2))


for _op, _reference in (
    (exp, lambda input: math.e**input),
    (expm1, lambda input: math.e**input - 1),
    (exp2, lambda input: 2**input),
    (log, lambda input: np.log2(input) * math.log(2)),
    (log1p, lambda input: np.log(1 + input)),
    (log2, lambda input: np.log(input) / math.log(2)),
    (log10, lambda input: np.log(input) / math.log(10)),
):
    _op.samples(lambda make: iter([((make(3, 4, low=0.2),), {}), ((make(0, 2, low=0.2),), {})]))
    _op.expect(_reference)


@elementwise(ufunc=np.logaddexp, floating=True, takes="bif")
def logaddexp(xp: ArrayModule, input: Array, other: Array) -> Array:
    """``log(exp(input) + exp(other))``, without overflow."""
    return xp.logaddexp(input, other)


def share(input: Any, out: Any, power: Any = exp) -> Any:
    """``exp(input - out)``, the share of an element in the sum whose logarithm is ``out``.

    An infinite element has all of an infinite sum, and none has a share in a sum of 0.
    """
    return keep(power(keep(input - out, input != out)), out != -math.inf)


def _share_of_two(mine: Any, theirs: Any, out: Any, power: Any) -> Any:
    """The share of the first; it is more exact than `share`, as ``out`` is rounded."""
    ahead = keep(mine - theirs, mine != theirs)  # 0 of two infinite ones
    small = power(choose(ahead < 0, ahead, -ahead))
    return keep(choose(ahead < 0, small, 1.0) / (small + 1), out != -math.inf)


@logaddexp.gradient("input")
def _(grad, input, other, out):
    return grad * _share_of_two(input, other, out, exp)


@logaddexp.gradient("other")
def _(grad, input, other, out):
    return grad * _share_of_two(other, input, out, exp)


@logaddexp.expect
def _(input, other):
    return np.log(np.exp(input) + np.exp(other))


@elementwise(ufunc=np.logaddexp2, floating=True, takes="bif")
def logaddexp2(xp: ArrayModule, input: Array, other: Array) -> Array:
    """``log2(2 ** input + 2 ** other)``, without overflow."""
    return xp.logaddexp2(input, other)


@logaddexp2.gradient("input")
def _(grad, input, other, out):
    return grad * _share_of_two(input, other, out, exp2)


@logaddexp2.gradient("other")
def _(grad, input, other, out):
    return grad * _share_of_two(other, input, out, exp2)


@logaddexp2.expect
def _(input, other):
    return np.log2(2**input + 2**other)


for _op in (logaddexp, logaddexp2):
    _op.samples(lambda make: iter([((make(3, 4), make(4)), {})]))


@elementwise(floating=True, takes="bif")
def xlogy(xp: ArrayModule, input: Array, other: Array) -> Array:
    """``input * log(other)``, 0 where ``input`` is 0."""
    return xp.where((input == 0) & (other == other), 0, input * xp.log(other)).astype(
        other.dtype, copy=False
    )


@xlogy.gradient("input")
def _(grad, input, other):
    none = (input == 0) & (other <= 0)
    return keep(xlogy(grad, choose(none, 1.0, other)), logical_not(none))


@xlogy.gradient("other")
def _(grad, input, other):
    return grad * (input / other)


@xlogy.samples
def _(make):
    yield (make(3, 4), make(4, low=0.2)), {}


@xlogy.expect
def _(input, other):
    return input * np.log2(other) / np.log2(math.e)
