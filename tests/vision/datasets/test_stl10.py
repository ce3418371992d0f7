from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets import STL10


@pytest.fixture
def images(
    tmp_path: Path, pixels: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> dict[str, np.ndarray]:
    """Images ``(n, 3, 96, 96)`` of each part, in files that STL10 expects."""
    base = tmp_path / "server" / "stl10_binary"
    base.mkdir(parents=True)
    made = {}
    for part, count in (("train", 3), ("test", 2), ("unlabeled", 4)):
        made[part] = pixels.integers(0, 256, (count, 3, 96, 96), np.uint8)
        # One column after another.
        made[part].transpose(0, 1, 3, 2).tofile(base / f"{part}_X.bin")
        if part != "unlabeled":
            np.arange(1, count + 1).astype(np.uint8).tofile(base / f"{part}_y.bin")
    (base / "class_names.txt").write_text("airplane\nbird\ncar\n")
    (base / "fold_indices.txt").write_text("0 2 \n1 \n")
    archive = tmp_path / "server" / "stl10_binary.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(base, "stl10_binary")
    monkeypatch.setattr(STL10, "url", archive.as_uri())
    monkeypatch.setattr(STL10, "tgz_md5", None)
    monkeypatch.setattr(STL10, "files", dict.fromkeys(STL10.files))
    return made


def test_all_splits(images: dict[str, np.ndarray], tmp_path: Path) -> None:
    train = STL10(tmp_path, download=True)
    assert train.labels.tolist() == [0, 1, 2]
    assert train.classes == ["airplane", "bird", "car"]
    image, label = train[1]
    assert (image.size, label) == ((96, 96), 1)
    assert np.array_equal(np.asarray(image).transpose(2, 0, 1), images["train"][1])
    assert np.array_equal(STL10(tmp_path, "test").data, images["test"])
    unlabeled = STL10(tmp_path, split="unlabeled")
    assert (len(unlabeled), unlabeled[3][1]) == (4, -1)
    assert STL10(tmp_path, "train+unlabeled").labels.tolist() == [0, 1, 2, -1, -1, -1, -1]


def test_folds_of_the_training_images(images: dict[str, np.ndarray], tmp_path: Path) -> None:
    STL10(tmp_path, download=True)
    assert STL10(tmp_path, folds=0).labels.tolist() == [0, 2]
    assert STL10(tmp_path, folds=1).labels.tolist() == [1]


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"expected one of train, train\+unlabeled"):
        STL10(tmp_path, split="val")
    with pytest.raises(ArgumentError, match="folds is 10"):
        STL10(tmp_path, folds=10)
    with pytest.raises(RuntimeError, match="download=True"):
        STL10(tmp_path)
