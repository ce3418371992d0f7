"""The format of the first versions, before 0.1.10: a tar archive of three members."""

from __future__ import annotations

import struct
import tarfile
from typing import Any, BinaryIO

import numpy as np

from dtorch.core.storage import Storage
from dtorch.serialization import names
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.location import Restore
from dtorch.serialization.pickle_reader import PickleReader
from dtorch.serialization.rebuild import Rebuild, TypedStorage
from dtorch.serialization.scan import pickle_end
from dtorch.serialization.source import FileSource, Source
from dtorch.serialization.source_code import check_source
from dtorch.serialization.unpickler import telling_damage, unpickle

_COUNT = struct.Struct("<q")


def is_tar(start: bytes) -> bool:
    """Whether a file that starts so is a tar archive."""
    return start[257:262] == b"ustar"


def read_tar(file: BinaryIO, restore: Restore, safe: bool, options: dict[str, Any]) -> Any:
    """The object in a tar archive, the format of the first versions."""
    if safe:
        raise CheckpointError(
            "load: this is a tar archive of a version before 0.1.10, which is read with "
            "weights_only=False only; that runs whatever code the file contains, so do it only with "
            "a file you trust, and save it again"
        )
    try:
        with telling_damage(), tarfile.open(fileobj=file, mode="r:") as archive:
            members = {name: _member(archive, name) for name in ("storages", "tensors", "pickle")}
    except tarfile.TarError as error:
        raise CheckpointError(f"checkpoint: the tar archive is damaged: {error}") from error
    places = {name: FileSource(file, *place) for name, place in members.items()}
    with telling_damage():
        storages = _read_storages(places["storages"], restore)
        tensors = _read_tensors(places["tensors"], storages)
        record = bytes(places["pickle"].read(0, places["pickle"].nbytes))
        pickle_end(record)  # all versions with this format wrote codes that pass

        def persistent(pid: Any) -> Any:
            if isinstance(pid, tuple):
                _, cls, path, source = (None, *pid) if len(pid) == 3 else pid
                check_source(cls, path, source)
                return cls
            key = int(pid)
            return tensors[key] if key in tensors else storages[key].storage

        return unpickle(record, persistent, False, **options)


def _member(archive: tarfile.TarFile, name: str) -> tuple[int, int]:
    """Offset and size of a member."""
    try:
        member = archive.getmember(name)
    except KeyError:
        member = None
    if member is None or not member.isreg() or member.issparse():
        raise CheckpointError(f"checkpoint: a tar archive without {name!r}, of another program")
    return member.offset_data, member.size


def _read_storages(source: Source, restore: Restore) -> dict[int, TypedStorage]:
    reader = PickleReader(source, 0)
    storages: dict[int, TypedStorage] = {}
    for _ in range(reader.plain()):
        key, location, type_name = reader.plain()
        d = names.STORAGE_DTYPES[type_name]
        (numel,) = _COUNT.unpack(reader.read(_COUNT.size))
        if numel < 0:
            raise CheckpointError(f"checkpoint: storage {key} has {numel} elements")
        memory, _ = source.array(reader.at, numel * d.itemsize)
        reader.at += memory.nbytes
        restored = restore(Storage.from_bytes(memory), location)
        storages[key] = TypedStorage(restored, d, type_name)
    for view_key, root_key, offset, _size in reader.plain():
        root = storages[root_key]
        view = storages[view_key] = TypedStorage(root.storage, root.dtype, root.type_name)
        view.offset = root.offset + offset
    return storages


def _read_tensors(source: Source, storages: dict[int, TypedStorage]) -> dict[int, Any]:
    reader, rebuild = PickleReader(source, 0), Rebuild()
    tensors = {}
    for _ in range(reader.plain()):
        key, storage_key, type_name = reader.plain()
        (ndim,) = struct.unpack("<i4x", reader.read(8))
        numbers = struct.unpack(f"<{2 * ndim + 1}q", reader.read(8 * (2 * ndim + 1)))
        size, stride, offset = numbers[:ndim], numbers[ndim:-1], numbers[-1]
        storage = storages.get(storage_key)
        if storage is None:  # a tensor without elements
            storage = TypedStorage(Storage.from_bytes(np.empty(0, np.uint8)),
                                   names.tensor_dtype(type_name), "")  # fmt: skip
        tensors[key] = rebuild.tensor_v2(storage, offset, size, stride)
    return tensors
