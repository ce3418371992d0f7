"""Convolutions of images and signals, and their gradients.

Winograd's method where it gains, products of the weights with all windows elsewhere.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import native
from dtorch.core.half import is_half
from dtorch.core.ops.convolution import channel_sum, conv, conv_input, conv_weight
from dtorch.core.ops.fused import fused_conv
from dtorch.core.ops.normalization import factor_and_shift
from dtorch.core.shapes import merged, window_count

Ints = tuple[int, ...]

# Below these Winograd's transforms cost more than the multiplications they save.
_CHANNELS, _TILES, _STRIDED_TILES = 16, 8, 48


def _takes(*arrays: Any) -> bool:
    """Whether the kernels know these arrays."""
    first = arrays[0]
    return (
        first.ndim in (3, 4)
        and first.dtype in (np.float32, np.float64)
        and all(a is None or (a.dtype == first.dtype and a.size) for a in arrays)
    )


def _images(array: Array) -> Any:
    """Contiguous, and signals as images of one row."""
    if array.ndim == 3:
        array = array[:, :, None]
    return np.ascontiguousarray(array)


def _geometry(stride: Ints, padding: Ints, dilation: Ints, groups: int) -> tuple[Any, ...]:
    if len(stride) == 1:
        return (1, *stride), (0, *padding), (1, *dilation), groups
    return tuple(stride), tuple(padding), tuple(dilation), groups


def _suits_winograd(
    array: Array, weight_shape: Ints, sides: Ints, stride: Ints, padding: Ints, dilation: Ints,
    groups: int,
) -> bool:  # fmt: skip
    """Whether it gains for a batch of ``array``; ``sides`` are those of the convolution's result."""
    if (
        array.dtype != np.float32
        or tuple(weight_shape[2:]) != (3, 3)
        or groups != 1
        or tuple(dilation) != (1, 1)
        or min(weight_shape[:2]) < _CHANNELS
    ):
        return False
    tiles = len(array) * math.prod(-(-n // 4) for n in sides)
    if tuple(stride) == (1, 1):
        return max(padding) <= 2 and tiles >= _TILES
    # A good half of the multiplications are left, so that tiles must be filled.
    return (
        tuple(stride) == (2, 2)
        and tuple(padding) == (1, 1)
        and tiles >= _STRIDED_TILES
        and 16 * tiles <= 1.1 * len(array) * math.prod(sides)
    )


def _sees_all(input_shape: Ints, result_shape: Ints, stride: Ints, padding: Ints) -> bool:
    """Whether the result is that of all 3x3 windows."""
    return all(
        (n + 2 * p - 3) // s + 1 == m
        for n, p, s, m in zip(input_shape[2:], padding, stride, result_shape[2:], strict=True)
    )


# -- 1x1 of bfloat16: products, for which processors may have an instruction ----------------------


def _in_bfloat16(known: dict[str, Any]) -> bool:
    """Whether a kernel with these values is a product of bfloat16. Larger ones gain nothing:
    Winograd's method in float32 is as fast as plain sums in bfloat16, on processors whose
    instruction does two multiplications in the time of one."""
    weight = known.get("weight")
    shape = known.get("weight_shape", known.get("shape")) if weight is None else weight.shape
    arrays = [known[name] for name in ("input", "weight", "delta") if name in known]
    return (
        shape is not None
        and math.prod(shape[2:]) == 1
        and known.get("groups") == 1
        and not any(known["padding"])
        and known.get("bias") is None
        and all(type(a) is np.ndarray and a.dtype.name == "bfloat16" and a.size for a in arrays)
        and native.has_bfloat16_products()
    )


for _op in (conv, conv_input, conv_weight):
    _op.keeps_half = _in_bfloat16


def _seen(sides: Ints, stride: Ints) -> tuple[Any, ...]:
    """Where the windows of a 1x1 kernel are."""
    return (..., *(slice(0, s * n, s) for n, s in zip(sides, stride, strict=True)))


def _matrices(array: Array) -> Any:
    """A batch of channels by places."""
    return np.ascontiguousarray(array).reshape(merged(array.shape, 2, array.ndim))


def _pointwise(input: Any, weight: Any, sides: Ints) -> Any:
    matrix = weight.reshape(weight.shape[:2])
    out = native.matmul(np.broadcast_to(matrix, (len(input), *matrix.shape)), _matrices(input))
    return out.reshape(len(input), len(matrix), *sides)


def _convolved_pointwise(input: Any, weight: Any, stride: Ints) -> Any:
    sides = tuple(-(-n // s) for n, s in zip(input.shape[2:], stride, strict=True))
    return _pointwise(input[_seen(sides, stride)], weight, sides)


def _input_pointwise(delta: Any, weight: Any, shape: Ints, stride: Ints) -> Any:
    sides = delta.shape[2:]
    grad = _pointwise(delta, weight.swapaxes(0, 1), sides)
    if grad.shape == tuple(shape):
        return grad
    out = np.zeros(shape, grad.dtype)
    out[_seen(sides, stride)] = grad
    return out


def _weight_pointwise(delta: Any, input: Any, shape: Ints, stride: Ints) -> Any:
    seen = input[_seen(delta.shape[2:], stride)]
    return native.summed_matmul(_matrices(delta), _matrices(seen)).reshape(shape)


# -- of float32 and float64 ----------------------------------------------------------------------


@conv.kernel("cpu")
def _(*values):
    if is_half(values[0]):
        return _convolved_pointwise(values[0], values[1], values[3])
    return _convolved(*values)


@fused_conv.kernel("cpu")
def _(input, weight, bias, stride, padding, dilation, groups, *rest):
    *norm, added, low, high = rest
    factor = shift = None
    if norm[0] is not None:
        factor, shift = factor_and_shift(np, *norm)
    geometry = (stride, padding, dilation, groups)
    return _convolved(input, weight, bias, *geometry, factor, shift, added, low, high)


def _convolved(
    input: Any, weight: Any, bias: Any, stride: Ints, padding: Ints, dilation: Ints, groups: int,
    factor: Any = None, shift: Any = None, added: Any = None, low: float = -math.inf,
    high: float = math.inf,
) -> Any:  # fmt: skip
    """The convolution ``* factor + shift`` by channel, ``+ added``, clamped between ``low`` and
    ``high``; None for arrays that the kernels do not know."""
    if not _takes(input, weight, bias, factor, shift, added):
        return None
    sides = [
        window_count(f"conv{len(stride)}d", *side)
        for side in zip(input.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    ]
    out = np.empty((input.shape[0], weight.shape[0], *sides), input.dtype)
    if added is not None and added.shape != out.shape:
        return None
    x, w, result = _images(input), _images(weight), _images(out)
    b = None if bias is None else np.ascontiguousarray(bias)
    epilogue = factor, shift, None if added is None else _images(added), low, high
    if _suits_winograd(x, weight.shape, tuple(sides), stride, padding, dilation, groups):
        native.winograd_convolution(x, w, b, stride[0], tuple(padding), False, result, *epilogue)
    else:
        geometry = _geometry(stride, padding, dilation, groups)
        native.convolution(x, w, b, *geometry, result, *epilogue)
    return out


@conv_input.kernel("cpu")
def _(delta, weight, bias, shape, stride, padding, dilation, groups):
    if is_half(delta):
        return _input_pointwise(delta, weight, shape, stride)
    if not _takes(delta, weight, bias):
        return None
    out = np.empty(shape, delta.dtype)
    g, w, result = _images(delta), _images(weight), _images(out)
    b = None if bias is None else np.ascontiguousarray(bias)
    if _suits_winograd(
        g, weight.shape, delta.shape[2:], stride, padding, dilation, groups
    ) and _sees_all(shape, delta.shape, stride, padding):
        native.winograd_convolution(g, w, b, stride[0], tuple(padding), True, result)
    else:
        native.convolution_input(g, w, *_geometry(stride, padding, dilation, groups), result)
        if bias is not None:
            out += bias.reshape(-1, *(1,) * (out.ndim - 2))
    return out


@conv_weight.kernel("cpu")
def _(delta, input, shape, stride, padding, dilation, groups):
    if is_half(delta):
        return _weight_pointwise(delta, input, shape, stride)
    if not _takes(delta, input):
        return None
    out = np.empty(shape, delta.dtype)
    g, x, result = _images(delta), _images(input), _images(out)
    if (
        tuple(stride) == (1, 1)
        and _suits_winograd(x, shape, delta.shape[2:], stride, padding, dilation, groups)
        and _sees_all(input.shape, delta.shape, stride, padding)
    ):
        native.winograd_weight(g, x, tuple(padding), result)
    else:
        native.convolution_weight(g, x, *_geometry(stride, padding, dilation, groups), result)
    return out


@channel_sum.kernel("cpu")
def _(input):
    if not input.size or input.dtype not in (np.float32, np.float64):
        return None
    out = np.empty(input.shape[1], input.dtype)
    native.sum_channels(
        np.ascontiguousarray(input).reshape(merged(input.shape, 2, input.ndim)), out
    )
    return out
