"""Convolution over any number of dimensions, and the two transposes that are its gradients.

The three operations are closed under differentiation: with ``y = conv(x, w)``,
``dx = conv_input(dy, w)`` and ``dw = conv_weight(dy, x)``, each gradient of each of them is one of
them again, so derivatives of any order need nothing more. A transposed convolution is
``conv_input`` under another name.

Method: the windows are copied into the columns of a matrix (im2col), one product does the rest.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from dtorch.core import backend, meta
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.errors import ArgumentError, RankError, ShapeError
from dtorch.core.op import structured
from dtorch.core.ops.complex import conjugate
from dtorch.core.ops.linalg import expect_one_dtype
from dtorch.core.ops.padding import constant_pad
from dtorch.core.ops.reduction import spread, sum
from dtorch.core.ops.view import permute
from dtorch.core.shapes import per_dim, window_count
from dtorch.core.tensor import Tensor

Ints = tuple[int, ...]


@structured(
    tensors=("input", "weight", "bias"), public=False, wide=True,
    keeps_format=("input", "weight"), recorded_as="Convolution",
)  # fmt: skip
def conv(
    xp: ArrayModule, input: Array, weight: Array, bias: Array, stride: Ints, padding: Ints,
    dilation: Ints, groups: int,
) -> Array:  # fmt: skip
    """Cross-correlation of ``(n, c, *sides)`` with ``(o, c / groups, *kernel)``, plus ``(o,)``."""
    columns = columns_of(xp, input, weight.shape[2:], stride, padding, dilation)
    n, c, *window = columns.shape
    kernel, sides = window[: input.ndim - 2], window[input.ndim - 2 :]
    o = weight.shape[0]
    rows = weight.reshape(groups, o // groups, math.prod(weight.shape[1:]))
    flat = columns.reshape(n, groups, c // groups * math.prod(kernel), math.prod(sides))
    out = backend.matmul(rows, flat).reshape(n, o, *sides)
    if bias is not None:
        out += bias.reshape(-1, *(1,) * len(sides))
    return out


@conv.shape
def check_conv(input, weight, bias, stride, padding, dilation, groups):
    _check("conv", input.shape, weight.shape, groups)
    expect_one_dtype(_name("conv", weight.shape), input, weight, "weight")


def _name(name: str, weight: Ints) -> str:
    return f"{name}{len(weight) - 2}d"


def _check(name: str, input: Ints, weight: Ints, groups: int) -> None:
    name = _name(name, weight)
    if groups < 1 or weight[0] % groups:
        raise ArgumentError(
            f"{name}: groups is {groups}, expected a divisor of the {weight[0]} output channels"
        )
    if input[1] != weight[1] * groups:
        raise ShapeError(
            f"{name}: input of shape {tuple(input)} has {input[1]} channels, expected "
            f"{weight[1] * groups} for a weight of shape {tuple(weight)} in {groups} groups"
        )


def columns_of(
    xp: ArrayModule, input: Any, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> Any:
    """Windows of the input as a view ``(n, c, *kernel, *windows)``."""
    name = f"conv{len(kernel)}d"
    counts = [
        window_count(name, *side)
        for side in zip(input.shape[2:], kernel, stride, padding, dilation, strict=True)
    ]
    if any(padding):
        input = _padded(xp, input, padding)
    steps = input.strides[2:]
    strides = (
        *input.strides[:2],
        *(step * d for step, d in zip(steps, dilation, strict=True)),
        *(step * s for step, s in zip(steps, stride, strict=True)),
    )
    shape = (*input.shape[:2], *kernel, *counts)
    return xp.lib.stride_tricks.as_strided(input, shape, strides)


def _padded(xp: ArrayModule, input: Any, padding: Ints) -> Any:
    sides = [n + 2 * p for n, p in zip(input.shape[2:], padding, strict=True)]
    out = xp.zeros((*input.shape[:2], *sides), input.dtype)
    inner = tuple(slice(p, p + n) for p, n in zip(padding, input.shape[2:], strict=True))
    out[(..., *inner)] = input
    return out


@conv.gradient("input")
def _(grad, weight, input_shape, stride, padding, dilation, groups):
    return conv_input(grad, conjugate(weight), None, input_shape, stride, padding, dilation, groups)


@conv.gradient("weight")
def _(grad, input, weight_shape, stride, padding, dilation, groups):
    return conv_weight(grad, conjugate(input), weight_shape, stride, padding, dilation, groups)


@conv.gradient("bias")
def _(grad):
    return channel_sum(grad)


@structured(
    tensors=("delta", "weight", "bias"), public=False, wide=True,
    keeps_format=("delta", "weight"), recorded_as="Convolution",
)  # fmt: skip
def conv_input(
    xp: ArrayModule, delta: Array, weight: Array, bias: Array, shape: Ints, stride: Ints, padding:
    Ints, dilation: Ints, groups: int,
) -> Array:  # fmt: skip
    """The input of shape ``shape`` to which each output hands back its weighted share."""
    n, o, *sides = delta.shape
    kernel = weight.shape[2:]
    rows = weight.reshape(groups, o // groups, math.prod(weight.shape[1:]))
    flat = delta.reshape(n, groups, o // groups, math.prod(sides))
    columns = backend.matmul(rows.swapaxes(1, 2), flat).reshape(n, shape[1], *kernel, *sides)
    if math.prod(kernel) == 1 and tuple(sides) == tuple(shape[2:]) and not any(padding):
        out = columns.reshape(shape)
    else:
        out = from_columns(xp, columns, shape, stride, padding, dilation)
    if bias is not None:
        out = out + bias.reshape(-1, *(1,) * len(sides))
    return out


def from_columns(
    xp: ArrayModule, columns: Any, shape: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> Any:
    """Sum of the windows ``(n, c, *kernel, *windows)`` at their places: `columns_of` transposed."""
    nd = len(stride)
    kernel, sides = columns.shape[2 : 2 + nd], columns.shape[2 + nd :]
    # With output padding the last windows end before the padded input does, or beyond it.
    padded = [
        max(size + 2 * p, (count - 1) * s + d * (k - 1) + 1)
        for size, p, count, s, d, k in zip(
            shape[2:], padding, sides, stride, dilation, kernel, strict=True
        )
    ]
    out = xp.zeros((*columns.shape[:2], *padded), columns.dtype)
    for tap in itertools.product(*map(range, kernel)):
        window = tuple(
            slice(t * d, t * d + s * (count - 1) + 1, s)
            for t, d, s, count in zip(tap, dilation, stride, sides, strict=True)
        )
        out[(..., *window)] += columns[(slice(None), slice(None), *tap)]
    inner = tuple(slice(p, p + size) for p, size in zip(padding, shape[2:], strict=True))
    return out[(..., *inner)]


@conv_input.gradient("delta")
def _(grad, weight, delta_shape, stride, padding, dilation, groups):
    found = conv(grad, conjugate(weight), None, stride, padding, dilation, groups)
    return _first_windows(found, delta_shape)


def _first_windows(found: Any, shape: Ints) -> Any:
    """Those that there are for ``shape``: output padding may make room for more."""
    if tuple(found.shape) == tuple(shape):
        return found
    return found[(..., *(slice(size) for size in shape[2:]))]


@conv_input.gradient("weight")
def _(grad, delta, weight_shape, stride, padding, dilation, groups):
    return conv_weight(conjugate(delta), grad, weight_shape, stride, padding, dilation, groups)


@conv_input.gradient("bias")
def _(grad):
    return channel_sum(grad)


@structured(tensors=("input",), public=False, wide=True)
def channel_sum(xp: ArrayModule, input: Array) -> Array:
    """Sum of ``(n, c, *sides)`` over all but ``c``."""
    return sum.run_body(xp, (input, (0, *range(2, input.ndim)), False, None))


@channel_sum.gradient("input")
def _(grad, input_shape):
    return spread(grad, input_shape, (0, *range(2, len(input_shape))), False)


_ONE_PRODUCT = 1 << 18  # elements of all weight gradients of a batch that are formed at once


@structured(tensors=("delta", "input"), public=False, wide=True)
def conv_weight(
    xp: ArrayModule, delta: Array, input: Array, shape: Ints, stride: Ints, padding: Ints, dilation:
    Ints, groups: int,
) -> Array:  # fmt: skip
    """The weight of shape ``shape`` to which each output hands back its weighted window."""
    n, o, *sides = delta.shape
    columns = columns_of(xp, input, shape[2:], stride, padding, dilation)
    columns = columns[(..., *(slice(size) for size in sides))]
    c = input.shape[1]
    flat = columns.reshape(n, groups, c // groups * math.prod(shape[2:]), math.prod(sides))
    rows = delta.reshape(n, groups, o // groups, math.prod(sides))
    if n * math.prod(shape) <= _ONE_PRODUCT or xp is meta.module:
        return backend.matmul(rows, flat.swapaxes(2, 3)).sum(axis=0).reshape(shape)
    out = backend.matmul(rows[0], flat[0].swapaxes(1, 2))
    for i in range(1, n):
        out += backend.matmul(rows[i], flat[i].swapaxes(1, 2))
    return out.reshape(shape)


@conv_weight.gradient("delta")
def _(grad, input, delta_shape, stride, padding, dilation, groups):
    found = conv(conjugate(input), grad, None, stride, padding, dilation, groups)
    return _first_windows(found, delta_shape)


@conv_weight.gradient("input")
def _(grad, delta, input_shape, stride, padding, dilation, groups):
    return conv_input(conjugate(delta), grad, None, input_shape, stride, padding, dilation, groups)


def _geometries(make):
    """Sizes of input and weight, strides, padding, dilation and groups."""
    n, c, side = make.size(2, 8), make.size(4, 16), make.size(5, 24)
    image = (n, c, side, side)
    yield image, (c, c, 3, 3), (1, 1), (1, 1), (1, 1), 1
    yield image, (c, c, 3, 3), (2, 2), (1, 1), (1, 1), 1
    yield image, (3, c, 1, 1), (1, 1), (0, 0), (1, 1), 1
    yield image, (c, 1, 3, 3), (1, 1), (0, 1), (1, 1), c
    yield (n, c, side * side), (2, c // 2, 4), (2,), (1,), (2,), 2


def _result_shape(shape, weight, stride, padding, dilation):
    sides = zip(shape[2:], weight[2:], stride, padding, dilation, strict=True)
    return (shape[0], weight[0], *(window_count("conv", *side) for side in sides))


@conv.samples
def _(make):
    for shape, weight, *geometry, groups in _geometries(make):
        bias = make(weight[0]) if groups == 1 else None
        yield (make(*shape), make(*weight), bias, *geometry, groups), {}


@conv_input.samples
def _(make):
    for shape, weight, *geometry, groups in _geometries(make):
        delta = make(*_result_shape(shape, weight, *geometry))
        bias = make(shape[1]) if groups == 1 else None
        yield (delta, make(*weight), bias, shape, *geometry, groups), {}


@conv_weight.samples
def _(make):
    for shape, weight, *geometry, groups in _geometries(make):
        delta = make(*_result_shape(shape, weight, *geometry))
        yield (delta, make(*shape), weight, *geometry, groups), {}


@channel_sum.samples
def _(make):
    yield (make(2, make.size(3, 30), make.size(4, 2000)),), {}


# -- public forms -------------------------------------------------------------------------------


def _batched(name: str, nd: int, input: Any, weight: Any) -> tuple[Any, bool]:
    """The input with a batch dimension, and whether it had one."""
    shape = tuple(input.shape)
    if weight.ndim != nd + 2:
        raise RankError(
            f"{name}: weight has shape {tuple(weight.shape)}, expected {nd + 2} dimensions"
        )
    if 0 in shape[-nd:]:
        raise ShapeError(f"{name}: input has shape {shape}, expected sides of at least 1")
    if len(shape) == nd + 2:
        return input, True
    if len(shape) == nd + 1:
        return input.reshape((1, *shape)), False
    sides = ("length", "height, width", "depth, height, width")[nd - 1]
    raise RankError(
        f"{name}: input has shape {shape}, expected {nd + 2} dimensions (batch, channels, {sides}) "
        f"or {nd + 1} without batch"
    )


def _convolve(
    nd: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, dilation: Any,
    groups: int,
) -> Any:  # fmt: skip
    name = f"conv{nd}d"
    input, batched = _batched(name, nd, input, weight)
    stride, dilation = per_dim(name, "stride", stride, nd), per_dim(name, "dilation", dilation, nd)
    if isinstance(padding, str):
        input, padding = _padded_by_name(name, padding, input, weight, stride, dilation)
    else:
        padding = per_dim(name, "padding", padding, nd)
    out = conv(input, weight, bias, stride, padding, dilation, groups)
    return out if batched else out.reshape(out.shape[1:])


def _padded_by_name(
    name: str, padding: str, input: Any, weight: Any, stride: Ints, dilation: Ints
) -> tuple[Any, Ints]:
    """Sides for ``"valid"`` or ``"same"``; what is uneven is padded at once, at the end."""
    if padding == "valid":
        return input, (0,) * len(stride)
    if padding != "same":
        raise ArgumentError(f"{name}: padding is {padding!r}, expected 'same', 'valid' or ints")
    if any(s != 1 for s in stride):
        raise ArgumentError(f"{name}: padding='same' needs a stride of 1, got {stride}")
    totals = [d * (k - 1) for d, k in zip(dilation, weight.shape[2:], strict=True)]
    if any(total % 2 for total in totals):
        sides = [n for total in reversed(totals) for n in (0, total % 2)]
        input = constant_pad(input, tuple(sides), 0.0)
    return input, tuple(total // 2 for total in totals)


@composite(tensors=("input", "weight", "bias"), home="nn", takes="ifc")
def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation of signals with kernels.

    Args:
        input: ``(N, C, L)`` or ``(C, L)``.
        weight: ``(O, C / groups, k)``.
        bias, stride, padding, dilation, groups: as in `conv2d`.
    """
    return _convolve(1, input, weight, bias, stride, padding, dilation, groups)


@composite(tensors=("input", "weight", "bias"), home="nn", takes="ifc")
def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation of images with kernels.

    Args:
        input: ``(N, C, H, W)`` or ``(C, H, W)``.
        weight: ``(O, C / groups, kh, kw)``.
        bias: ``(O,)`` or None.
        stride, dilation: pixels, an int or a pair (rows, columns).
        padding: pixels of zeros at both sides, an int or a pair; ``"valid"`` for none, ``"same"``
            for as many as keep the size.
        groups: channels are divided into so many groups that do not see each other.
    Returns:
        ``(N, O, H', W')``, ``H' = (H + 2 * padding - dilation * (kh - 1) - 1) // stride + 1``.
    """
    return _convolve(2, input, weight, bias, stride, padding, dilation, groups)


@composite(tensors=("input", "weight", "bias"), home="nn", takes="ifc")
def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Any:  # fmt: skip
    """Cross-correlation of volumes with kernels.

    Args:
        input: ``(N, C, D, H, W)`` or ``(C, D, H, W)``.
        weight: ``(O, C / groups, kd, kh, kw)``.
        bias, stride, padding, dilation, groups: as in `conv2d`.
    """
    return _convolve(3, input, weight, bias, stride, padding, dilation, groups)


def _transposed(
    nd: int, input: Any, weight: Any, bias: Any, stride: Any, padding: Any, output_padding: Any,
    groups: int, dilation: Any,
) -> Any:  # fmt: skip
    name = f"conv_transpose{nd}d"
    expect_one_dtype(name, input, weight, "weight")
    input, batched = _batched(name, nd, input, weight)
    stride, padding = per_dim(name, "stride", stride, nd), per_dim(name, "padding", padding, nd)
    dilation = per_dim(name, "dilation", dilation, nd)
    extra = per_dim(name, "output_padding", output_padding, nd)
    if input.shape[1] != weight.shape[0]:
        raise ShapeError(
            f"{name}: input of shape {tuple(input.shape)} has {input.shape[1]} channels, expected "
            f"{weight.shape[0]} for a weight of shape {tuple(weight.shape)}"
        )
    if groups < 1 or weight.shape[0] % groups:
        raise ArgumentError(
            f"{name}: groups is {groups}, expected a divisor of the {weight.shape[0]} channels"
        )
    sides = []
    for n, k, s, p, d, e in zip(
        input.shape[2:], weight.shape[2:], stride, padding, dilation, extra, strict=True
    ):
        if min(s, d) < 1 or p < 0 or not 0 <= e < max(s, d):
            raise ArgumentError(
                f"{name}: stride {s}, dilation {d}, padding {p}, output_padding {e}; expected "
                "stride and dilation of at least 1, padding of at least 0, and output_padding "
                "less than stride or dilation"
            )
        size = (n - 1) * s - 2 * p + d * (k - 1) + 1 + e
        if size < 1:
            raise ShapeError(
                f"{name}: an input of shape {tuple(input.shape)} gives an output of size {size}"
            )
        sides.append(size)
    shape = (input.shape[0], weight.shape[1] * groups, *sides)
    out = conv_input(input, weight, bias, shape, stride, padding, dilation, groups)
    return out if batched else out.reshape(out.shape[1:])


@composite(tensors=("input", "weight", "bias"), home="nn", takes="ifc")
def conv_transpose1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """Transposed convolution of signals; see `conv_transpose2d`."""
    return _transposed(
        1, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


@composite(tensors=("input", "weight", "bias"), home="nn", takes="ifc")
def conv_transpose2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """Transposed convolution of images: the gradient of `conv2d` with respect to its input.

    Args:
        input: ``(N, C, H, W)`` or ``(C, H, W)``.
        weight: ``(C, O / groups, kh, kw)``.
        output_padding: rows and columns added at the end, less than stride or dilation.
        stride, padding, dilation: those of the convolution that this one transposes.
    Returns:
        ``(N, O, H', W')``,
        ``H' = (H - 1) * stride - 2 * padding + dilation * (kh - 1) + output_padding + 1``.
    """
    return _transposed(
        2, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


@composite(tensors=("input", "weight", "bias"), home="nn", takes="ifc")
def conv_transpose3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Any:  # fmt: skip
    """Transposed convolution of volumes; see `conv_transpose2d`."""
    return _transposed(
        3, input, weight, bias, stride, padding, output_padding, groups, dilation
    )  # fmt: skip


@conv1d.samples
def _(make):
    yield (make(2, 3, 7), make(4, 3, 3), make(4)), {}
    yield (make(2, 2, 8), make(4, 1, 2)), {"stride": 2, "padding": 1, "groups": 2}
    yield (make(2, 6), make(3, 2, 4)), {"padding": "same"}


@conv2d.samples
def _(make):
    yield (make(2, 3, 5, 4), make(4, 3, 3, 2), make(4)), {}
    yield (make(1, 4, 6, 6), make(2, 2, 3, 3)), {"stride": 2, "padding": 1, "groups": 2}
    yield (make(2, 1, 7, 5), make(1, 1, 2, 2), make(1)), {"dilation": (2, 1), "stride": (1, 2)}
    yield (make(2, 2, 4, 4), make(3, 2, 1, 1), make(3)), {}
    yield (make(0, 1, 4, 4), make(2, 1, 3, 3)), {}


@conv3d.samples
def _(make):
    yield (make(1, 2, 3, 4, 3), make(2, 2, 2, 2, 2), make(2)), {"padding": (1, 0, 1)}


@conv_transpose1d.samples
def _(make):
    yield (make(2, 3, 4), make(3, 2, 3), make(2)), {"stride": 2, "output_padding": 1}


@conv_transpose2d.samples
def _(make):
    yield (make(1, 4, 3, 2), make(4, 1, 2, 3), make(2)), {"groups": 2, "padding": (0, 1)}
    yield (make(2, 3, 3), make(2, 3, 2, 2)), {"dilation": 2, "stride": 2, "output_padding": 1}


@conv_transpose3d.samples
def _(make):
    yield (make(1, 2, 2, 2, 2), make(2, 1, 2, 2, 2), make(1)), {"stride": (1, 2, 1)}


def _direct(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution by its definition, one output element at a time."""
    nd = weight.ndim - 2
    batch = input if input.ndim == nd + 2 else input[None]
    s, d = per_dim("", "", stride, nd), per_dim("", "", dilation, nd)
    if padding == "same":
        totals = [e * (k - 1) for e, k in zip(d, weight.shape[2:], strict=True)]
        sides = [(t // 2, t - t // 2) for t in totals]
    else:
        sides = [(p, p) for p in per_dim("", "", padding, nd)]
    x = np.pad(batch, ((0, 0), (0, 0), *sides))
    o, cg, *kernel = weight.shape
    counts = [
        (n - e * (k - 1) - 1) // t + 1 for n, e, k, t in zip(x.shape[2:], d, kernel, s, strict=True)
    ]
    out = np.zeros((x.shape[0], o, *counts), input.dtype)
    for j, *at in np.ndindex(o, *counts):
        first = j // (o // groups) * cg
        window = tuple(
            slice(a * t, a * t + e * (k - 1) + 1, e)
            for a, t, e, k in zip(at, s, d, kernel, strict=True)
        )
        part = x[(slice(None), slice(first, first + cg), *window)]
        out[(slice(None), j, *at)] = (part * weight[j]).sum(tuple(range(1, nd + 2)))
    out = out if bias is None else out + bias.reshape(-1, *(1,) * nd)
    return out if input.ndim == nd + 2 else out[0]


def _direct_transposed(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1,
                       dilation=1):  # fmt: skip
    """Every input element adds its weighted kernel to the output."""
    nd = weight.ndim - 2
    batch = input if input.ndim == nd + 2 else input[None]
    s, p = per_dim("", "", stride, nd), per_dim("", "", padding, nd)
    d, e = per_dim("", "", dilation, nd), per_dim("", "", output_padding, nd)
    c, og, *kernel = weight.shape
    full = [
        (n - 1) * t + g * (k - 1) + 1 + x
        for n, t, g, k, x in zip(batch.shape[2:], s, d, kernel, e, strict=True)
    ]
    out: Any = np.zeros((len(batch), og * groups, *full), input.dtype)
    for j, *at in np.ndindex(c, *batch.shape[2:]):
        first = j // (c // groups) * og
        window = tuple(
            slice(a * t, a * t + g * (k - 1) + 1, g)
            for a, t, g, k in zip(at, s, d, kernel, strict=True)
        )
        value = batch[(slice(None), j, *at)]
        out[(slice(None), slice(first, first + og), *window)] += np.multiply.outer(value, weight[j])
    inner = tuple(slice(q, n - q) for q, n in zip(p, full, strict=True))
    out = out[(..., *inner)]
    out = out if bias is None else out + bias.reshape(-1, *(1,) * nd)
    return out if input.ndim == nd + 2 else out[0]


for _op in (conv1d, conv2d, conv3d):
    _op.expect(_direct)
for _op in (conv_transpose1d, conv_transpose2d, conv_transpose3d):
    _op.expect(_direct_transposed)


@composite(tensors=("input", "weight", "bias"), home="nn", takes="ifc")
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """`conv1d` of sequences ``(time, batch, channels)`` with a weight
    ``(kernel, in channels, out channels)``: the order of fairseq's models."""
    if input.ndim != 3 or weight.ndim != 3:
        shapes = f"{tuple(input.shape)} and {tuple(weight.shape)}"
        raise RankError(f"conv_tbc: input and weight have shapes {shapes}, expected 3 dims of both")
    out = conv1d(permute(input, (1, 2, 0)), permute(weight, (2, 1, 0)), bias, padding=pad)
    return permute(out, (2, 0, 1))


@conv_tbc.samples
def _(make):
    yield (make(5, 2, 3), make(2, 3, 4), make(4)), {}
    yield (make(5, 2, 3), make(2, 3, 4), make(4), 1), {}


@conv_tbc.expect
def _(input, weight, bias, pad=0):
    padded = np.pad(input, ((pad, pad), (0, 0), (0, 0)))
    steps = len(padded) - len(weight) + 1
    terms = [padded[k : k + steps] @ weight[k] for k in range(len(weight))]
    return np.add.reduce(terms) + bias
