from __future__ import annotations

import os
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest

from dtorch.serialization import CheckpointError
from dtorch.vision.datasets import CIFAR10, CIFAR100


def python2_pickle(data: np.ndarray, key: str, labels: list[int]) -> bytes:
    """A batch as Python 2 and the NumPy of its time wrote it: arrays as byte strings."""

    def text(value: bytes) -> bytes:
        return b"T" + struct.pack("<I", len(value)) + value

    rows, columns = (b"J" + struct.pack("<i", size) for size in data.shape)
    numbers = b"".join(b"K" + bytes([label]) for label in labels)
    return (
        b"\x80\x02}(" + text(b"batch_label") + text(b"batch 1 of 5") + text(b"data")
        + b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85" + text(b"b")
        + b"\x87R(K\x01" + rows + columns + b"\x86cnumpy\ndtype\n" + text(b"u1")
        + b"K\x00K\x01\x87R(K\x03" + text(b"|") + b"NNN" + b"J\xff\xff\xff\xff" * 2
        + b"K\x00tb\x89" + text(data.tobytes()) + b"tb" + text(key.encode()) + b"](" + numbers
        + b"eu."
    )  # fmt: skip


@pytest.fixture
def archives(tmp_path: Path, pixels: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Both archives, with two images in each batch, and classes that expect them."""
    place = tmp_path / "server"
    for cls, key, names in (
        (CIFAR10, "labels", "label_names"),
        (CIFAR100, "fine_labels", "fine_label_names"),
    ):
        base = place / cls.base_folder
        base.mkdir(parents=True)
        for name, _ in (*cls.train_list, *cls.test_list):
            data = pixels.integers(0, 256, (2, 3072), np.uint8)
            (base / name).write_bytes(python2_pickle(data, key, [1, 3]))
        (base / cls.meta[0]).write_bytes(pickle.dumps({names: ["a", "b", "c", "d"]}, 2))
        archive = place / f"{cls.base_folder}.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(base, cls.base_folder)
        monkeypatch.setattr(cls, "url", archive.as_uri())
        monkeypatch.setattr(cls, "tgz_md5", None)
        for attribute in ("train_list", "test_list"):
            files = tuple((name, None) for name, _ in getattr(cls, attribute))
            monkeypatch.setattr(cls, attribute, files)
        monkeypatch.setattr(cls, "meta", (cls.meta[0], None))
    return place


@pytest.mark.parametrize(("cls", "batches"), [(CIFAR10, 5), (CIFAR100, 1)])
def test_batches_are_downloaded_and_read(
    cls: type[CIFAR10], batches: int, archives: Path, tmp_path: Path
) -> None:
    train = cls(tmp_path, download=True)
    test = cls(tmp_path, train=False)
    assert (len(train), len(test)) == (2 * batches, 2)
    assert train.train_labels == [1, 3] * batches
    assert train.classes == ["a", "b", "c", "d"]
    assert train.class_to_idx["c"] == 2
    batch = (archives / cls.base_folder / cls.train_list[0][0]).read_bytes()
    pixels = batch[batch.index(struct.pack("<I", 2 * 3072)) + 4 :]
    image, label = train[0]
    assert (image.mode, image.size, label) == ("RGB", (32, 32), 1)
    # The file has all red, then all green, then all blue pixels of an image, row by row.
    assert image.getpixel((1, 0)) == tuple(pixels[1024 * c + 1] for c in range(3))
    assert train.train_data.shape == (2 * batches, 32, 32, 3)
    assert test[-1][1] == 3


def test_fine_files_are_not_downloaded_again(archives: Path, tmp_path: Path) -> None:
    CIFAR10(tmp_path, download=True)
    (archives / "cifar-10-batches-py.tar.gz").unlink()
    CIFAR10(tmp_path, download=True)


def test_damaged_files_are_noticed(
    archives: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CIFAR10(tmp_path, download=True)
    monkeypatch.setattr(CIFAR10, "test_list", (("test_batch", "0" * 32),))
    with pytest.raises(RuntimeError, match="are damaged; pass download=True"):
        CIFAR10(tmp_path)


def test_missing_files_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="pass download=True"):
        CIFAR100(tmp_path)


def test_batches_written_by_python_3_are_read(archives: Path, tmp_path: Path) -> None:
    CIFAR10(tmp_path, download=True)
    data = np.arange(6144).astype(np.uint8).reshape(2, 3072)
    batch = tmp_path / CIFAR10.base_folder / "test_batch"
    for protocol in (2, 4):
        batch.write_bytes(pickle.dumps({"data": data, "labels": [0, 1]}, protocol))
        assert CIFAR10(tmp_path, train=False).data[1, 0, 1, 2] == data[1, 2049]


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("true",)


def test_files_run_no_code(archives: Path, tmp_path: Path) -> None:
    CIFAR10(tmp_path, download=True)
    batch = tmp_path / CIFAR10.base_folder / "data_batch_1"
    batch.write_bytes(pickle.dumps({"data": Evil()}))
    with pytest.raises(pickle.UnpicklingError, match=r"posix\.system, which is not allowed"):
        CIFAR10(tmp_path)


EMPTY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
UINT8 = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R"
OBJECTS = b"cnumpy\ndtype\nU\x02O8K\x00K\x01\x87R"
HOSTILE = {
    "code": b"cos\nsystem\nU\x04true\x85R",
    "another function": b"cnumpy\nload\nU\x04file\x85R",
    "objects": EMPTY + b"(K\x01K\x01\x85" + OBJECTS + b"\x89]NatR",
    "an array larger than its bytes": EMPTY + b"(K\x01J\xff\xff\xff\x7f\x85" + UINT8 + b"\x89U\x03abctb",
    "an array of another type": EMPTY + b"(K\x01K\x01\x85N\x89U\x03abctb",
    "a huge array": EMPTY.replace(b"K\x00\x85", b"J\xff\xff\xff\x7f\x85") + b"(K\x01K\x01\x85N\x89Ntb",
    "a changed dtype": UINT8 + b"}U\x05names]sb0" + EMPTY + b"}U\x05shapeK\x01sb",
    "no dict": b"K\x01",
    "no images": b"}",
    "images of another size": b"}(U\x04data" + EMPTY + b"(K\x01K\x01K\x03\x86" + UINT8
    + b"\x89U\x03abctbU\x06labels]K\x01au",
    "cut off": b"}(U\xff",
}  # fmt: skip


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_batch_is_refused_by_name(kind: str, archives: Path, tmp_path: Path) -> None:
    CIFAR10(tmp_path / "data", download=True)
    path = tmp_path / "data" / CIFAR10.base_folder / "data_batch_1"
    path.write_bytes(b"\x80\x02" + HOSTILE[kind] + b".")
    with pytest.raises(CheckpointError, match=f"{path} is no file of CIFAR"):
        CIFAR10(tmp_path / "data")
    assert np.dtype("u1").names is None
