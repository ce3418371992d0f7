from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from PIL import Image

from dtorch.vision.datasets import SBU


def test_photographs_that_still_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = tmp_path / "server"
    server.mkdir()
    Image.new("RGB", (3, 2)).save(server / "kept.jpg")
    urls = server / "SBU_captioned_photo_dataset_urls.txt"
    urls.write_text(f"{server.as_uri()}/gone.jpg\n{server.as_uri()}/kept.jpg\n")
    captions = server / "SBU_captioned_photo_dataset_captions.txt"
    captions.write_text("A lost one.\nA kept one.\n")
    with tarfile.open(server / "archive.tar.gz", "w:gz") as tar:
        for path in (urls, captions):
            tar.add(path, path.name)
    monkeypatch.setattr(SBU, "url", (server / "archive.tar.gz").as_uri())
    monkeypatch.setattr(SBU, "md5_checksum", None)
    dataset = SBU(tmp_path)
    assert len(dataset) == 1
    image, caption = dataset[0]
    assert (image.size, caption) == ((3, 2), "A kept one.")
    assert len(SBU(tmp_path, download=False)) == 1


def test_missing_files_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="download=True"):
        SBU(tmp_path, download=False)
