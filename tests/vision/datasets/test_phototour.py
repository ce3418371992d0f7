from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets import PhotoTour


def test_patches_and_pairs(
    tmp_path: Path, pixels: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Two files of 2 x 2 patches; the last patch of the second is empty.
    squares = pixels.integers(0, 256, (2, 128, 128), np.uint8)
    source = tmp_path / "liberty-of-server.zip"
    with zipfile.ZipFile(source, "w") as archive:
        for i, square in enumerate(squares):
            Image.fromarray(square).save(tmp_path / "patches.bmp")
            archive.write(tmp_path / "patches.bmp", f"patches{i:04}.bmp")
        archive.writestr("info.txt", "".join(f"{100 + i} 0\n" for i in range(7)))
        archive.writestr("m50_100000_100000_0.txt", "0 100 0 5 100 0 0\n6 106 0 1 101 0 0\n")
    monkeypatch.setattr(PhotoTour, "urls", {"liberty": (source.as_uri(), None)})
    train = PhotoTour(tmp_path, "liberty", download=True)
    assert len(train) == 7
    assert train.labels.tolist() == list(range(100, 107))
    assert train[1].tolist() == squares[0, :64, 64:].tolist()
    assert train[6].tolist() == squares[1, 64:, :64].tolist()
    test = PhotoTour(tmp_path, name="liberty", train=False, transform=lambda patch: patch.sum())
    assert len(test) == 2
    first, second, match = test[0]
    assert (int(first), int(second), match) == (
        int(squares[0, :64, :64].sum(dtype=int)), int(squares[1, :64, 64:].sum(dtype=int)), 1,
    )  # fmt: skip
    assert test[-1][2] == 0
    assert (train.mean, train.std) == (0.4437, 0.2019)
    source.unlink()
    PhotoTour(tmp_path, "liberty", download=True)


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="expected one of notredame, yosemite, liberty"):
        PhotoTour(tmp_path, "louvre")
    with pytest.raises(RuntimeError, match="download=True"):
        PhotoTour(tmp_path, "yosemite")
