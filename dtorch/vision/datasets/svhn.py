"""SVHN: house numbers, colour images of 32 x 32 pixels in MATLAB's format.

Reference: Netzer et al. 2011, "Reading Digits in Natural Images with Unsupervised Feature
Learning".
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets.utils import check_integrity, download_url
from dtorch.vision.datasets.vision import (
    Root,
    Transform,
    VisionDataset,
    content_of,
    image_of,
    missing,
)
from dtorch.vision.optional import require


class SVHN(VisionDataset):
    """Digits of house numbers.

    Args:
        root: has, or gets, the file ``<split>_32x32.mat``.
        split: "train", "test" or "extra".
        download: download what is not there.

    Attributes:
        data: uint8 array ``(n, 3, 32, 32)``.
        labels: int64 array ``(n,)`` of 0 to 9.

    Needs SciPy.
    """

    split_list: ClassVar[dict[str, tuple[str, str | None]]] = {
        "train": (
            "http://ufldl.stanford.edu/housenumbers/train_32x32.mat",
            "e26dedcc434d2e4c54c9b2d4a06d8373",
        ),
        "test": (
            "http://ufldl.stanford.edu/housenumbers/test_32x32.mat",
            "eb5a983be6a315427106f1b164d9cef3",
        ),
        "extra": (
            "http://ufldl.stanford.edu/housenumbers/extra_32x32.mat",
            "a93ce644f1a588dc4d68dda5feec44a7",
        ),
    }

    def __init__(
        self, root: Root, split: str = "train", transform: Transform = None,
        target_transform: Transform = None, download: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        if split not in self.split_list:
            raise ArgumentError(
                f"SVHN: split is {split!r}, expected one of {', '.join(self.split_list)}"
            )
        self.split = split
        self.url, self.file_md5 = self.split_list[split]
        self.filename = f"{split}_32x32.mat"
        if download:
            self.download()
        path = self._directory / self.filename
        if not check_integrity(path, self.file_md5):
            raise missing(self, path)
        matlab = require("scipy.io", "SVHN", "scipy")
        with content_of(path, "file of MATLAB with images and labels"):
            content = matlab.loadmat(path)
            self.data = np.ascontiguousarray(content["X"].transpose(3, 2, 0, 1))
            labels = content["y"].astype(np.int64).reshape(-1)
        if len(labels) != len(self.data):
            raise ArgumentError(f"{path} has {len(self.data)} images and {len(labels)} labels")
        self.labels = np.where(labels == 10, 0, labels)  # the file calls the digit 0 ten

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and its digit, transformed."""
        image = image_of(np.ascontiguousarray(self.data[index].transpose(1, 2, 0)))
        return self._transformed(image, int(self.labels[index]))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.data)

    def download(self) -> None:
        """Download and check the file; skipped if it is there and fine."""
        download_url(self.url, self.root, self.filename, self.file_md5)
