"""The format of the first versions, before 0.1.10: a tar archive of three members.

Reference: POSIX.1-1988, section 10.1.1 (ustar).
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from dtorch.core.storage import Storage
from dtorch.serialization import names
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.location import Restore
from dtorch.serialization.pickle_reader import PickleReader
from dtorch.serialization.rebuild import FileStorage, Rebuild, storage_id
from dtorch.serialization.room import Room, shown
from dtorch.serialization.source import Part, Source
from dtorch.serialization.source_code import check_source
from dtorch.serialization.unpickler import public_storage, telling_damage, unpickle

_COUNT = struct.Struct("<q")
_BLOCK = 512  # a member begins at a multiple of this, with a header of this size
_NAME, _SIZE, _CHECKSUM, _KIND = slice(0, 100), slice(124, 136), slice(148, 156), 156
_MAGIC = slice(257, 262)
_FILES = b"0\0"  # kinds of members that are files
_MEMBERS = ("storages", "tensors", "pickle")


def is_tar(start: bytes) -> bool:
    """Whether a file that starts so is a tar archive."""
    return start[_MAGIC] == b"ustar"


def read_tar(source: Source, restore: Restore, safe: bool, options: dict[str, Any]) -> Any:
    """The object in a tar archive, the format of the first versions."""
    room = Room(source.nbytes)
    with telling_damage():
        members = _members(source)
        storages = _read_storages(PickleReader(members["storages"], 0, room), restore)
        tensors = _read_tensors(PickleReader(members["tensors"], 0, room), storages, room)
        record = bytes(members["pickle"].read(0, members["pickle"].nbytes))

    def persistent(pid: Any) -> Any:
        if type(pid) is tuple:
            cls, *described = pid[-3:]
            check_source(cls, *described)
            return cls
        key = int(pid) if type(pid) in (str, bytes, int) else -1
        if key in tensors:
            return tensors[key]
        if key in storages:
            return public_storage(storages[key])
        raise CheckpointError(f"checkpoint: it refers to {shown(pid)}, which it does not have")

    return unpickle(record, persistent, room, safe, **options)


def _members(source: Source) -> dict[str, Part]:
    """The three members."""
    found: dict[str, Part] = {}
    at = 0
    while at + _BLOCK <= source.nbytes and (header := bytes(source.read(at, _BLOCK))).strip(b"\0"):
        # The sum of the header's bytes, with spaces in place of the sum itself.
        total = sum(header) - sum(header[_CHECKSUM]) + 8 * ord(" ")
        if not is_tar(header) or _octal(header[_CHECKSUM]) != total:
            raise CheckpointError("checkpoint: a header in the tar archive is damaged")
        name, nbytes = header[_NAME].rstrip(b"\0").decode(), _octal(header[_SIZE])
        at += _BLOCK
        if at + nbytes > source.nbytes:
            raise CheckpointError(f"checkpoint: the tar archive is cut off within {shown(name)}")
        if name in _MEMBERS and header[_KIND] in _FILES:
            found[name] = Part(source, at, nbytes)
        at += -(-nbytes // _BLOCK) * _BLOCK
    for name in _MEMBERS:
        if name not in found:
            raise CheckpointError(f"checkpoint: a tar archive without {name!r}, of another program")
    return found


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not digits.isdigit():
        raise CheckpointError("checkpoint: a number in the tar archive is damaged")
    return int(digits, 8)


def _key(value: Any) -> int:
    if type(value) is not int:
        raise CheckpointError(f"checkpoint: {shown(value)} where it has numbers")
    return value


def _read_storages(reader: PickleReader, restore: Restore) -> dict[int, FileStorage]:
    storages: dict[int, FileStorage] = {}
    for _ in range(reader.plain()):
        key, location, type_name = reader.plain()
        (numel,) = _COUNT.unpack(reader.read(_COUNT.size))
        storage_id(("storage", type_name, key, location, numel))
        d = names.STORAGE_DTYPES[type_name]
        memory, owner = reader.array(numel * d.itemsize)
        restored = restore(Storage.from_bytes(memory, owner), location)
        storages[_key(key)] = FileStorage(restored, d, type_name)
    for view_key, root_key, offset, _size in reader.plain():
        root = storages[_key(root_key)]
        view = storages[_key(view_key)] = FileStorage(root.storage, root.dtype, root.type_name)
        view.offset = root.offset + _key(offset)
    return storages


def _read_tensors(
    reader: PickleReader, storages: dict[int, FileStorage], room: Room
) -> dict[int, Any]:
    rebuild = Rebuild(room)
    tensors = {}
    for _ in range(reader.plain()):
        key, storage_key, type_name = reader.plain()
        (ndim,) = struct.unpack("<i4x", reader.read(8))
        numbers = struct.unpack(f"<{2 * ndim + 1}q", reader.read(8 * (2 * ndim + 1)))
        size, stride, offset = numbers[:ndim], numbers[ndim:-1], numbers[-1]
        storage = None if storage_key is None else storages.get(_key(storage_key))
        if storage is None:  # a tensor without elements
            storage = FileStorage(Storage.from_bytes(np.empty(0, np.uint8)),
                                   names.tensor_dtype(type_name), "")  # fmt: skip
        tensors[_key(key)] = rebuild.tensor_v2(storage, offset, size, stride)
    return tensors
