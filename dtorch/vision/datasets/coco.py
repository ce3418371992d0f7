"""COCO: images with several captions or objects each.

Reference: Lin et al. 2014, arXiv:1405.0312.
"""

from __future__ import annotations

import os
from typing import Any

from dtorch.vision.datasets.vision import (
    Root,
    Transform,
    VisionDataset,
    content_of,
    inside,
    open_image,
)
from dtorch.vision.optional import require


class CocoDetection(VisionDataset):
    """Images with the annotations of their objects, as in the file.

    Args:
        root: directory of the images.
        annFile: the JSON file of annotations.

    Attributes:
        coco: the ``pycocotools.coco.COCO`` of the file.
        ids: numbers of the images, sorted.
    Raises:
        ImportError: pycocotools is not installed.
    """

    def __init__(
        self, root: Root, annFile: Root, transform: Transform = None,  # noqa: N803
        target_transform: Transform = None,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        module = require("pycocotools.coco", type(self).__name__, "pycocotools")
        self.annFile = os.fspath(annFile)
        with content_of(self.annFile, "file of annotations"):
            self.coco = module.COCO(self.annFile)
            self.ids: list[int] = sorted(self.coco.imgs)

    def _target(self, annotations: list[dict[str, Any]]) -> list[Any]:
        return annotations

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and the list of its annotations, transformed."""
        number = self.ids[index]
        annotations = self.coco.loadAnns(self.coco.getAnnIds(imgIds=number))
        with content_of(self.annFile, "file of annotations"):
            name = self.coco.loadImgs(number)[0]["file_name"]
            target = self._target(annotations)
        image = open_image(inside(self._directory, name, self.annFile))
        return self._transformed(image, target)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.ids)


class CocoCaptions(CocoDetection):
    """Images with the list of their captions; see `CocoDetection`."""

    def _target(self, annotations: list[dict[str, Any]]) -> list[Any]:
        return [annotation["caption"] for annotation in annotations]
