"""Omniglot: handwritten characters of many alphabets.

Reference: Lake et al. 2015, "Human-level concept learning through probabilistic program induction".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from dtorch.vision.datasets.utils import download_and_extract, list_dir, list_files
from dtorch.vision.datasets.vision import Root, Transform, VisionDataset, missing, open_image


class Omniglot(VisionDataset):
    """Images of characters; targets are numbers of characters.

    Args:
        root: has, or gets, the directory ``omniglot-py``.
        background: the 30 alphabets for learning, else the 20 for evaluation.
        download: download what is not there.
    """

    folder: ClassVar[str] = "omniglot-py"
    download_url_prefix: ClassVar[str] = (
        "https://raw.githubusercontent.com/brendenlake/omniglot/master/python/"
    )
    zips_md5: ClassVar[dict[str, str | None]] = {
        "images_background": "68d2efa1b9178cc56df9314c21c6e718",
        "images_evaluation": "6b91aef0f799c5bb55b94e3f2daec811",
    }

    def __init__(
        self, root: Root, background: bool = True, transform: Transform = None,
        target_transform: Transform = None, download: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        self.background = background
        self._part = "images_background" if background else "images_evaluation"
        if download:
            self.download()
        if not self._images.is_dir():
            raise missing(self, self._images)
        self._characters = [
            f"{alphabet}/{character}"
            for alphabet in list_dir(self._images)
            for character in list_dir(self._images / alphabet)
        ]
        self._flat = [
            (path, number)
            for number, character in enumerate(self._characters)
            for path in list_files(self._images / character, ".png", prefix=True)
        ]

    @property
    def _images(self) -> Path:
        return self._directory / self.folder / self._part

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and the number of its character, transformed."""
        path, number = self._flat[index]
        return self._transformed(open_image(path, "L"), number)

    def __len__(self) -> int:
        """Number of images."""
        return len(self._flat)

    def download(self) -> None:
        """Download, check and unpack the files; skipped if they are there."""
        if not self._images.is_dir():
            name = f"{self._part}.zip"
            url = self.download_url_prefix + name
            download_and_extract(
                url, self._directory / self.folder, name, self.zips_md5[self._part]
            )
