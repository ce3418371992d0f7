"""LSUN: scenes, in one LMDB database for each category.

Reference: Yu et al. 2015, arXiv:1506.03365.
"""

from __future__ import annotations

import bisect
import io
import itertools
import os
import weakref
from collections.abc import Sequence
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets.vision import Root, Transform, VisionDataset, open_image
from dtorch.vision.optional import require

CATEGORIES = (
    "bedroom", "bridge", "church_outdoor", "classroom", "conference_room", "dining_room", "kitchen",
    "living_room", "restaurant", "tower",
)  # fmt: skip


class _Opened:
    """An open LMDB environment, and the process that opened it."""

    def __init__(self, path: str) -> None:
        self.process = os.getpid()
        self.environment = require("lmdb", "LSUN", "lmdb").open(
            path, max_readers=1, readonly=True, lock=False, readahead=False, meminit=False
        )


# LMDB allows one environment for each path in a process, so equal databases share it.
_opened: dict[str, weakref.ref[_Opened]] = {}


class _Database:
    """One LMDB database; opened anew in every process, as environments do not survive a fork."""

    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self._held: _Opened | None = None

    def environment(self) -> Any:
        if self._held is None or self._held.process != os.getpid():
            found = _opened[self.path]() if self.path in _opened else None
            if found is not None and found.process != os.getpid():
                found.environment.close()
                found = None
            self._held = found or _Opened(self.path)
            _opened[self.path] = weakref.ref(self._held)
        return self._held.environment

    def keys(self) -> list[bytes]:
        with self.environment().begin() as transaction, transaction.cursor() as cursor:
            return list(cursor.iternext(keys=True, values=False))

    def get(self, key: bytes) -> bytes:
        with self.environment().begin() as transaction:
            return transaction.get(key)  # type: ignore[no-any-return]

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "_held": None}


class LSUNClass(VisionDataset):
    """One database: images without target (which is None).

    Args:
        root: directory of the database.

    Needs the package lmdb.
    """

    def __init__(
        self, root: Root | None = None, transform: Transform = None,
        target_transform: Transform = None, *, db_path: Root | None = None,
    ) -> None:  # fmt: skip
        super().__init__(_root("LSUNClass", root, db_path), transform, target_transform)
        if not os.path.isdir(self.root):
            raise FileNotFoundError(f"LSUNClass: there is no database {self.root}")
        self._database = _Database(self.root)
        self.keys = self._database.keys()
        self.length = len(self.keys)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image, transformed, and the transformed None."""
        data = self._database.get(self.keys[index])
        return self._transformed(open_image(io.BytesIO(data)), None)

    def __len__(self) -> int:
        """Number of images."""
        return self.length


class LSUN(VisionDataset):
    """Several databases, one after another.

    Args:
        root: has the directories ``<category>_<split>_lmdb``.
        classes: "train", "val" or "test" for all there are of this split, or a list such as
            ``["bedroom_train", "church_outdoor_val"]``.

    Targets are the positions in this list.
    """

    def __init__(
        self, root: Root | None = None, classes: str | Sequence[str] = "train",
        transform: Transform = None, target_transform: Transform = None,
        *, db_path: Root | None = None,
    ) -> None:  # fmt: skip
        super().__init__(_root("LSUN", root, db_path), transform, target_transform)
        self.classes = _class_names(classes)
        self.dbs = [LSUNClass(self._directory / f"{name}_lmdb") for name in self.classes]
        self.indices = list(itertools.accumulate(map(len, self.dbs)))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        """The image and the position of its class, transformed."""
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(f"LSUN: index {index} is out of range for {len(self)} images")
        target = bisect.bisect_right(self.indices, index)
        image, _ = self.dbs[target][index - (self.indices[target - 1] if target else 0)]
        return self._transformed(image, target)

    def __len__(self) -> int:
        """Number of images."""
        return self.indices[-1] if self.indices else 0


def _root(name: str, root: Root | None, db_path: Root | None) -> Root:
    given = db_path if root is None else root
    if given is None:
        raise TypeError(f"{name}() needs root, the directory of the database")
    return given


def _class_names(classes: str | Sequence[str]) -> list[str]:
    if isinstance(classes, str):
        if classes not in ("train", "val", "test"):
            raise ArgumentError(
                f"LSUN: classes is {classes!r}, expected 'train', 'val', 'test' or a list"
            )
        return ["test"] if classes == "test" else [f"{name}_{classes}" for name in CATEGORIES]
    for entry in classes:
        category, _, split = entry.rpartition("_")
        if entry != "test" and (category not in CATEGORIES or split not in ("train", "val")):
            raise ArgumentError(
                f"LSUN: unknown class {entry!r}, expected 'test' or <category>_train or "
                f"<category>_val with a category of {', '.join(CATEGORIES)}"
            )
    return list(classes)
