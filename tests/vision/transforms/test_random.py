"""The transforms with chance: seeded, within their bounds, and as likely as they say."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from dtorch.core.creation import ones, zeros
from dtorch.core.errors import ArgumentError
from dtorch.core.generator import manual_seed
from dtorch.vision import transforms as T  # noqa: N812
from dtorch.vision.transforms.policies import AutoAugmentPolicy

RANDOM = {
    "crop": T.RandomCrop(9, padding=2),
    "resized": T.RandomResizedCrop(8),
    "sized": T.RandomSizedCrop((8, 9)),
    "hflip": T.RandomHorizontalFlip(),
    "vflip": T.RandomVerticalFlip(),
    "rotation": T.RandomRotation(30, interpolation="bilinear"),
    "affine": T.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), (-5, 5, -3, 3)),
    "perspective": T.RandomPerspective(0.4, 0.9),
    "elastic": T.ElasticTransform(20.0, 2.0),
    "jitter": T.ColorJitter(0.4, 0.3, 0.2, 0.1),
    "gray": T.RandomGrayscale(0.5),
    "invert": T.RandomInvert(),
    "posterize": T.RandomPosterize(3),
    "solarize": T.RandomSolarize(99),
    "sharpness": T.RandomAdjustSharpness(2),
    "autocontrast": T.RandomAutocontrast(),
    "equalize": T.RandomEqualize(),
    "blur": T.GaussianBlur(3),
    "apply": T.RandomApply([T.RandomHorizontalFlip(), T.RandomVerticalFlip()]),
    "choice": T.RandomChoice([T.RandomHorizontalFlip(1), T.RandomVerticalFlip(1)]),
    "order": T.RandomOrder([T.RandomCrop(12), T.RandomRotation(20)]),
    "imagenet": T.AutoAugment(),
    "cifar10": T.AutoAugment(AutoAugmentPolicy.CIFAR10),
    "svhn": T.AutoAugment(AutoAugmentPolicy.SVHN, fill=(1, 2, 3)),
    "rand": T.RandAugment(),
    "trivial": T.TrivialAugmentWide(),
    "mix": T.AugMix(),
}


def outcomes(transform: Any, img: Any, count: int) -> list[bytes]:
    return [
        result.numpy().tobytes() if hasattr(result, "numpy") else result.tobytes()
        for result in (transform(img) for _ in range(count))
    ]


@pytest.mark.parametrize("name", RANDOM)
def test_the_seed_of_dtorch_decides(name: str, image: Any, picture: Any) -> None:
    for img in (image, picture):
        manual_seed(7)
        first = outcomes(RANDOM[name], img, 12)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002  # must not matter
        manual_seed(7)
        assert outcomes(RANDOM[name], img, 12) == first
        assert len(set(first)) > 1


@pytest.mark.parametrize("name", RANDOM)
def test_every_transform_shows_its_arguments(name: str) -> None:
    text = repr(RANDOM[name])
    assert text.startswith(type(RANDOM[name]).__name__ + "(")
    assert " object at " not in text.replace("Transform object", "")


@pytest.mark.parametrize(
    "transform",
    [T.RandomHorizontalFlip, T.RandomVerticalFlip, T.RandomInvert, T.RandomErasing],
)
def test_probabilities_hold(transform: Any) -> None:
    ramp = ones(1, 8, 8).cumsum(1).cumsum(2) / 64
    changed = [
        transform(p=p)(ramp).tolist() != ramp.tolist() for p in (0.0, 1.0, 0.3) for _ in range(300)
    ]
    assert not any(changed[:300])
    assert all(changed[300:600])
    assert 60 < sum(changed[600:]) < 120
    with pytest.raises(ArgumentError, match="expected a probability"):
        transform(p=1.5)


def test_crops_are_anywhere_and_inside() -> None:
    image = zeros(1, 6, 7)
    corners = {T.RandomCrop.get_params(image, (4, 5))[:2] for _ in range(200)}
    assert corners == {(i, j) for i in range(3) for j in range(3)}
    with pytest.raises(ArgumentError, match="6 x 7 pixels, expected at least 8 x 8"):
        T.RandomCrop(8)(image)
    assert tuple(T.RandomCrop((8, 9), pad_if_needed=True)(image).shape) == (1, 8, 9)


def test_resized_crops_stay_within_scale_and_ratio() -> None:
    image = zeros(1, 100, 120)
    for _ in range(200):
        i, j, h, w = T.RandomResizedCrop.get_params(image, (0.2, 0.5), (0.5, 2.0))
        assert 0 <= i <= 100 - h
        assert 0 <= j <= 120 - w
        assert 0.19 < h * w / 12000 < 0.51
        assert 0.48 < w / h < 2.05


@pytest.mark.parametrize(
    ("shape", "part"), [((10, 100), (0, 43, 10, 13)), ((100, 10), (43, 0, 13, 10))]
)
def test_images_of_extreme_ratio_give_their_middle(
    shape: tuple[int, int], part: tuple[int, ...]
) -> None:
    assert T.RandomResizedCrop.get_params(zeros(1, *shape), (0.9, 1.0), (3 / 4, 4 / 3)) == part


def test_jitter_takes_numbers_and_bounds() -> None:
    transform = T.ColorJitter(brightness=0.4, contrast=(0.5, 0.9), hue=0.1)
    assert transform.brightness == (0.6, 1.4)
    assert transform.contrast == (0.5, 0.9)
    assert transform.saturation is None
    assert transform.hue == (-0.1, 0.1)
    assert T.ColorJitter(brightness=3).brightness == (0, 4)
    for arguments in ({"hue": 0.6}, {"brightness": -1}, {"contrast": (2, 1)}):
        with pytest.raises(ArgumentError, match="ColorJitter"):
            T.ColorJitter(**arguments)


def test_parameters_of_affine_stay_within_bounds() -> None:
    for _ in range(100):
        angle, (x, y), factor, (sx, sy) = T.RandomAffine.get_params(
            (-5, 10), (0.1, 0.2), (0.5, 2.0), (1, 2, 3, 4), (100, 50)
        )
        assert -5 <= angle <= 10
        assert abs(x) <= 10
        assert abs(y) <= 10
        assert 0.5 <= factor <= 2
        assert 1 <= sx <= 2
        assert 3 <= sy <= 4
    with pytest.raises(ArgumentError, match="expected shares"):
        T.RandomAffine(0, (2, 0))
    with pytest.raises(ArgumentError, match="degrees is -1"):
        T.RandomRotation(-1)


def test_erasing_fills_by_value_colour_or_noise() -> None:
    image = zeros(3, 20, 20)
    assert set(T.RandomErasing(1, value=2)(image).unique().tolist()) == {0.0, 2.0}
    erased = T.RandomErasing(1, value=(1, 2, 3))(image)
    assert erased.amax((1, 2)).tolist() == [1.0, 2.0, 3.0]
    noise = T.RandomErasing(1, value="random")(image)
    assert len(noise.unique()) > 10
    with pytest.raises(ArgumentError, match="expected one number or 3"):
        T.RandomErasing(1, value=(1, 2))(image)


def test_choices_follow_their_weights() -> None:
    transform = T.RandomChoice([lambda x: 1, lambda x: 0], p=[3, 1])
    assert 210 < sum(transform(None) for _ in range(300)) < 245
    with pytest.raises(ArgumentError, match="1 weights for 2 transforms"):
        T.RandomChoice([abs, abs], p=[1])


def test_orders_are_random_and_complete() -> None:
    transform = T.RandomOrder([lambda x: [*x, 1], lambda x: [*x, 2], lambda x: [*x, 3]])
    assert len({tuple(transform([])) for _ in range(100)}) == 6


def test_one_after_another() -> None:
    transform = T.Compose([T.Lambda(lambda x: x + 1), T.Lambda(abs)])
    assert transform(-3) == 2
    assert repr(T.Compose([T.ToTensor()])) == "Compose(\n    ToTensor()\n)"
    with pytest.raises(TypeError, match="got int, expected something callable"):
        T.Lambda(3)  # type: ignore[arg-type]


def test_the_rest_are_thin(image: Any, picture: Any) -> None:
    assert T.Resize(8)(picture).size == (11, 8)
    assert T.Scale(8)(picture).size == (11, 8)
    assert T.CenterCrop(8)(picture).size == (8, 8)
    assert T.Pad((1, 2), fill=3)(picture).size == (24, 20)
    assert len(T.FiveCrop(4)(image)) == 5
    assert len(T.TenCrop((4, 5))(picture)) == 10
    assert T.Grayscale(3)(picture).mode == "RGB"
    assert T.RandomGrayscale(1.0)(picture).mode == "RGB"


def test_policies_check_their_strength() -> None:
    with pytest.raises(ArgumentError, match="expected 0 to 30"):
        T.RandAugment(magnitude=31)
    with pytest.raises(ArgumentError, match="expected 1 to 10"):
        T.AugMix(severity=0)


def test_the_usual_pipeline(picture: Any) -> None:
    pipeline = T.Compose([
        T.RandomResizedCrop(8), T.RandomHorizontalFlip(), T.ToTensor(),
        T.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    ])  # fmt: skip
    assert tuple(pipeline(picture).shape) == (3, 8, 8)
