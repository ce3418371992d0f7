"""Smooth activation functions of neural networks; those in pieces are in `rectifiers`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.elementwise import elementwise
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.ops.arithmetic import abs as magnitude, sgn
from dtorch.core.ops.comparison import choose, keep
from dtorch.core.ops.complex import conjugate, holds_complex, real
from dtorch.core.ops.error_function import erf, erf_of
from dtorch.core.ops.exponential import exp
from dtorch.core.ops.splitting import chunk
from dtorch.core.ops.trigonometric import tanh
from dtorch.core.shapes import normalize_dim
from dtorch.core.tensor import Tensor


def _samples(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(0, 4),), {}


@elementwise(loop="sigmoid", floating=True)
def sigmoid(xp: ArrayModule, input: Array) -> Array:
    """Logistic function ``1 / (1 + exp(-input))``, without overflow."""
    if input.dtype.kind == "c":
        return 1 / (1 + xp.exp(-input))
    small = xp.exp(-xp.abs(input))
    return xp.where(input >= 0, 1 / (1 + small), small / (1 + small))


@sigmoid.gradient("input")
def _(grad, out):
    return grad * conjugate(out * (1 - out))


sigmoid.samples(_samples)
sigmoid.expect(lambda input: 0.5 + 0.5 * np.tanh(input / 2))


@elementwise(home="nn", takes="f")
def softplus(xp: ArrayModule, input: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """Smooth ``relu``: ``log(1 + exp(beta * input)) / beta``; the input itself above a threshold.

    Args:
        threshold: value of ``beta * input`` from which on the function is taken as linear.
    """
    scaled = input * input.dtype.type(beta)
    zero = input.dtype.type(0)
    smooth = (xp.maximum(scaled, zero) + xp.log1p(xp.exp(-xp.abs(scaled)))) / input.dtype.type(beta)
    return xp.where(scaled > threshold, input, smooth)


@softplus.gradient("input")
def _(grad, input, beta, threshold):
    return choose(input * beta > threshold, grad, grad * sigmoid(input * beta))


@softplus.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(3, 4, low=-20, high=20), 2.0, 10.0), {}


@softplus.expect
def _(input, beta=1.0, threshold=20.0):
    return np.where(
        beta * input > threshold, input, np.log1p(np.exp(np.minimum(beta * input, 50))) / beta
    )


@composite(tensors=("input",), home="nn", wide=True, takes="ifc")
def tanhshrink(input: Tensor) -> Tensor:
    """``input - tanh(input)``."""
    return input - tanh(input)


tanhshrink.samples(_samples)
tanhshrink.expect(lambda input: input - np.sinh(input) / np.cosh(input))


@elementwise(home="nn", floating=True, takes="ifc")
def softsign(xp: ArrayModule, input: Array) -> Array:
    """``input / (1 + |input|)``."""
    return input / (1 + xp.abs(input))


@softsign.gradient("input")
def _(grad, input):
    size = magnitude(input) + 1
    if not holds_complex(input):
        return grad / (size * size)
    # The length depends on both parts: d|z| = Re(conj(z) dz) / |z|.
    return grad / size - sgn(input) * (real(grad * conjugate(input)) / (size * size))


softsign.samples(_samples)
softsign.expect(lambda input: np.sign(input) - np.sign(input) / (1 + np.abs(input)))


@elementwise(loop="logsigmoid", home="nn", takes="f", recorded_as="LogSigmoid")
def logsigmoid(xp: ArrayModule, input: Array) -> Array:
    """Logarithm of `sigmoid`, without overflow."""
    return xp.minimum(input, input.dtype.type(0)) - xp.log1p(xp.exp(-xp.abs(input)))


@logsigmoid.gradient("input")
def _(grad, input):
    return grad * sigmoid(-input)


@logsigmoid.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(3, 4, low=-900, high=900),), {}


logsigmoid.expect(lambda input: -np.logaddexp(0, -input))


@elementwise(home="nn", takes="f")
def gelu(xp: ArrayModule, input: Array, approximate: str = "none") -> Array:
    """Gaussian error linear unit: ``input`` times the normal distribution function of it.

    Args:
        approximate: ``"none"``, or ``"tanh"`` for an approximation by a hyperbolic tangent.

    Reference: Hendrycks and Gimpel 2016, arXiv:1606.08415.
    """
    if approximate == "none":
        out = erf_of(xp, input * input.dtype.type(math.sqrt(0.5)))
    elif approximate == "tanh":
        out = xp.tanh(_inner(input))
    else:
        raise ArgumentError(f"gelu: approximate is {approximate!r}, expected 'none' or 'tanh'")
    out += 1
    out *= input
    out *= input.dtype.type(0.5)
    return out


_SLOPE = math.sqrt(2 / math.pi)


def _inner(x: Any) -> Any:
    return (x * x * 0.044715 + 1) * x * _SLOPE


@gelu.gradient("input")
def _(grad, input, approximate):
    if approximate == "none":
        density = exp(input * input * -0.5) * (1 / math.sqrt(2 * math.pi))
        return grad * ((erf(input * math.sqrt(0.5)) + 1) * 0.5 + input * density)
    t = tanh(_inner(input))
    slope = (input * input * (3 * 0.044715) + 1) * _SLOPE
    return grad * ((t + 1) * 0.5 + input * 0.5 * (1 - t * t) * slope)


@gelu.samples
def _(make):
    yield (make(3, 4, low=-3, high=3),), {}
    yield (make(3, 4, low=-3, high=3), "tanh"), {}


@gelu.expect
def _(input, approximate="none"):
    if approximate == "none":
        return input * 0.5 * np.vectorize(math.erfc)(-input / math.sqrt(2))
    return 0.5 * input * (1 + np.tanh(math.sqrt(2 / math.pi) * (input + 0.044715 * input**3)))


@elementwise(loop="silu", home="nn", takes="fc")
def silu(xp: ArrayModule, input: Array) -> Array:
    """Sigmoid linear unit: ``input * sigmoid(input)``, also known as swish."""
    return input * sigmoid.body(xp, input)


@silu.gradient("input")
def _(grad, input):
    s = sigmoid(input)
    return grad * conjugate(s * (1 + input * (1 - s)))


silu.samples(_samples)
silu.expect(lambda input: input / (1 + np.exp(-input)))


@elementwise(loop="mish", home="nn", takes="f")
def mish(xp: ArrayModule, input: Array) -> Array:
    """``input * tanh(softplus(input))``.

    Reference: Misra 2019, arXiv:1908.08681.
    """
    return input * xp.tanh(xp.logaddexp(input, input.dtype.type(0)))


@mish.gradient("input")
def _(grad, input):
    t = tanh(softplus(input))
    bend = keep(input, input <= 20) * (1 - t * t) * sigmoid(input)  # 0 above
    return grad * (t + bend)


mish.samples(_samples)
mish.expect(lambda input: input * np.tanh(np.log1p(np.exp(input))))


@composite(tensors=("input",), home="nn", wide=True, takes="f")
def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Gated linear unit: the first half along ``dim`` times the `sigmoid` of the second.

    Reference: Dauphin et al. 2016, arXiv:1612.08083.
    """
    size = input.shape[normalize_dim("glu", dim, input.ndim)] if input.ndim else 1
    if size % 2:
        raise ShapeError(
            f"glu: dim {dim} of shape {tuple(input.shape)} has {size} elements, expected an even "
            "number"
        )
    first, gate = chunk(input, 2, dim)
    return first * sigmoid(gate)


@glu.samples
def _(make):
    yield (make(2, 6),), {}
    yield (make(4, 3), 0), {}


@glu.expect
def _(input, dim=-1):
    a, b = np.split(input, 2, dim)
    return a / (1 + np.exp(-b))
