from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from dtorch.vision.datasets import Omniglot


def test_characters_are_the_targets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("1", (4, 4), 1).save(tmp_path / "image.png")
    server = tmp_path / "server"
    server.mkdir()
    with zipfile.ZipFile(server / "images_evaluation.zip", "w") as archive:
        for name in ("B/character01/1.png", "A/character02/2.png", "A/character01/3.png"):
            archive.write(tmp_path / "image.png", f"images_evaluation/{name}")
    monkeypatch.setattr(Omniglot, "download_url_prefix", server.as_uri() + "/")
    monkeypatch.setattr(Omniglot, "zips_md5", {"images_evaluation": None})
    dataset = Omniglot(tmp_path, background=False, download=True)
    assert [target for _, target in dataset] == [0, 1, 2]
    assert dataset[0][0].mode == "L"
    with pytest.raises(RuntimeError, match="images_background"):
        Omniglot(tmp_path)
