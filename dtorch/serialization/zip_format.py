"""The format since 1.6: a zip archive with one pickle and one entry for each storage."""

from __future__ import annotations

import sys
from typing import Any

from dtorch.core.dtype import dtype
from dtorch.core.storage import Storage
from dtorch.serialization import names
from dtorch.serialization.archive import Archive
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.location import Restore
from dtorch.serialization.rebuild import FileStorage, storage_id
from dtorch.serialization.room import Room
from dtorch.serialization.source import Source, byteswapped
from dtorch.serialization.torchscript import read_state_dict
from dtorch.serialization.unpickler import unpickle, without_types


class _ZipStorages:
    """Reads the storages of an archive, each once.

    Attributes:
        given: what the pickle got for its references.
    """

    def __init__(self, archive: Archive, restore: Restore) -> None:
        self._archive = archive
        self._restore = restore
        self._storages: dict[str, tuple[Any, int]] = {}
        self.given: list[FileStorage] = []
        order = archive.read("byteorder") if "byteorder" in archive else b"little"
        if order not in (b"little", b"big"):
            raise CheckpointError(f"checkpoint: its byte order is {order!r}")
        self._foreign = order.decode() != sys.byteorder

    def __call__(self, pid: Any) -> FileStorage:
        type_name, key, location, numel = storage_id(pid)
        d = names.STORAGE_DTYPES[type_name]
        if key not in self._storages:
            self._storages[key] = self._read(key, d, location)
        storage, nbytes = self._storages[key]
        if numel * d.itemsize > nbytes or numel < 0:
            raise CheckpointError(
                f"checkpoint: storage {key} has {nbytes} bytes, expected {numel} elements of {d}"
            )
        typed = FileStorage(storage, d, type_name)
        self.given.append(typed)
        return typed

    def _read(self, key: str, d: dtype, location: str) -> tuple[Any, int]:
        memory, owner = self._archive.array(f"data/{key}")
        nbytes = memory.nbytes
        if self._foreign:
            memory, owner = byteswapped(memory, d), None
        return self._restore(Storage.from_bytes(memory, owner), location), nbytes


def read_zip(source: Source, restore: Restore, safe: bool, options: dict[str, Any]) -> Any:
    """The object in an archive; of one of TorchScript, which is a program, its state."""
    archive = Archive(source)
    if not archive.name:
        raise CheckpointError(
            "checkpoint: a zip archive without data.pkl, written by another program"
        )
    storages, room = _ZipStorages(archive, restore), Room(source.nbytes)
    record = archive.read("data.pkl")
    if "constants.pkl" in archive:
        return read_state_dict(record, storages, room)
    obj = unpickle(record, storages, room, safe, **options)
    return without_types(obj, storages.given)
