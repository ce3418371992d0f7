"""The format of 0.1.10 to 1.5: pickles, then the storages as they are in memory."""

from __future__ import annotations

import io
import operator
import pickle
import re
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from dtorch.core.dtype import dtype
from dtorch.core.storage import Storage
from dtorch.serialization import names
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.location import DeviceStorage, Restore
from dtorch.serialization.machine import PickleMachine
from dtorch.serialization.pickle_reader import PickleReader, no_references
from dtorch.serialization.pickler import CheckpointPickler
from dtorch.serialization.rebuild import FileStorage, storage_id
from dtorch.serialization.room import Room, shown
from dtorch.serialization.source import Source, byteswapped
from dtorch.serialization.source_code import check_source
from dtorch.serialization.unpickler import OBJECTS, texts_of, without_types

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
_START = re.compile(
    rb"\x80[\2-\xff](\x95.{8})?" + re.escape(pickle.dumps(MAGIC, 2)[2:-1]), re.DOTALL
)
_COUNT = struct.Struct("<q")
_TYPE_SIZES = {"short": 2, "int": 4, "long": 4}


def is_stream(start: bytes) -> bool:
    """Whether a file that starts so is a stream, of whichever pickle protocol."""
    return _START.match(start) is not None


class _FindStorages(PickleMachine):
    """Runs a pickle to learn which storages it refers to; makes nothing but containers.

    Their contents come after it, and have to be there when tensors are made: a sparse one looks at
    its indices.
    """

    def __init__(
        self, data: bytes, found: dict[str, _Described], room: Room, **options: Any
    ) -> None:
        super().__init__(data, room, **options)
        self._found = found

    def find_class(self, module: str, name: str) -> Any:
        return OBJECTS.get((module, name), _NOTHING)

    def persistent_load(self, pid: Any) -> Any:
        if type(pid) is tuple and pid and type(pid[0]) is str and pid[0] == "storage":
            type_name, key, location, numel = storage_id(pid)
            self._found.setdefault(
                key, _Described(names.STORAGE_DTYPES[type_name], location, numel)
            )
        return _NOTHING

    def _nothing(self, *args: Any) -> Any:
        return _NOTHING

    # fmt: off
    _call = _new = _build = _add = _extend = _set_items = _container = _nothing  # type: ignore[assignment]  # whatever they are given
    # fmt: on


class _Nothing:
    """Stands for every object but texts, numbers and names of types."""


_NOTHING = _Nothing()


class _Described(NamedTuple):
    """A storage as a reference in the pickle describes it."""

    dtype: dtype
    location: str
    numel: int


class _StreamStorages:
    """Gives the storages for the references in a stream's pickle.

    Attributes:
        given: what the pickle got.
    """

    def __init__(self, storages: dict[str, Any]) -> None:
        self._storages = storages
        self.given: list[FileStorage] = []

    def __call__(self, pid: Any) -> Any:
        if type(pid) is tuple and len(pid) == 4 and type(pid[0]) is str and pid[0] == "module":
            check_source(*pid[1:])
            return pid[1]
        type_name, key, *_ = storage_id(pid)
        typed = FileStorage(self._storages[key], names.STORAGE_DTYPES[type_name], type_name)
        view = pid[5:]
        if view and type(view[0]) is tuple:
            typed.offset = operator.index(view[0][1])
        self.given.append(typed)
        return typed


def read_stream(
    source: Source, start: int, restore: Restore, safe: bool, options: dict[str, Any]
) -> tuple[Any, int]:
    """The object that begins at ``start``, and where the next one begins."""
    room = Room(source.nbytes)
    reader = PickleReader(source, start, room)
    magic, protocol = (reader.unpickle(no_references, safe, options) for _ in range(2))
    if magic != MAGIC or protocol != PROTOCOL:
        raise CheckpointError(
            f"checkpoint: its magic number is {shown(magic)} and its protocol {shown(protocol)}, "
            f"expected {MAGIC} and {PROTOCOL}"
        )
    reader.unpickle(no_references, safe, options)  # about the machine that wrote it
    pickle_at = reader.at
    described = _find_storages(reader, options)
    storages = _StreamStorages(_read_storages(reader, described, restore))
    obj = PickleReader(source, pickle_at, room).unpickle(storages, safe, options)
    return without_types(obj, storages.given), reader.at


def _find_storages(reader: PickleReader, options: dict[str, Any]) -> dict[str, _Described]:
    """The storages that the next pickle of the stream refers to."""
    found: dict[str, _Described] = {}
    reader.run(_FindStorages, found, **texts_of(options))
    return found


def _read_storages(
    reader: PickleReader, described: dict[str, _Described], restore: Restore
) -> dict[str, Any]:
    keys = reader.plain()
    if not isinstance(keys, list) or not all(isinstance(key, (str, int)) for key in keys):
        raise CheckpointError(f"checkpoint: its list of storages is {shown(keys)}")
    if sorted(map(str, keys)) != sorted(described):
        raise CheckpointError(
            f"checkpoint: it refers to {len(described)} storages and has {len(keys)}, or others"
        )
    storages = {}
    for key in map(str, keys):
        d, location, numel = described[key]
        raw = reader.read(_COUNT.size)
        # The elements are little-endian always; the number is not in files that early versions
        # wrote on big-endian machines.
        numbers = (int.from_bytes(raw, order) for order in ("little", "big"))
        if len(raw) < _COUNT.size or numel < 0 or numel not in numbers:
            raise CheckpointError(
                f"checkpoint: storage {key} of {numel} elements is damaged or cut off"
            )
        memory, owner = reader.array(numel * d.itemsize)
        if sys.byteorder == "big":
            memory, owner = byteswapped(memory, d), None
        restored = restore(Storage.from_bytes(memory, owner), location)
        if isinstance(restored, DeviceStorage):
            raise CheckpointError(
                f"load: this old format is read to the CPU only, a tensor was stored on {location}; "
                "pass map_location='cpu'"
            )
        storages[key] = restored
    return storages


def write_stream(
    obj: Any, file: BinaryIO, pickler: Callable[..., CheckpointPickler], protocol: int
) -> None:
    """Write an object in the format of 0.1.11 to 1.5."""
    sys_info = {"protocol_version": PROTOCOL, "little_endian": sys.byteorder == "little",
                "type_sizes": _TYPE_SIZES}  # fmt: skip
    for plain in (MAGIC, PROTOCOL, sys_info):
        pickle.dump(plain, file, 2)
    stream = io.BytesIO()
    writer = pickler(stream, protocol, is_stream=True)
    writer.dump(obj)
    file.write(stream.getbuffer())
    storages = {str(key): storage for key, storage in enumerate(writer.table.storages)}
    pickle.dump(sorted(storages), file, 2)
    for key in sorted(storages):
        d, memory = storages[key].dtype, storages[key].array.reshape(-1).view(np.uint8)
        if sys.byteorder == "big":
            memory = byteswapped(memory, d)
        file.write(_COUNT.pack(memory.nbytes // d.itemsize))
        file.write(memory.data)
