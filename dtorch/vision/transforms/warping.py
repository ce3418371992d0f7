"""Random rotations, shears, perspectives and distortions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.errors import ArgumentError
from dtorch.core.generator import default_generator
from dtorch.core.tensor import Tensor
from dtorch.vision.transforms import functional
from dtorch.vision.transforms.functional.color import gaussian_blur
from dtorch.vision.transforms.interpolation import InterpolationMode
from dtorch.vision.transforms.random import chance, integer, uniform
from dtorch.vision.transforms.transform import Transform, check_probability


def _range(name: str, value: Any) -> tuple[float, float]:
    """Least and largest angle; one number stands for both signs."""
    if isinstance(value, int | float):
        if value < 0:
            raise ArgumentError(f"{name} is {value}, expected at least 0, or a pair")
        return -value, value
    low, high = value
    return low, high


class RandomRotation(Transform):
    """An image turned by a random angle.

    Args:
        degrees: least and largest angle, or one number for both signs.
        resample, expand, center, fill, interpolation: see `functional.rotate`.
    """

    def __init__(
        self, degrees: Any, resample: Any = False, expand: bool = False,
        center: Sequence[float] | None = None, fill: Any = 0, *, interpolation: Any = None,
    ) -> None:  # fmt: skip
        self.degrees = _range("RandomRotation: degrees", degrees)
        self.resample = resample if interpolation is None else interpolation
        self.expand = expand
        self.center = center
        self.fill = fill

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """A random angle."""
        return uniform(*degrees)

    def __call__(self, img: Any) -> Any:
        angle = self.get_params(self.degrees)
        return functional.rotate(img, angle, self.resample, self.expand, self.center, self.fill)


class RandomAffine(Transform):
    """An image turned, moved, scaled and sheared at random.

    Args:
        degrees: least and largest angle, or one number for both signs.
        translate: largest moves to either side, as shares of width and height.
        scale: least and largest factor.
        shear: angles along x: one number for both signs, or a pair; four numbers for x and y.
        resample, fillcolor, interpolation, fill, center: see `functional.affine`.
    """

    def __init__(
        self, degrees: Any, translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None, shear: Any = None, resample: Any = False,
        fillcolor: Any = 0, *, interpolation: Any = None, fill: Any = None,
        center: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        if translate is not None and not all(0 <= share <= 1 for share in translate):
            raise ArgumentError(f"RandomAffine: translate is {translate}, expected shares 0 to 1")
        if scale is not None and min(scale) <= 0:
            raise ArgumentError(f"RandomAffine: scale is {scale}, expected positive factors")
        self.degrees = _range("RandomAffine: degrees", degrees)
        self.translate = translate
        self.scale = scale
        self.shear = _shears(shear)
        self.resample = resample if interpolation is None else interpolation
        self.fillcolor = fillcolor if fill is None else fill
        self.center = center

    @staticmethod
    def get_params(
        degrees: Sequence[float], translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None, shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:  # fmt: skip
        """Random angle, moves in pixels, factor and shears."""
        angle = uniform(*degrees)
        moves = (0, 0)
        if translate is not None:
            x, y = (share * side for share, side in zip(translate, img_size, strict=True))
            moves = (round(uniform(-x, x)), round(uniform(-y, y)))
        factor = uniform(*scale_ranges) if scale_ranges is not None else 1.0
        shear = (0.0, 0.0)
        if shears is not None:
            shear = (uniform(*shears[:2]), uniform(*shears[2:]) if len(shears) == 4 else 0.0)
        return angle, moves, factor, shear

    def __call__(self, img: Any) -> Any:
        size = functional.get_image_size(img)
        values = self.get_params(self.degrees, self.translate, self.scale, self.shear, size)
        return functional.affine(img, *values, self.resample, self.fillcolor, center=self.center)


def _shears(shear: Any) -> tuple[float, ...] | None:
    if shear is None:
        return None
    if isinstance(shear, int | float) or len(shear) == 2:
        return _range("RandomAffine: shear", shear)
    if len(shear) != 4:
        raise ArgumentError(f"RandomAffine: shear is {shear}, expected a number, a pair or four")
    return tuple(shear)


class RandomPerspective(Transform):
    """An image seen from a random side, with probability ``p``.

    Args:
        distortion_scale: 0 is none, 1 the strongest.
        interpolation, fill: see `functional.perspective`.
    """

    def __init__(
        self, distortion_scale: float = 0.5, p: float = 0.5, interpolation: Any = 2, fill: Any = 0
    ) -> None:
        self.distortion_scale = distortion_scale
        self.p = check_probability("RandomPerspective", p)
        self.interpolation = interpolation
        self.fill = fill

    @staticmethod
    def get_params(
        width: int, height: int, distortion_scale: float
    ) -> tuple[list[list[int]], list[list[int]]]:
        """The corners, and where they go."""
        across = int(distortion_scale * (width // 2)) + 1
        down = int(distortion_scale * (height // 2)) + 1
        right, bottom = width - 1, height - 1
        start = [[0, 0], [right, 0], [right, bottom], [0, bottom]]
        end = [
            [integer(across), integer(down)],
            [right - integer(across), integer(down)],
            [right - integer(across), bottom - integer(down)],
            [integer(across), bottom - integer(down)],
        ]
        return start, end

    def __call__(self, img: Any) -> Any:
        if not chance(self.p):
            return img
        width, height = functional.get_image_size(img)
        if min(width, height) < 2:
            return img  # one row or column of pixels has no corners to move apart
        points = self.get_params(width, height, self.distortion_scale)
        return functional.perspective(img, *points, self.interpolation, self.fill)


class ElasticTransform(Transform):
    """An image as if drawn on rubber.

    Args:
        alpha: strength of the moves, in pixels; or a pair for x and y.
        sigma: smoothness of the moves, in pixels; or a pair.
        interpolation, fill: see `functional.elastic_transform`.

    Reference: Simard et al. 2003, "Best practices for convolutional neural networks".
    """

    def __init__(
        self, alpha: Any = 50.0, sigma: Any = 5.0,
        interpolation: Any = InterpolationMode.BILINEAR, fill: Any = 0,
    ) -> None:  # fmt: skip
        self.alpha = (alpha, alpha) if isinstance(alpha, int | float) else tuple(alpha)
        self.sigma = (sigma, sigma) if isinstance(sigma, int | float) else tuple(sigma)
        self.interpolation = interpolation
        self.fill = fill

    @staticmethod
    def get_params(
        alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]
    ) -> Tensor:  # fmt: skip
        """Random moves for an image of this height and width; see `functional.elastic_transform`."""
        height, width = size
        moves = []
        for strength, smooth, side in zip(alpha, sigma, (width, height), strict=True):
            noise = from_numpy(default_generator.numpy.uniform(-1, 1, (1, height, width)))
            if smooth > 0:
                # Four deviations to each side, and not more than the mirrored image has.
                reach = min(int(4 * smooth + 0.5), min(height, width) - 1)
                noise = gaussian_blur(noise, 2 * reach + 1, smooth)
            moves.append(noise.array * (strength / side))
        return from_numpy(np.stack(moves, -1).astype(np.float32))

    def __call__(self, img: Any) -> Any:
        width, height = functional.get_image_size(img)
        displacement = self.get_params(self.alpha, self.sigma, (height, width))
        return functional.elastic_transform(img, displacement, self.interpolation, self.fill)
