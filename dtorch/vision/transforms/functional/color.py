"""Brightness, colours, tones and sharpness."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.dtype import refuse_dtypes
from dtorch.core.errors import ArgumentError, DtypeError
from dtorch.core.tensor import Tensor
from dtorch.vision.optional import is_pil_image, pillow
from dtorch.vision.transforms.functional.conversion import pil_to_tensor
from dtorch.vision.transforms.functional.images import (
    check_tensor,
    get_image_num_channels,
    largest_value,
    rounded_to,
)
from dtorch.vision.transforms.functional.modes import (
    WITHOUT_BETWEEN,
    WITHOUT_COLOURS,
    colours_of,
    image_like,
    in_bands,
    in_colours,
)

# ITU-R BT.601, with the first weight as the reference API has it.
_LUMA = np.array([0.2989, 0.587, 0.114], np.float32).reshape(3, 1, 1)


def _check_factor(operation: str, factor: float) -> None:
    if factor < 0:
        raise ArgumentError(f"{operation}: the factor is {factor}, expected at least 0")


def _enhance(operation: str, img: Any, kind: str, factor: float) -> Any:
    enhancer = getattr(pillow("PIL.ImageEnhance"), kind)
    return in_colours(operation, img, lambda image: enhancer(image).enhance(factor))


def _with_tables(operation: str, img: Any, *args: Any) -> Any:
    """What Pillow's function of this name makes of the colours."""
    function = getattr(pillow("PIL.ImageOps"), operation)
    return in_colours(operation, img, lambda image: function(image, *args))


def _levels(operation: str, img: Any) -> np.ndarray:
    """The array of a tensor image whose numbers have a black and a white."""
    tensor = check_tensor(operation, img)
    refuse_dtypes(operation, "bc", tensor.dtype)
    array: np.ndarray = tensor.array
    return array


def _blend(array: np.ndarray, other: Any, factor: float) -> Tensor:
    """``factor`` of the image and the rest of another, within black and white."""
    mixed = factor * array.astype(np.float32) + (1.0 - factor) * other
    values = np.clip(mixed, 0, largest_value(array))
    # Fractions are cut off, as Pillow does.
    return from_numpy(values.astype(array.dtype))


def _gray(operation: str, array: np.ndarray) -> np.ndarray:
    """``(..., 1, height, width)`` float32."""
    if array.ndim < 3 or array.shape[-3] == 1:
        return array.astype(np.float32)
    if array.shape[-3] != 3:
        raise ArgumentError(
            f"{operation}: the tensor has {array.shape[-3]} channels, expected 1 or 3"
        )
    gray: np.ndarray = (array.astype(np.float32) * _LUMA).sum(-3, keepdims=True)
    return gray


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """An image made brighter: factor 0 is black, 1 the image, 2 twice as bright."""
    _check_factor("adjust_brightness", brightness_factor)
    if is_pil_image(img):
        return _enhance("adjust_brightness", img, "Brightness", brightness_factor)
    return _blend(_levels("adjust_brightness", img), 0.0, brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """An image with other contrast: factor 0 is gray, 1 the image."""
    _check_factor("adjust_contrast", contrast_factor)
    if is_pil_image(img):
        return _enhance("adjust_contrast", img, "Contrast", contrast_factor)
    array = _levels("adjust_contrast", img)
    gray = _gray("adjust_contrast", array)
    if array.dtype.kind != "f":
        gray = np.floor(gray)
    mean = gray.mean((-3, -2, -1) if array.ndim > 2 else (-2, -1), keepdims=True)
    return _blend(array, mean, contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """An image with other colours: factor 0 is without, 1 the image."""
    _check_factor("adjust_saturation", saturation_factor)
    if is_pil_image(img):
        if img.mode in WITHOUT_COLOURS:
            return img
        return _enhance("adjust_saturation", img, "Color", saturation_factor)
    array = _levels("adjust_saturation", img)
    if get_image_num_channels(img) == 1:
        return img
    gray = _gray("adjust_saturation", array)
    return _blend(array, gray if array.dtype.kind == "f" else np.floor(gray), saturation_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """An image with its colours moved around the circle of hues.

    Args:
        hue_factor: -0.5 to 0.5, in turns.
    """
    if not -0.5 <= hue_factor <= 0.5:
        raise ArgumentError(f"adjust_hue: hue_factor is {hue_factor}, expected -0.5 to 0.5")
    if is_pil_image(img):
        return _shift_hue_pillow(img, hue_factor)
    array = _levels("adjust_hue", img)
    if get_image_num_channels(img) == 1:
        return img
    white = largest_value(array)
    hue, saturation, value = _to_hsv(array.astype(np.float32) / white)
    rgb = _from_hsv((hue + hue_factor) % 1.0, saturation, value)
    if array.dtype.kind == "f":
        return from_numpy(rgb.astype(array.dtype))
    return from_numpy((rgb * (white + 0.999)).astype(array.dtype))


def _shift_hue_pillow(img: Any, hue_factor: float) -> Any:
    if img.mode in WITHOUT_COLOURS:
        return img

    def shift(colours: Any) -> Any:
        hue, saturation, value = colours.convert("HSV").split()
        moved = np.asarray(hue) + np.array(round(hue_factor * 255) % 256).astype(np.uint8)
        image = pillow()
        shifted = image.merge("HSV", (image.fromarray(moved), saturation, value))
        return shifted.convert(colours.mode)

    return in_colours("adjust_hue", img, shift)


def _to_hsv(rgb: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hue in turns, saturation and value of ``(..., 3, height, width)``."""
    red, green, blue = rgb[..., 0, :, :], rgb[..., 1, :, :], rgb[..., 2, :, :]
    value = rgb.max(-3)
    spread = value - rgb.min(-3)
    colourless = spread == 0
    divisor = np.where(colourless, 1, spread)
    sixths = np.where(
        value == red,
        (green - blue) / divisor,
        np.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    saturation = spread / np.where(value == 0, 1, value)
    return np.where(colourless, 0, sixths / 6) % 1.0, saturation, value


def _from_hsv(hue: np.ndarray, saturation: np.ndarray, value: np.ndarray) -> np.ndarray:
    channels = []
    for offset in (5, 3, 1):  # red, green, blue
        k = (offset + hue * 6) % 6
        channels.append(value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1))
    return np.stack(channels, -3)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """``gain * image ** gamma`` for images of 0 to 1; more than 1 makes shadows darker."""
    _check_factor("adjust_gamma", gamma)
    if is_pil_image(img):
        table = [int(255.999 * gain * (level / 255.0) ** gamma) for level in range(256)]
        table = [min(max(level, 0), 255) for level in table]
        return in_colours(
            "adjust_gamma", img, lambda image: image.point(table * len(image.getbands()))
        )
    array = _levels("adjust_gamma", img)
    white = largest_value(array)
    values = np.clip(gain * (array.astype(np.float32) / white) ** gamma, 0, 1)
    if array.dtype.kind == "f":
        return from_numpy(values.astype(array.dtype))
    return from_numpy((values * (white + 0.999)).astype(array.dtype))


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """An image without colours, in 1 or 3 equal channels."""
    if num_output_channels not in (1, 3):
        raise ArgumentError(
            f"to_grayscale: num_output_channels is {num_output_channels}, expected 1 or 3"
        )
    if is_pil_image(img):
        colours, _ = colours_of("to_grayscale", img)
        gray = colours.convert("L")
        return gray if num_output_channels == 1 else pillow().merge("RGB", (gray,) * 3)
    return rgb_to_grayscale(img, num_output_channels)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """The same as `to_grayscale`."""
    if is_pil_image(img):
        return to_grayscale(img, num_output_channels)
    array = _levels("rgb_to_grayscale", img)
    gray = _gray("rgb_to_grayscale", array).astype(array.dtype)
    return from_numpy(np.repeat(gray, num_output_channels, -3) if array.ndim > 2 else gray)


def invert(img: Any) -> Any:
    """The negative of an image."""
    if is_pil_image(img):
        return _with_tables("invert", img)
    array = _levels("invert", img)
    return from_numpy(array.dtype.type(largest_value(array)) - array)


def posterize(img: Any, bits: int) -> Any:
    """An image with only the first ``bits`` bits of each number; of uint8."""
    if is_pil_image(img):
        return _with_tables("posterize", img, bits)
    array = _uint8("posterize", img)
    mask = 256 - 2 ** (8 - bits) if bits > 0 else 0
    return from_numpy(array & np.uint8(mask))


def solarize(img: Any, threshold: float) -> Any:
    """An image whose numbers from ``threshold`` on are inverted."""
    if is_pil_image(img):
        return _with_tables("solarize", img, threshold)
    array = _levels("solarize", img)
    return from_numpy(np.where(array >= threshold, invert(img).array, array))


def autocontrast(img: Any) -> Any:
    """An image stretched so that in each channel the darkest becomes black, the lightest white."""
    if is_pil_image(img):
        return _with_tables("autocontrast", img)
    array = _levels("autocontrast", img)
    low = array.min((-2, -1), keepdims=True).astype(np.float32)
    high = array.max((-2, -1), keepdims=True).astype(np.float32)
    flat = high == low
    white = largest_value(array)
    factor = white / np.where(flat, 1, high - low)
    stretched = np.where(flat, array, np.clip((array - low) * factor, 0, white))
    return from_numpy(stretched.astype(array.dtype))


def equalize(img: Any) -> Any:
    """An image of uint8 in which all numbers are about equally frequent, in each channel."""
    if is_pil_image(img):
        return _with_tables("equalize", img)
    array = _uint8("equalize", img)
    planes = array.reshape(-1, *array.shape[-2:])
    return from_numpy(np.stack([_equalized(plane) for plane in planes]).reshape(array.shape))


def _equalized(plane: np.ndarray) -> np.ndarray:
    counts = np.bincount(plane.ravel(), minlength=256)
    used = counts[counts > 0]
    step = int(used[:-1].sum()) // 255
    if step == 0:
        return plane
    before = np.concatenate([[0], np.cumsum(counts)[:-1]])
    table = np.clip((before + step // 2) // step, 0, 255).astype(np.uint8)
    result: np.ndarray = table[plane]
    return result


def _uint8(operation: str, img: Any) -> np.ndarray:
    array: np.ndarray = check_tensor(operation, img).array
    if array.dtype != np.uint8:
        raise DtypeError(f"{operation}: the tensor is {array.dtype}, expected uint8")
    return array


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """A sharper image: factor 0 is blurred, 1 the image, 2 sharpened."""
    _check_factor("adjust_sharpness", sharpness_factor)
    if is_pil_image(img):
        return _enhance("adjust_sharpness", img, "Sharpness", sharpness_factor)
    array = _levels("adjust_sharpness", img)
    if min(array.shape[-2:]) <= 2:
        return img
    kernel = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13
    blurred = array.astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(blurred, (3, 3), (-2, -1))
    middle = np.einsum("...ij,ij->...", windows, kernel)
    if array.dtype.kind != "f":
        middle = np.rint(middle)
    blurred = blurred.copy()
    blurred[..., 1:-1, 1:-1] = middle
    return _blend(array, blurred, sharpness_factor)


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """An image blurred; beyond its edge it is mirrored.

    Args:
        kernel_size: odd number of pixels, or a pair for x and y.
        sigma: standard deviation in pixels, or a pair. Default: by the kernel size.
    """
    sizes = _pair("kernel_size", kernel_size)
    if any(size <= 0 or size % 2 == 0 or size != int(size) for size in sizes):
        raise ArgumentError(
            f"gaussian_blur: kernel_size is {kernel_size}, expected odd positive numbers"
        )
    default = [0.3 * ((size - 1) * 0.5 - 1) + 0.8 for size in sizes]
    sigmas = default if sigma is None else _pair("sigma", sigma)
    if min(sigmas) <= 0:
        raise ArgumentError(f"gaussian_blur: sigma is {sigma}, expected positive numbers")
    if is_pil_image(img):
        return _blurred_pillow(img, kernel_size, sigma)
    array = _levels("gaussian_blur", img)
    values = array.astype(np.float64 if array.dtype == np.float64 else np.float32)
    for axis, size, deviation in zip((-1, -2), sizes, sigmas, strict=True):
        values = _blurred(values, axis, int(size), deviation)
    return rounded_to(values, array)


def _blurred_pillow(img: Any, kernel_size: Any, sigma: Any) -> Any:
    if img.mode in (*WITHOUT_BETWEEN, "HSV"):
        return in_colours(
            "gaussian_blur", img, lambda image: _blurred_pillow(image, kernel_size, sigma)
        )
    if img.mode == "LAB":  # as bytes, its bands begin in the middle
        return in_bands(img, lambda band: _blurred_pillow(band, kernel_size, sigma))
    planes = gaussian_blur(pil_to_tensor(img), kernel_size, sigma).array
    return image_like(planes[0] if len(planes) == 1 else planes.transpose(1, 2, 0), img)


def _pair(name: str, value: Any) -> list[float]:
    values = [value] if isinstance(value, int | float) else list(value)
    if len(values) not in (1, 2):
        raise ArgumentError(f"gaussian_blur: {name} is {value!r}, expected a number or a pair")
    return values * 2 if len(values) == 1 else values


def _blurred(values: np.ndarray, axis: int, size: int, sigma: float) -> np.ndarray:
    distance = np.arange(size) - (size - 1) / 2
    kernel = np.exp(-0.5 * (distance / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(values.dtype)
    widths = [(0, 0)] * values.ndim
    widths[axis] = (size // 2, size // 2)
    padded = np.pad(values, widths, "reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, axis)
    result: np.ndarray = windows @ kernel
    return result
