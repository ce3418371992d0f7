"""Activation functions of neural networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.op import elementwise, structured
from dtorch.core.ops.comparison import where
from dtorch.core.ops.exponential import exp
from dtorch.core.ops.reduction import sum
from dtorch.core.shapes import normalize_dim


def _samples(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(0, 4),), {}


@elementwise()
def relu(xp: Any, input: Any) -> Any:
    """Rectified linear unit: ``max(input, 0)``; the gradient at 0 is 0."""
    return xp.maximum(input, input.dtype.type(0))


@relu.gradient("input")
def _(grad, out):
    return grad * (out > 0)


relu.samples(_samples)
relu.expect(lambda input: np.where(input < 0, 0, input))


@elementwise(floating=True)
def sigmoid(xp: Any, input: Any) -> Any:
    """Logistic function ``1 / (1 + exp(-input))``, without overflow."""
    small = xp.exp(-xp.abs(input))
    return xp.where(input >= 0, 1 / (1 + small), small / (1 + small))


@sigmoid.gradient("input")
def _(grad, out):
    return grad * (out * (1 - out))


sigmoid.samples(_samples)
sigmoid.expect(lambda input: 0.5 + 0.5 * np.tanh(input / 2))


@elementwise(method=False)
def leaky_relu(xp: Any, input: Any, negative_slope: float = 0.01) -> Any:
    """``input`` where positive, ``negative_slope * input`` elsewhere.

    Reference: Maas et al. 2013, "Rectifier nonlinearities improve neural network acoustic models".
    """
    return xp.where(input > 0, input, input * input.dtype.type(negative_slope))


@leaky_relu.gradient("input")
def _(grad, input, negative_slope):
    return where(input > 0, grad, grad * negative_slope)


@leaky_relu.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(3, 4, low=-2, high=2), 0.3), {}


leaky_relu.expect(lambda input, slope=0.01: np.maximum(input, 0) + slope * np.minimum(input, 0))


@elementwise(method=False)
def elu(xp: Any, input: Any, alpha: float = 1.0) -> Any:
    """Exponential linear unit: ``input`` where positive, else ``alpha * (exp(input) - 1)``.

    Args:
        alpha: the value approached for very negative input is ``-alpha``.

    Reference: Clevert et al. 2015, arXiv:1511.07289.
    """
    zero = input.dtype.type(0)
    return xp.where(input > 0, input, alpha * xp.expm1(xp.minimum(input, zero)))


@elu.gradient("input")
def _(grad, input, out, alpha):
    return where(input > 0, grad, grad * (out + alpha))


@elu.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(3, 4, low=-100, high=100), 0.5), {}


elu.expect(
    lambda input, alpha=1.0: np.maximum(input, 0) + alpha * (np.exp(np.minimum(input, 0)) - 1)
)


@elementwise(method=False)
def softplus(xp: Any, input: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
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
    return where(input * beta > threshold, grad, grad * sigmoid(input * beta))


@softplus.samples
def _(make):
    yield (make(3, 4, low=-2, high=2),), {}
    yield (make(3, 4, low=-20, high=20), 2.0, 10.0), {}


@softplus.expect
def _(input, beta=1.0, threshold=20.0):
    return np.where(
        beta * input > threshold, input, np.log1p(np.exp(np.minimum(beta * input, 50))) / beta
    )


@structured(tensors=("input",))
def softmax(xp: Any, input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Exponentials along ``dim``, divided by their sum."""
    dim, input = _along(input, dim, dtype)
    shifted = xp.exp(input - _top(xp, input, dim))
    return shifted / xp.sum(shifted, axis=dim, keepdims=True)


@structured(tensors=("input",))
def log_softmax(xp: Any, input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Logarithm of `softmax`, without overflow or loss of digits."""
    dim, input = _along(input, dim, dtype)
    shifted = input - _top(xp, input, dim)
    return shifted - xp.log(xp.sum(xp.exp(shifted), axis=dim, keepdims=True))


def _along(input: Any, dim: int, dtype: Any) -> tuple[Any, Any]:
    if dtype is not None:
        input = input.astype(dtype.numpy)
    if not input.ndim:
        return (), input
    return normalize_dim("softmax", dim, input.ndim), input


def _top(xp: Any, input: Any, dim: Any) -> Any:
    if input.size == 0:
        return input.dtype.type(0)
    return xp.max(input, axis=dim, keepdims=True)


@softmax.gradient("input")
def _(grad, out, dim):
    weighted = grad * out
    return weighted - out * sum(weighted, dim, True)


@log_softmax.gradient("input")
def _(grad, out, dim):
    return grad - exp(out) * sum(grad, dim, True)


def _softmax_samples(make):
    yield (make(3, 4), 1), {}
    yield (make(2, 3, 4), 0), {}
    yield (make(3, 4, low=-1000, high=1000), -1), {}


softmax.samples(_softmax_samples)
log_softmax.samples(_softmax_samples)


@log_softmax.expect
def _(input, dim):
    top = input.max(dim, keepdims=True)
    return input - (top + np.log(np.exp(input - top).sum(dim, keepdims=True)))


@softmax.expect
def _(input, dim):
    powers = np.exp(input - input.max(dim, keepdims=True))
    return powers / powers.sum(dim, keepdims=True)


def _last_dim_kernel(name: str, body: Any) -> Any:
    """The compiled kernel where rows lie in order, the body elsewhere."""

    def kernel(input: Any, dim: int, dtype: Any = None) -> Any:
        rows_in_order = (
            dtype is None
            and input.ndim
            and input.dtype.char in "fd"
            and input.flags.c_contiguous
            and normalize_dim(name, dim, input.ndim) == input.ndim - 1
            and input.size
        )
        if not rows_in_order:
            return body(np, input, dim, dtype=dtype)
        out = np.empty_like(input)
        columns = input.shape[-1]
        getattr(backend.native, name)(input.reshape(-1, columns), out.reshape(-1, columns))
        return out

    return kernel


softmax.kernel("cpu")(_last_dim_kernel("softmax", softmax.body))
log_softmax.kernel("cpu")(_last_dim_kernel("log_softmax", log_softmax.body))
