from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets import SVHN


def test_a_matlab_file_is_downloaded_and_read(
    tmp_path: Path, pixels: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pixels.integers(0, 256, (32, 32, 3, 4), np.uint8)
    source = tmp_path / "server.mat"
    savemat(source, {"X": images, "y": np.array([[1], [10], [9], [2]], np.uint8)})
    monkeypatch.setattr(SVHN, "split_list", {"test": (source.as_uri(), None)})
    dataset = SVHN(tmp_path, "test", download=True)
    assert (tmp_path / "test_32x32.mat").is_file()
    assert dataset.labels.tolist() == [1, 0, 9, 2]
    assert dataset.data.shape == (4, 3, 32, 32)
    image, label = dataset[-2]
    assert label == 9
    assert np.array_equal(np.asarray(image), images[..., 2])


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="expected one of train, test, extra"):
        SVHN(tmp_path, "val")
    with pytest.raises(RuntimeError, match="download=True"):
        SVHN(tmp_path)
