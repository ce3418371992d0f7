"""MNIST and its relatives: images of 28 x 28 pixels in the IDX format.

Reference: LeCun et al., "The MNIST database of handwritten digits", which describes the format.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dtorch.core.creation import from_numpy
from dtorch.core.dtype import uint8
from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.serialization.loading import load
from dtorch.serialization.saving import save
from dtorch.vision.datasets.archives import Limited, extract_archive, reading
from dtorch.vision.datasets.utils import check_integrity, download_url
from dtorch.vision.datasets.vision import Root, Transform, VisionDataset, image_of, missing

_MAX_DIMS = 64
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def get_int(b: bytes) -> int:
    """The unsigned integer of big-endian bytes.

    >>> get_int(bytes([1, 0]))
    256
    """
    return int.from_bytes(b, "big")


def read_idx(path: Root) -> np.ndarray:
    """The array of an IDX file, or of one packed by gzip.

    Raises:
        ArgumentError: it is none, or has another length than its header says.
    """
    path = Path(path)
    try:
        with reading(path, packed=path.suffix == ".gz") as stream:
            return _read_idx(path, stream)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ArgumentError(f"{path} is damaged: {error}") from error


def _read_idx(path: Path, stream: Limited) -> np.ndarray:
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _IDX_TYPES:
        raise ArgumentError(f"{path} is no IDX file, it begins with {start.hex(' ')}")
    dims, dtype = start[3], np.dtype(_IDX_TYPES[start[2]])
    sizes = stream.read(4 * dims)
    shape = tuple(get_int(sizes[4 * i : 4 * i + 4]) for i in range(dims))
    promised = math.prod(shape) * dtype.itemsize
    data = stream.read(promised + 1)
    if len(sizes) < 4 * dims or len(data) != promised or dims > _MAX_DIMS:
        raise ArgumentError(
            f"{path} has {len(start + sizes + data)} bytes, its header promises the shape {shape}"
        )
    array = np.frombuffer(data, dtype).reshape(shape)
    return array.astype(dtype.newbyteorder("="))  # a copy that can be written, in native order


def read_label_file(path: Root) -> Tensor:
    """The labels of an IDX file, int64 ``(n,)``."""
    labels = read_idx(path)
    if labels.ndim != 1 or labels.dtype != np.uint8:
        raise ArgumentError(f"{path} has {labels.dtype} {labels.shape}, expected uint8 labels (n,)")
    return from_numpy(labels.astype(np.int64))


def read_image_file(path: Root) -> Tensor:
    """The images of an IDX file, uint8 ``(n, height, width)``."""
    images = read_idx(path)
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ArgumentError(
            f"{path} has {images.dtype} {images.shape}, expected uint8 images (n, height, width)"
        )
    return from_numpy(images)


class MNIST(VisionDataset):
    """Handwritten digits.

    Args:
        root: files are in ``root/raw`` and ``root/processed``, or in ``root/MNIST/raw`` and
            ``root/MNIST/processed``.
        train: the 60,000 training images, else the 10,000 test images.
        download: download what is not there.

    Attributes:
        data: uint8 ``(n, 28, 28)``.
        targets: int64 ``(n,)``.
    Raises:
        RuntimeError: files are not there.
    """

    mirrors: ClassVar[Sequence[str]] = ("https://ossci-datasets.s3.amazonaws.com/mnist/",)
    resources: ClassVar[Sequence[tuple[str, str | None]]] = (
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    )
    training_file = "training.pt"
    test_file = "test.pt"
    classes: ClassVar[list[str]] = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four",
        "5 - five", "6 - six", "7 - seven", "8 - eight", "9 - nine",
    ]  # fmt: skip

    def __init__(
        self, root: Root, train: bool = True, transform: Transform = None,
        target_transform: Transform = None, download: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        self.train = train
        if download:
            self.download()
        self.data, self.targets = self._load()

    @property
    def train_data(self) -> Tensor:
        """The images of the training set."""
        return self.data

    @property
    def train_labels(self) -> Tensor:
        """The labels of the training set."""
        return self.targets

    @property
    def test_data(self) -> Tensor:
        """The images of the test set."""
        return self.data

    @property
    def test_labels(self) -> Tensor:
        """The labels of the test set."""
        return self.targets

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Number of each class."""
        return {name: number for number, name in enumerate(self.classes)}

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and its label, transformed."""
        image = image_of(self.data.array[index])
        return self._transformed(image, int(self.targets.array[index]))

    def __len__(self) -> int:
        """Number of images."""
        return len(self.data)

    # -- files ----------------------------------------------------------------------------------

    def _places(self) -> list[Path]:
        """Directories that may have the files, best first."""
        own = self._directory / type(self).__name__
        # The relatives have the same file names: what another left in the root is not ours.
        note = self._directory / "raw" / "dataset.txt"
        try:
            other = note.read_text(encoding="utf-8").strip() != type(self).__name__
        except FileNotFoundError:
            other = False
        return [own] if other else [own, self._directory]

    def _file(self, train: bool) -> str:
        return self.training_file if train else self.test_file

    def _raw_names(self, train: bool) -> tuple[str, str]:
        """Names of the files of images and labels, unpacked."""
        part = "train" if train else "t10k"
        return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"

    def _raw_files(self, place: Path, train: bool) -> list[Path] | None:
        found = []
        for name in self._raw_names(train):
            options = [place / "raw" / name, place / "raw" / f"{name}.gz"]
            existing = [path for path in options if path.is_file()]
            if not existing:
                return None
            found.append(existing[0])
        return found

    def _read_raw(self, files: Sequence[Path]) -> tuple[Tensor, Tensor]:
        images, labels = read_image_file(files[0]), read_label_file(files[1])
        if len(images) != len(labels):
            raise ArgumentError(
                f"{files[0]} has {len(images)} images, {files[1]} has {len(labels)} labels"
            )
        return images, labels

    def _load(self) -> tuple[Tensor, Tensor]:
        for place in self._places():
            processed = place / "processed" / self._file(self.train)
            if processed.is_file():
                content = load(processed)
                if _is_data(content):
                    images, labels = content
                    return images, labels
                raise ArgumentError(f"{processed} has no images with labels for them")
            raw = self._raw_files(place, self.train)
            if raw is not None:
                return self._read_raw(raw)
        raise missing(self, self.root)

    def _exists(self) -> bool:
        return any(
            all(
                (place / "processed" / self._file(train)).is_file()
                or self._raw_files(place, train) is not None
                for train in (True, False)
            )
            for place in self._places()
        )

    def download(self) -> None:
        """Download, check and unpack the files; skipped if they are there."""
        if self._exists():
            return
        place = self._places()[-1]
        raw = place / "raw"
        self._download_raw(raw)
        (raw / "dataset.txt").write_text(type(self).__name__ + "\n", encoding="utf-8")
        processed = place / "processed"
        processed.mkdir(exist_ok=True)
        for train in (True, False):
            files = self._raw_files(place, train)
            if files is None:
                raise missing(self, raw)
            save(self._read_raw(files), processed / self._file(train))

    def _download_raw(self, raw: Path) -> None:
        for name, md5 in self.resources:
            if not check_integrity(raw / name, md5):
                _download_from(self.mirrors, name, raw, md5)
            extract_archive(raw / name)
            (raw / name).unlink()


def _is_data(content: Any) -> bool:
    if not isinstance(content, (tuple, list)) or len(content) != 2:
        return False
    images, labels = content
    return (
        isinstance(images, Tensor)
        and isinstance(labels, Tensor)
        and images.dtype is uint8
        and images.dim() == 3
        and tuple(labels.shape) == (len(images),)
    )


def _download_from(mirrors: Sequence[str], name: str, raw: Path, md5: str | None) -> None:
    """From the first mirror that has the file."""
    for mirror in mirrors[:-1]:
        try:
            return download_url(mirror + name, raw, md5=md5)
        except OSError:
            continue
    return download_url(mirrors[-1] + name, raw, md5=md5)


class FashionMNIST(MNIST):
    """Photographs of clothes in the format of `MNIST`."""

    mirrors = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
    resources = (
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    )
    classes: ClassVar[list[str]] = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ]  # fmt: skip


class KMNIST(MNIST):
    """Handwritten Japanese characters in the format of `MNIST`."""

    mirrors = ("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",)
    resources = (
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    )
    classes: ClassVar[list[str]] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


class EMNIST(MNIST):
    """Handwritten letters and digits in the format of `MNIST`.

    Args:
        split: "byclass", "bymerge", "balanced", "letters", "digits" or "mnist".
        kwargs: as of `MNIST`.

    As in the files, images are transposed: rows are columns of the writing. Labels of "letters"
    begin with 1.
    """

    url: ClassVar[str] = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5: ClassVar[str | None] = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")

    def __init__(self, root: Root, split: str, **kwargs: Any) -> None:
        if split not in self.splits:
            raise ArgumentError(
                f"EMNIST: split is {split!r}, expected one of {', '.join(self.splits)}"
            )
        self.split = split
        super().__init__(root, **kwargs)

    def _file(self, train: bool) -> str:
        return f"{'training' if train else 'test'}_{self.split}.pt"

    def _raw_names(self, train: bool) -> tuple[str, str]:
        part = f"emnist-{self.split}-{'train' if train else 'test'}"
        return f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"

    def _download_raw(self, raw: Path) -> None:
        download_url(self.url, raw, "emnist.zip", self.md5)
        extract_archive(raw / "emnist.zip")
        for packed in sorted((raw / "gzip").glob("*.gz")):
            packed.replace(raw / packed.name)
        (raw / "gzip").rmdir()
        (raw / "emnist.zip").unlink()
