from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from PIL import Image

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets import CocoCaptions, CocoDetection


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    Image.new("RGB", (6, 4)).save(tmp_path / "b.jpg")
    Image.new("L", (2, 2)).save(tmp_path / "a.jpg")
    content = {
        "images": [{"id": 7, "file_name": "b.jpg"}, {"id": 3, "file_name": "a.jpg"}],
        "annotations": [
            {"id": 1, "image_id": 7, "caption": "One.", "category_id": 1, "bbox": [0, 0, 1, 1]},
            {"id": 2, "image_id": 7, "caption": "Two.", "category_id": 1, "bbox": [0, 0, 2, 2]},
            {"id": 5, "image_id": 3, "caption": "Other.", "category_id": 1, "bbox": [0, 0, 1, 1]},
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    return path


@pytest.fixture
def _coco() -> None:
    pytest.importorskip("pycocotools")


@pytest.mark.usefixtures("_coco")
def test_captions_of_images_in_order_of_their_numbers(annotations: Path) -> None:
    dataset = CocoCaptions(root=annotations.parent, annFile=annotations)
    assert len(dataset) == 2
    image, captions = dataset[0]
    assert (image.mode, image.size, captions) == ("RGB", (2, 2), ["Other."])
    assert dataset[-1][1] == ["One.", "Two."]


@pytest.mark.usefixtures("_coco")
def test_objects_of_images(annotations: Path) -> None:
    dataset = CocoDetection(annotations.parent, str(annotations), target_transform=len)
    assert [dataset[i][1] for i in range(2)] == [1, 2]
    dataset.target_transform = None
    assert dataset[1][1][1]["bbox"] == [0, 0, 2, 2]


def test_without_pycocotools_the_error_says_what_to_install(
    annotations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    monkeypatch.setitem(sys.modules, "pycocotools.coco", None)
    with pytest.raises(ImportError, match="pip install 'pycocotools'"):
        CocoCaptions(annotations.parent, annotations)


@pytest.mark.usefixtures("_coco")
@pytest.mark.parametrize(
    "content", ["", "[]", "{", "[" * 100_000, '{"images": [{}]}', '{"images": 3}', "\xff"]
)
def test_a_damaged_file_of_annotations_is_named(content: str, annotations: Path) -> None:
    annotations.write_bytes(content.encode("latin1"))
    with pytest.raises(ArgumentError, match=f"{annotations} is damaged or no file of annotations"):
        CocoCaptions(annotations.parent, annotations)


@pytest.mark.usefixtures("_coco")
def test_an_image_outside_of_the_root_is_refused(annotations: Path) -> None:
    whole = annotations.read_text()
    for name in ("../b.jpg", "/etc/passwd"):
        annotations.write_text(whole.replace("b.jpg", name))
        with pytest.raises(ArgumentError, match=f"{annotations}: the name .* leads out"):
            CocoDetection(annotations.parent, annotations)[1]
    annotations.write_text(whole.replace('"caption": "One.", ', ""))
    with pytest.raises(ArgumentError, match=f"{annotations} is damaged"):
        CocoCaptions(annotations.parent, annotations)[1]
