"""Windows of images as columns, and images as sums of windows: `unfold` and `fold` of
`dtorch.nn.functional`, under names that do not clash with ``Tensor.unfold``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.errors import ShapeError
from dtorch.core.op import structured
from dtorch.core.ops.convolution import columns_of, from_columns
from dtorch.core.shapes import merged, per_dim, window_count
from dtorch.core.tensor import Tensor

Ints = tuple[int, ...]


@structured(tensors=("input",), public=False, recorded_as="Im2Col")
def to_columns(
    xp: ArrayModule, input: Array, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> Array:
    """The windows of ``(n, c, *sides)`` as ``(n, c * kernel elements, windows)``."""
    columns = columns_of(xp, input, kernel, stride, padding, dilation)
    rows = columns.reshape(merged(columns.shape, 2 + len(kernel), columns.ndim))
    return rows.reshape(merged(rows.shape, 1, rows.ndim - 1))


@to_columns.gradient("input")
def _(grad, input_shape, kernel, stride, padding, dilation):
    return to_image(grad, tuple(input_shape), kernel, stride, padding, dilation)


@structured(tensors=("input",), public=False, wide=True, recorded_as="Col2Im")
def to_image(
    xp: ArrayModule,
    input: Array,
    shape: Ints,
    kernel: Ints,
    stride: Ints,
    padding: Ints,
    dilation: Ints,
) -> Array:
    """The transpose of `to_columns`: windows are added at their places."""
    counts = _counts("fold", shape[2:], kernel, stride, padding, dilation)
    columns = input.reshape(*shape[:2], *kernel, *counts)
    return from_columns(xp, columns, shape, stride, padding, dilation)


@to_image.gradient("input")
def _(grad, kernel, stride, padding, dilation):
    return to_columns(grad, kernel, stride, padding, dilation)


def _counts(
    name: str, sides: Ints, kernel: Ints, stride: Ints, padding: Ints, dilation: Ints
) -> Any:
    return [
        window_count(name, *side)
        for side in zip(sides, kernel, stride, padding, dilation, strict=True)
    ]


def _window(name: str, **options: Any) -> list[Ints]:
    return [per_dim(name, what, value, 2) for what, value in options.items()]


@composite(tensors=("input",), home="")
def im2col(
    input: Tensor, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """The windows of ``(N, C, H, W)`` or ``(C, H, W)`` as columns.

    Returns: ``(N, C * rows * columns of a window, number of windows)``.
    """
    kernel, spread, pad, step = _window(
        "unfold", kernel_size=kernel_size, dilation=dilation, padding=padding, stride=stride
    )
    shape = tuple(input.shape)
    if len(shape) not in (3, 4):
        raise ShapeError(
            f"unfold: input has shape {shape}, expected (batch, channels, height, width) or "
            "without batch"
        )
    _counts("unfold", shape[-2:], kernel, step, pad, spread)
    batch = input if len(shape) == 4 else input.reshape((1, *shape))
    out = to_columns(batch, kernel, step, pad, spread)
    return out if len(shape) == 4 else out.reshape(out.shape[1:])


@composite(tensors=("input",), home="")
def col2im(
    input: Tensor, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0,
    stride: Any = 1,
) -> Tensor:  # fmt: skip
    """The image ``(N, C, *output_size)`` to which the columns of windows add up.

    Args:
        input: ``(N, C * rows * columns of a window, number of windows)``, or without batch.
    """
    sides, kernel, spread, pad, step = _window(
        "fold", output_size=output_size, kernel_size=kernel_size, dilation=dilation,
        padding=padding, stride=stride,
    )  # fmt: skip
    shape = tuple(input.shape)
    counts = _counts("fold", sides, kernel, step, pad, spread)
    taps = math.prod(kernel)
    if len(shape) not in (2, 3) or shape[-2] % taps or shape[-1] != math.prod(counts):
        raise ShapeError(
            f"fold: input has shape {shape}, expected (batch, a multiple of {taps}, "
            f"{math.prod(counts)}) or without batch, for windows of {kernel} in an image of {sides}"
        )
    batch = input if len(shape) == 3 else input.reshape((1, *shape))
    image = (batch.shape[0], shape[-2] // taps, *sides)
    out = to_image(batch, image, kernel, step, pad, spread)
    return out if len(shape) == 3 else out.reshape(out.shape[1:])


@im2col.samples
def _(make):
    yield (make(2, 2, 4, 5), 2), {}
    yield (make(2, 5, 5), (2, 3)), {"dilation": 2, "padding": 1, "stride": (1, 2)}


@im2col.expect
def _(input, kernel_size, dilation=1, padding=0, stride=1):
    (kh, kw), (dh, dw) = per_dim("", "", kernel_size, 2), per_dim("", "", dilation, 2)
    (ph, pw), (sh, sw) = per_dim("", "", padding, 2), per_dim("", "", stride, 2)
    x = np.pad(input, [(0, 0)] * (input.ndim - 2) + [(ph, ph), (pw, pw)])
    columns = []
    for r in range(0, x.shape[-2] - dh * (kh - 1), sh):
        for q in range(0, x.shape[-1] - dw * (kw - 1), sw):
            part = x[..., r : r + dh * kh : dh, q : q + dw * kw : dw][..., :kh, :kw]
            columns.append(part.reshape(*input.shape[:-3], -1))
    return np.stack(columns, -1)


@col2im.samples
def _(make):
    yield (make(2, 8, 6), (3, 4), 2), {}
    yield (make(4, 4), (4, 4), 2), {"stride": 2}


@col2im.expect
def _(input, output_size, kernel_size, stride=1):
    h, w = output_size
    k, s = kernel_size, stride
    batch = input if input.ndim == 3 else input[None]
    out = np.zeros((len(batch), batch.shape[1] // k**2, h, w))
    places = [(r, q) for r in range(0, h - k + 1, s) for q in range(0, w - k + 1, s)]
    for i, (r, q) in enumerate(places):
        out[:, :, r : r + k, q : q + k] += batch[:, :, i].reshape(len(batch), -1, k, k)
    return out if input.ndim == 3 else out[0]
