"""Random images, for trying things out."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.generator import Generator
from dtorch.vision.datasets.vision import Transform, VisionDataset, image_of


class FakeData(VisionDataset):
    """Noise with random labels; the same index always gives the same sample.

    Args:
        size: number of images.
        image_size: channels (1 or 3), height and width.
        num_classes: labels are below this.
        random_offset: another number gives other samples.

    Example:
        >>> len(FakeData(size=10))
        10
    """

    def __init__(
        self, size: int = 1000, image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10, transform: Transform = None, target_transform: Transform = None,
        random_offset: int = 0,
    ) -> None:  # fmt: skip
        super().__init__("", transform, target_transform)
        self.size = size
        self.image_size = tuple(image_size)
        self.num_classes = num_classes
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """An image of noise and its label, transformed."""
        if index < 0:
            index += self.size
        if not 0 <= index < self.size:
            raise IndexError(f"FakeData: index {index} is out of range for {self.size} images")
        source = Generator().manual_seed(index + self.random_offset).numpy
        channels, height, width = self.image_size
        shape = (height, width) if channels == 1 else (height, width, channels)
        image = image_of(source.integers(0, 256, shape, np.uint8))
        return self._transformed(image, int(source.integers(0, self.num_classes)))

    def __len__(self) -> int:
        """Number of images."""
        return self.size
