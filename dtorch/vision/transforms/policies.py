"""Random sequences of transforms that were found by search, or that need none."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.errors import ArgumentError
from dtorch.core.generator import default_generator
from dtorch.core.tensor import Tensor
from dtorch.vision.optional import is_pil_image
from dtorch.vision.transforms import functional
from dtorch.vision.transforms.functional.images import rounded_to
from dtorch.vision.transforms.functional.modes import in_colours
from dtorch.vision.transforms.random import chance, integer
from dtorch.vision.transforms.transform import Transform

Magnitudes = Callable[[int, int, int], np.ndarray]  # number of bins, height, width


def _shear(img: Any, x: float, y: float, options: dict[str, Any]) -> Any:
    # The fixed point is the upper left corner.
    degrees = [float(np.degrees(np.arctan(value))) for value in (x, y)]
    return functional.affine(img, 0.0, (0, 0), 1.0, degrees, center=(0, 0), **options)


def _move(img: Any, x: float, y: float, options: dict[str, Any]) -> Any:
    return functional.affine(img, 0.0, (int(x), int(y)), 1.0, 0.0, **options)


# What an operation does with a magnitude; options are interpolation and fill.
_APPLY: dict[str, Callable[[Any, float, dict[str, Any]], Any]] = {
    "Identity": lambda img, m, o: img,
    "ShearX": lambda img, m, o: _shear(img, m, 0, o),
    "ShearY": lambda img, m, o: _shear(img, 0, m, o),
    "TranslateX": lambda img, m, o: _move(img, m, 0, o),
    "TranslateY": lambda img, m, o: _move(img, 0, m, o),
    "Rotate": lambda img, m, o: functional.rotate(img, m, **o),
    "Brightness": lambda img, m, o: functional.adjust_brightness(img, 1.0 + m),
    "Color": lambda img, m, o: functional.adjust_saturation(img, 1.0 + m),
    "Contrast": lambda img, m, o: functional.adjust_contrast(img, 1.0 + m),
    "Sharpness": lambda img, m, o: functional.adjust_sharpness(img, 1.0 + m),
    "Posterize": lambda img, m, o: functional.posterize(img, int(m)),
    "Solarize": lambda img, m, o: functional.solarize(img, m),
    "AutoContrast": lambda img, m, o: functional.autocontrast(img),
    "Equalize": lambda img, m, o: functional.equalize(img),
    "Invert": lambda img, m, o: functional.invert(img),
}


def _space(
    *, shear: float, x: float, y: float, rotate: float, tone: float,
    bits: tuple[int, int],
) -> dict[str, tuple[Magnitudes | None, bool]]:  # fmt: skip
    """Magnitudes of each operation and whether they also count negative.

    Args:
        x, y: largest move, as share of the image; pixels where over 1.
        bits: most and fewest bits that posterising keeps.
    """

    most, fewest = bits

    def up_to(largest: float) -> Magnitudes:
        return lambda bins, height, width: np.linspace(0.0, largest, bins)

    def move(share: float, axis: int) -> Magnitudes:
        def magnitudes(bins: int, height: int, width: int) -> np.ndarray:
            size = (height, width)[axis]
            return np.linspace(0.0, share if share > 1 else share * size, bins)

        return magnitudes

    def posterize(bins: int, height: int, width: int) -> np.ndarray:
        return most - np.round(np.arange(bins) / ((bins - 1) / (most - fewest)))

    return {
        "ShearX": (up_to(shear), True),
        "ShearY": (up_to(shear), True),
        "TranslateX": (move(x, 1), True),
        "TranslateY": (move(y, 0), True),
        "Rotate": (up_to(rotate), True),
        "Brightness": (up_to(tone), True),
        "Color": (up_to(tone), True),
        "Contrast": (up_to(tone), True),
        "Sharpness": (up_to(tone), True),
        "Posterize": (posterize, False),
        "Solarize": (lambda bins, h, w: np.linspace(255.0, 0.0, bins), False),
        "AutoContrast": (None, False),
        "Equalize": (None, False),
    }


class _Policy(Transform):
    interpolation: Any
    fill: Any

    def _run(self, img: Any, name: str, magnitude: float) -> Any:
        fill = self.fill
        if fill is None:
            fill = 0
        if name == "Solarize" and not is_pil_image(img) and img.is_floating_point():
            magnitude /= 255
        return _APPLY[name](img, magnitude, {"interpolation": self.interpolation, "fill": fill})


def _magnitude(
    entry: tuple[Magnitudes | None, bool], bins: int, number: int, img: Any
) -> float:  # fmt: skip
    magnitudes, signed = entry
    if magnitudes is None:
        return 0.0
    width, height = functional.get_image_size(img)
    value = float(magnitudes(bins, height, width)[number])
    return -value if signed and chance(0.5) else value


class AutoAugmentPolicy(enum.Enum):
    """The data set that a policy of `AutoAugment` was found for."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


# Pairs of operation, probability and number of the magnitude, of 10.
# Reference: Cubuk et al. 2018, arXiv:1805.09501, tables 7, 8 and 9.
_POLICIES: dict[AutoAugmentPolicy, str] = {
    AutoAugmentPolicy.IMAGENET: """
        Posterize .4 8 Rotate .6 9; Solarize .6 5 AutoContrast .6 5; Equalize .8 8 Equalize .6 3;
        Posterize .6 7 Posterize .6 6; Equalize .4 7 Solarize .2 4; Equalize .4 4 Rotate .8 8;
        Solarize .6 3 Equalize .6 7; Posterize .8 5 Equalize 1 2; Rotate .2 3 Solarize .6 8;
        Equalize .6 8 Posterize .4 6; Rotate .8 8 Color .4 0; Rotate .4 9 Equalize .6 2;
        Equalize 0 7 Equalize .8 8; Invert .6 4 Equalize 1 8; Color .6 4 Contrast 1 8;
        Rotate .8 8 Color 1 2; Color .8 8 Solarize .8 7; Sharpness .4 7 Invert .6 8;
        ShearX .6 5 Equalize 1 9; Color .4 0 Equalize .6 3; Equalize .4 7 Solarize .2 4;
        Solarize .6 5 AutoContrast .6 5; Invert .6 4 Equalize 1 8; Color .6 4 Contrast 1 8;
        Equalize .8 8 Equalize .6 3""",
    AutoAugmentPolicy.CIFAR10: """
        Invert .1 7 Contrast .2 6; Rotate .7 2 TranslateX .3 9; Sharpness .8 1 Sharpness .9 3;
        ShearY .5 8 TranslateY .7 9; AutoContrast .5 8 Equalize .9 2; ShearY .2 7 Posterize .3 7;
        Color .4 3 Brightness .6 7; Sharpness .3 9 Brightness .7 9; Equalize .6 5 Equalize .5 1;
        Contrast .6 7 Sharpness .6 5; Color .7 7 TranslateX .5 8; Equalize .3 7 AutoContrast .4 8;
        TranslateY .4 3 Sharpness .2 6; Brightness .9 6 Color .2 8; Solarize .5 2 Invert 0 3;
        Equalize .2 0 AutoContrast .6 0; Equalize .2 8 Equalize .6 4; Color .9 9 Equalize .6 6;
        AutoContrast .8 4 Solarize .2 8; Brightness .1 3 Color .7 0; Solarize .4 5 AutoContrast .9 3;
        TranslateY .9 9 TranslateY .7 9; AutoContrast .9 2 Solarize .8 3; Equalize .8 8 Invert .1 3;
        TranslateY .7 9 AutoContrast .9 1""",
    AutoAugmentPolicy.SVHN: """
        ShearX .9 4 Invert .2 3; ShearY .9 8 Invert .7 5; Equalize .6 5 Solarize .6 6;
        Invert .9 3 Equalize .6 3; Equalize .6 1 Rotate .9 3; ShearX .9 4 AutoContrast .8 3;
        ShearY .9 8 Invert .4 5; ShearY .9 5 Solarize .2 6; Invert .9 6 AutoContrast .8 1;
        Equalize .6 3 Rotate .9 3; ShearX .9 4 Solarize .3 3; ShearY .8 8 Invert .7 4;
        Equalize .9 5 TranslateY .6 6; Invert .9 4 Equalize .6 7; Contrast .3 3 Rotate .8 4;
        Invert .8 5 TranslateY 0 2; ShearY .7 6 Solarize .4 8; Invert .6 4 Rotate .8 4;
        ShearY .3 7 TranslateX .9 3; ShearX .1 6 Invert .6 5; Solarize .7 2 TranslateY .6 7;
        ShearY .8 4 Invert .8 8; ShearX .7 9 TranslateY .8 3; ShearY .8 5 AutoContrast .7 3;
        ShearX .7 2 Invert .1 5""",
}


def _parsed(policy: AutoAugmentPolicy) -> list[list[tuple[str, float, int]]]:
    pairs = []
    for entry in _POLICIES[policy].split(";"):
        words = entry.split()
        pairs.append(
            [(words[i], float(words[i + 1]), int(words[i + 2])) for i in range(0, len(words), 3)]
        )
    return pairs


class AutoAugment(_Policy):
    """One of 25 pairs of operations, which were found by search.

    Args:
        policy: the data set it was found for.
        interpolation, fill: of moves and rotations.
    """

    def __init__(
        self, policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET, interpolation: Any = "nearest",
        fill: Any = None,
    ) -> None:  # fmt: skip
        self.policy = policy
        self.interpolation = interpolation
        self.fill = fill

    @staticmethod
    def get_params(transform_num: int) -> tuple[int, Tensor, Tensor]:
        """The number of a pair, and for both of its operations a number below 1 to compare with
        their probability, and one of 0 and 1 for their sign."""
        random = default_generator.numpy
        which = integer(transform_num)
        return which, from_numpy(random.random(2)), from_numpy(random.integers(0, 2, 2))

    def __call__(self, img: Any) -> Any:
        space = _space(
            shear=0.3, x=150 / 331, y=150 / 331, rotate=30.0, tone=0.9, bits=(8, 4)
        ) | {"Invert": (None, False)}  # fmt: skip
        pairs = _parsed(self.policy)
        which, chances, _ = self.get_params(len(pairs))
        for (name, p, number), drawn in zip(pairs[which], chances.tolist(), strict=True):
            if drawn <= p:
                img = self._run(img, name, _magnitude(space[name], 10, number, img))
        return img


class RandAugment(_Policy):
    """Several random operations of one strength.

    Args:
        num_ops: how many.
        magnitude: their strength, below ``num_magnitude_bins``.
        interpolation, fill: of moves and rotations.

    Reference: Cubuk et al. 2019, arXiv:1909.13719.
    """

    def __init__(
        self, num_ops: int = 2, magnitude: int = 9, num_magnitude_bins: int = 31,
        interpolation: Any = "nearest", fill: Any = None,
    ) -> None:  # fmt: skip
        if not 0 <= magnitude < num_magnitude_bins:
            raise ArgumentError(
                f"RandAugment: magnitude is {magnitude}, expected 0 to {num_magnitude_bins - 1}"
            )
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation = interpolation
        self.fill = fill

    def __call__(self, img: Any) -> Any:
        space = _space(
            shear=0.3, x=150 / 331, y=150 / 331, rotate=30.0, tone=0.9, bits=(8, 4)
        ) | {"Identity": (None, False)}  # fmt: skip
        names = list(space)
        for _ in range(self.num_ops):
            name = names[integer(len(names))]
            value = _magnitude(space[name], self.num_magnitude_bins, self.magnitude, img)
            img = self._run(img, name, value)
        return img


class TrivialAugmentWide(_Policy):
    """One random operation of random strength.

    Args:
        num_magnitude_bins: how many strengths there are.
        interpolation, fill: of moves and rotations.

    Reference: Müller, Hutter 2021, arXiv:2103.10158.
    """

    def __init__(
        self, num_magnitude_bins: int = 31, interpolation: Any = "nearest", fill: Any = None
    ) -> None:
        self.num_magnitude_bins = num_magnitude_bins
        self.interpolation = interpolation
        self.fill = fill

    def __call__(self, img: Any) -> Any:
        space = _space(shear=0.99, x=32.0, y=32.0, rotate=135.0, tone=0.99, bits=(8, 2)) | {
            "Identity": (None, False)
        }
        names = list(space)
        name = names[integer(len(names))]
        number = integer(self.num_magnitude_bins)
        return self._run(img, name, _magnitude(space[name], self.num_magnitude_bins, number, img))


class AugMix(_Policy):
    """The image mixed with several chains of random operations on it.

    Args:
        severity: strength of the operations, 1 to 10.
        mixture_width: number of chains.
        chain_depth: operations in each; -1 for 1 to 3 at random.
        alpha: of the distributions of the weights.
        all_ops: also brightness, colour, contrast and sharpness.
        interpolation, fill: of moves and rotations.

    Reference: Hendrycks et al. 2019, arXiv:1912.02781.
    """

    _BINS = 10

    def __init__(
        self, severity: int = 3, mixture_width: int = 3, chain_depth: int = -1, alpha: float = 1.0,
        all_ops: bool = True, interpolation: Any = "bilinear", fill: Any = None,
    ) -> None:  # fmt: skip
        if not 1 <= severity <= self._BINS:
            raise ArgumentError(f"AugMix: severity is {severity}, expected 1 to {self._BINS}")
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops
        self.interpolation = interpolation
        self.fill = fill

    def _operations(self) -> dict[str, tuple[Magnitudes | None, bool]]:
        space = _space(shear=0.3, x=1 / 3, y=1 / 3, rotate=30.0, tone=0.9, bits=(4, 0))
        left_out: Sequence[str] = (
            () if self.all_ops else ("Brightness", "Color", "Contrast", "Sharpness")
        )
        return {name: entry for name, entry in space.items() if name not in left_out}

    def _chain(self, img: Any, space: dict[str, tuple[Magnitudes | None, bool]]) -> Any:
        names = list(space)
        for _ in range(self.chain_depth if self.chain_depth > 0 else 1 + integer(3)):
            name = names[integer(len(names))]
            number = integer(self.severity)
            img = self._run(img, name, _magnitude(space[name], self._BINS, number, img))
        return img

    def __call__(self, img: Any) -> Any:
        if is_pil_image(img):
            return in_colours("AugMix", img, self._of_pillow)
        random = default_generator.numpy
        kept = float(random.beta(self.alpha, self.alpha))
        weights = random.dirichlet([self.alpha] * self.mixture_width) * (1 - kept)
        space = self._operations()
        mixed = kept * img.array
        for weight in weights:
            mixed = mixed + weight * self._chain(img, space).array
        return rounded_to(mixed, img.array)

    def _of_pillow(self, img: Any) -> Any:
        return functional.to_pil_image(self(functional.pil_to_tensor(img)), img.mode)
