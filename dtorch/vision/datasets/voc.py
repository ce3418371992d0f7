"""Pascal VOC: objects in photographs, by outline and by pixels.

Reference: Everingham et al. 2010, "The Pascal Visual Object Classes (VOC) Challenge".
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections import defaultdict
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets.utils import download_and_extract
from dtorch.vision.datasets.vision import (
    Root,
    Transform,
    VisionDataset,
    content_of,
    inside,
    missing,
    open_image,
)

_SERVER = "https://thor.robots.ox.ac.uk/pascal/VOC/"


class Release(NamedTuple):
    """Where the files of a year are."""

    url: str
    md5: str | None
    base_dir: str


def _release(path: str, md5: str, base_dir: str) -> Release:
    return Release(_SERVER + path, md5, base_dir)


class _VOC(VisionDataset):
    """Photographs of a year's challenge."""

    releases: ClassVar[dict[str, Release]] = {
        "2012": _release(
            "voc2012/VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd",
            "VOCdevkit/VOC2012",
        ),
        "2011": _release(
            "voc2011/VOCtrainval_25-May-2011.tar", "6c3384ef61512963050cb5d687e5bf1e",
            "TrainVal/VOCdevkit/VOC2011",
        ),
        "2010": _release(
            "voc2010/VOCtrainval_03-May-2010.tar", "da459979d0c395079b5c75ee67908abb",
            "VOCdevkit/VOC2010",
        ),
        "2009": _release(
            "voc2009/VOCtrainval_11-May-2009.tar", "a3e00b113cfcfebf17e343f59da3caa1",
            "VOCdevkit/VOC2009",
        ),
        "2008": _release(
            "voc2008/VOCtrainval_14-Jul-2008.tar", "2629fa636546599198acfcfbfcf1904a",
            "VOCdevkit/VOC2008",
        ),
        "2007": _release(
            "voc2007/VOCtrainval_06-Nov-2007.tar", "c52e279531787c972589f7e41ab4ae64",
            "VOCdevkit/VOC2007",
        ),
        "2007-test": _release(
            "voc2007/VOCtest_06-Nov-2007.tar", "b6e924de25625d8de591ea690078ad9f",
            "VOCdevkit/VOC2007",
        ),
    }  # fmt: skip
    _task: ClassVar[str]
    _target_dir: ClassVar[str]
    _target_suffix: ClassVar[str]

    def __init__(
        self, root: Root, year: str = "2012", image_set: str = "train", download: bool = False,
        transform: Transform = None, target_transform: Transform = None,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        key = f"{year}-test" if image_set == "test" else str(year)
        if key not in self.releases or image_set not in ("train", "val", "trainval", "test"):
            raise ArgumentError(
                f"{type(self).__name__}: year {year!r} with image_set {image_set!r}; expected "
                "2007 to 2012 with 'train', 'val' or 'trainval', or 2007 with 'test'"
            )
        self.year = str(year)
        self.image_set = image_set
        self._release = self.releases[key]
        if download:
            self.download()
        if not self._list.is_file():
            raise missing(self, self._base)
        names = [line.split()[0] for line in self._list.read_text(encoding="ascii").splitlines()]
        photos, targets = self._base / "JPEGImages", self._base / self._target_dir
        self.images = [inside(photos, f"{name}.jpg", self._list) for name in names]
        self.targets = [
            inside(targets, f"{name}{self._target_suffix}", self._list) for name in names
        ]

    @property
    def _base(self) -> Path:
        return self._directory / self._release.base_dir

    @property
    def _list(self) -> Path:
        return self._base / "ImageSets" / self._task / f"{self.image_set}.txt"

    def _target(self, path: Path) -> Any:
        raise NotImplementedError

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The photograph and its target, transformed."""
        return self._transformed(open_image(self.images[index]), self._target(self.targets[index]))

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self.images)

    def download(self) -> None:
        """Download, check and unpack the files; skipped if they are there."""
        if not self._list.is_file():
            download_and_extract(self._release.url, self.root, md5=self._release.md5)


class VOCSegmentation(_VOC):
    """Photographs with images of the class of each pixel.

    Args:
        root: has, or gets, the directory ``VOCdevkit``.
        year: "2007" to "2012".
        image_set: "train", "val" or "trainval"; for 2007 also "test".
        download: download what is not there.
    """

    _task = "Segmentation"
    _target_dir = "SegmentationClass"
    _target_suffix = ".png"

    @property
    def masks(self) -> list[Path]:
        """Files of the targets."""
        return self.targets

    def _target(self, path: Path) -> Any:
        return open_image(path, None)  # pixels are numbers of a palette


class VOCDetection(_VOC):
    """Photographs with dictionaries of their objects, made of the XML files.

    Arguments as of `VOCSegmentation`.
    """

    _task = "Main"
    _target_dir = "Annotations"
    _target_suffix = ".xml"

    @property
    def annotations(self) -> list[Path]:
        """Files of the targets."""
        return self.targets

    def _target(self, path: Path) -> Any:
        with content_of(path, "annotation"):
            return parse_voc_xml(ElementTree.parse(path).getroot())


def parse_voc_xml(node: ElementTree.Element) -> dict[str, Any]:
    """An element as a dictionary: texts by tag; a list of all that are called ``object``.

    >>> parse_voc_xml(ElementTree.fromstring("<a><b>1</b><object><name>cat</name></object></a>"))
    {'a': {'b': '1', 'object': [{'name': 'cat'}]}}
    """
    if len(node) == 0:
        return {node.tag: (node.text or "").strip()}
    parts: defaultdict[str, list[Any]] = defaultdict(list)
    for child in node:
        parts[child.tag].append(parse_voc_xml(child)[child.tag])
    content = {
        tag: values if tag == "object" or len(values) > 1 else values[0]
        for tag, values in parts.items()
    }
    return {node.tag: content}
