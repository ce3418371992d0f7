"""STL-10: colour images of 96 x 96 pixels, most without label.

Reference: Coates et al. 2011, "An Analysis of Single Layer Networks in Unsupervised Feature
Learning".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets.utils import check_integrity, download_and_extract
from dtorch.vision.datasets.vision import (
    Root,
    Transform,
    VisionDataset,
    content_of,
    image_of,
    missing,
)

_SIDE = 96


class STL10(VisionDataset):
    """Photographs of ten kinds of things, and 100,000 of others.

    Args:
        root: has, or gets, the directory ``stl10_binary``.
        split: "train", "test", "unlabeled" or "train+unlabeled".
        download: download what is not there.
        folds: 0 to 9: only this fold of the training images.

    Attributes:
        data: uint8 array ``(n, 3, 96, 96)``.
        labels: int64 array ``(n,)``; -1 for images without label.
        classes: names of the classes.
    """

    base_folder: ClassVar[str] = "stl10_binary"
    url: ClassVar[str] = "http://ai.stanford.edu/~acoates/stl10/stl10_binary.tar.gz"
    tgz_md5: ClassVar[str | None] = "91f7769df0f17e558f3565bffb0c7dfb"
    files: ClassVar[dict[str, str | None]] = {
        "train_X.bin": "918c2871b30a85fa023e0c44e0bee87f",
        "train_y.bin": "5a34089d4802c674881badbb80307741",
        "unlabeled_X.bin": "5242ba1fed5e4be9e1e742405eb56ca4",
        "test_X.bin": "7f263ba9f9e0b06b93213547f721ac82",
        "test_y.bin": "36f9794fa4beb8a2c72628de14fa638e",
    }
    splits = ("train", "train+unlabeled", "unlabeled", "test")

    def __init__(
        self, root: Root, split: str = "train", transform: Transform = None,
        target_transform: Transform = None, download: bool = False, *, folds: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        if split not in self.splits:
            raise ArgumentError(
                f"STL10: split is {split!r}, expected one of {', '.join(self.splits)}"
            )
        if folds is not None and folds not in range(10):
            raise ArgumentError(f"STL10: folds is {folds!r}, expected None or 0 to 9")
        self.split = split
        if download:
            self.download()
        if not self._check_integrity():
            raise missing(self, self._base)
        parts = [self._read(part) for part in split.split("+")]
        if folds is not None and split.startswith("train"):
            chosen = self._fold(folds)
            parts[0] = (parts[0][0][chosen], parts[0][1][chosen])
        self.data = np.concatenate([images for images, _ in parts])
        self.labels = np.concatenate([labels for _, labels in parts])
        names = self._base / "class_names.txt"
        self.classes = names.read_text(encoding="utf-8").split() if names.is_file() else []

    @property
    def _base(self) -> Path:
        return self._directory / self.base_folder

    def _read(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        path = self._base / f"{part}_X.bin"
        with content_of(path, "file of images"):
            pixels = np.fromfile(path, np.uint8)
            # Columns come one after another, as in MATLAB.
            images = pixels.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 1, 3, 2)
        if part == "unlabeled":
            return images, np.full(len(images), -1, np.int64)
        path = self._base / f"{part}_y.bin"
        labels = np.fromfile(path, np.uint8).astype(np.int64) - 1
        if len(labels) != len(images):
            raise ArgumentError(f"{path} has {len(labels)} labels for {len(images)} images")
        return images, labels

    def _fold(self, number: int) -> np.ndarray:
        path = self._base / "fold_indices.txt"
        with content_of(path, "list of folds"):
            lines = path.read_text(encoding="utf-8").splitlines()
            return np.array(lines[number].split(), np.int64)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and its class number, -1 if it has none, transformed."""
        image = image_of(np.ascontiguousarray(self.data[index].transpose(1, 2, 0)))
        return self._transformed(image, int(self.labels[index]))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.data)

    def _check_integrity(self) -> bool:
        return all(check_integrity(self._base / name, md5) for name, md5 in self.files.items())

    def download(self) -> None:
        """Download, check and unpack the files; skipped if they are there and fine."""
        if not self._check_integrity():
            download_and_extract(self.url, self.root, md5=self.tgz_md5)
