"""Semeion: handwritten digits of 16 x 16 black or white pixels.

Reference: Semeion Research Center, UCI Machine Learning Repository.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from dtorch.vision.datasets.utils import check_integrity, download_url
from dtorch.vision.datasets.vision import (
    Root,
    Transform,
    VisionDataset,
    content_of,
    image_of,
    missing,
)

_PIXELS = 16 * 16


class SEMEION(VisionDataset):
    """Handwritten digits.

    Args:
        root: has, or gets, the file ``semeion.data``.
        download: download it if it is not there.

    Attributes:
        data: uint8 array ``(n, 16, 16)`` of 0 and 255.
        labels: int64 array ``(n,)``.
    """

    url: ClassVar[str] = (
        "http://archive.ics.uci.edu/ml/machine-learning-databases/semeion/semeion.data"
    )
    filename: ClassVar[str] = "semeion.data"
    md5_checksum: ClassVar[str | None] = "cb545d371d2ce14ec121470795a77432"

    def __init__(
        self, root: Root, transform: Transform = None, target_transform: Transform = None,
        download: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        if download:
            self.download()
        path = self._directory / self.filename
        if not check_integrity(path, self.md5_checksum):
            raise missing(self, path)
        with content_of(path, "file of digits"):
            rows = np.loadtxt(path, ndmin=2)
            self.data = (255 * rows[:, :_PIXELS]).astype(np.uint8).reshape(-1, 16, 16)
            self.labels = rows[:, _PIXELS:].argmax(1)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and its digit, transformed."""
        return self._transformed(image_of(self.data[index]), int(self.labels[index]))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.data)

    def download(self) -> None:
        """Download and check the file; skipped if it is there and fine."""
        download_url(self.url, self.root, self.filename, self.md5_checksum)
