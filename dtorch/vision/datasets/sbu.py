"""SBU: a million photographs of the web with their captions.

Reference: Ordonez et al. 2011, "Im2Text: Describing Images Using 1 Million Captioned Photographs".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from dtorch.core.errors import ArgumentError
from dtorch.model_zoo.errors import DownloadError
from dtorch.vision.datasets.utils import check_integrity, download_and_extract, download_url
from dtorch.vision.datasets.vision import (
    Root,
    Transform,
    VisionDataset,
    content_of,
    missing,
    open_image,
)

_URLS = "SBU_captioned_photo_dataset_urls.txt"
_CAPTIONS = "SBU_captioned_photo_dataset_captions.txt"


class SBU(VisionDataset):
    """Photographs with one caption each; those that were downloaded.

    Args:
        root: has, or gets, the lists and the directory ``dataset`` of photographs.
        download: download the lists and every photograph that still exists.
    """

    url: ClassVar[str] = (
        "http://www.cs.virginia.edu/~vicente/sbucaptions/SBUCaptionedPhotoDataset.tar.gz"
    )
    filename: ClassVar[str] = "SBUCaptionedPhotoDataset.tar.gz"
    md5_checksum: ClassVar[str | None] = "9aec147b3488753cf758b4d493422285"

    def __init__(
        self, root: Root, transform: Transform = None, target_transform: Transform = None,
        download: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        if download:
            self.download()
        if not self._lists_exist():
            raise missing(self, self.root)
        self.photos: list[str] = []
        self.captions: list[str] = []
        urls, captions = self._lines(_URLS), self._lines(_CAPTIONS)
        if len(urls) != len(captions):
            raise ArgumentError(
                f"{self._directory / _CAPTIONS} has {len(captions)} captions for {len(urls)} addresses"
            )
        for url, caption in zip(urls, captions, strict=True):
            name = url.rpartition("/")[2]
            if (self._photos / name).is_file():
                self.photos.append(name)
                self.captions.append(caption)

    @property
    def _photos(self) -> Path:
        return self._directory / "dataset"

    def _lines(self, name: str) -> list[str]:
        path = self._directory / name
        with content_of(path, "list"):
            return path.read_text(encoding="utf-8").splitlines()

    def _lists_exist(self) -> bool:
        return all((self._directory / name).is_file() for name in (_URLS, _CAPTIONS))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The photograph and its caption, transformed."""
        image = open_image(self._photos / self.photos[index])
        return self._transformed(image, self.captions[index])

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self.photos)

    def download(self) -> None:
        """Download what is not there; photographs that no longer exist are passed over."""
        archive = self._directory / self.filename
        if not self._lists_exist() or not check_integrity(archive, self.md5_checksum):
            download_and_extract(self.url, self.root, self.filename, self.md5_checksum)
        for url in self._lines(_URLS):
            try:
                download_url(url, self._photos)
            except DownloadError:
                continue
