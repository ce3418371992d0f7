"""Photo Tourism: patches of photographs of the same points of three buildings.

Reference: Winder, Brown 2007, "Learning Local Image Descriptors".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.serialization.loading import load
from dtorch.serialization.saving import save
from dtorch.vision.datasets.archives import extract_archive
from dtorch.vision.datasets.utils import download_url, list_files
from dtorch.vision.datasets.vision import (
    Root,
    Transform,
    VisionDataset,
    content_of,
    missing,
    open_image,
)

_SIDE = 64  # pixels of a patch; a file is a square of patches


class PhotoTour(VisionDataset):
    """Patches of 64 x 64 pixels.

    Args:
        root: has, or gets, the directory and the file ``<name>.pt``.
        name: "notredame", "yosemite" or "liberty".
        train: give patches; else pairs of them with 1 if they show the same point, or 0.
        download: download what is not there.

    Attributes:
        data: uint8 ``(n, 64, 64)``.
        labels: int64 ``(n,)``, the point each patch shows.
        matches: int64 ``(m, 3)``, two patches and whether they match.
        mean, std: of the pixels, as published.
    """

    urls: ClassVar[dict[str, tuple[str, str | None]]] = {
        "notredame": (
            "http://matthewalunbrown.com/patchdata/notredame.zip",
            "509eda8535847b8c0a90bbb210c83484",
        ),
        "yosemite": (
            "http://matthewalunbrown.com/patchdata/yosemite.zip",
            "533b2e8eb7ede31be40abc317b2fd4f0",
        ),
        "liberty": (
            "http://matthewalunbrown.com/patchdata/liberty.zip",
            "fdd9152f138ea5ef2091746689176414",
        ),
    }
    means: ClassVar[dict[str, float]] = {
        "notredame": 0.4854, "yosemite": 0.4844, "liberty": 0.4437,
    }  # fmt: skip
    stds: ClassVar[dict[str, float]] = {
        "notredame": 0.1864, "yosemite": 0.1818, "liberty": 0.2019,
    }  # fmt: skip
    info_file = "info.txt"
    matches_file = "m50_100000_100000_0.txt"

    def __init__(
        self, root: Root, name: str, train: bool = True, transform: Transform = None,
        download: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform)
        if name not in self.urls:
            raise ArgumentError(
                f"PhotoTour: name is {name!r}, expected one of {', '.join(self.urls)}"
            )
        self.name = name
        self.train = train
        self.mean = self.means[name]
        self.std = self.stds[name]
        self.data_dir = str(self._directory / name)
        self.data_file = self._directory / f"{name}.pt"
        if download:
            self.download()
        if not self.data_file.is_file():
            raise missing(self, self.data_file)
        content = load(self.data_file)
        if (
            not isinstance(content, (tuple, list))
            or [getattr(part, "ndim", -1) for part in content] != [3, 1, 2]
            or len(content[0]) != len(content[1])
        ):
            raise ArgumentError(f"{self.data_file} has no patches with labels and matches")
        self.data, self.labels, self.matches = content

    def _transform_patch(self, patch: Tensor) -> Any:
        return patch if self.transform is None else self.transform(patch)

    def __getitem__(self, index: int) -> Any:
        """A patch; or two patches and whether they match."""
        if self.train:
            return self._transform_patch(self.data[index])
        first, second, match = (int(number) for number in self.matches[index])
        return (
            self._transform_patch(self.data[first]), self._transform_patch(self.data[second]), match,
        )  # fmt: skip

    def __len__(self) -> int:
        """Number of patches, or of pairs."""
        return len(self.data if self.train else self.matches)

    def download(self) -> None:
        """Download, unpack and convert the files; skipped if the result is there."""
        if self.data_file.is_file():
            return
        directory = Path(self.data_dir)
        if not (directory / self.matches_file).is_file():
            url, md5 = self.urls[self.name]
            download_url(url, self.root, f"{self.name}.zip", md5)
            extract_archive(self._directory / f"{self.name}.zip", directory)
            (self._directory / f"{self.name}.zip").unlink()
        labels = _points(directory / self.info_file)
        content = (_patches(directory, len(labels)), labels, _pairs(directory / self.matches_file))
        save(tuple(map(from_numpy, content)), self.data_file)


def _points(path: Path) -> np.ndarray:
    with content_of(path, "list of points"):
        lines = path.read_text(encoding="ascii").splitlines()
        return np.array([int(line.split()[0]) for line in lines], np.int64)


def _pairs(path: Path) -> np.ndarray:
    with content_of(path, "list of pairs"):
        rows = [line.split() for line in path.read_text(encoding="ascii").splitlines()]
        # patch, its point, unused, patch, its point, ...
        pairs = [[int(r[0]), int(r[3]), r[1] == r[4]] for r in rows]
        return np.array(pairs, np.int64).reshape(-1, 3)


def _patches(directory: Path, count: int) -> np.ndarray:
    found: list[np.ndarray] = []
    for path in list_files(directory, "bmp", prefix=True):
        square = np.asarray(open_image(path, "L"))
        rows, columns = square.shape[0] // _SIDE, square.shape[1] // _SIDE
        if square.shape != (rows * _SIDE, columns * _SIDE):
            raise ArgumentError(f"{path} of {square.shape} pixels is no square of patches")
        tiles = square.reshape(rows, _SIDE, columns, _SIDE).swapaxes(1, 2)
        found.append(tiles.reshape(-1, _SIDE, _SIDE))
    patches = np.concatenate(found) if found else np.empty((0, _SIDE, _SIDE), np.uint8)
    if len(patches) < count:
        raise ArgumentError(f"PhotoTour: {directory} has {len(patches)} patches, expected {count}")
    return patches[:count]
