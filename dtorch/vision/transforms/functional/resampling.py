"""Values of a tensor image between its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.creation import from_numpy
from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.vision.transforms.functional.images import fill_values, rounded_to
from dtorch.vision.transforms.interpolation import InterpolationMode as Mode, as_mode

_SUPPORT = {Mode.BILINEAR: 1.0, Mode.BICUBIC: 2.0}


def _triangle(distance: np.ndarray) -> np.ndarray:
    weights: np.ndarray = np.maximum(1 - np.abs(distance), 0)
    return weights


def _cubic(distance: np.ndarray, a: float = -0.5) -> np.ndarray:
    """Keys' convolution kernel.

    Reference: Keys 1981, "Cubic convolution interpolation for digital image processing", eq. 4.
    """
    d = np.abs(distance)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = a * (((d - 5) * d + 8) * d - 4)
    return np.where(d < 1, near, np.where(d < 2, far, 0))


def _weights(size: int, wanted: int, mode: Mode, antialias: bool) -> np.ndarray:
    """Matrix ``(wanted, size)`` that resizes one dimension.

    With ``antialias`` the kernel is widened where pixels are lost, as Pillow does.
    """
    ratio = size / wanted
    stretch = max(ratio, 1.0) if antialias else 1.0
    centres = (np.arange(wanted) + 0.5) * ratio - 0.5
    if antialias:
        distance = (np.arange(size) - centres[:, None]) / stretch
        kernel = _triangle if mode is Mode.BILINEAR else _cubic
        weights: np.ndarray = kernel(distance)
        weights /= weights.sum(1, keepdims=True)
        return weights
    # Without, pixels beyond the edge repeat it.
    weights = np.zeros((wanted, size))
    first = np.floor(centres).astype(int)
    reach = int(_SUPPORT[mode])
    for step in range(1 - reach, reach + 1):
        distance = first + step - centres
        part = _triangle(distance) if mode is Mode.BILINEAR else _cubic(distance, -0.75)
        np.add.at(weights, (np.arange(wanted), np.clip(first + step, 0, size - 1)), part)
    return weights


def resize_tensor(
    image: Tensor, height: int, width: int, interpolation: Any, antialias: bool
) -> Tensor:
    """A tensor image in another size."""
    mode = as_mode(interpolation)
    array = image.array
    old_height, old_width = array.shape[-2:]
    if mode in (Mode.NEAREST, Mode.NEAREST_EXACT):
        half = 0.0 if mode is Mode.NEAREST else 0.5
        rows = ((np.arange(height) + half) * (old_height / height)).astype(int)
        columns = ((np.arange(width) + half) * (old_width / width)).astype(int)
        return from_numpy(array[..., rows[:, None], columns])
    if mode not in _SUPPORT:
        raise ArgumentError(
            f"resize: interpolation is {mode.value!r}, for tensors expected nearest, bilinear or "
            "bicubic"
        )
    kind = np.float64 if array.dtype.itemsize > 4 or array.dtype == np.int32 else np.float32
    down = _weights(old_height, height, mode, antialias).astype(kind)
    across = _weights(old_width, width, mode, antialias).astype(kind)
    rows = backend.matmul(down, array.astype(kind, copy=False))
    return rounded_to(backend.matmul(rows, across.T), array)


def sample_tensor(
    image: Tensor, x: np.ndarray, y: np.ndarray, interpolation: Any, fill: Any
) -> Tensor:
    """A tensor image's values at these positions.

    Args:
        image: ``(..., channels, height, width)``.
        x, y: positions ``(height', width')`` in pixels; 0 is the middle of the first pixel.
        fill: value of what lies outside, one for all channels or one for each.
    Returns:
        ``(..., channels, height', width')``.
    """
    mode = as_mode(interpolation)
    array = image.array
    height, width = array.shape[-2:]
    inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    if mode in (Mode.NEAREST, Mode.NEAREST_EXACT):
        values = _at(array, np.floor(x + 0.5), np.floor(y + 0.5))
    elif mode is Mode.BILINEAR:
        left, top = np.floor(x), np.floor(y)
        right, down = x - left, y - top
        upper = _at(array, left, top) * (1 - right) + _at(array, left + 1, top) * right
        lower = _at(array, left, top + 1) * (1 - right) + _at(array, left + 1, top + 1) * right
        values = upper * (1 - down) + lower * down
    else:
        raise ArgumentError(
            f"interpolation is {mode.value!r}, for tensors expected nearest or bilinear"
        )
    channels = array.shape[-3] if array.ndim > 2 else 1
    outside = fill_values(fill, channels)
    if array.ndim == 2:
        outside = outside[0]
    return rounded_to(np.where(inside, values, outside), array)


def _at(array: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pixels; those of the edge beyond it."""
    rows = np.clip(y, 0, array.shape[-2] - 1).astype(int)
    columns = np.clip(x, 0, array.shape[-1] - 1).astype(int)
    values: np.ndarray = array[..., rows, columns]
    return values
