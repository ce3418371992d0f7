from __future__ import annotations

import io
import multiprocessing
import pickle
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets import LSUN, LSUNClass

lmdb = pytest.importorskip("lmdb")


def database(path: Path, colors: list[int]) -> None:
    environment = lmdb.open(str(path), map_size=1 << 20)
    with environment.begin(write=True) as transaction:
        for i, color in enumerate(colors):
            file = io.BytesIO()
            Image.new("RGB", (2, 2), (color, 0, 0)).save(file, "webp", lossless=True)
            transaction.put(f"{i:04}".encode(), file.getvalue())
    environment.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    database(tmp_path / "bedroom_train_lmdb", [10, 20])
    database(tmp_path / "tower_val_lmdb", [30])
    return tmp_path


def red(image: Any) -> int:
    return int(image.getpixel((0, 0))[0])


def test_databases_follow_each_other(root: Path) -> None:
    dataset = LSUN(root, classes=["bedroom_train", "tower_val"], transform=red)
    assert [dataset[i] for i in range(3)] == [(10, 0), (20, 0), (30, 1)]
    assert dataset[-1] == (30, 1)
    with pytest.raises(IndexError, match="out of range for 3 images"):
        dataset[3]


def test_one_database_under_its_classic_keyword(root: Path) -> None:
    dataset = LSUNClass(db_path=root / "bedroom_train_lmdb", transform=red)
    assert len(dataset) == 2
    assert dataset[1] == (20, None)


def _first(dataset: LSUNClass, results: Any) -> None:
    results.put(dataset[0][0])


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_other_processes_can_read(root: Path, method: str) -> None:
    dataset = LSUNClass(root / "bedroom_train_lmdb", transform=red)
    context = multiprocessing.get_context(method)
    results = context.SimpleQueue()
    process = context.Process(target=_first, args=(dataset, results))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    assert results.get() == 10
    results.close()
    assert pickle.loads(pickle.dumps(dataset))[1] == (20, None)


def test_classes_are_checked(root: Path) -> None:
    with pytest.raises(ArgumentError, match="expected 'train', 'val', 'test' or a list"):
        LSUN(root, "all")
    with pytest.raises(ArgumentError, match="unknown class 'garden_train'"):
        LSUN(root, ["garden_train"])
    with pytest.raises(FileNotFoundError, match="bridge_train_lmdb"):
        LSUN(root)
    with pytest.raises(TypeError, match="needs root"):
        LSUN()
