from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets import Cityscapes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    photos = tmp_path / "leftImg8bit" / "train" / "bonn"
    labels = tmp_path / "gtFine" / "train" / "bonn"
    photos.mkdir(parents=True)
    labels.mkdir(parents=True)
    stem = "bonn_000000_000019"
    Image.new("RGB", (6, 4)).save(photos / f"{stem}_leftImg8bit.png")
    Image.new("I;16", (6, 4), 26001).save(labels / f"{stem}_gtFine_instanceIds.png")
    Image.new("L", (6, 4), 26).save(labels / f"{stem}_gtFine_labelIds.png")
    (labels / f"{stem}_gtFine_polygons.json").write_text(
        json.dumps({"objects": [{"label": "car"}]})
    )
    return tmp_path


def test_targets_of_one_kind(root: Path) -> None:
    image, target = Cityscapes(root)[0]
    assert (image.mode, image.size) == ("RGB", (6, 4))
    assert target.getpixel((0, 0)) == 26001


def test_targets_of_several_kinds(root: Path) -> None:
    dataset = Cityscapes(root, target_type=["semantic", "polygon"])
    semantic, polygons = dataset[-1][1]
    assert semantic.getpixel((0, 0)) == 26
    assert polygons["objects"][0]["label"] == "car"


def test_bad_arguments(root: Path) -> None:
    with pytest.raises(ArgumentError, match="mode 'coarse' with split 'test'"):
        Cityscapes(root, split="test", mode="coarse")
    with pytest.raises(ArgumentError, match="target_type is 'depth'"):
        Cityscapes(root, target_type="depth")
    with pytest.raises(RuntimeError, match="by hand"):
        Cityscapes(root, split="val")
