"""Pillow's modes: which numbers are amounts, which only names of colours, and what lies between."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core.errors import ArgumentError
from dtorch.vision.optional import pillow
from dtorch.vision.transforms.interpolation import pillow_number

# There is nothing between two of their pixels, which are black or white, or numbers of a palette.
WITHOUT_BETWEEN = ("1", "P", "PA")
WITHOUT_COLOURS = ("L", "1", "I", "F", "I;16", "I;16L", "I;16B")

_DTYPES = {"1": "?", "I": "=i4", "F": "=f4", "I;16": "<u2", "I;16L": "<u2", "I;16B": ">u2"}


def image_like(array: np.ndarray, img: Any) -> Any:
    """The image whose pixels ``(height, width[, bands])`` are these, with mode and palette of
    another; numbers are rounded and clipped."""
    mode = img.mode
    dtype = np.dtype(_DTYPES.get(mode, "=u1"))
    if dtype.kind in "ui" and array.dtype != dtype:
        limits = np.iinfo(dtype)
        array = np.clip(np.rint(array), limits.min, limits.max)
    array = np.ascontiguousarray(array.astype(dtype, copy=False))
    if mode == "1":
        return pillow().fromarray(array)
    image = pillow().frombytes(mode, array.shape[1::-1], array.tobytes())
    keep_palette(image, img)
    return image


def keep_palette(image: Any, img: Any) -> None:
    """Give an image the palette of another, transparency included."""
    if img.mode in ("P", "PA"):
        colours = img.palette.mode or "RGB"
        image.putpalette(img.getpalette(colours), colours)
        if "transparency" in img.info:
            image.info["transparency"] = img.info["transparency"]


def in_bands(img: Any, change: Callable[[Any], Any]) -> Any:
    """An image whose bands were changed each by itself."""
    return pillow().merge(img.mode, [change(band) for band in img.split()])


def resampled(img: Any, interpolation: Any, change: Callable[[Any, int], Any]) -> Any:
    """``change(image, number of the interpolation)``, right for all modes.

    Pillow interpolates the numbers of a palette beside opacity, and overflows with 16 bits.
    """
    number = pillow_number(interpolation)
    if img.mode in WITHOUT_BETWEEN:
        number = 0
    if img.mode.startswith("I;16"):
        return image_like(np.asarray(change(img.convert("F"), number)), img)
    return change(img, number)


def colours_of(operation: str, img: Any) -> tuple[Any, Callable[[Any], Any]]:
    """The gray or RGB part of an image, and what makes an image of the original kind of a changed
    one: with its opacity, and its model of colours. Of palettes it makes RGB, of bits gray.

    Raises:
        ArgumentError: the mode is of numbers without a white.
    """
    mode = img.mode
    if mode in ("L", "RGB"):
        return img, lambda changed: changed
    if mode == "1":
        return img.convert("L"), lambda changed: changed
    if mode in ("P", "PA"):
        opaque = mode == "P" and "transparency" not in img.info
        return colours_of(operation, img.convert("RGB" if opaque else "RGBA"))
    if mode in ("LA", "RGBA", "La", "RGBa"):
        plain = img.convert(mode.upper())
        opacity = plain.getchannel("A")

        def restore(changed: Any) -> Any:
            image = changed.copy()
            image.putalpha(opacity)
            return image.convert(mode)

        return plain.convert(mode[:-1]), restore
    if mode in ("RGBX", "CMYK", "YCbCr", "HSV", "LAB"):
        return img.convert("RGB"), lambda changed: changed.convert(mode)
    raise ArgumentError(
        f"{operation}: not defined for images of mode {mode!r}, whose numbers have no white; "
        "convert the image to another mode first, such as 'L' or 'RGB'"
    )


def in_colours(operation: str, img: Any, change: Callable[[Any], Any]) -> Any:
    """An image whose colours `change` has changed; see `colours_of`."""
    colours, restore = colours_of(operation, img)
    return restore(change(colours))
