"""Activation functions in pieces: one formula below some number, another above."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.dtype import number_in
from dtorch.core.elementwise import elementwise
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.ops.comparison import choose, keep, logical_not
from dtorch.core.ops.exponential import exp
from dtorch.core.tensor import Tensor


def _samples(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(0, 4),), {}


@elementwise(loop="relu", takes="if")
def relu(xp: ArrayModule, input: Array) -> Array:
    """Rectified linear unit: ``max(input, 0)``; the gradient at 0 is 0."""
    return xp.maximum(input, input.dtype.type(0))


@relu.gradient("input")
def _(grad, out):
    return keep(grad, logical_not(out <= 0))


relu.samples(_samples)
relu.expect(lambda input: np.where(input < 0, 0, input))


@elementwise(home="nn", takes="f")
def leaky_relu(xp: ArrayModule, input: Array, negative_slope: float = 0.01) -> Array:
    """``input`` where positive, ``negative_slope * input`` elsewhere.

    Reference: Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models".
    """
    return xp.where(input > 0, input, input * input.dtype.type(negative_slope))


@leaky_relu.gradient("input")
def _(grad, input, negative_slope):
    return choose(input > 0, grad, grad * negative_slope)


@leaky_relu.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(3, 4, low=-2, high=2), 0.3), {}


leaky_relu.expect(lambda input, slope=0.01: np.maximum(input, 0) + slope * np.minimum(input, 0))


@elementwise(home="nn", takes="f")
def elu(xp: ArrayModule, input: Array, alpha: float = 1.0) -> Array:
    """Exponential linear unit: ``input`` where positive, else ``alpha * (exp(input) - 1)``.

    Args:
        alpha: the value approached for very negative input is ``-alpha``.

    Reference: Clevert et al. 2015, arXiv:1511.07289.
    """
    zero = input.dtype.type(0)
    return xp.where(input > 0, input, alpha * xp.expm1(xp.minimum(input, zero)))


@elu.gradient("input")
def _(grad, input, alpha):
    return choose(input <= 0, grad * (exp(keep(input, input <= 0)) * alpha), grad)


@elu.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(3, 4, low=-100, high=100), 0.5), {}


elu.expect(
    lambda input, alpha=1.0: np.maximum(input, 0) + alpha * (np.exp(np.minimum(input, 0)) - 1)
)


SELU_ALPHA = 1.6732632423543772848170429916717
SELU_SCALE = 1.0507009873554804934193349852946


@elementwise(home="nn", takes="f")
def selu(xp: ArrayModule, input: Array) -> Array:
    """Self-normalising `elu`: mean 0 and variance 1 are kept from layer to layer.

    Reference: Klambauer et al. 2017, arXiv:1706.02515.
    """
    kind = input.dtype.type
    below = kind(SELU_SCALE * SELU_ALPHA) * xp.expm1(xp.minimum(input, kind(0)))
    return xp.where(input > 0, kind(SELU_SCALE) * input, below)


@selu.gradient("input")
def _(grad, input):
    below = exp(keep(input, input <= 0)) * (SELU_SCALE * SELU_ALPHA)
    return choose(input <= 0, grad * below, grad * SELU_SCALE)


selu.samples(_samples)
selu.expect(
    lambda input: (
        1.0507009873554805 * np.where(input > 0, input, 1.6732632423543772 * (np.exp(input) - 1))
    )
)


@elementwise(home="nn", takes="f")
def celu(xp: ArrayModule, input: Array, alpha: float = 1.0) -> Array:
    """``max(input, 0) + min(alpha * (exp(input / alpha) - 1), 0)``.

    Reference: Barron 2017, arXiv:1704.07483.
    """
    kind = input.dtype.type
    below = kind(alpha) * xp.expm1(xp.minimum(input, kind(0)) / kind(alpha))
    return xp.where(input > 0, input, below)


@celu.shape
def _(input, alpha):
    if alpha == 0:
        raise ArgumentError("celu: alpha is 0, expected another number")


@celu.gradient("input")
def _(grad, input, alpha):
    return choose(input <= 0, grad * exp(keep(input, input <= 0) / alpha), grad)


@celu.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(3, 4, low=-2, high=2), 0.5), {}


celu.expect(
    lambda input, alpha=1.0: (
        np.maximum(input, 0) + np.minimum(alpha * (np.exp(input / alpha) - 1), 0)
    )
)


@elementwise(tensors=("input",), home="nn", takes="if")
def threshold(xp: ArrayModule, input: Array, threshold: float, value: float) -> Array:
    """``input`` where above ``threshold``, ``value`` elsewhere."""
    return xp.where(input <= threshold, number_in("threshold", value, input.dtype), input)


@threshold.gradient("input")
def _(grad, input, threshold):
    return keep(grad, logical_not(input <= threshold))


@threshold.samples
def _(make):
    yield (make(3, 4), 0.1, -2.0), {}


@threshold.expect
def _(input, threshold, value):
    return np.select([input > threshold], [input], value)


@elementwise(home="nn", takes="if")
def hardtanh(xp: ArrayModule, input: Array, min_val: float = -1.0, max_val: float = 1.0) -> Array:
    """``input`` cut off at ``min_val`` and ``max_val``."""
    return xp.clip(input, _bound(input, min_val), _bound(input, max_val))


def _bound(input: Any, limit: float) -> Any:
    """A limit as the dtype of ``input``, where integers have ends."""
    if input.dtype.kind in "iu":
        ends = np.iinfo(input.dtype)
        limit = min(max(limit, ends.min), ends.max)
    return input.dtype.type(limit)


@hardtanh.gradient("input")
def _(grad, input, min_val, max_val):
    return keep(grad, logical_not((input <= min_val) | (input >= max_val)))


@hardtanh.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(3, 4, low=-2, high=2), -0.5, 1.5), {}


@hardtanh.expect
def _(input, min_val=-1.0, max_val=1.0):
    return np.minimum(np.maximum(input, min_val), max_val)


@elementwise(loop="relu6", home="nn", takes="if")
def relu6(xp: ArrayModule, input: Array) -> Array:
    """``min(max(input, 0), 6)``."""
    return xp.clip(input, input.dtype.type(0), input.dtype.type(6))


@relu6.gradient("input")
def _(grad, input):
    return keep(grad, logical_not((input <= 0) | (input >= 6)))


@relu6.samples
def _(make):
    yield (make(3, 4, low=-4, high=9),), {}


relu6.expect(lambda input: np.minimum(np.maximum(input, 0), 6))


@elementwise(home="nn", takes="f")
def hardshrink(xp: ArrayModule, input: Array, lambd: float = 0.5) -> Array:
    """``input`` where its absolute value exceeds ``lambd``, 0 elsewhere."""
    return xp.where(xp.abs(input) <= lambd, input.dtype.type(0), input)


@hardshrink.gradient("input")
def _(grad, out):
    return keep(grad, out != 0)


@elementwise(home="nn", takes="f")
def softshrink(xp: ArrayModule, input: Array, lambd: float = 0.5) -> Array:
    """``input`` moved toward 0 by ``lambd``, and no further than 0.

    Raises:
        ArgumentError: ``lambd`` is negative.
    """
    if lambd < 0:
        raise ArgumentError(f"softshrink: lambd is {lambd}, expected at least 0")
    return input - xp.clip(input, input.dtype.type(-lambd), input.dtype.type(lambd))


@softshrink.gradient("input")
def _(grad, out):
    return keep(grad, out != 0)


def _shrink_samples(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(3, 4, low=-2, high=2), 0.8), {}


hardshrink.samples(_shrink_samples)
softshrink.samples(_shrink_samples)
hardshrink.expect(lambda input, lambd=0.5: input * ((input > lambd) | (input < -lambd)))
softshrink.expect(lambda input, lambd=0.5: np.sign(input) * np.maximum(np.abs(input) - lambd, 0))


@elementwise(loop="hardsigmoid", home="nn", takes="f")
def hardsigmoid(xp: ArrayModule, input: Array) -> Array:
    """``input / 6 + 1/2``, cut off at 0 and 1."""
    return xp.clip(input + input.dtype.type(3), 0, 6) / input.dtype.type(6)


@hardsigmoid.gradient("input")
def _(grad, input):
    return keep(grad * (1 / 6), (input > -3) & (input < 3))


@elementwise(loop="hardswish", home="nn", takes="f")
def hardswish(xp: ArrayModule, input: Array) -> Array:
    """``input`` times `hardsigmoid` of it.

    Reference: Howard et al. 2019, arXiv:1905.02244.
    """
    return input * (xp.clip(input + input.dtype.type(3), 0, 6) / input.dtype.type(6))


@hardswish.gradient("input")
def _(grad, input):
    inside = grad * (input * (1 / 3) + 0.5)
    return keep(choose(input >= 3, grad, inside), logical_not(input <= -3))


def _hard_samples(make):
    yield (make(3, 4, low=-5, high=5),), {}


hardsigmoid.samples(_hard_samples)
hardswish.samples(_hard_samples)
hardsigmoid.expect(lambda input: np.minimum(np.maximum(input / 6 + 0.5, 0), 1))
hardswish.expect(lambda input: input * np.minimum(np.maximum(input / 6 + 0.5, 0), 1))


@elementwise(tensors=("input", "weight"), method=False, public=False, inplace=False)
def slope_below(xp: ArrayModule, input: Array, weight: Array) -> Array:
    """``input`` where positive, ``weight * input`` elsewhere."""
    return xp.where(input > 0, input, weight * input)


@slope_below.gradient("input")
def _(grad, input, weight):
    return choose(input > 0, grad, grad * weight)


@slope_below.gradient("weight")
def _(grad, input):
    return keep(grad * input, logical_not(input > 0))


@composite(tensors=("input", "weight"), home="nn", takes="f")
def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``input`` where positive, ``weight * input`` elsewhere.

    Args:
        weight: one slope, or one for each channel (dim 1).

    Reference: He et al. 2015, arXiv:1502.01852.
    """
    shape = tuple(input.shape)
    slopes = weight.numel()
    if slopes != 1:
        channels = shape[1] if len(shape) > 1 else 1
        if slopes != channels:
            raise ShapeError(
                f"prelu: weight has {slopes} slopes, expected 1 or {channels}, one for each channel "
                f"of an input of shape {shape}"
            )
        weight = weight.reshape((-1,) + (1,) * max(len(shape) - 2, 0))
    else:
        weight = weight.reshape((1,) * len(shape))
    return slope_below(input, weight)


@prelu.samples
def _(make):
    yield (make(2, 3, 4), make(3)), {}
    yield (make(2, 3), make(1)), {}


@prelu.expect
def _(input, weight):
    w = weight if weight.size == 1 else weight.reshape((-1,) + (1,) * (input.ndim - 2))
    return np.maximum(input, 0) + w * np.minimum(input, 0)
