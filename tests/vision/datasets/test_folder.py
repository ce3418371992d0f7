from __future__ import annotations

import struct
import sys
import types
import zlib
from pathlib import Path

import pytest
from PIL import Image

from dtorch.core.errors import ArgumentError
from dtorch.vision import get_image_backend, set_image_backend
from dtorch.vision.datasets import DatasetFolder, ImageFolder
from dtorch.vision.datasets.folder import default_loader, find_classes, is_image_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    colors = {"dog/2.PNG": (9, 0, 0), "dog/1.jpg": (0, 0, 0), "cat/deep/3.bmp": (0, 7, 0)}
    for name, color in colors.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), color).save(path)
    (tmp_path / "dog" / "notes.txt").touch()
    (tmp_path / "top.png").touch()
    return tmp_path


def test_classes_are_sub_directories_and_samples_are_sorted(root: Path) -> None:
    dataset = ImageFolder(root)
    assert dataset.classes == ["cat", "dog"]
    assert dataset.class_to_idx == {"cat": 0, "dog": 1}
    assert [Path(path).name for path, _ in dataset.imgs] == ["3.bmp", "1.jpg", "2.PNG"]
    assert dataset.targets == [0, 1, 1]
    assert len(dataset) == 3
    image, target = dataset[-1]
    assert (image.mode, image.size, image.getpixel((0, 0)), target) == ("RGB", (4, 3), (9, 0, 0), 1)


def test_transforms_are_applied(root: Path) -> None:
    dataset = ImageFolder(root, lambda image: image.size, str)
    assert dataset[0] == ((4, 3), "0")
    assert "3 samples" in repr(dataset)


def test_own_loader_and_endings(root: Path) -> None:
    dataset = DatasetFolder(root, lambda path: Path(path).name, (".TXT",))
    assert dataset.samples == [(f"{root}/dog/notes.txt", 1)]
    assert dataset[0] == ("notes.txt", 1)
    chosen = ImageFolder(root, loader=Path, is_valid_file=lambda path: path.endswith("2.PNG"))
    assert chosen[0] == (root / "dog" / "2.PNG", 1)


def test_nothing_found_is_an_error(root: Path, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"no files in the sub-directories.*\.gif"):
        DatasetFolder(root, Path, (".gif",))
    with pytest.raises(FileNotFoundError, match="has no sub-directories"):
        find_classes(root / "cat" / "deep")


@pytest.mark.parametrize(
    "ending", ["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp"]
)
def test_endings_of_images(ending: str) -> None:
    assert is_image_file(f"a.{ending}")
    assert is_image_file(f"a.{ending.upper()}")
    assert not is_image_file(f"a.{ending}.txt")


def test_the_image_backend_can_be_chosen(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_image_backend() == "PIL"
    with pytest.raises(ArgumentError, match="expected one of PIL, accimage"):
        set_image_backend("cv2")
    set_image_backend("accimage")
    try:
        with pytest.raises(ImportError, match="pip install 'accimage'"):
            default_loader(root / "dog" / "1.jpg")
        fake = types.ModuleType("accimage")
        fake.Image = Path  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "accimage", fake)
        assert default_loader(root / "dog" / "1.jpg") == root / "dog" / "1.jpg"
    finally:
        set_image_backend("PIL")


def test_a_damaged_image_is_named(root: Path) -> None:
    for name in ("dog/1.jpg", "dog/2.PNG", "cat/deep/3.bmp"):
        path = root / name
        whole = path.read_bytes()
        for content in (b"", b"text", whole[:30], whole[: len(whole) // 2]):
            path.write_bytes(content)
            with pytest.raises(OSError, match=str(path)):
                default_loader(str(path))


def test_an_image_of_far_too_many_pixels_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        content += struct.pack(">I", len(data)) + kind + data
        content += struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(content)
    with pytest.raises(OSError, match=rf"{path}.*MAX_IMAGE_PIXELS"):
        default_loader(path)
