from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dtorch.vision.datasets import SEMEION


def test_rows_of_pixels_and_classes(
    tmp_path: Path, pixels: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = pixels.integers(0, 2, (3, 256))
    classes = np.eye(10, dtype=int)[[4, 0, 9]]
    lines = [
        " ".join([f"{p:.4f}" for p in image] + [str(c) for c in row]) + " \n"
        for image, row in zip(images, classes, strict=True)
    ]
    source = tmp_path / "source.data"
    source.write_text("".join(lines))
    monkeypatch.setattr(SEMEION, "url", source.as_uri())
    monkeypatch.setattr(SEMEION, "md5_checksum", None)
    dataset = SEMEION(tmp_path)
    assert dataset.labels.tolist() == [4, 0, 9]
    image, label = dataset[-1]
    assert (image.mode, image.size, label) == ("L", (16, 16), 9)
    assert np.array_equal(np.asarray(image).ravel(), images[2] * 255)


def test_missing_files_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="download=True"):
        SEMEION(tmp_path, download=False)
