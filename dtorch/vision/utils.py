"""Tensor images side by side, in files, with boxes drawn on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.core.functions import stack
from dtorch.core.tensor import Tensor
from dtorch.vision.optional import pillow
from dtorch.vision.transforms.functional.conversion import pil_to_tensor, to_pil_image

__all__ = ["draw_bounding_boxes", "draw_segmentation_masks", "make_grid", "save_image"]


def make_grid(
    tensor: Any, nrow: int = 8, padding: int = 2, normalize: bool = False, range: Any = None,
    scale_each: bool = False, pad_value: float = 0, *, value_range: Any = None,
) -> Tensor:  # fmt: skip
    """Images side by side, as one image.

    Args:
        tensor: ``(N, C, H, W)``, ``(C, H, W)``, ``(H, W)``, or a list of images of equal shape.
            One channel is repeated to three.
        nrow: images in each row.
        padding: pixels around each image.
        normalize: map least and largest value to 0 and 1.
        range, value_range: old and new name of the pair that is mapped to 0 and 1 instead.
        scale_each: map each image by its own values.
        pad_value: value of the pixels around the images.
    Returns:
        ``(C, height, width)``; a single image as it is.
    Example:
        >>> import dtorch
        >>> tuple(make_grid(dtorch.zeros(5, 3, 4, 4), nrow=3).shape)
        (3, 14, 20)
    """
    images = _batch(tensor)
    if normalize:
        bounds = range if value_range is None else value_range
        images = _normalized(images, bounds, scale_each)
    count, channels, height, width = images.shape
    if count == 1:
        return from_numpy(images[0].copy())
    columns = min(nrow, count)
    rows = math.ceil(count / columns)
    tall, wide = height + padding, width + padding
    grid = np.full(
        (channels, rows * tall + padding, columns * wide + padding), pad_value, images.dtype
    )
    for number, image in enumerate(images):
        top, left = number // columns * tall + padding, number % columns * wide + padding
        grid[:, top : top + height, left : left + width] = image
    return from_numpy(grid)


def _batch(tensor: Any) -> np.ndarray:
    """``(N, C, H, W)`` with at least three channels."""
    if isinstance(tensor, (list, tuple)) and all(isinstance(image, Tensor) for image in tensor):
        tensor = stack(list(tensor), 0)
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"make_grid: got {type(tensor).__name__}, expected a tensor or a list of tensors"
        )
    if tensor.ndim not in (2, 3, 4):
        raise ShapeError(
            f"make_grid: the tensor has shape {tuple(tensor.shape)}, expected (N, C, H, W), "
            "(C, H, W) or (H, W)"
        )
    array = tensor.detach().cpu().array
    if tensor.ndim == 2:
        array = array[None]
    if tensor.ndim < 4:
        array = array[None]
    return np.repeat(array, 3, 1) if array.shape[1] == 1 else array


def _normalized(images: np.ndarray, bounds: Any, scale_each: bool) -> np.ndarray:
    """Images with these bounds, or their own, mapped to 0 and 1."""
    if bounds is not None and (not isinstance(bounds, Sequence) or len(bounds) != 2):
        raise TypeError(f"make_grid: value_range is {bounds!r}, expected a pair (least, largest)")
    values = images.astype(np.float32) if images.dtype.kind != "f" else images
    if bounds is not None:
        low, high = bounds
    elif scale_each:
        low = values.min((1, 2, 3), keepdims=True)
        high = values.max((1, 2, 3), keepdims=True)
    else:
        low, high = values.min(), values.max()
    result: np.ndarray = (np.clip(values, low, high) - low) / np.maximum(high - low, 1e-5)
    return result.astype(values.dtype, copy=False)


def save_image(
    tensor: Any, filename: Any = None, nrow: int = 8, padding: int = 2, normalize: bool = False,
    range: Any = None, scale_each: bool = False, pad_value: float = 0,
    *, fp: Any = None, value_range: Any = None, format: str | None = None,
) -> None:  # fmt: skip
    """Save images side by side into one file; values 0 to 1.

    Args:
        tensor, nrow, padding, normalize, range, value_range, scale_each, pad_value: see
            `make_grid`.
        filename, fp: old and new name of the path or file object.
        format: of the file. Default: by the ending of its name.
    """
    target = filename if fp is None else fp
    if target is None:
        raise TypeError("save_image() needs a filename")
    grid = make_grid(
        tensor, nrow, padding, normalize, range, scale_each, pad_value, value_range=value_range
    )
    levels = np.clip(grid.array.astype(np.float32) * 255 + 0.5, 0, 255).astype(np.uint8)
    to_pil_image(from_numpy(levels)).save(target, format=format)


def _check_drawable(operation: str, image: Any) -> Tensor:
    if not isinstance(image, Tensor):
        raise TypeError(f"{operation}: got {type(image).__name__}, expected a tensor")
    if image.dtype.numpy != np.uint8:
        raise DtypeError(
            f"{operation}: the image is {image.dtype}, expected uint8; multiply by 255 and convert"
        )
    if image.ndim != 3 or image.shape[0] not in (1, 3):
        raise ShapeError(
            f"{operation}: the image has shape {tuple(image.shape)}, expected (1 or 3, H, W)"
        )
    return image


def _colors(operation: str, colors: Any, count: int) -> list[Any]:
    """One colour as Pillow's triple for each of ``count`` things."""
    if colors is None:
        steps = (np.arange(count)[:, None] * np.array([89, 144, 55]) + [255, 60, 30]) % 256
        return [tuple(map(int, step)) for step in steps]
    given = [colors] * count if isinstance(colors, (str, tuple)) else list(colors)
    if len(given) < count:
        raise ArgumentError(f"{operation}: {len(given)} colors, expected at least {count}")
    parse = pillow("PIL.ImageColor").getrgb
    return [parse(color) if isinstance(color, str) else tuple(color) for color in given[:count]]


def draw_bounding_boxes(
    image: Tensor, boxes: Tensor, labels: Sequence[str | None] | None = None, colors: Any = None,
    fill: bool = False, width: int = 1, font: str | None = None, font_size: int | None = None,
) -> Tensor:  # fmt: skip
    """An image with boxes drawn on it.

    Args:
        image: uint8 ``(1 or 3, H, W)``.
        boxes: ``(N, 4)``: left, top, right, bottom in pixels.
        labels: text of each box, or None.
        colors: one, or one for each box: a name, "#rrggbb" or ``(red, green, blue)``.
        fill: fill the boxes, half transparent.
        width: of the lines, in pixels.
        font: path of a TrueType font. Default: Pillow's own.
        font_size: in pixels. Default: 10.
    Returns:
        uint8 ``(3, H, W)``.
    """
    _check_drawable("draw_bounding_boxes", image)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ShapeError(
            f"draw_bounding_boxes: boxes has shape {tuple(boxes.shape)}, expected (N, 4)"
        )
    corners = boxes.tolist()
    for left, top, right, bottom in corners:
        if right < left or bottom < top:
            raise ArgumentError(
                f"draw_bounding_boxes: box {(left, top, right, bottom)}, expected left <= right "
                "and top <= bottom"
            )
    texts = [None] * len(corners) if labels is None else list(labels)
    if len(texts) != len(corners):
        raise ArgumentError(
            f"draw_bounding_boxes: {len(texts)} labels for {len(corners)} boxes, expected as many"
        )
    picture = to_pil_image(image).convert("RGB")
    draw = pillow("PIL.ImageDraw").Draw(picture, "RGBA" if fill else None)
    typeface = _font(font, font_size)
    chosen = _colors("draw_bounding_boxes", colors, len(corners))
    for box, text, color in zip(corners, texts, chosen, strict=True):
        inside = (*color[:3], 100) if fill else None
        draw.rectangle(box, outline=color, fill=inside, width=width)
        if text is not None:
            draw.text((box[0] + width + 1, box[1] + width), text, fill=color, font=typeface)
    return pil_to_tensor(picture)


def _font(path: str | None, size: int | None) -> Any:
    fonts = pillow("PIL.ImageFont")
    return fonts.load_default() if path is None else fonts.truetype(path, size or 10)


def draw_segmentation_masks(
    image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Any = None
) -> Tensor:  # fmt: skip
    """An image with areas coloured.

    Args:
        image: uint8 ``(1 or 3, H, W)``.
        masks: bool ``(N, H, W)`` or ``(H, W)``.
        alpha: share of the colour, 0 to 1.
        colors: one, or one for each mask: a name, "#rrggbb" or ``(red, green, blue)``.
    Returns:
        uint8 ``(3, H, W)``.
    """
    _check_drawable("draw_segmentation_masks", image)
    areas = masks.array if masks.ndim == 3 else masks.array[None]
    if areas.dtype != np.bool_ or areas.shape[1:] != tuple(image.shape[1:]):
        raise ShapeError(
            f"draw_segmentation_masks: masks are {masks.dtype} {tuple(masks.shape)}, expected bool "
            f"(N, {image.shape[1]}, {image.shape[2]})"
        )
    original = np.broadcast_to(image.array, (3, *image.shape[1:]))
    painted = original.copy()
    for area, color in zip(
        areas, _colors("draw_segmentation_masks", colors, len(areas)), strict=True
    ):
        painted[:, area] = np.array(color[:3], np.uint8)[:, None]
    mixed = original * (1 - alpha) + painted * alpha
    return from_numpy(mixed.astype(np.uint8))
