"""Digits: small handwritten digits that come with scikit-learn; nothing is downloaded.

Reference: Alpaydin, Kaynak 1998, UCI Machine Learning Repository.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.vision.datasets.vision import Transform, VisionDataset, image_of
from dtorch.vision.optional import require


class Digits(VisionDataset):
    """1,797 images of 8 x 8 pixels, for first steps.

    Args:
        train: four fifths of the images, else the last of each five.

    Attributes:
        data: uint8 array ``(n, 8, 8)``, 0 to 255.
        targets: int64 array ``(n,)`` of 0 to 9.

    Needs scikit-learn.

    Example:
        >>> len(Digits()), len(Digits(train=False))
        (1438, 359)
    """

    def __init__(
        self, train: bool = True, transform: Transform = None, target_transform: Transform = None
    ) -> None:
        super().__init__("", transform, target_transform)
        content = require("sklearn.datasets", "Digits", "scikit-learn").load_digits()
        self.train = train
        chosen = (np.arange(len(content.target)) % 5 == 4) != train
        # Pixels of the source are 0 to 16.
        self.data = np.round(content.images[chosen] * (255 / 16)).astype(np.uint8)
        self.targets = content.target[chosen].astype(np.int64)
        self.classes = [str(digit) for digit in range(10)]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and its digit, transformed."""
        return self._transformed(image_of(self.data[index]), int(self.targets[index]))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.data)
