"""CIFAR-10 and CIFAR-100: colour images of 32 x 32 pixels.

Reference: Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny Images".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.machine import PickleMachine
from dtorch.serialization.room import Room
from dtorch.serialization.unpickler import run
from dtorch.vision.datasets.utils import check_integrity, download_and_extract
from dtorch.vision.datasets.vision import Root, Transform, VisionDataset, image_of, missing

Files = Sequence[tuple[str, str | None]]


class _ArrayMachine(PickleMachine):
    """Reads uint8 arrays, numbers, texts and containers; knows nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return _bytes_of  # how Python 3 writes bytes for Python 2
        if module.partition(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype"):
            return {"_reconstruct": _empty, "ndarray": None, "dtype": _dtype}[name]
        raise CheckpointError(f"it names {module}.{name}, which is not allowed")

    def persistent_load(self, pid: Any) -> Any:
        raise CheckpointError("it refers to something outside")

    def _build(self, obj: Any, state: Any) -> None:
        if obj is _UINT8:
            return  # byte order and the like, of which single bytes have none
        if type(obj) is not np.ndarray:
            raise CheckpointError("it sets attributes")
        _, shape, dtype, is_fortran, content = state
        raw = content.encode("latin1") if type(content) is str else content
        if dtype is not _UINT8 or type(raw) is not bytes or type(shape) is not tuple:
            raise CheckpointError("an array is not of uint8")
        flat = np.frombuffer(raw, np.uint8).reshape(shape, order="F" if is_fortran is True else "C")
        obj.resize(flat.shape, refcheck=False)
        obj[...] = flat


_UINT8 = np.dtype(np.uint8)


def _empty(*_: Any) -> np.ndarray:
    return np.empty(0, np.uint8)  # its state comes later


def _dtype(name: Any, *_: Any) -> np.dtype[Any]:
    if type(name) is not str or name not in ("u1", "|u1"):
        raise CheckpointError("an array is not of uint8")
    return _UINT8


def _bytes_of(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or type(encoding) is not str or encoding != "latin1":
        raise CheckpointError("it has bytes in another form than latin1")
    return text.encode("latin1")


def _read(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    try:
        content = run(_ArrayMachine(data, Room(len(data)), encoding="latin1"))
    except CheckpointError as error:
        raise CheckpointError(f"{path} is no file of CIFAR: {error}") from error
    if type(content) is not dict:
        raise CheckpointError(f"{path} is no file of CIFAR: it has no dict")
    return content


class CIFAR10(VisionDataset):
    """Photographs of ten kinds of things.

    Args:
        root: has, or gets, the directory ``cifar-10-batches-py``.
        train: the 50,000 training images, else the 10,000 test images.
        download: download what is not there.

    Attributes:
        data: uint8 array ``(n, 32, 32, 3)``.
        targets: list of n class numbers.
        classes, class_to_idx: names of the classes, and their numbers.
    Raises:
        RuntimeError: files are not there or have another checksum.
    """

    base_folder: ClassVar[str] = "cifar-10-batches-py"
    url: ClassVar[str] = "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz"
    tgz_md5: ClassVar[str | None] = "c58f30108f718f92721af3b95e74349a"
    train_list: ClassVar[Files] = (
        ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
        ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
        ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
        ("data_batch_4", "634d18415352ddfa80567beed471001a"),
        ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
    )
    test_list: ClassVar[Files] = (("test_batch", "40351d587109b95175f43aff81a1287e"),)
    meta: ClassVar[tuple[str, str | None]] = ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888")
    _label_key: ClassVar[str] = "labels"
    _names_key: ClassVar[str] = "label_names"

    def __init__(
        self, root: Root, train: bool = True, transform: Transform = None,
        target_transform: Transform = None, download: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        self.train = train
        if download:
            self.download()
        if not self._check_integrity():
            raise missing(self, self._base)
        batches = [self._batch(name) for name, _ in self._files()]
        planes = np.concatenate([images for images, _ in batches])
        self.data = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
        self.targets: list[int] = [label for _, labels in batches for label in labels]
        self.classes: list[str] = _read(self._base / self.meta[0])[self._names_key]
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}

    def _batch(self, name: str) -> tuple[np.ndarray, list[int]]:
        path = self._base / name
        content = _read(path)
        images, labels = content.get("data"), content.get(self._label_key)
        if (
            type(images) is not np.ndarray
            or images.shape[1:] != (3 * 32 * 32,)
            or type(labels) is not list
            or len(labels) != len(images)
        ):
            raise CheckpointError(f"{path} is no file of CIFAR: it has no images with labels")
        return images.reshape(-1, 3, 32, 32), labels

    @property
    def _base(self) -> Path:
        return self._directory / self.base_folder

    def _files(self) -> Files:
        return self.train_list if self.train else self.test_list

    @property
    def train_data(self) -> np.ndarray:
        """The images of the training set."""
        return self.data

    @property
    def train_labels(self) -> list[int]:
        """The labels of the training set."""
        return self.targets

    @property
    def test_data(self) -> np.ndarray:
        """The images of the test set."""
        return self.data

    @property
    def test_labels(self) -> list[int]:
        """The labels of the test set."""
        return self.targets

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and its class number, transformed."""
        return self._transformed(image_of(self.data[index]), self.targets[index])

    def __len__(self) -> int:
        """Number of images."""
        return len(self.data)

    def _check_integrity(self) -> bool:
        files = (*self.train_list, *self.test_list, self.meta)
        return all(check_integrity(self._base / name, md5) for name, md5 in files)

    def download(self) -> None:
        """Download, check and unpack the files; skipped if they are there and fine."""
        if not self._check_integrity():
            download_and_extract(self.url, self.root, md5=self.tgz_md5)


class CIFAR100(CIFAR10):
    """Photographs of a hundred kinds of things; see `CIFAR10`."""

    base_folder = "cifar-100-python"
    url = "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz"
    tgz_md5 = "eb9058c3a382ffc7106e4002c42a8d85"
    train_list = (("train", "16019d7e3df5f24257cddd939b257f8d"),)
    test_list = (("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),)
    meta = ("meta", "7973b15100ade9c7d40fb424638fde48")
    _label_key = "fine_labels"
    _names_key = "fine_label_names"
