"""Sizes, crops, edges and mirrors."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.errors import ArgumentError
from dtorch.vision.optional import is_pil_image, pillow
from dtorch.vision.transforms.functional.images import (
    check_tensor,
    fill_values,
    get_dimensions,
    get_image_size,
    height_and_width,
    pillow_fill,
)
from dtorch.vision.transforms.functional.modes import image_like, keep_palette, resampled
from dtorch.vision.transforms.functional.resampling import resize_tensor

_PAD_MODES = ("constant", "edge", "reflect", "symmetric")


def resize(
    img: Any, size: Any, interpolation: Any = 2, max_size: int | None = None, antialias: bool = True
) -> Any:
    """An image in another size.

    Args:
        size: pixels of the shorter side, with the ratio kept; or a pair ``(height, width)``.
        interpolation: an `InterpolationMode`, its name, or Pillow's number.
        max_size: the longer side gets at most this; only where ``size`` is one number.
        antialias: for tensors: lost pixels count too. Pillow's images always are smoothed.
    """
    width, height = get_image_size(img)
    new_height, new_width = _new_size(height, width, size, max_size)
    if (new_height, new_width) == (height, width):
        return img
    if is_pil_image(img):
        return resampled(
            img, interpolation, lambda image, way: image.resize((new_width, new_height), way)
        )
    return resize_tensor(
        check_tensor("resize", img), new_height, new_width, interpolation, antialias
    )


def scale(img: Any, size: Any, interpolation: Any = 2) -> Any:
    """The old name of `resize`."""
    return resize(img, size, interpolation)


def _new_size(height: int, width: int, size: Any, max_size: int | None) -> tuple[int, int]:
    if not isinstance(size, int) and len(size) == 2:
        if max_size is not None:
            raise ArgumentError(f"resize: max_size {max_size} needs one number as size, got {size}")
        return height_and_width("resize", size)
    side, _ = height_and_width("resize", size)
    if side < 1:
        raise ArgumentError(f"resize: size is {size}, expected at least 1 pixel")
    short, long = sorted((height, width))
    new_short, new_long = side, int(side * long / short)
    if max_size is not None:
        if max_size <= side:
            raise ArgumentError(f"resize: max_size is {max_size}, expected more than size {side}")
        if new_long > max_size:
            new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_short, new_long) if height <= width else (new_long, new_short)


def _sides(padding: Any) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a padding given as 1, 2 or 4 numbers."""
    values = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(values) == 1:
        values *= 4
    elif len(values) == 2:
        values *= 2
    if len(values) != 4 or not all(isinstance(value, int | np.integer) for value in values):
        raise ArgumentError(
            f"pad: padding is {padding!r}, expected an int, a pair (left and right, top and "
            "bottom), or (left, top, right, bottom)"
        )
    left, top, right, bottom = map(int, values)
    return left, top, right, bottom


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """An image with a border.

    Args:
        padding: pixels: one number for all sides, a pair for left and right, top and bottom; or
            left, top, right, bottom. Negative ones crop.
        fill: colour of the border; one number, or one for each channel.
        padding_mode: "constant"; "edge" repeats the last pixel; "reflect" mirrors without it,
            "symmetric" with it.
    """
    if padding_mode not in _PAD_MODES:
        raise ArgumentError(
            f"pad: padding_mode is {padding_mode!r}, expected one of {', '.join(_PAD_MODES)}"
        )
    sides = _sides(padding)
    if min(sides) < 0:
        width, height = get_image_size(img)
        left, top, right, bottom = (min(side, 0) for side in sides)
        img = crop(img, -top, -left, height + top + bottom, width + left + right)
        sides = tuple(max(side, 0) for side in sides)  # type: ignore[assignment]
    if is_pil_image(img):
        return _pad_pillow(img, sides, fill, padding_mode)
    array = check_tensor("pad", img).array
    left, top, right, bottom = sides
    widths = [(0, 0)] * (array.ndim - 2) + [(top, bottom), (left, right)]
    if padding_mode != "constant":
        return from_numpy(np.pad(array, widths, padding_mode))  # type: ignore[call-overload]
    channels = array.shape[-3] if array.ndim > 2 else 1
    colour = fill_values(fill, channels).astype(array.dtype)
    height, width = array.shape[-2:]
    shape = (*array.shape[:-2], height + top + bottom, width + left + right)
    out = np.empty(shape, array.dtype)
    out[...] = colour if array.ndim > 2 else colour[0]
    out[..., top : top + height, left : left + width] = array
    return from_numpy(out)


def _pad_pillow(img: Any, sides: tuple[int, int, int, int], fill: Any, mode: str) -> Any:
    left, top, right, bottom = sides
    if mode == "constant":
        operations = pillow("PIL.ImageOps")
        padded = operations.expand(img, border=sides, fill=pillow_fill(fill, img))
        keep_palette(padded, img)
        return padded
    array = np.asarray(img)
    widths = [(top, bottom), (left, right)] + [(0, 0)] * (array.ndim - 2)
    return image_like(np.pad(array, widths, mode), img)  # type: ignore[call-overload]


def crop(img: Any, i: int, j: int, h: int, w: int) -> Any:
    """The part of an image; what lies outside of it is black.

    Args:
        i, j: row and column of its upper left corner.
        h, w: its height and width.
    """
    if is_pil_image(img):
        return img.crop((j, i, j + w, i + h))
    tensor: Any = check_tensor("crop", img)
    height, width = tensor.shape[-2:]
    part = tensor[..., max(i, 0) : max(i + h, 0), max(j, 0) : max(j + w, 0)]
    if i < 0 or j < 0 or i + h > height or j + w > width:
        top, left = max(-i, 0), max(-j, 0)
        below, beside = h - top - part.shape[-2], w - left - part.shape[-1]
        part = pad(part, (left, top, beside, below))
    return part


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle of an image; padded by black where it is smaller."""
    height, width = height_and_width("center_crop", output_size)
    old_width, old_height = get_image_size(img)
    top, left = (_before(old_height - height), _before(old_width - width))
    return crop(img, top, left, height, width)


def _before(spare: int) -> int:
    """Pixels left out before the middle; where pixels are missing, the odd one comes after it."""
    return round(spare / 2) if spare >= 0 else -(-spare // 2)


def resized_crop(
    img: Any, i: int, j: int, h: int, w: int, size: Any, interpolation: Any = 2,
    antialias: bool = True,
) -> Any:  # fmt: skip
    """A part of an image in another size; see `crop` and `resize`."""
    return resize(crop(img, i, j, h, w), size, interpolation, antialias=antialias)


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    if is_pil_image(img):
        return img.transpose(pillow().Transpose.FLIP_LEFT_RIGHT)
    tensor: Any = check_tensor("hflip", img)
    return tensor.flip(-1)


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    if is_pil_image(img):
        return img.transpose(pillow().Transpose.FLIP_TOP_BOTTOM)
    tensor: Any = check_tensor("vflip", img)
    return tensor.flip(-2)


def five_crop(img: Any, size: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Upper left, upper right, lower left, lower right and middle part of an image.

    Raises:
        ArgumentError: they are larger than the image.
    """
    height, width = height_and_width("five_crop", size)
    _, old_height, old_width = get_dimensions(img)
    if height > old_height or width > old_width:
        raise ArgumentError(
            f"five_crop: size ({height}, {width}) is larger than the image "
            f"({old_height}, {old_width})"
        )
    below, beside = old_height - height, old_width - width
    return (
        crop(img, 0, 0, height, width),
        crop(img, 0, beside, height, width),
        crop(img, below, 0, height, width),
        crop(img, below, beside, height, width),
        center_crop(img, (height, width)),
    )


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """`five_crop` of an image and of its mirror image.

    Args:
        vertical_flip: top and bottom are exchanged, instead of left and right.
    """
    mirrored = vflip(img) if vertical_flip else hflip(img)
    return five_crop(img, size) + five_crop(mirrored, size)


def erase(
    img: Any, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False
) -> Any:  # fmt: skip
    """A tensor image with a rectangle filled by ``v``, which broadcasts over it."""
    if is_pil_image(img):
        raise TypeError("erase: got an image of Pillow, expected a tensor; use ToTensor before")
    tensor: Any = check_tensor("erase", img)
    if not inplace:
        tensor = tensor.clone()
    tensor[..., i : i + h, j : j + w] = v
    return tensor
