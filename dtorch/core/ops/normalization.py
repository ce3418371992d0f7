"""Normalisation of activations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase
from dtorch.core.composites import composite
from dtorch.core.dtype import refuse_dtypes
from dtorch.core.errors import ArgumentError, DtypeError, RankError, ShapeError
from dtorch.core.half import is_half, widened
from dtorch.core.inplace import bump, expect_writable
from dtorch.core.meta import MetaArray
from dtorch.core.op import structured
from dtorch.core.ops.composed import recorded_gradients
from dtorch.core.ops.padding import constant_pad
from dtorch.core.ops.pooling import window_sum
from dtorch.core.ops.reduction import mean, sum
from dtorch.core.shapes import sum_dims
from dtorch.core.tensor import Tensor

Ints = tuple[int, ...]


@structured(
    tensors=("input", "weight", "bias"), outputs=("out", "average", "variance", "scale"),
    returns=3, public=False, wide=True, rounded=1, keeps_format=("input",),
)  # fmt: skip
def standardize(
    xp: ArrayModule, input: Array, weight: Array, bias: Array, grouped: Ints | None, dims: Ints,
    affine: Ints, eps: float,
) -> Any:  # fmt: skip
    """The input less its mean over ``dims``, divided by its standard deviation over them, times
    ``weight``, plus ``bias``.

    Args:
        grouped: shape in which mean and variance are taken, if another than the input's.
        affine: shape in which weight and bias broadcast against the input.
    Returns: result, mean, (biased) variance; and, kept for the gradient, what the deviation was
        multiplied by.
    """
    x = input if grouped is None else input.reshape(grouped)
    average = _mean(x, dims)
    out = x - average
    out -= _mean(out, dims)  # not 0, as the mean was rounded
    variance = _mean(xp.square(out), dims)
    scale = 1 / xp.sqrt(variance + x.dtype.type(eps))
    if weight is not None and grouped is None and _few(scale, affine, out):
        out *= scale * weight.reshape(affine)
    else:
        out *= scale
        out = out.reshape(input.shape)
        if weight is not None:
            out *= weight.reshape(affine)
    if bias is not None:
        out += bias.reshape(affine)
    return out.reshape(input.shape), average, variance, scale


def _mean(x: Any, dims: Ints) -> Any:
    """Means over ``dims``, which stay; of nothing, 0."""
    count = math.prod(x.shape[d] for d in dims)
    return sum_dims(x, dims, True) / x.dtype.type(max(count, 1))


def _few(scale: Any, affine: Ints, out: Any) -> bool:
    """Whether factor and weight multiplied together are small beside the input."""
    return 4 * math.prod(np.broadcast_shapes(scale.shape, affine)) <= int(out.size)


@standardize.gradient("input", "weight", "bias")
def _(grad, input, weight, bias_shape, average, scale, grouped, dims, affine, eps, needs):
    if isinstance(grad, TensorBase):
        found = recorded_gradients(
            lambda x, w: _composed(x, w, grouped, dims, affine, eps), (input, weight), (grad,)
        )
        over = _broadcast_dims(affine, tuple(grad._array.shape))
        return [*found, sum(grad, over, True).reshape(bias_shape) if needs[2] else None]
    return _gradients(grad, input, weight, bias_shape, average, scale, grouped, dims, affine, needs)


def _composed(input: Any, weight: Any, grouped: Any, dims: Ints, affine: Ints, eps: float) -> Any:
    x = input if grouped is None else input.reshape(grouped)
    deviation = x - mean(x, dims, True)
    out = deviation * (mean(deviation * deviation, dims, True) + eps) ** -0.5
    out = out.reshape(tuple(input.shape))
    return out if weight is None else out * weight.reshape(affine)


def _broadcast_dims(affine: Ints, shape: Ints) -> Ints:
    """The dims over which a value of shape ``affine`` is repeated to ``shape``."""
    lead = len(shape) - len(affine)
    return (
        *range(lead),
        *(d for d in range(lead, len(shape)) if affine[d - lead] == 1 != shape[d]),
    )


def around_zero(
    input: Any, average: Any, scale: Any, grouped: Ints | None, dims: Ints
) -> tuple[Any, Any]:
    """The input and its mean; moved near 0 where the mean lies so far from it, measured in standard
    deviations, that its rounding would be seen."""
    far = np.abs(average * scale).max(initial=0)
    if type(far) is MetaArray or not far * np.finfo(average.dtype).eps > 1e-6:
        return input, average
    x = (input if grouped is None else input.reshape(grouped)) - average
    return x.reshape(input.shape), _mean(x, dims)


def _gradients(
    grad: Any, input: Any, weight: Any, bias_shape: Any, average: Any, scale: Any, grouped: Any,
    dims: Ints, affine: Ints, needs: tuple[bool, bool, bool],
) -> list[Any]:  # fmt: skip
    shape = input.shape
    input, average = around_zero(input, average, scale, grouped, dims)
    x = input if grouped is None else input.reshape(grouped)
    hat = x - average
    hat *= scale
    over = _broadcast_dims(affine, shape)
    found: list[Any] = [None, None, None]
    per_weight: Any = None
    per_bias: Any = None
    if needs[1] or (needs[0] and over == dims):
        per_weight = np.sum(grad * hat.reshape(shape), axis=over, keepdims=True)
    if needs[2] or (needs[0] and over == dims):
        per_bias = np.sum(grad, axis=over, keepdims=True)
    if needs[1]:
        found[1] = per_weight.reshape(weight.shape)
    if needs[2]:
        found[2] = per_bias.reshape(bias_shape)
    if not needs[0]:
        return found
    count = math.prod(x.shape[d] for d in dims)
    if over == dims and grouped is None and per_weight is not None:
        hat *= per_weight / -count
        hat += grad
        hat -= per_bias / count
        hat *= scale if weight is None else scale * weight.reshape(affine)
    else:
        g = grad if weight is None else grad * weight.reshape(affine)
        g = g.reshape(x.shape)
        through_std = _mean(g * hat, dims)
        hat *= -through_std
        hat += g
        hat -= _mean(g, dims)
        hat *= scale
    found[0] = hat.reshape(shape)
    return found


@standardize.samples
def _(make):
    n, c, m = make.size(3, 8), make.size(4, 16), make.size(5, 600)
    yield (make(n, c, m), make(c), make(c), None, (0, 2), (1, c, 1), 1e-5), {}
    yield (make(n, c, m), make(m), make(m), None, (2,), (m,), 1e-5), {}
    yield (make(n, c, m), None, None, None, (1, 2), (c, m), 1e-5), {}
    yield (make(n, c, m), make(c), make(c), (n, 2, c // 2, m), (2, 3), (1, c, 1), 1e-5), {}


def factor_and_shift(
    xp: ArrayModule, average: Any, variance: Any, weight: Any, bias: Any, eps: float
) -> tuple[Any, Any]:
    """Normalisation by a given mean and variance is a multiplication and an addition."""
    factor = 1 / xp.sqrt(variance + variance.dtype.type(eps))
    if weight is not None:
        factor = factor * weight
    shift = -average * factor
    return factor, shift if bias is None else shift + bias


@structured(
    tensors=("input", "average", "variance", "weight", "bias"), public=False, wide=True,
    keeps_format=("input",),
)  # fmt: skip
def standardize_by(
    xp: ArrayModule,
    input: Array,
    average: Array,
    variance: Array,
    weight: Array,
    bias: Array,
    eps: float,
) -> Array:
    """Channels of ``(N, C, *)`` normalised by a given mean and variance."""
    scale, shift = factor_and_shift(xp, average, variance, weight, bias, eps)
    shape = (-1, *(1,) * (input.ndim - 2))
    out = input * scale.astype(input.dtype, copy=False).reshape(shape)
    out += shift.reshape(shape)
    return out


def _per_channel(value: Any, ndim: int) -> Any:
    return value.reshape((1, -1) + (1,) * (ndim - 2))


@standardize_by.gradient("input")
def _(grad, variance, weight, eps):
    scale = (variance + eps) ** -0.5
    return grad * _per_channel(scale if weight is None else scale * weight, grad.ndim)


@standardize_by.gradient("weight")
def _(grad, input, average, variance, eps):
    hat = (input - _per_channel(average, grad.ndim)) * _per_channel(
        (variance + eps) ** -0.5, grad.ndim
    )
    return sum(grad * hat, (0, *range(2, grad.ndim)))


@standardize_by.gradient("bias")
def _(grad):
    return sum(grad, (0, *range(2, grad.ndim)))


@standardize_by.samples
def _(make):
    c = make.size(4, 16)
    statistics = (make.constant(c), make.constant(c, low=0.5))
    yield (make(3, c, make.size(5, 2000)), *statistics, make(c), make(c), 1e-5), {}
    yield (make(3, c, make.size(5, 2000)), *statistics, None, None, 1e-5), {}


def _check_channels(name: str, input: Any, **given: Any) -> None:
    channels = input.shape[1]
    for what, value in given.items():
        if value is not None:
            refuse_dtypes(f"{name}: {what}", "bic", value.dtype)
        if value is not None and tuple(value.shape) != (channels,):
            raise ShapeError(
                f"{name}: {what} has shape {tuple(value.shape)}, expected ({channels},) for an "
                f"input of shape {tuple(input.shape)}"
            )


@composite(tensors=("input", "running_mean", "running_var", "weight", "bias"), home="nn", takes="f")
def batch_norm(
    input: Any, running_mean: Any | None, running_var: Any | None, weight: Any = None, bias: Any =
    None, training: bool = False, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Each channel standardised over the batch, then scaled and shifted.

    Args:
        input: ``(N, C, *)``.
        running_mean, running_var: ``(C,)``, updated in place in training, used otherwise; or None.
        weight, bias: ``(C,)`` or None.
        momentum: weight of the new statistics; the variance stored is the unbiased one.

    Reference: Ioffe and Szegedy 2015, arXiv:1502.03167.
    """
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise RankError(f"batch_norm: input has shape {shape}, expected at least 2 dimensions")
    _check_channels("batch_norm", input, running_mean=running_mean, running_var=running_var,
                    weight=weight, bias=bias)  # fmt: skip
    if not training and running_mean is not None:
        return standardize_by(input, running_mean, running_var, weight, bias, eps)
    count = math.prod(shape) // max(shape[1], 1)
    if training and count == 1:
        raise ShapeError(
            f"batch_norm: one value per channel in training, input has shape {shape}; use a larger "
            "batch, or eval()"
        )
    affine = (1, shape[1], *(1,) * (len(shape) - 2))
    out, average, variance = standardize(
        input, weight, bias, None, (0, *range(2, len(shape))), affine, eps
    )
    if training and running_mean is not None and count:
        update_statistics(running_mean, average._array, momentum)
        update_statistics(running_var, variance._array * (count / max(count - 1, 1)), momentum)
    return out


def update_statistics(running: Any, fresh: Any, momentum: float) -> None:
    """Move a running value toward a fresh one, in place."""
    expect_writable("batch_norm", running)
    array = widened(running._array)
    array *= array.dtype.type(1 - momentum)
    array += fresh.reshape(array.shape) * fresh.dtype.type(momentum)
    if array is not running._array:
        running._array[...] = array
    bump(running)


@batch_norm.samples
def _(make):
    yield (make(3, 2, 4), None, None, make(2), make(2)), {}
    yield (make(3, 2), make.constant(2), make.constant(2, low=0.5), make(2), make(2)), {}
    yield (make(3, 2, 2, 2), None, None), {}
    yield (make(5, 2, 3, 3), None, None, make(2), make(2)), {"training": True}


@batch_norm.expect
def _(input, running_mean, running_var, weight=None, bias=None, training=False):
    dims = (0, *range(2, input.ndim))
    shape = (1, -1) + (1,) * (input.ndim - 2)
    mean = input.mean(dims) if running_mean is None else running_mean
    var = input.var(dims) if running_var is None else running_var
    out = (input - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-5)
    if weight is not None:
        out = out * weight.reshape(shape) + bias.reshape(shape)
    return out


@composite(tensors=("input", "running_mean", "running_var", "weight", "bias"), home="nn", takes="f")
def instance_norm(
    input: Any, running_mean: Any = None, running_var: Any = None, weight: Any = None,
    bias: Any = None, use_input_stats: bool = True, momentum: float = 0.1, eps: float = 1e-5,
) -> Any:  # fmt: skip
    """Each channel of each sample standardised by itself, then scaled and shifted.

    Args:
        input: ``(N, C, *)``.
        running_mean, running_var: ``(C,)``, moved toward the mean over the batch of the
            statistics, or used in their place; or None.
        use_input_stats: normalise by the statistics of the input.

    Reference: Ulyanov et al. 2016, arXiv:1607.08022.
    """
    shape = tuple(input.shape)
    if len(shape) < 3:
        raise ShapeError(
            f"instance_norm: input has shape {shape}, expected (batch, channels, sides...)"
        )
    _check_channels("instance_norm", input, running_mean=running_mean, running_var=running_var,
                    weight=weight, bias=bias)  # fmt: skip
    if not use_input_stats:
        if running_mean is None or running_var is None:
            raise ArgumentError(
                "instance_norm: use_input_stats=False needs running_mean and running_var"
            )
        return standardize_by(input, running_mean, running_var, weight, bias, eps)
    count = math.prod(shape[2:])
    if count == 1:
        raise ShapeError(
            f"instance_norm: one value per channel and sample, input has shape {shape}"
        )
    affine = (1, shape[1], *(1,) * (len(shape) - 2))
    out, average, variance = standardize(
        input, weight, bias, None, tuple(range(2, len(shape))), affine, eps
    )
    if running_mean is not None and math.prod(shape):
        update_statistics(running_mean, average._array.mean(0), momentum)
        unbiased = variance._array.mean(0) * (count / (count - 1))
        update_statistics(running_var, unbiased, momentum)
    return out


@instance_norm.samples
def _(make):
    yield (make(2, 3, 5),), {}
    yield (make(2, 2, 2, 3), None, None, make(2), make(2)), {}
    yield (make(2, 2, 3), make.constant(2), make.constant(2, low=0.5)), {"use_input_stats": False}


@instance_norm.expect
def _(input, running_mean=None, running_var=None, weight=None, bias=None, use_input_stats=True):
    shape = (1, -1) + (1,) * (input.ndim - 2)
    dims = tuple(range(2, input.ndim))
    mean = input.mean(dims, keepdims=True) if use_input_stats else running_mean.reshape(shape)
    var = input.var(dims, keepdims=True) if use_input_stats else running_var.reshape(shape)
    out = (input - mean) / np.sqrt(var + 1e-5)
    return out if weight is None else out * weight.reshape(shape) + bias.reshape(shape)


def _trailing(name: str, input: Any, normalized_shape: Any, **given: Any) -> tuple[Ints, Ints]:
    """The normalised sizes as a tuple, and the dims they are."""
    sizes = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
    wanted = tuple(int(n) for n in sizes)
    shape = tuple(input.shape)
    if not wanted or shape[len(shape) - len(wanted) :] != wanted or len(wanted) > len(shape):
        raise ShapeError(
            f"{name}: normalized_shape is {wanted}, expected the last sizes of the input's {shape}"
        )
    for what, value in given.items():
        if value is not None and tuple(value.shape) != wanted:
            raise ShapeError(
                f"{name}: {what} has shape {tuple(value.shape)}, expected normalized_shape {wanted}"
            )
    return wanted, tuple(range(len(shape) - len(wanted), len(shape)))


@composite(tensors=("input", "weight", "bias"), home="nn", takes="f")
def layer_norm(
    input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """The last dims standardised, then scaled and shifted element by element.

    Args:
        normalized_shape: sizes of the dims over which mean and variance are taken.
        weight, bias: of those sizes, or None.

    Reference: Ba et al. 2016, arXiv:1607.06450.
    """
    sizes, dims = _trailing("layer_norm", input, normalized_shape, weight=weight, bias=bias)
    return standardize(input, weight, bias, None, dims, sizes, eps)[0]


@layer_norm.samples
def _(make):
    yield (make(2, 3, 4), (4,), make(4), make(4)), {}
    yield (make(2, 3, 4), [3, 4], make(3, 4)), {}
    yield (make(2, 5), 5), {}


@layer_norm.expect
def _(input, normalized_shape, weight=None, bias=None):
    dims = tuple(range(-len(np.atleast_1d(normalized_shape)), 0))
    out = (input - input.mean(dims, keepdims=True)) / np.sqrt(input.var(dims, keepdims=True) + 1e-5)
    out = out if weight is None else out * weight
    return out if bias is None else out + bias


@composite(tensors=("input", "weight", "bias"), home="nn", takes="f")
def group_norm(
    input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Any:
    """Groups of channels of each sample standardised, then scaled and shifted by channel.

    Args:
        input: ``(N, C, *)``.
        num_groups: a divisor of C.
        weight, bias: ``(C,)`` or None.

    Reference: Wu and He 2018, arXiv:1803.08494.
    """
    shape = tuple(input.shape)
    if len(shape) < 2:
        raise RankError(f"group_norm: input has shape {shape}, expected at least 2 dimensions")
    n, c, *sides = shape
    if num_groups < 1 or c % num_groups:
        raise ArgumentError(
            f"group_norm: num_groups is {num_groups}, expected a divisor of the {c} channels of an "
            f"input of shape {shape}"
        )
    _check_channels("group_norm", input, weight=weight, bias=bias)
    grouped = (n, num_groups, c // num_groups, *sides)
    affine = (1, c, *(1,) * len(sides))
    return standardize(
        input, weight, bias, grouped, tuple(range(2, len(grouped))), affine, eps
    )[0]  # fmt: skip


@group_norm.samples
def _(make):
    yield (make(2, 4, 3), 2, make(4), make(4)), {}
    yield (make(2, 6), 3), {}
    yield (make(1, 4, 2, 2), 1, make(4)), {}


@group_norm.expect
def _(input, num_groups, weight=None, bias=None):
    x = input.reshape(len(input), num_groups, -1)
    x = (x - x.mean(2, keepdims=True)) / np.sqrt(x.var(2, keepdims=True) + 1e-5)
    out = x.reshape(input.shape)
    shape = (1, -1) + (1,) * (input.ndim - 2)
    out = out if weight is None else out * weight.reshape(shape)
    return out if bias is None else out + bias.reshape(shape)


@composite(tensors=("input", "weight"), home="nn", wide=True, takes="fc")
def rms_norm(
    input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None
) -> Any:
    """The last dims divided by their root mean square, then scaled.

    Args:
        normalized_shape: sizes of the dims over which the mean is taken.
        eps: added to the mean square. Default: the smallest step from 1 of the dtype, at least of
            float32.

    Reference: Zhang and Sennrich 2019, arXiv:1910.07467.
    """
    _, dims = _trailing("rms_norm", input, normalized_shape, weight=weight)
    if is_half(input._array):  # in float32, with its eps
        wide = rms_norm(
            input.float(), normalized_shape, None if weight is None else weight.float(), eps
        )
        return wide.to(input.dtype)
    if eps is None:
        if input.dtype.category != 2:
            raise DtypeError(f"rms_norm: input is {input.dtype}, pass eps for it")
        eps = float(np.finfo(input.dtype.numpy).eps)
    out = input * (mean(input * input, dims, True) + eps) ** -0.5
    return out if weight is None else out * weight


@rms_norm.samples
def _(make):
    yield (make(2, 3, 4), (4,), make(4)), {"eps": 1e-3}
    yield (make(2, 3, 4), (3, 4)), {"eps": 1e-3}


@rms_norm.expect
def _(input, normalized_shape, weight=None, eps=0.0):
    dims = tuple(range(-len(normalized_shape), 0))
    out = input / np.sqrt((input**2).mean(dims, keepdims=True) + eps)
    return out if weight is None else out * weight


@composite(tensors=("input",), home="nn", wide=True, takes="f")
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Each element divided by a power of the squares of its neighbours in the channel dim.

    Args:
        input: ``(N, C, *)``.
        size: number of neighbouring channels, the element's own included.
    Returns: ``input / (k + alpha * mean of squares) ** beta``; squares outside count as 0.

    Reference: Krizhevsky et al. 2012, "ImageNet classification with deep convolutional neural
    networks", section 3.3.
    """
    shape = tuple(input.shape)
    if len(shape) < 3:
        raise ShapeError(
            f"local_response_norm: input has shape {shape}, expected (batch, channels, sides...)"
        )
    if size < 1:
        raise ArgumentError(f"local_response_norm: size is {size}, expected at least 1")
    square = (input * input).reshape((shape[0], 1, shape[1], math.prod(shape[2:])))
    padded = constant_pad(square, (0, 0, size // 2, (size - 1) // 2), 0.0)
    kernel = (size, 1)
    total = window_sum(padded, kernel, (1, 1), (0, 0), (shape[1], square.shape[3]), size)
    return input / (total.reshape(shape) * alpha + k) ** beta


@local_response_norm.samples
def _(make):
    yield (make(2, 5, 3), 3), {"alpha": 0.5}
    yield (make(1, 4, 2, 2), 2), {"alpha": 1.0, "beta": 0.5, "k": 2.0}


@local_response_norm.expect
def _(input, size, alpha=1e-4, beta=0.75, k=1.0):
    out = np.empty_like(input)
    c = input.shape[1]
    for i in range(c):
        near = input[:, max(i - size // 2, 0) : min(i + (size - 1) // 2, c - 1) + 1]
        out[:, i] = input[:, i] / (k + alpha * (near**2).sum(1) / size) ** beta
    return out
