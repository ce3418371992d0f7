"""Rotations, shears, perspectives and distortions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.vision.optional import is_pil_image, pillow
from dtorch.vision.transforms.functional.conversion import pil_to_tensor
from dtorch.vision.transforms.functional.images import check_tensor, get_image_size, pillow_fill
from dtorch.vision.transforms.functional.modes import (
    WITHOUT_BETWEEN,
    image_like,
    in_bands,
    resampled,
)
from dtorch.vision.transforms.functional.resampling import sample_tensor

# Below, matrices map homogeneous positions of the output to positions of the input.


def _shift(x: float, y: float) -> np.ndarray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y], [0.0, 0.0, 1.0]])


def _rotation(degrees: float) -> np.ndarray:
    """Clockwise on the screen, where y grows downwards."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def _warp(img: Any, matrix: np.ndarray, size: tuple[int, int], resample: Any, fill: Any) -> Any:
    """An image of ``size`` (width, height), each pixel taken from where ``matrix`` says."""
    if is_pil_image(img):
        image = pillow()
        if np.allclose(matrix[2], (0, 0, 1)):
            kind, data = image.Transform.AFFINE, matrix[:2].ravel()
        else:
            kind, data = image.Transform.PERSPECTIVE, (matrix / matrix[2, 2]).ravel()[:8]
        colour = pillow_fill(fill, img)
        return resampled(
            img,
            resample,
            lambda image, way: image.transform(size, kind, data.tolist(), way, fillcolor=colour),
        )
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    u, v, w = np.einsum("ij,jhw->ihw", matrix, np.stack([x, y, np.ones_like(x)]))
    return sample_tensor(check_tensor("warp", img), u / w - 0.5, v / w - 0.5, resample, fill)


def rotate(
    img: Any, angle: float, resample: Any = False, expand: bool = False,
    center: Sequence[float] | None = None, fill: Any = 0, *, interpolation: Any = None,
) -> Any:  # fmt: skip
    """An image turned.

    Args:
        angle: degrees, counter-clockwise.
        resample, interpolation: old and new name of the way to interpolate; nearest by default.
        expand: make the image large enough for all of it; for the default centre.
        center: the fixed point ``(x, y)`` in pixels. Default: the middle.
        fill: colour of what comes from outside.
    """
    mode = resample if interpolation is None else interpolation
    width, height = get_image_size(img)
    x, y = (width / 2, height / 2) if center is None else center
    backwards = _rotation(angle)
    size = (width, height)
    matrix = _shift(x, y) @ backwards @ _shift(-x, -y)
    if expand:
        size = _enclosing(width, height, matrix)
        # The middle of the new image comes from the middle of the old.
        matrix = _shift(width / 2, height / 2) @ backwards @ _shift(-size[0] / 2, -size[1] / 2)
    return _warp(img, matrix, size, mode, fill)


def _enclosing(width: int, height: int, matrix: np.ndarray) -> tuple[int, int]:
    """Size of the upright rectangle around the turned image."""
    corners = np.array([[0, width, width, 0], [0, 0, height, height], [1, 1, 1, 1]], float)
    x, y, _ = np.linalg.inv(matrix) @ corners
    # Rounded, so that a quarter turn does not gain a pixel by an error of the last bit.
    left, right = math.floor(round(x.min(), 6)), math.ceil(round(x.max(), 6))
    top, bottom = math.floor(round(y.min(), 6)), math.ceil(round(y.max(), 6))
    return right - left, bottom - top


def affine(
    img: Any, angle: float, translate: Sequence[float], scale: float, shear: Any, resample: Any = 0,
    fillcolor: Any = None, *, interpolation: Any = None, fill: Any = None,
    center: Sequence[float] | None = None,
) -> Any:  # fmt: skip
    """An image sheared, scaled, turned and moved.

    Args:
        angle: degrees, clockwise.
        translate: pixels to the right and down.
        scale: factor, positive.
        shear: degrees along x, or along x and y.
        resample, interpolation: old and new name of the way to interpolate; nearest by default.
        fillcolor, fill: old and new name of the colour of what comes from outside.
        center: the fixed point ``(x, y)`` in pixels. Default: the middle.
    """
    if scale <= 0:
        raise ArgumentError(f"affine: scale is {scale}, expected a positive number")
    if len(translate) != 2:
        raise ArgumentError(f"affine: translate is {translate!r}, expected a pair (x, y)")
    angles = (shear,) if isinstance(shear, int | float) else tuple(shear)
    if len(angles) not in (1, 2):
        raise ArgumentError(f"affine: shear is {shear!r}, expected a number or a pair")
    shear_x = math.tan(math.radians(angles[0]))
    shear_y = math.tan(math.radians(angles[1])) if len(angles) == 2 else 0.0
    width, height = get_image_size(img)
    x, y = (width / 2, height / 2) if center is None else center
    forwards = (
        _shift(x + translate[0], y + translate[1])
        @ _rotation(angle)
        @ np.array([[1.0, 0.0, 0.0], [-shear_y, 1.0, 0.0], [0.0, 0.0, 1.0]])
        @ np.array([[1.0, -shear_x, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
        @ np.diag([scale, scale, 1.0])
        @ _shift(-x, -y)
    )
    mode = resample if interpolation is None else interpolation
    colour = fillcolor if fill is None else fill
    return _warp(
        img, np.linalg.inv(forwards), (width, height), mode, 0 if colour is None else colour
    )


def perspective(
    img: Any, startpoints: Sequence[Sequence[float]], endpoints: Sequence[Sequence[float]],
    interpolation: Any = 2, fill: Any = 0,
) -> Any:  # fmt: skip
    """An image seen from another side.

    Args:
        startpoints: four points ``(x, y)`` of the image.
        endpoints: where they go.
    """
    rows, values = [], []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    if len(rows) != 8:
        raise ArgumentError(f"perspective: {len(rows) // 2} points, expected 4")
    try:
        solution = np.linalg.solve(np.array(rows, float), np.array(values, float))
    except np.linalg.LinAlgError as error:
        raise ArgumentError(
            f"perspective: three of the points {endpoints} lie on a line"
        ) from error
    matrix = np.append(solution, 1.0).reshape(3, 3)
    width, height = get_image_size(img)
    return _warp(img, matrix, (width, height), interpolation, fill)


def elastic_transform(img: Any, displacement: Tensor, interpolation: Any = 2, fill: Any = 0) -> Any:
    """An image whose pixels are moved.

    Args:
        displacement: ``(1, height, width, 2)``: for each pixel of the result how far to the right
            and down it is taken from, in halves of the image's width and height.
    """
    width, height = get_image_size(img)
    if tuple(displacement.shape) != (1, height, width, 2):
        raise ArgumentError(
            f"elastic_transform: displacement has shape {tuple(displacement.shape)}, expected "
            f"{(1, height, width, 2)}"
        )
    moves = displacement.array[0].astype(np.float64)
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    x, y = x + moves[..., 0] * width / 2, y + moves[..., 1] * height / 2
    if not is_pil_image(img):
        return sample_tensor(
            check_tensor("elastic_transform", img), x, y, interpolation, fill
        )  # fmt: skip
    if img.mode == "LAB":  # as bytes, its bands begin in the middle
        return in_bands(
            img, lambda band: elastic_transform(band, displacement, interpolation, fill)
        )
    way = 0 if img.mode in WITHOUT_BETWEEN else interpolation
    moved = sample_tensor(pil_to_tensor(img), x, y, way, fill).array
    return image_like(moved[0] if len(moved) == 1 else moved.transpose(1, 2, 0), img)
