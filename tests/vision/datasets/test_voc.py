from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from PIL import Image

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets import VOCDetection, VOCSegmentation
from dtorch.vision.datasets.voc import Release

XML = """<annotation><folder>VOC2012</folder><size><width>6</width><height>4</height></size>
<object><name>cat</name><bndbox><xmin>1</xmin><xmax>3</xmax></bndbox><part><name>head</name></part>
<part><name>tail</name></part></object><object><name>dog</name></object></annotation>"""


@pytest.fixture
def _server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tmp_path / "server" / "VOCdevkit" / "VOC2012"
    for name in (
        "JPEGImages", "SegmentationClass", "Annotations", "ImageSets/Segmentation", "ImageSets/Main",
    ):  # fmt: skip
        (base / name).mkdir(parents=True)
    Image.new("RGB", (6, 4)).save(base / "JPEGImages" / "2012_01.jpg")
    mask = Image.new("P", (6, 4), 5)
    mask.putpalette([0, 0, 0] * 6)
    mask.save(base / "SegmentationClass" / "2012_01.png")
    (base / "Annotations" / "2012_01.xml").write_text(XML)
    (base / "ImageSets" / "Segmentation" / "val.txt").write_text("2012_01\n")
    (base / "ImageSets" / "Main" / "train.txt").write_text("2012_01\n")
    archive = tmp_path / "voc.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(tmp_path / "server" / "VOCdevkit", "VOCdevkit")
    releases = {"2012": Release(archive.as_uri(), None, "VOCdevkit/VOC2012")}
    monkeypatch.setattr(VOCSegmentation, "releases", releases)
    monkeypatch.setattr(VOCDetection, "releases", releases)


@pytest.mark.usefixtures("_server")
def test_classes_of_pixels(tmp_path: Path) -> None:
    dataset = VOCSegmentation(tmp_path / "data", image_set="val", download=True)
    image, mask = dataset[0]
    assert (image.mode, mask.mode, mask.getpixel((0, 0))) == ("RGB", "P", 5)
    assert dataset.masks[0].name == "2012_01.png"


@pytest.mark.usefixtures("_server")
def test_objects(tmp_path: Path) -> None:
    dataset = VOCDetection(tmp_path / "data", "2012", download=True)
    annotation = dataset[-1][1]["annotation"]
    assert annotation["size"] == {"width": "6", "height": "4"}
    assert [entry["name"] for entry in annotation["object"]] == ["cat", "dog"]
    assert annotation["object"][0]["part"] == [{"name": "head"}, {"name": "tail"}]
    assert dataset.annotations[0].name == "2012_01.xml"


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="year '2006'"):
        VOCDetection(tmp_path, "2006")
    with pytest.raises(ArgumentError, match="2007 with 'test'"):
        VOCDetection(tmp_path, "2012", "test")
    with pytest.raises(RuntimeError, match="VOCdevkit/VOC2007"):
        VOCDetection(tmp_path, "2007", "test")


@pytest.mark.usefixtures("_server")
def test_names_that_lead_out_and_damaged_annotations_are_refused_by_name(tmp_path: Path) -> None:
    dataset = VOCDetection(tmp_path / "data", "2012", download=True)
    for content in ("", "<a>", "<a>" * 5000 + "</a>" * 5000):
        dataset.annotations[0].write_text(content)
        with pytest.raises(ArgumentError, match=str(dataset.annotations[0])):
            dataset[0]
    names = tmp_path / "data" / "VOCdevkit" / "VOC2012" / "ImageSets" / "Main" / "train.txt"
    for name in ("../../secret", "/etc/passwd"):
        names.write_text(name)
        with pytest.raises(ArgumentError, match=rf"{names}.*{name}.* leads out"):
            VOCDetection(tmp_path / "data", "2012")
