"""Cityscapes: streets of 50 cities, every pixel labelled.

Reference: Cordts et al. 2016, arXiv:1604.01685.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets.utils import list_dir, list_files
from dtorch.vision.datasets.vision import Root, Transform, VisionDataset, content_of, open_image

_SUFFIXES = {
    "instance": "instanceIds.png",
    "semantic": "labelIds.png",
    "color": "color.png",
    "polygon": "polygons.json",
}
_PHOTO = "_leftImg8bit.png"


class Cityscapes(VisionDataset):
    """Photographs with one or several kinds of targets.

    Args:
        root: has the directories ``leftImg8bit`` and ``gtFine`` or ``gtCoarse``, which must be
            downloaded by hand after registering.
        split: "train", "test" or "val"; for the coarse mode "train", "train_extra" or "val".
        mode: "fine" or "coarse".
        target_type: "instance", "semantic", "color" or "polygon", or a list of these, which gives
            a tuple. Polygons are what the JSON file holds, the others images.
    """

    def __init__(
        self, root: Root, split: str = "train", mode: str = "fine",
        target_type: str | Sequence[str] = "instance", transform: Transform = None,
        target_transform: Transform = None,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        splits = ("train", "test", "val") if mode == "fine" else ("train", "train_extra", "val")
        if mode not in ("fine", "coarse") or split not in splits:
            raise ArgumentError(
                f"Cityscapes: mode {mode!r} with split {split!r}; expected 'fine' or 'coarse' with "
                f"one of {', '.join(splits)}"
            )
        kinds = [target_type] if isinstance(target_type, str) else list(target_type)
        unknown = [kind for kind in kinds if kind not in _SUFFIXES]
        if unknown or not kinds:
            raise ArgumentError(
                f"Cityscapes: target_type is {target_type!r}, expected some of "
                f"{', '.join(_SUFFIXES)}"
            )
        self.split = split
        self.mode = f"gt{mode.title()}"
        self.target_type = kinds
        photos = self._directory / "leftImg8bit" / split
        labels = self._directory / self.mode / split
        if not photos.is_dir() or not labels.is_dir():
            raise RuntimeError(
                f"Cityscapes: {photos} and {labels} are expected; download and unpack the archives "
                "by hand"
            )
        self.images: list[str] = []
        self.targets: list[list[Path]] = []
        for city in list_dir(photos):
            for path in list_files(photos / city, _PHOTO, prefix=True):
                stem = Path(path).name.removesuffix(_PHOTO)
                self.images.append(path)
                self.targets.append(
                    [labels / city / f"{stem}_{self.mode}_{_SUFFIXES[kind]}" for kind in kinds]
                )

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The photograph and its target, or a tuple of several, transformed."""
        targets = tuple(map(_read, self.targets[index]))
        image = open_image(self.images[index])
        return self._transformed(image, targets[0] if len(targets) == 1 else targets)

    def __len__(self) -> int:
        """Number of photographs."""
        return len(self.images)


def _read(path: Path) -> Any:
    if path.suffix == ".json":
        with content_of(path, "file of polygons"):
            return json.loads(path.read_text(encoding="utf-8"))
    return open_image(path, None)
