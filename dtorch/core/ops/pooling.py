"""Pooling: one value for each window."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.errors import ArgumentError
from dtorch.core.op import structured
from dtorch.core.ops.scatter import gather_along, scatter_sum
from dtorch.core.shapes import expect_dims, pair, window_count


@structured(tensors=("input",), outputs=("out", "index"), returns=1, method=False)
def max_pool2d(xp: Any, input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0) -> Any:
    """Largest value in each ``kernel_size`` window of every channel.

    Args:
        input: ``(N, C, H, W)``: batch, channels, rows, columns.
        kernel_size: rows and columns of the window, in pixels; one int means square.
        stride: step between windows, in pixels. Default: ``kernel_size``.
        padding: pixels of -inf on each side, at most half the window.
    Returns:
        ``(N, C, H', W')`` with ``H' = floor((H + 2*padding - kernel_size) / stride) + 1``.
    Raises:
        ShapeError: input is not 4-dimensional, or a window does not fit.
        ArgumentError: padding exceeds half the window.
    Gradient: goes to the first largest element of a window; ties are not shared.
    """
    kh, kw, sh, sw, ph, pw = _window(kernel_size, stride, padding)
    n, c, h, w = input.shape
    oh = window_count("max_pool2d", h, kh, sh, ph)
    ow = window_count("max_pool2d", w, kw, sw, pw)
    low = -np.inf if input.dtype.kind == "f" else np.iinfo(input.dtype).min
    padded = input
    if ph or pw:
        padded = xp.pad(input, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=low)
    best = xp.full((n, c, oh, ow), low, input.dtype)
    index = xp.zeros((n, c, oh, ow), np.int64)
    rows = xp.arange(oh)[:, None] * sh - ph
    columns = xp.arange(ow) * sw - pw
    for i in range(kh):
        for j in range(kw):
            tap = padded[:, :, i : i + sh * oh : sh, j : j + sw * ow : sw]
            place = (rows + i) * w + columns + j
            if i == j == 0:
                best[...] = tap
                index[...] = place
                continue
            larger = (tap > best) | (tap != tap)  # nan wins
            xp.copyto(best, tap, where=larger)
            xp.copyto(index, place, where=larger)
    return best, index


def _window(kernel_size: Any, stride: Any, padding: Any) -> tuple[int, int, int, int, int, int]:
    kernel = pair(kernel_size)
    step = kernel if stride is None or stride == () else pair(stride)
    pad = pair(padding)
    if any(2 * p > k for p, k in zip(pad, kernel, strict=True)):
        raise ArgumentError(f"max_pool2d: padding {pad} exceeds half of the window {kernel}")
    return (*kernel, *step, *pad)


@max_pool2d.shape
def _(input, kernel_size, stride=None, padding=0):
    expect_dims("max_pool2d", input, ("batch", "channel", "height", "width"),
                "for a single image use input.unsqueeze(0)")  # fmt: skip


@max_pool2d.gradient("input")
def _(grad, index, input_shape):
    return _to_planes(grad, index, input_shape)


@structured(tensors=("delta", "index"), public=False)
def _to_planes(xp: Any, delta: Any, index: Any, shape: Any) -> Any:
    """Zeros of ``shape`` to which ``delta`` is added at flat indices within each plane."""
    n, c, h, w = shape
    flat = scatter_sum.body(
        xp, delta.reshape(n * c, -1), 1, index.reshape(n * c, -1), (n * c, h * w)
    )
    return flat.reshape(shape)


@_to_planes.gradient("delta")
def _(grad, index, delta_shape):
    n, c = delta_shape[:2]
    flat = gather_along(grad.reshape((n * c, -1)), 1, index.reshape((n * c, -1)))
    return flat.reshape(delta_shape)


@max_pool2d.samples
def _(make):
    yield (make(2, 3, 6, 4), 2), {}
    yield (make(1, 2, 5, 5), 3), {"stride": 2, "padding": 1}
    yield (make(1, 1, 4, 6), (2, 3), (1, 2)), {}


@max_pool2d.expect
def _(input, kernel_size, stride=None, padding=0):
    (kh, kw), (sh, sw), (ph, pw) = pair(kernel_size), pair(stride or kernel_size), pair(padding)
    x = np.pad(input, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(x, (kh, kw), axis=(2, 3))
    return windows[:, :, ::sh, ::sw].max((4, 5))
