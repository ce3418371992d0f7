"""Transforms of size and place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.vision.transforms import functional
from dtorch.vision.transforms.functional.images import height_and_width
from dtorch.vision.transforms.random import chance, integer, log_uniform, uniform
from dtorch.vision.transforms.transform import Transform, check_probability


class Resize(Transform):
    """Another size.

    Args:
        size: pixels of the shorter side, or a pair ``(height, width)``.
        interpolation, max_size, antialias: see `functional.resize`.
    """

    def __init__(
        self, size: Any, interpolation: Any = 2, max_size: int | None = None, antialias: bool = True
    ) -> None:
        self.size = size
        self.interpolation = interpolation
        self.max_size = max_size
        self.antialias = antialias

    def __call__(self, img: Any) -> Any:
        return functional.resize(img, self.size, self.interpolation, self.max_size, self.antialias)


class Scale(Resize):
    """The old name of `Resize`."""


class CenterCrop(Transform):
    """The middle of an image.

    Args:
        size: pixels of both sides, or a pair ``(height, width)``.
    """

    def __init__(self, size: Any) -> None:
        self.size = height_and_width("CenterCrop", size)

    def __call__(self, img: Any) -> Any:
        return functional.center_crop(img, self.size)


class Pad(Transform):
    """A border around an image; see `functional.pad`."""

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def __call__(self, img: Any) -> Any:
        return functional.pad(img, self.padding, self.fill, self.padding_mode)


class RandomCrop(Transform):
    """A part of an image, anywhere in it.

    Args:
        size: pixels of both sides, or a pair ``(height, width)``.
        padding: border added before; see `functional.pad`.
        pad_if_needed: add a border to images that are too small.
        fill, padding_mode: of the border.
    Raises:
        ArgumentError: when called, the image is too small.
    """

    def __init__(
        self, size: Any, padding: Any = None, pad_if_needed: bool = False, fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:  # fmt: skip
        self.size = height_and_width("RandomCrop", size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Row, column, height and width of a random part."""
        width, height = functional.get_image_size(img)
        new_height, new_width = output_size
        if height < new_height or width < new_width:
            raise ArgumentError(
                f"RandomCrop: the image is {height} x {width} pixels, expected at least "
                f"{new_height} x {new_width}; pass pad_if_needed=True"
            )
        return (
            integer(height - new_height + 1), integer(width - new_width + 1), new_height, new_width,
        )  # fmt: skip

    def __call__(self, img: Any) -> Any:
        if self.padding is not None and self.padding != 0:
            img = functional.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            width, height = functional.get_image_size(img)
            beside, below = max(self.size[1] - width, 0), max(self.size[0] - height, 0)
            if beside or below:
                img = functional.pad(img, (beside, below), self.fill, self.padding_mode)
        return functional.crop(img, *self.get_params(img, self.size))


class RandomHorizontalFlip(Transform):
    """Left and right exchanged with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability("RandomHorizontalFlip", p)

    def __call__(self, img: Any) -> Any:
        return functional.hflip(img) if chance(self.p) else img


class RandomVerticalFlip(Transform):
    """Top and bottom exchanged with probability ``p``."""

    def __init__(self, p: float = 0.5) -> None:
        self.p = check_probability("RandomVerticalFlip", p)

    def __call__(self, img: Any) -> Any:
        return functional.vflip(img) if chance(self.p) else img


class RandomResizedCrop(Transform):
    """A random part of an image, resized.

    Args:
        size: pixels of both sides, or a pair ``(height, width)``.
        scale: least and largest area, as share of the image's.
        ratio: least and largest width / height.
        interpolation, antialias: see `functional.resize`.
    """

    _TRIES = 10

    def __init__(
        self, size: Any, scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0), interpolation: Any = 2,
        antialias: bool = True,
    ) -> None:  # fmt: skip
        for name, (low, high) in (("scale", scale), ("ratio", ratio)):
            if not 0 < low <= high:
                raise ArgumentError(
                    f"RandomResizedCrop: {name} is ({low}, {high}), expected 0 < least <= largest"
                )
        self.size = height_and_width("RandomResizedCrop", size)
        self.scale = scale
        self.ratio = ratio
        self.interpolation = interpolation
        self.antialias = antialias

    @classmethod
    def get_params(
        cls, img: Any, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """Row, column, height and width of a random part."""
        width, height = functional.get_image_size(img)
        for _ in range(cls._TRIES):
            area = height * width * uniform(*scale)
            aspect = log_uniform(*ratio)
            w, h = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
            if 0 < w <= width and 0 < h <= height:
                return integer(height - h + 1), integer(width - w + 1), h, w
        return cls._fallback(width, height, ratio)

    @staticmethod
    def _fallback(width: int, height: int, ratio: Sequence[float]) -> tuple[int, int, int, int]:
        """The largest middle part with an allowed ratio."""
        w, h = width, height
        if width / height < min(ratio):
            h = round(width / min(ratio))
        elif width / height > max(ratio):
            w = round(height * max(ratio))
        return (height - h) // 2, (width - w) // 2, h, w

    def __call__(self, img: Any) -> Any:
        part = self.get_params(img, self.scale, self.ratio)
        return functional.resized_crop(img, *part, self.size, self.interpolation, self.antialias)


class RandomSizedCrop(RandomResizedCrop):
    """The old name of `RandomResizedCrop`."""


class FiveCrop(Transform):
    """The corners and the middle, as a tuple; see `functional.five_crop`."""

    def __init__(self, size: Any) -> None:
        self.size = height_and_width("FiveCrop", size)

    def __call__(self, img: Any) -> Any:
        return functional.five_crop(img, self.size)


class TenCrop(Transform):
    """`FiveCrop` of the image and of its mirror image."""

    def __init__(self, size: Any, vertical_flip: bool = False) -> None:
        self.size = height_and_width("TenCrop", size)
        self.vertical_flip = vertical_flip

    def __call__(self, img: Any) -> Any:
        return functional.ten_crop(img, self.size, self.vertical_flip)
