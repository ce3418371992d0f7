"""Trigonometric and hyperbolic functions; angles are in radians."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.elementwise import elementwise
from dtorch.core.ops.arithmetic import abs as absolute
from dtorch.core.ops.comparison import choose
from dtorch.core.ops.complex import conjugate


@elementwise(ufunc=np.sin, floating=True)
def sin(xp: ArrayModule, input: Array) -> Array:
    """Sine."""
    return xp.sin(input)


@sin.gradient("input")
def _(grad, input):
    return grad * cos(input).conj()


@elementwise(ufunc=np.cos, floating=True)
def cos(xp: ArrayModule, input: Array) -> Array:
    """Cosine."""
    return xp.cos(input)


@cos.gradient("input")
def _(grad, input):
    return -grad * sin(input).conj()


@elementwise(ufunc=np.tan, floating=True)
def tan(xp: ArrayModule, input: Array) -> Array:
    """Tangent."""
    return xp.tan(input)


@tan.gradient("input")
def _(grad, out):
    return grad * (out * out + 1).conj()


@elementwise(ufunc=np.arcsin, floating=True)
def asin(xp: ArrayModule, input: Array) -> Array:
    """Angle whose sine is the element, from -pi/2 to pi/2."""
    return xp.arcsin(input)


@asin.gradient("input")
def _(grad, input):
    return grad / ((1 - input * input) ** 0.5).conj()


@elementwise(ufunc=np.arccos, floating=True)
def acos(xp: ArrayModule, input: Array) -> Array:
    """Angle whose cosine is the element, from 0 to pi."""
    return xp.arccos(input)


@acos.gradient("input")
def _(grad, input):
    return -grad / ((1 - input * input) ** 0.5).conj()


@elementwise(ufunc=np.arctan, floating=True)
def atan(xp: ArrayModule, input: Array) -> Array:
    """Angle whose tangent is the element, from -pi/2 to pi/2."""
    return xp.arctan(input)


@atan.gradient("input")
def _(grad, input):
    return grad / (input * input + 1).conj()


@elementwise(ufunc=np.arctan2, floating=True, aliases={"input1": "input", "input2": "other"})
def atan2(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Angle of the point ``(other, input)``, from -pi to pi."""
    return xp.arctan2(input, other)


@atan2.gradient("input")
def _(grad, input, other):
    radius = _radius(input, other)
    return grad * (other / radius) / radius


@atan2.gradient("other")
def _(grad, input, other):
    radius = _radius(input, other)
    return -grad * (input / radius) / radius


def _radius(input: Any, other: Any) -> Any:
    """1 where it is 0, so that the gradient is 0 there. Squares of integers would overflow."""
    radius = hypot(input, other)
    return choose(radius == 0, 1.0, radius)


@atan2.samples
def _(make):
    yield (make(3, 4), make(4, low=0.3)), {}


@atan2.expect
def _(input, other):
    return np.angle(other + 1j * input)


@elementwise(ufunc=np.sinh, floating=True)
def sinh(xp: ArrayModule, input: Array) -> Array:
    """Hyperbolic sine."""
    return xp.sinh(input)


@sinh.gradient("input")
def _(grad, input):
    return grad * cosh(input).conj()


@elementwise(ufunc=np.cosh, floating=True)
def cosh(xp: ArrayModule, input: Array) -> Array:
    """Hyperbolic cosine."""
    return xp.cosh(input)


@cosh.gradient("input")
def _(grad, input):
    return grad * sinh(input).conj()


@elementwise(ufunc=np.tanh, loop="tanh", floating=True)
def tanh(xp: ArrayModule, input: Array) -> Array:
    """Hyperbolic tangent."""
    return xp.tanh(input)


@tanh.gradient("input")
def _(grad, out):
    return grad * (1 - out * out).conj()


@elementwise(ufunc=np.arcsinh, floating=True)
def asinh(xp: ArrayModule, input: Array) -> Array:
    """Number whose hyperbolic sine is the element."""
    return xp.arcsinh(input)


@asinh.gradient("input")
def _(grad, input):
    return grad / ((input * input + 1) ** 0.5).conj()


@elementwise(ufunc=np.arccosh, floating=True)
def acosh(xp: ArrayModule, input: Array) -> Array:
    """Number, not negative, whose hyperbolic cosine is the element; nan below 1."""
    return xp.arccosh(input)


@acosh.gradient("input")
def _(grad, input):
    return grad / ((input - 1) ** 0.5 * (input + 1) ** 0.5).conj()


@elementwise(ufunc=np.arctanh, floating=True)
def atanh(xp: ArrayModule, input: Array) -> Array:
    """Number whose hyperbolic tangent is the element."""
    return xp.arctanh(input)


@atanh.gradient("input")
def _(grad, input):
    return grad / (1 - input * input).conj()


for _op, _reference in (
    (sin, lambda input: np.exp(1j * input).imag),
    (cos, lambda input: np.exp(1j * input).real),
    (tan, lambda input: np.sin(input) / np.cos(input)),
    (asin, lambda input: np.arctan2(input, np.sqrt(1 - input**2))),
    (acos, lambda input: math.pi / 2 - np.arcsin(input)),
    (atan, lambda input: np.arctan2(input, 1)),
    (sinh, lambda input: (np.exp(input) - np.exp(-input)) / 2),
    (cosh, lambda input: (np.exp(input) + np.exp(-input)) / 2),
    (asinh, lambda input: np.log(input + np.sqrt(input**2 + 1))),
    (atanh, lambda input: np.log((1 + input) / (1 - input)) / 2),
    (tanh, lambda input: 1 - 2 / (np.exp(2 * input) + 1)),
):
    _op.samples(lambda make: iter([((make(3, 4, low=-0.9, high=0.9),), {})]))
    _op.expect(_reference)
acosh.samples(lambda make: iter([((make(3, 4, low=1.2, high=4),), {})]))
acosh.expect(lambda input: np.log(input + np.sqrt(input**2 - 1)))


@elementwise(floating=True)
def sinc(xp: ArrayModule, input: Array) -> Array:
    """``sin(pi * input) / (pi * input)``, 1 at 0."""
    return xp.sinc(input)


@sinc.gradient("input")
def _(grad, input, out):
    angle = input * math.pi
    square = angle * angle
    near = absolute(angle) < 0.13  # where the difference below leaves few digits: the series
    series = -angle * (1 / 3 - square * (1 / 30 - square * (1 / 840 - square / 45360))) * math.pi
    slope = (cos(angle) - out) / choose(near, 1.0, input)
    return grad * conjugate(choose(near, series, slope))


@sinc.samples
def _(make):
    yield (make(3, 4, low=-3, high=3),), {}


@sinc.expect
def _(input):
    return np.sin(np.pi * input) / (np.pi * input)


@elementwise(ufunc=np.hypot, floating=True, takes="bif")
def hypot(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Length of the hypotenuse: ``sqrt(input**2 + other**2)``, without overflow; the gradient at
    0 is 0."""
    return xp.hypot(input, other)


@hypot.gradient("input")
def _(grad, input, out):
    return grad * (input / choose(out == 0, 1.0, out))


@hypot.gradient("other")
def _(grad, other, out):
    return grad * (other / choose(out == 0, 1.0, out))


@hypot.samples
def _(make):
    yield (make(3, 4), make(4)), {}


@hypot.expect
def _(input, other):
    return np.abs(input + 1j * other)


def _degrees(name: str, factor: float, doc: str, reference: Any) -> Any:
    def body(xp: ArrayModule, input: Array) -> Array:
        return input * input.dtype.type(factor)

    body.__name__, body.__doc__ = name, doc
    op = elementwise(floating=True, takes="bif")(body)
    op.gradient("input")(lambda grad: grad * factor)
    op.samples(lambda make: iter([((make(3),), {})]))
    op.expect(reference)
    return op


deg2rad = _degrees("deg2rad", math.pi / 180, "Degrees to radians.", np.deg2rad)
rad2deg = _degrees("rad2deg", 180 / math.pi, "Radians to degrees.", np.rad2deg)
