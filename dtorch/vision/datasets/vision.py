"""What the datasets of images share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dtorch.data.dataset import Dataset
from dtorch.vision.optional import pillow

Transform = Callable[[Any], Any] | None
Root = str | os.PathLike[str]


class VisionDataset(Dataset[Any]):
    """Images with targets, by index.

    Args:
        root: directory of the files.
        transform: called with each image.
        target_transform: called with each target.

    Samples are pairs; images come as Pillow's unless transformed. Negative indices count from the
    end, as those of a list.
    """

    def __init__(
        self, root: Root, transform: Transform = None, target_transform: Transform = None
    ) -> None:
        self.root = os.path.expanduser(os.fspath(root))
        self.transform = transform
        self.target_transform = target_transform

    def _transformed(self, image: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    @property
    def _directory(self) -> Path:
        return Path(self.root)

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({len(self)} samples, root={self.root!r}, "
            f"transform={self.transform!r}, target_transform={self.target_transform!r})"
        )


def missing(dataset: Any, where: Any) -> RuntimeError:
    """The error for files that are not there, or are damaged."""
    return RuntimeError(
        f"{type(dataset).__name__}: the files are not in {where} or are damaged; "
        "pass download=True to download them"
    )


def image_of(array: Any, mode: str | None = None) -> Any:
    """Pillow's image of a uint8 array ``(H, W)`` or ``(H, W, 3)``."""
    image = pillow().fromarray(array)
    return image if mode is None else image.convert(mode)


def open_image(path: Any, mode: str | None = "RGB") -> Any:
    """The image of a file, decoded; in its own mode if ``mode`` is None."""
    with pillow().open(path) as image:
        if mode is None:
            image.load()
            return image
        return image.convert(mode)
