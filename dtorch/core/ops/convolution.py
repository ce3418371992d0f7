"""Convolution over any number of dimensions, and the two transposes that are its gradients.

The three operations are closed under differentiation: with ``y = conv(x, w)``,
``dx = conv_input(dy, w)`` and ``dw = conv_weight(dy, x)``, each gradient of each of them is one of
them again, so derivatives of any order need nothing more.

Method: the windows are copied into the columns of a matrix (im2col), one product does the rest.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.op import composite, structured
from dtorch.core.shapes import pair, window_count

Ints = tuple[int, ...]


@structured(tensors=("input", "weight"), public=False)
def conv(
    xp: Any, input: Any, weight: Any, stride: Ints, padding: Ints, dilation: Ints, groups: int
) -> Any:
    """Cross-correlation of ``(n, c, *sides)`` with ``(o, c / groups, *kernel)``."""
    columns = _columns(xp, input, weight.shape[2:], stride, padding, dilation)
    n, c, *window = columns.shape
    kernel, sides = window[: input.ndim - 2], window[input.ndim - 2 :]
    flat = columns.reshape(n, groups, c // groups * math.prod(kernel), math.prod(sides))
    rows = weight.reshape(groups, weight.shape[0] // groups, flat.shape[2])
    return xp.matmul(rows, flat).reshape(n, weight.shape[0], *sides)


@conv.shape
def _(input, weight, stride, padding, dilation, groups):
    _check("conv", input.shape, weight.shape, groups)


def _check(name: str, input: Ints, weight: Ints, groups: int) -> None:
    name = f"{name}{len(weight) - 2}d"
    if len(input) != len(weight):
        raise ShapeError(
            f"{name}: input has shape {tuple(input)}, expected {len(weight)} dimensions (batch, "
            f"channels and {len(weight) - 2} sides) for a weight of shape {tuple(weight)}"
        )
    if groups < 1 or weight[0] % groups:
        raise ArgumentError(
            f"{name}: groups is {groups}, expected a divisor of the {weight[0]} output channels"
        )
    if input[1] != weight[1] * groups:
        raise ShapeError(
            f"{name}: input of shape {tuple(input)} has {input[1]} channels, expected "
            f"{weight[1] * groups} for a weight of shape {tuple(weight)} in {groups} groups"
        )


def _columns(xp: Any, input: Any, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints) -> Any:
    """Windows of the input as a view ``(n, c, *kernel, *windows)``."""
    counts = [
        window_count("conv", *side)
        for side in zip(input.shape[2:], kernel, stride, padding, dilation, strict=True)
    ]
    if any(padding):
        input = xp.pad(input, ((0, 0), (0, 0), *((p, p) for p in padding)))
    steps = input.strides[2:]
    strides = (
        *input.strides[:2],
        *(step * d for step, d in zip(steps, dilation, strict=True)),
        *(step * s for step, s in zip(steps, stride, strict=True)),
    )
    shape = (*input.shape[:2], *kernel, *counts)
    return xp.lib.stride_tricks.as_strided(input, shape, strides)


@conv.gradient("input")
def _(grad, weight, input_shape, stride, padding, dilation, groups):
    return conv_input(grad, weight, input_shape, stride, padding, dilation, groups)


@conv.gradient("weight")
def _(grad, input, weight_shape, stride, padding, dilation, groups):
    return conv_weight(grad, input, weight_shape, stride, padding, dilation, groups)


@structured(tensors=("delta", "weight"), public=False)
def conv_input(
    xp: Any, delta: Any, weight: Any, shape: Ints, stride: Ints, padding: Ints, dilation: Ints,
    groups: int,
) -> Any:  # fmt: skip
    """The input of shape ``shape`` to which each output hands back its weighted share."""
    n, o, *sides = delta.shape
    kernel = weight.shape[2:]
    rows = weight.reshape(groups, o // groups, shape[1] // groups * math.prod(kernel))
    flat = delta.reshape(n, groups, o // groups, math.prod(sides))
    columns = xp.matmul(rows.swapaxes(1, 2), flat).reshape(n, shape[1], *kernel, *sides)
    padded = [size + 2 * p for size, p in zip(shape[2:], padding, strict=True)]
    out = xp.zeros((n, shape[1], *padded), delta.dtype)
    for tap in itertools.product(*map(range, kernel)):
        window = tuple(
            slice(t * d, t * d + s * count, s)
            for t, d, s, count in zip(tap, dilation, stride, sides, strict=True)
        )
        out[(..., *window)] += columns[(slice(None), slice(None), *tap)]
    inner = tuple(slice(p, p + size) for p, size in zip(padding, shape[2:], strict=True))
    return out[(..., *inner)]


@conv_input.gradient("delta")
def _(grad, weight, stride, padding, dilation, groups):
    return conv(grad, weight, stride, padding, dilation, groups)


@conv_input.gradient("weight")
def _(grad, delta, weight_shape, stride, padding, dilation, groups):
    return conv_weight(delta, grad, weight_shape, stride, padding, dilation, groups)


@structured(tensors=("delta", "input"), public=False)
def conv_weight(
    xp: Any, delta: Any, input: Any, shape: Ints, stride: Ints, padding: Ints, dilation: Ints,
    groups: int,
) -> Any:  # fmt: skip
    """The weight of shape ``shape`` to which each output hands back its weighted window."""
    columns = _columns(xp, input, shape[2:], stride, padding, dilation)
    n, o, *sides = delta.shape
    c = input.shape[1]
    flat = columns.reshape(n, groups, c // groups * math.prod(shape[2:]), math.prod(sides))
    rows = delta.reshape(n, groups, o // groups, math.prod(sides))
    return xp.matmul(rows, flat.swapaxes(2, 3)).sum(axis=0).reshape(shape)


@conv_weight.gradient("delta")
def _(grad, input, stride, padding, dilation, groups):
    return conv(input, grad, stride, padding, dilation, groups)


@conv_weight.gradient("input")
def _(grad, delta, input_shape, stride, padding, dilation, groups):
    return conv_input(delta, grad, input_shape, stride, padding, dilation, groups)


@composite(tensors=("input", "weight", "bias"), method=False)
def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation of images with kernels.

    Args:
        input: ``(N, C, H, W)``.
        weight: ``(O, C / groups, kh, kw)``.
        bias: ``(O,)`` or None.
        stride, padding, dilation: pixels, an int or a pair (rows, columns); padding is zeros.
        groups: channels are divided into so many groups that do not see each other.
    Returns:
        ``(N, O, H', W')``, ``H' = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1``.
    """
    if weight.ndim != 4:
        raise ShapeError(f"conv2d: weight has shape {tuple(weight.shape)}, expected 4 dimensions")
    out = conv(input, weight, pair(stride), pair(padding), pair(dilation), groups)
    return out if bias is None else out + bias.reshape((1, -1, 1, 1))


@conv2d.samples
def _(make):
    yield (make(2, 3, 5, 4), make(4, 3, 3, 2), make(4)), {}
    yield (make(1, 4, 6, 6), make(2, 2, 3, 3)), {"stride": 2, "padding": 1, "groups": 2}
    yield (make(2, 1, 7, 5), make(1, 1, 2, 2), make(1)), {"dilation": (2, 1), "stride": (1, 2)}
    yield (make(0, 1, 4, 4), make(2, 1, 3, 3)), {}


@conv2d.expect
def _(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    x = np.pad(input, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    o, cg, kh, kw = weight.shape
    oh = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
    ow = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    out = np.zeros((x.shape[0], o, oh, ow), input.dtype)
    for j, r, q in np.ndindex(o, oh, ow):
        first = j // (o // groups) * cg
        window = x[:, first : first + cg, r * sh :, q * sw :][:, :, : dh * kh : dh, : dw * kw : dw]
        out[:, j, r, q] = (window[:, :, :kh, :kw] * weight[j]).sum((1, 2, 3))
    return out if bias is None else out + bias[:, None, None]
