"""Normalisation of activations."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.errors import ShapeError
from dtorch.core.grad_mode import no_grad
from dtorch.core.op import composite, structured
from dtorch.core.ops.reduction import sum


def _channels(value: Any, ndim: int) -> Any:
    """A value of each channel, shaped to broadcast against ``(N, C, *)``."""
    return value.reshape((1, -1) + (1,) * (ndim - 2))


@structured(tensors=("input",), outputs=("out", "mean", "invstd", "var"), returns=4, public=False)
def standardize(xp: Any, input: Any, eps: float) -> Any:
    """Each channel of ``(N, C, *)`` less its mean, divided by its standard deviation.

    Returns also the mean, the reciprocal standard deviation and the (biased) variance of each
    channel; all of them have gradients.
    """
    dims = (0, *range(2, input.ndim))
    mean = input.mean(axis=dims, dtype=input.dtype)
    centred = input - _channels(mean, input.ndim)
    var = xp.mean(xp.square(centred), axis=dims, dtype=input.dtype)
    invstd = 1 / xp.sqrt(var + input.dtype.type(eps))
    return centred * _channels(invstd, input.ndim), mean, invstd, var


@standardize.gradient("input")
def _(grads, input, mean, invstd, out):
    g, g_mean, g_invstd, g_var = grads
    ndim = len(tuple(input.shape))
    dims = (0, *range(2, ndim))
    count = 1
    for d in dims:
        count *= input.shape[d]
    scale = _channels(invstd, ndim)
    through_mean = sum(g, dims, True) / count
    through_std = out * (sum(g * out, dims, True) / count)
    # var and invstd depend on the input alike: d invstd / d var = -invstd ** 3 / 2.
    g_variance = _channels(g_var - g_invstd * invstd**3 * 0.5, ndim)
    deviation = out / scale
    return (
        scale * (g - through_mean - through_std)
        + _channels(g_mean, ndim) / count
        + g_variance * deviation * (2 / count)
    )


@composite(tensors=("input", "running_mean", "running_var", "weight", "bias"), method=False)
def batch_norm(
    input: Any, running_mean: Any, running_var: Any, weight: Any = None, bias: Any = None,
    training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Each channel standardised over the batch, then scaled and shifted.

    Args:
        input: ``(N, C, *)``.
        running_mean, running_var: ``(C,)``, updated in place in training, used otherwise; or None.
        weight, bias: ``(C,)`` or None.
        momentum: weight of the new statistics; the variance stored is the unbiased one.

    Reference: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """
    ndim = input.ndim
    if ndim < 2:
        raise ShapeError(
            f"batch_norm: input has shape {tuple(input.shape)}, expected at least 2 dimensions"
        )
    if training or running_mean is None:
        count = input.numel() // max(input.shape[1], 1) if hasattr(input, "numel") else 0
        if training and count == 1:
            raise ShapeError(
                f"batch_norm: one value per channel in training, input has shape "
                f"{tuple(input.shape)}"
            )
        out, mean, _, var = standardize(input, eps)
        if training and running_mean is not None:
            _update(running_mean, running_var, mean, var, momentum, count)
    else:
        invstd = (running_var + eps) ** -0.5
        out = (input - _channels(running_mean, ndim)) * _channels(invstd, ndim)
    if weight is not None:
        out = out * _channels(weight, ndim)
    return out if bias is None else out + _channels(bias, ndim)


def _update(
    running_mean: Any, running_var: Any, mean: Any, var: Any, momentum: float, count: int
) -> None:
    with no_grad():
        running_mean.mul_(1 - momentum).add_(mean.detach(), alpha=momentum)
        unbiased = var.detach() * (count / (count - 1))
        running_var.mul_(1 - momentum).add_(unbiased, alpha=momentum)


@batch_norm.samples
def _(make):
    yield (make(3, 2, 4), None, None, make(2), make(2)), {}
    yield (make(3, 2), make.constant(2), make.constant(2, low=0.5), make(2), make(2)), {}
    yield (make(3, 2, 2, 2), None, None), {}


@batch_norm.expect
def _(input, running_mean, running_var, weight=None, bias=None):
    dims = (0, *range(2, input.ndim))
    shape = (1, -1) + (1,) * (input.ndim - 2)
    mean = input.mean(dims) if running_mean is None else running_mean
    var = input.var(dims) if running_var is None else running_var
    out = (input - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5)
    if weight is not None:
        out = out * weight.reshape(shape) + bias.reshape(shape)
    return out
