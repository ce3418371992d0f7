"""What the datasets of images share."""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from dtorch.core.errors import ArgumentError
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
    """The image of a file, decoded; in its own mode if ``mode`` is None.

    As it is stored: a camera's note on how it was held (EXIF) turns nothing. Of 16 bits the upper
    8 are taken, where Pillow would make everything above 255 white.

    Raises:
        OSError: it is damaged, or has far more pixels than Pillow's limit; names the file.
        ArgumentError: numbers beyond 0 to 255 of a mode without a white.
    """
    library = pillow()
    try:
        with library.open(path) as image:
            image.load()
    except FileNotFoundError:
        raise
    except library.DecompressionBombError as error:
        raise OSError(
            f"{_shown(path)}: {error}; set PIL.Image.MAX_IMAGE_PIXELS if it is to be read"
        ) from error
    except _DAMAGE as error:
        if _shown(path) in str(error):
            raise
        raise OSError(f"{_shown(path)} is damaged: {error}") from error
    return image if mode is None else _converted(image, mode, _shown(path))


def _converted(image: Any, mode: str, name: str) -> Any:
    if image.mode.startswith("I;16"):
        upper = (np.asarray(image) >> 8).astype(np.uint8)
        return pillow().fromarray(upper).convert(mode)
    if image.mode in ("I", "F"):
        low, high = image.getextrema()
        if not 0 <= low <= high <= 255:
            raise ArgumentError(
                f"{name}: an image of mode {image.mode!r} with numbers from {low} to {high} cannot "
                f"become {mode!r}, expected 0 to 255; pass a loader that scales them"
            )
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")  # Pillow warns otherwise
    return image.convert(mode)


# What decoders raise; those of Pillow are not agreed about it.
_DAMAGE = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, OverflowError,
           struct.error, zlib.error)  # fmt: skip


def _shown(path: Any) -> str:
    return os.fspath(path) if isinstance(path, (str, os.PathLike)) else "the image"


@contextlib.contextmanager
def content_of(path: Any, what: str) -> Iterator[None]:
    """What the content of a file makes go wrong is told with its name.

    Raises:
        ArgumentError: the file is damaged, or no ``what``.
    """
    try:
        yield
    except ArgumentError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError,
            RecursionError, SyntaxError, zlib.error) as error:  # fmt: skip
        raise ArgumentError(
            f"{path} is damaged or no {what}: {type(error).__name__}: {error}"
        ) from error


def inside(directory: Path, name: Any, source: Any) -> Path:
    """The path of a file in a directory by the name that a list has for it.

    Raises:
        ArgumentError: the name leads out of the directory.
    """
    if not isinstance(name, str) or name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise ArgumentError(f"{source}: the name {name!r} leads out of {directory}")
    return directory / name
