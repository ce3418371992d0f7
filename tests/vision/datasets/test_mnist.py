from __future__ import annotations

import gzip
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets import EMNIST, KMNIST, MNIST, FashionMNIST, archives
from dtorch.vision.datasets.mnist import get_int, read_idx, read_image_file, read_label_file


def idx(array: np.ndarray) -> bytes:
    kinds = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
    header = struct.pack(">HBB", 0, kinds[array.dtype.str[1:]], array.ndim)
    sizes = struct.pack(f">{array.ndim}I", *array.shape)
    return header + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


def files(count: int, pixels: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    images = pixels.integers(0, 256, (count, 28, 28), np.uint8)
    return images, pixels.integers(0, 10, count).astype(np.uint8)


@pytest.fixture
def server(tmp_path: Path, pixels: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the four files, as the classes expect them."""
    place = tmp_path / "server"
    place.mkdir()
    for part, count in (("train", 5), ("t10k", 3)):
        images, labels = files(count, pixels)
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            (place / f"{part}-{kind}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    for cls in (MNIST, FashionMNIST, KMNIST):
        monkeypatch.setattr(cls, "mirrors", (place.as_uri() + "/",))
        resources = [(name, None) for name, _ in cls.resources]
        monkeypatch.setattr(cls, "resources", resources)
    return place


@pytest.mark.parametrize("cls", [MNIST, FashionMNIST, KMNIST])
def test_files_are_downloaded_unpacked_and_read(
    cls: type[MNIST], server: Path, tmp_path: Path
) -> None:
    train = cls(tmp_path, download=True)
    test = cls(tmp_path, train=False)
    assert (len(train), len(test)) == (5, 3)
    for name in ("raw/train-images-idx3-ubyte", "processed/training.pt", "processed/test.pt"):
        assert (tmp_path / name).is_file()
    assert not (tmp_path / "raw" / "train-images-idx3-ubyte.gz").exists()
    expected = read_idx(server / "train-images-idx3-ubyte.gz")
    assert train.train_data.tolist() == expected.tolist()
    assert str(train.train_labels.dtype).endswith("int64")
    assert test.test_labels.tolist() == read_idx(server / "t10k-labels-idx1-ubyte.gz").tolist()
    image, label = train[-1]
    assert (image.mode, image.size) == ("L", (28, 28))
    assert np.array_equal(np.asarray(image), expected[-1])
    assert label == train.targets.tolist()[-1]
    assert len(train.classes) == len(train.class_to_idx) == 10


def test_what_is_there_is_not_downloaded_again(server: Path, tmp_path: Path) -> None:
    MNIST(tmp_path, download=True)
    for path in server.iterdir():
        path.unlink()
    assert len(MNIST(tmp_path, download=True)) == 5


def test_relatives_in_one_directory_do_not_mix(
    server: Path, tmp_path: Path, pixels: np.random.Generator
) -> None:
    MNIST(tmp_path, download=True)
    images, _ = files(5, pixels)
    (server / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    with pytest.raises(RuntimeError, match="download=True"):
        FashionMNIST(tmp_path)
    other = FashionMNIST(tmp_path, download=True)
    assert other.data.tolist() == images.tolist()
    assert MNIST(tmp_path).data.tolist() != images.tolist()
    assert (tmp_path / "FashionMNIST" / "processed" / "training.pt").is_file()


@pytest.mark.parametrize("place", ["raw", "MNIST/raw"])
@pytest.mark.parametrize("packed", [False, True])
def test_raw_files_of_either_layout_are_found(
    place: str, packed: bool, tmp_path: Path, pixels: np.random.Generator
) -> None:
    images, labels = files(2, pixels)
    (tmp_path / place).mkdir(parents=True)
    for name, array in (("images-idx3-ubyte", images), ("labels-idx1-ubyte", labels)):
        content = gzip.compress(idx(array)) if packed else idx(array)
        ending = ".gz" if packed else ""
        (tmp_path / place / f"train-{name}{ending}").write_bytes(content)
    assert MNIST(tmp_path).data.tolist() == images.tolist()


def test_missing_files_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="pass download=True"):
        MNIST(tmp_path)


def test_a_wrong_checksum_is_an_error(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MNIST, "resources", [("train-images-idx3-ubyte.gz", "0" * 32)])
    with pytest.raises(RuntimeError, match="the md5 of the file is"):
        MNIST(tmp_path, download=True)


def test_the_second_mirror_is_tried(
    server: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MNIST, "mirrors", ("file:///nowhere/", server.as_uri() + "/"))
    assert len(MNIST(tmp_path, download=True)) == 5


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.uint8).reshape(2, 3),
        np.array([-300, 300], np.int16),
        np.array([[1.5]], np.float32),
        np.array(2.5, np.float64),
        np.zeros((0, 28, 28), np.uint8),
    ],
)
def test_every_type_of_idx_file_is_read(array: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(idx(array))
    found = read_idx(tmp_path / "file")
    assert found.dtype == array.dtype
    assert np.array_equal(found, array)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no IDX file"),
        (b"\x1f\x8b\x08\x00rest", "no IDX file"),
        (idx(np.zeros(5, np.uint8))[:-1], r"has 12 bytes, its header promises the shape \(5,\)"),
        (idx(np.zeros(5, np.uint8)) + b"x", "has 14 bytes"),
    ],
)
def test_damaged_idx_files_are_refused(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ArgumentError, match=message):
        read_idx(tmp_path / "file")


def test_images_are_not_labels(tmp_path: Path) -> None:
    (tmp_path / "images").write_bytes(idx(np.zeros((2, 3, 3), np.uint8)))
    (tmp_path / "labels").write_bytes(idx(np.zeros(3, np.uint8)))
    with pytest.raises(ArgumentError, match=r"expected uint8 labels \(n,\)"):
        read_label_file(tmp_path / "images")
    with pytest.raises(ArgumentError, match="expected uint8 images"):
        read_image_file(tmp_path / "labels")


def test_big_endian_numbers() -> None:
    assert get_int(b"\x00\x00\x08\x03") == 2051


def test_splits_of_emnist(
    tmp_path: Path, pixels: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "gzip.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for part, count in (("train", 4), ("test", 2)):
            images, labels = files(count, pixels)
            for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
                name = f"gzip/emnist-letters-{part}-{kind}-ubyte.gz"
                archive.writestr(name, gzip.compress(idx(array)))
    monkeypatch.setattr(EMNIST, "url", source.as_uri())
    monkeypatch.setattr(EMNIST, "md5", None)
    assert len(EMNIST(tmp_path, "letters", download=True)) == 4
    assert len(EMNIST(tmp_path, split="letters", train=False)) == 2
    assert (tmp_path / "processed" / "training_letters.pt").is_file()
    with pytest.raises(ArgumentError, match="expected one of byclass"):
        EMNIST(tmp_path, "capitals")


@pytest.mark.parametrize(
    "sizes",
    [(1 << 31, 1 << 31, 1 << 31), (0xFFFFFFFF,), (0, 0xFFFFFFFF), (1,) * 65, (1 << 20, 255)],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_idx_file_that_promises_more_than_it_has_is_refused(
    sizes: tuple[int, ...], suffix: str, tmp_path: Path
) -> None:
    content = bytes((0, 0, 8, len(sizes))) + struct.pack(f">{len(sizes)}I", *sizes) + bytes(7)
    path = tmp_path / f"file{suffix}"
    path.write_bytes(gzip.compress(content) if suffix else content)
    with pytest.raises(ArgumentError, match=f"{path}.*its header promises"):
        read_idx(path)


def test_an_idx_file_that_unpacks_to_far_more_than_it_is_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "AT_LEAST", 1 << 20)
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(b"\0\0\x08\1" + struct.pack(">I", 1 << 24) + bytes(1 << 24)))
    with pytest.raises(ArgumentError, match=f"{path}.*100 times its own size"):
        read_idx(path)
    path.write_bytes(gzip.compress(b"\0\0\x08\1" + bytes(100))[:-12])
    with pytest.raises(ArgumentError, match=f"{path} is damaged"):
        read_idx(path)


def test_a_processed_file_with_something_else_is_named(tmp_path: Path) -> None:
    (tmp_path / "MNIST" / "processed").mkdir(parents=True)
    path = tmp_path / "MNIST" / "processed" / "training.pt"
    for content in (3, [1, 2], (dtorch.zeros(3), dtorch.zeros(3)), [dtorch.zeros(1)]):
        dtorch.save(content, path)
        with pytest.raises(ArgumentError, match=str(path)):
            MNIST(tmp_path)
