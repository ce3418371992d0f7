from __future__ import annotations

from pathlib import Path

from PIL import Image

from dtorch.vision.datasets import Flickr8k, Flickr30k


def test_captions_in_html(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "12_ab.jpg")
    Image.new("RGB", (5, 2)).save(tmp_path / "11_cd.jpg")
    (tmp_path / "captions.html").write_text(
        "<h5>Captions</h5><table border=1><tr><td><a href='http://site/photos/someone/12/'>"
        "http://site/photos/someone/12/</a></td><td><ul><li>A cat &amp; a dog. <li>Animals.</ul>"
        "</td></tr><tr><td><a href='http://site/photos/x/11'>x</a></td><td><ul><li>A car.</li></ul>"
        "</td></tr><tr><td><a href='http://site/photos/x/99'>x</a></td><td>Image Not Found</td>"
        "</tr></table>"
    )
    dataset = Flickr8k(tmp_path, tmp_path / "captions.html")
    assert len(dataset) == 2
    assert dataset[0][1] == ["A car."]
    image, captions = dataset[-1]
    assert (image.size, captions) == ((3, 2), ["A cat & a dog.", "Animals."])


def test_captions_in_lines(tmp_path: Path) -> None:
    Image.new("RGB", (3, 2)).save(tmp_path / "7.jpg")
    (tmp_path / "captions.token").write_text("7.jpg#0\tA cat .\n7.jpg#1\tAn animal\n")
    dataset = Flickr30k(tmp_path, str(tmp_path / "captions.token"), target_transform=tuple)
    assert len(dataset) == 1
    assert dataset[0][1] == ("A cat .", "An animal")
