"""Images in one directory for each class."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from dtorch.vision.datasets.vision import Root, Transform, VisionDataset, open_image
from dtorch.vision.image_backend import get_image_backend
from dtorch.vision.optional import require

IMG_EXTENSIONS = (
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp",
)  # fmt: skip


def is_image_file(filename: str) -> bool:
    """Whether the name ends as those of images do; case does not matter.

    >>> is_image_file("a.JPG"), is_image_file("jpg")
    (True, False)
    """
    return filename.lower().endswith(IMG_EXTENSIONS)


def find_classes(dir: Root) -> tuple[list[str], dict[str, int]]:
    """Classes, the sorted names of the sub-directories; and the number of each.

    Raises:
        FileNotFoundError: there is no sub-directory.
    """
    classes = sorted(entry.name for entry in os.scandir(dir) if entry.is_dir())
    if not classes:
        raise FileNotFoundError(
            f"{os.fspath(dir)} has no sub-directories, expected one for each class"
        )
    return classes, {name: number for number, name in enumerate(classes)}


def make_dataset(
    dir: Root, class_to_idx: dict[str, int], extensions: Sequence[str] | str | None = None,
    is_valid_file: Callable[[str], bool] | None = None,
) -> list[tuple[str, int]]:  # fmt: skip
    """All files of the classes, as pairs of path and class number, in order of names.

    Args:
        extensions: endings of the files that count. Default: those of images.
        is_valid_file: says which count, instead; called with the path.
    """
    endings = IMG_EXTENSIONS if extensions is None else _lower(extensions)
    found = []
    for name in sorted(class_to_idx):
        top = os.path.join(os.path.expanduser(dir), name)
        for directory, _, files in sorted(os.walk(top, followlinks=True)):
            for file in sorted(files):
                path = os.path.join(directory, file)
                valid = is_valid_file(path) if is_valid_file else file.lower().endswith(endings)
                if valid:
                    found.append((path, class_to_idx[name]))
    return found


def _lower(extensions: Sequence[str] | str) -> tuple[str, ...]:
    given = (extensions,) if isinstance(extensions, str) else extensions
    return tuple(ending.lower() for ending in given)


def pil_loader(path: Root) -> Any:
    """The image of a file, in RGB, decoded by Pillow."""
    return open_image(path)


def accimage_loader(path: Root) -> Any:
    """The image of a file, decoded by accimage; by Pillow where that cannot."""
    accimage = require("accimage", "the image backend 'accimage'", "accimage")
    try:
        return accimage.Image(os.fspath(path))
    except OSError:
        return pil_loader(path)


def default_loader(path: Root) -> Any:
    """The image of a file, decoded as `dtorch.vision.set_image_backend` says."""
    return accimage_loader(path) if get_image_backend() == "accimage" else pil_loader(path)


class DatasetFolder(VisionDataset):
    """Files in one directory for each class, at any depth.

    Args:
        root: has one sub-directory for each class.
        loader: makes a sample of a path.
        extensions: endings of the files that count.
        transform: called with each sample.
        target_transform: called with each class number.
        is_valid_file: says which files count, instead of ``extensions``.

    Attributes:
        classes: names in order of their numbers.
        class_to_idx: number of each class.
        samples: pairs of path and class number.
        targets: the class numbers.
    Raises:
        RuntimeError: there is no such file.
    """

    def __init__(
        self, root: Root, loader: Callable[[Any], Any], extensions: Sequence[str] | None = None,
        transform: Transform = None, target_transform: Transform = None,
        is_valid_file: Callable[[str], bool] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(root, transform, target_transform)
        classes, class_to_idx = find_classes(self.root)
        samples = make_dataset(self.root, class_to_idx, extensions, is_valid_file)
        if not samples:
            endings = ", ".join(IMG_EXTENSIONS if extensions is None else extensions)
            raise RuntimeError(
                f"{type(self).__name__}: no files in the sub-directories of {self.root}, expected "
                f"names ending in {endings}"
            )
        self.loader = loader
        self.extensions = extensions
        self.classes = classes
        self.class_to_idx = class_to_idx
        self.samples = samples
        self.targets = [target for _, target in samples]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The sample and its class number, transformed."""
        path, target = self.samples[index]
        return self._transformed(self.loader(path), target)

    def __len__(self) -> int:
        """Number of files."""
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Images in one directory for each class; see `DatasetFolder`.

    Args:
        loader: makes an image of a path. Default: `default_loader`.

    Attributes:
        imgs: the same as ``samples``.
    """

    def __init__(
        self, root: Root, transform: Transform = None, target_transform: Transform = None,
        loader: Callable[[Any], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            root, loader or default_loader, IMG_EXTENSIONS, transform, target_transform,
            is_valid_file,
        )  # fmt: skip
        self.imgs = self.samples

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and its class number, transformed."""
        return super().__getitem__(index)

    def __len__(self) -> int:
        """Number of images."""
        return super().__len__()
