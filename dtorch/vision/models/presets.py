"""Weights as enumerations, each with the transform its images need."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

from dtorch.core.errors import ArgumentError


@dataclass(frozen=True)
class Preset:
    """How images are prepared for a network trained on ImageNet.

    Attributes:
        crop_size, resize_size: pixels; the shorter side is resized, the centre cropped.
    """

    crop_size: int = 224
    resize_size: int = 256

    def __call__(self, image: Any) -> Any:
        """Prepare one image."""
        # Here, so that models can be used without loading the transforms.
        from dtorch.vision.transforms import functional  # noqa: PLC0415

        image = functional.resize(image, self.resize_size)
        image = functional.center_crop(image, self.crop_size)
        return functional.normalize(functional.to_tensor(image), IMAGENET_MEAN, IMAGENET_STD)


IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class ModelWeights(enum.Enum):
    """Base of the enumerations of a model's published weights."""

    def __init__(self, url: str, preset: Preset) -> None:
        self.url = url
        self._preset = preset

    def transforms(self) -> Preset:
        """The preparation these weights were trained with."""
        return self._preset

    @classmethod
    def verify(cls, weights: Any) -> Any:
        """A member, given it or its name; None stays None."""
        if weights is None or isinstance(weights, cls):
            return weights
        name = str(weights).rpartition(".")[2]
        if name not in cls.__members__:
            raise ArgumentError(
                f"{cls.__name__}: no weights are called {weights!r}, expected one of "
                f"{', '.join(cls.__members__)}"
            )
        return cls[name]


def weights_enum(class_name: str, url: str, preset: Preset | None = None) -> type[ModelWeights]:
    """An enumeration with the one member ``IMAGENET1K_V1``, also called ``DEFAULT``."""
    value = (url, preset or Preset())
    members = {"IMAGENET1K_V1": value, "DEFAULT": value}
    made: Any = ModelWeights(class_name, members, module=__name__)  # type: ignore[call-arg, arg-type]
    return made  # type: ignore[no-any-return]
