"""Transforms of colours, sharpness and content."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.errors import ArgumentError
from dtorch.core.generator import default_generator
from dtorch.core.tensor import Tensor
from dtorch.vision.transforms import functional
from dtorch.vision.transforms.random import chance, integer, log_uniform, permutation, uniform
from dtorch.vision.transforms.transform import Transform, check_probability


def _factors(
    name: str, value: Any, centre: float, low: float, high: float
) -> tuple[float, float] | None:
    """Least and largest value of a property; None where it stays as it is."""
    if isinstance(value, int | float):
        if value < 0:
            raise ArgumentError(f"ColorJitter: {name} is {value}, expected at least 0, or a pair")
        bounds = (max(centre - value, low), centre + value)
    else:
        bounds = (value[0], value[1])
    if not low <= bounds[0] <= bounds[1] <= high:
        raise ArgumentError(f"ColorJitter: {name} is {value}, expected values {low} to {high}")
    return None if bounds == (centre, centre) else bounds


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed at random, in random order.

    Args:
        brightness, contrast, saturation: least and largest factor, or a number x for 1 - x to
            1 + x.
        hue: least and largest move in turns, -0.5 to 0.5, or a number for both signs.
    """

    def __init__(
        self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0
    ) -> None:
        self.brightness = _factors("brightness", brightness, 1, 0, math.inf)
        self.contrast = _factors("contrast", contrast, 1, 0, math.inf)
        self.saturation = _factors("saturation", saturation, 1, 0, math.inf)
        self.hue = _factors("hue", hue, 0, -0.5, 0.5)

    @staticmethod
    def get_params(
        brightness: Sequence[float] | None, contrast: Sequence[float] | None,
        saturation: Sequence[float] | None, hue: Sequence[float] | None,
    ) -> tuple[Tensor, float | None, float | None, float | None, float | None]:  # fmt: skip
        """A random order, and random factors within the bounds; None where there are none."""
        order = from_numpy(np.array(permutation(4)))
        first, second, third, fourth = (
            None if bounds is None else uniform(*bounds)
            for bounds in (brightness, contrast, saturation, hue)
        )
        return order, first, second, third, fourth

    def __call__(self, img: Any) -> Any:
        changes = (
            functional.adjust_brightness, functional.adjust_contrast,
            functional.adjust_saturation, functional.adjust_hue,
        )  # fmt: skip
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        for number in order.tolist():
            if factors[number] is not None:
                img = changes[number](img, factors[number])
        return img


class Grayscale(Transform):
    """No colours, in 1 or 3 equal channels."""

    def __init__(self, num_output_channels: int = 1) -> None:
        self.num_output_channels = num_output_channels

    def __call__(self, img: Any) -> Any:
        return functional.to_grayscale(img, self.num_output_channels)


class RandomGrayscale(Transform):
    """No colours with probability ``p``; the number of channels stays."""

    def __init__(self, p: float = 0.1) -> None:
        self.p = check_probability("RandomGrayscale", p)

    def __call__(self, img: Any) -> Any:
        if not chance(self.p):
            return img
        channels = functional.get_image_num_channels(img)
        return functional.to_grayscale(img, 3 if channels == 3 else 1)


class RandomInvert(Transform):
    """The negative with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability("RandomInvert", p)

    def __call__(self, img: Any) -> Any:
        return functional.invert(img) if chance(self.p) else img


class RandomPosterize(Transform):
    """Fewer bits with probability ``p``."""

    def __init__(self, bits: int, p: float = 0.5) -> None:
        self.bits = bits
        self.p = check_probability("RandomPosterize", p)

    def __call__(self, img: Any) -> Any:
        return functional.posterize(img, self.bits) if chance(self.p) else img


class RandomSolarize(Transform):
    """What is lighter than ``threshold`` inverted, with probability ``p``."""

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        self.threshold = threshold
        self.p = check_probability("RandomSolarize", p)

    def __call__(self, img: Any) -> Any:
        return functional.solarize(img, self.threshold) if chance(self.p) else img


class RandomAdjustSharpness(Transform):
    """Another sharpness with probability ``p``."""

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        self.sharpness_factor = sharpness_factor
        self.p = check_probability("RandomAdjustSharpness", p)

    def __call__(self, img: Any) -> Any:
        return functional.adjust_sharpness(img, self.sharpness_factor) if chance(self.p) else img


class RandomAutocontrast(Transform):
    """The whole range from black to white used, with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability("RandomAutocontrast", p)

    def __call__(self, img: Any) -> Any:
        return functional.autocontrast(img) if chance(self.p) else img


class RandomEqualize(Transform):
    """All tones equally frequent, with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability("RandomEqualize", p)

    def __call__(self, img: Any) -> Any:
        return functional.equalize(img) if chance(self.p) else img


class GaussianBlur(Transform):
    """Blurred.

    Args:
        kernel_size: odd number of pixels, or a pair for x and y.
        sigma: least and largest standard deviation in pixels, or one number.
    """

    def __init__(self, kernel_size: Any, sigma: Any = (0.1, 2.0)) -> None:
        low, high = (sigma, sigma) if isinstance(sigma, int | float) else sigma
        if not 0 < low <= high:
            raise ArgumentError(f"GaussianBlur: sigma is {sigma}, expected 0 < least <= largest")
        self.kernel_size = kernel_size
        self.sigma = (low, high)

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """A random deviation."""
        return uniform(sigma_min, sigma_max)

    def __call__(self, img: Any) -> Any:
        return functional.gaussian_blur(img, self.kernel_size, self.get_params(*self.sigma))


class RandomErasing(Transform):
    """A rectangle of a tensor overwritten, with probability ``p``.

    Args:
        scale: least and largest area, as share of the image's.
        ratio: least and largest height / width.
        value: what it is filled with: a number, one for each channel, or "random" for normal noise.
        inplace: overwrite the tensor.

    Reference: Zhong et al. 2017, arXiv:1708.04896.
    """

    _TRIES = 10

    def __init__(
        self, p: float = 0.5, scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3), value: Any = 0, inplace: bool = False,
    ) -> None:  # fmt: skip
        if not 0 <= scale[0] <= scale[1] <= 1:
            raise ArgumentError(f"RandomErasing: scale is {scale}, expected shares 0 to 1")
        if not 0 < ratio[0] <= ratio[1]:
            raise ArgumentError(f"RandomErasing: ratio is {ratio}, expected 0 < least <= largest")
        self.p = check_probability("RandomErasing", p)
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @classmethod
    def get_params(
        cls, img: Any, scale: Sequence[float], ratio: Sequence[float], value: Any = None
    ) -> tuple[int, int, int, int, Any]:
        """Row, column, height and width of a random part, and what fills it; all of the image and
        itself where none was found.

        Args:
            value: a number for each channel; None for normal noise.
        """
        channels, height, width = functional.get_dimensions(img)
        for _ in range(cls._TRIES):
            area = height * width * uniform(*scale)
            aspect = log_uniform(*ratio)
            h, w = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
            if h < height and w < width:
                i, j = integer(height - h + 1), integer(width - w + 1)
                if value is None:
                    noise = default_generator.numpy.standard_normal((channels, h, w))
                    return i, j, h, w, from_numpy(noise.astype(img.array.dtype))
                return i, j, h, w, img.new_tensor(value).reshape(-1, 1, 1)
        return 0, 0, height, width, img

    def __call__(self, img: Any) -> Any:
        if not chance(self.p):
            return img
        if not isinstance(img, Tensor):
            raise TypeError(
                f"RandomErasing: got {type(img).__name__}, expected a tensor; use ToTensor before"
            )
        channels = functional.get_image_num_channels(img)
        value: Any = None
        if self.value != "random":
            value = [self.value] if isinstance(self.value, int | float) else list(self.value)
            if len(value) not in (1, channels):
                raise ArgumentError(
                    f"RandomErasing: value is {self.value}, expected one number or {channels}"
                )
        part = self.get_params(img, self.scale, self.ratio, value)
        return functional.erase(img, *part, self.inplace)
