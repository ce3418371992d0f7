"""Signs and exponents of floating-point numbers; divisors of whole ones."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.elementwise import elementwise
from dtorch.core.op import Op
from dtorch.core.ops.comparison import keep
from dtorch.core.ops.exponential import exp2
from dtorch.core.tensor import Tensor


def _numbers(make):
    x = make(3, 4)
    x[0, :3] = make(3) * 0 + np.inf
    x[1, :2] = -x[0, :2]
    yield (x,), {}
    yield (make(0, 2),), {}


@elementwise(inplace=False, takes="bif")
def signbit(xp: ArrayModule, input: Array) -> Array:
    """Whether the sign is that of a negative number; of -0.0 it is, too."""
    return input < 0 if input.dtype.kind in "biu" else xp.signbit(input)


@elementwise(inplace=False, takes="bif")
def isneginf(xp: ArrayModule, input: Array) -> Array:
    """Whether the element is -inf."""
    return input == -np.inf


@elementwise(inplace=False, takes="bif")
def isposinf(xp: ArrayModule, input: Array) -> Array:
    """Whether the element is inf."""
    return input == np.inf


@elementwise(inplace=False)
def isreal(xp: ArrayModule, input: Array) -> Array:
    """Whether the imaginary part is 0; real numbers have none."""
    if input.dtype.kind == "c":
        return input.imag == 0
    return xp.full(input.shape, True)


for _op, _reference in (
    (signbit, lambda input: np.copysign(1, input) < 0),
    (isneginf, lambda input: np.isinf(input) & (input < 0)),
    (isposinf, lambda input: np.isinf(input) & (input > 0)),
    (isreal, lambda input: np.ones(input.shape, bool)),
):
    _op.samples(_numbers)
    _op.expect(_reference)


@elementwise(inplace=True)
def heaviside(xp: ArrayModule, input: Array, values: Array) -> Array:
    """1 of positive elements, ``values`` of 0, and 0 of others, nan among them."""
    return xp.where(input == 0, values, (input > 0).astype(input.dtype))


@heaviside.samples
def _(make):
    yield (make.constant(3, 4).round(), make.constant(4)), {}
    yield (make(3).long(), make(3).long()), {}


@heaviside.expect
def _(input, values):
    return np.heaviside(input.astype(float), values).astype(input.dtype)


@composite(tensors=("input", "other"), inplace=True, wide=True)
def ldexp(input: Any, other: Any) -> Any:
    """``input * 2**other``."""
    return input * exp2(other)


@ldexp.samples
def _(make):
    yield (make(3, 4), make(4)), {}


@ldexp.expect
def _(input, other):
    return input * 2**other


class Frexp(NamedTuple):
    """Numbers in [0.5, 1) and the powers of two that they are to be multiplied by."""

    mantissa: Tensor
    exponent: Tensor


class _FrexpOp(Op):
    """Has two results."""

    def pack(self, outs: tuple[Any, ...]) -> Frexp:
        return Frexp(*outs)


def _frexp(xp: ArrayModule, input: Array) -> Any:
    """Mantissa and exponent: ``input = mantissa * 2**exponent``, with 0.5 <= abs(mantissa) < 1."""
    mantissa, exponent = xp.frexp(input)
    return mantissa, exponent.astype(np.int32)


_frexp.__name__ = "frexp"
frexp = _FrexpOp(_frexp, tensors=("input",), outputs=("mantissa", "exponent"), takes="f", wide=True,
                 rounded=1)  # fmt: skip


@frexp.gradient("input")
def _(grads, exponent):
    kind = grads[0].dtype
    power = exponent.to(kind) if isinstance(exponent, Tensor) else exponent.astype(kind)
    factor = exp2(-power)
    return grads[0] * keep(factor, True)


@frexp.samples
def _(make):
    yield (make(3, 4),), {}


@frexp.expect
def _(input):
    exponent = np.floor(np.log2(np.abs(input))) + 1
    return input / 2**exponent, exponent.astype(np.int32)


@elementwise(ufunc=np.gcd, wide=False, takes="i")
def gcd(xp: ArrayModule, input: Array, other: Array) -> Array:
    """The greatest common divisor of whole numbers."""
    return xp.gcd(input, other)


@elementwise(ufunc=np.lcm, wide=False, takes="i")
def lcm(xp: ArrayModule, input: Array, other: Array) -> Array:
    """The least common multiple of whole numbers."""
    return xp.lcm(input, other)


@gcd.samples
@lcm.samples
def _(make):
    yield (make.index(3, 4, high=30), make.index(4, high=30)), {}


gcd.expect(np.vectorize(math.gcd, otypes=[np.int64]))
lcm.expect(np.vectorize(math.lcm, otypes=[np.int64]))
