"""The formats before 1.6: a stream of pickles and raw storages, and before that a tar archive."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import tarfile
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from dtorch.core.dtype import dtype
from dtorch.core.storage import Storage
from dtorch.serialization import names
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.location import DeviceStorage, Restore
from dtorch.serialization.pickler import CheckpointPickler
from dtorch.serialization.rebuild import Rebuild, TypedStorage
from dtorch.serialization.scan import pickle_end
from dtorch.serialization.source import FileSource, Source
from dtorch.serialization.source_code import check_source
from dtorch.serialization.unpickler import make_unpickler, run, unpickle, without_types

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
STREAM_START = pickle.dumps(MAGIC, 2)
_COUNT = struct.Struct("<q")
_FIRST_PIECE = 1 << 16
_TYPE_SIZES = {"short": 2, "int": 4, "long": 4}


class _Reader:
    """A file over a source that is read piece by piece; knows where it stands."""

    def __init__(self, source: Source, start: int) -> None:
        self._source = source
        self.at = start

    def read(self, nbytes: int) -> bytes:
        piece = bytes(self._source.read(self.at, nbytes))
        self.at += len(piece)
        return piece

    def readline(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            piece = bytes(self._source.read(self.at, 256))
            end = piece.find(b"\n") + 1 or len(piece)
            line += piece[:end]
            self.at += end
            if not piece:
                break
        return line

    def unpickle(self, persistent: Any, safe: bool, options: dict[str, Any]) -> Any:
        """The next pickle of the stream."""
        if not safe:
            return make_unpickler(self, persistent, False, **options).load()
        size = _FIRST_PIECE
        while True:
            data = bytes(self._source.read(self.at, size))
            end = pickle_end(data, whole=len(data) < size)
            if end is not None:
                break
            size *= 4
        self.at += end
        return unpickle(data[:end], persistent, True, **options)


def _no_references(pid: Any) -> Any:
    raise CheckpointError(f"checkpoint: it refers to {pid!r} where it has to be plain")


class _StreamStorages:
    """Makes the storages that a stream's pickle refers to; their contents come after it."""

    def __init__(self, restore: Restore, nbytes: int) -> None:
        self._restore = restore
        self._left = nbytes
        self.roots: dict[str, tuple[np.ndarray, int, dtype]] = {}
        self._storages: dict[str, Any] = {}
        self.given: list[TypedStorage] = []

    def __call__(self, pid: Any) -> Any:
        if pid[0] == "module":
            _, cls, file, source = pid
            check_source(cls, file, source)
            return cls
        kind, type_name, key, location, numel, *view = pid
        if kind != "storage" or not isinstance(location, str):
            raise CheckpointError(f"checkpoint: it refers to {pid!r}, expected a storage")
        key, d = str(key), names.STORAGE_DTYPES[type_name]
        if key not in self.roots:
            self._make(key, d, location, numel)
        typed = TypedStorage(self._storages[key], d, type_name)
        if view and view[0] is not None:
            _, typed.offset, _ = view[0]
        self.given.append(typed)
        return typed

    def _make(self, key: str, d: dtype, location: str, numel: int) -> None:
        nbytes = numel * d.itemsize
        if not 0 <= nbytes <= self._left:
            raise CheckpointError(
                f"checkpoint: storage {key} of {numel} elements is larger than the file"
            )
        self._left -= nbytes
        memory = np.empty(nbytes, np.uint8)
        restored = self._restore(Storage.from_bytes(memory), location)
        if isinstance(restored, DeviceStorage):
            raise CheckpointError(
                f"load: this old format is read to the CPU only, a tensor was stored on {location}; "
                "pass map_location='cpu'"
            )
        self.roots[key] = memory, numel, d
        self._storages[key] = restored


def read_stream(
    source: Source, start: int, restore: Restore, safe: bool, options: dict[str, Any]
) -> tuple[Any, int]:
    """The object that begins at ``start``, and where the next one begins."""
    reader = _Reader(source, start)
    magic, protocol = (reader.unpickle(_no_references, safe, options) for _ in range(2))
    if magic != MAGIC or protocol != PROTOCOL:
        raise CheckpointError(
            f"checkpoint: its magic number is {magic!r} and its protocol {protocol!r}, expected "
            f"{MAGIC} and {PROTOCOL}"
        )
    reader.unpickle(_no_references, safe, options)  # about the machine that wrote it
    storages = _StreamStorages(restore, source.nbytes)
    obj = reader.unpickle(storages, safe, options)
    keys = reader.unpickle(_no_references, safe, options)
    if not isinstance(keys, list):
        raise CheckpointError("checkpoint: the list of its storages is damaged")
    for key in map(str, keys):
        if key not in storages.roots:
            raise CheckpointError(f"checkpoint: storage {key} belongs to nothing in it")
        _fill(source, reader, *storages.roots.pop(key))
    if storages.roots:
        raise CheckpointError(f"checkpoint: storages {sorted(storages.roots)} are missing")
    return without_types(obj, storages.given), reader.at


def _fill(source: Source, reader: _Reader, memory: np.ndarray, numel: int, d: dtype) -> None:
    """Read one storage: the number of its elements, then these."""
    raw = reader.read(_COUNT.size)
    # A big-endian machine wrote both in its own order, as did every machine.
    order = next((o for o in ("little", "big") if int.from_bytes(raw, o) == numel), None)
    if order is None or len(raw) < _COUNT.size:
        raise CheckpointError(f"checkpoint: a storage of {numel} elements is damaged or cut off")
    source.fill(reader.at, memory)
    reader.at += memory.nbytes
    if order != sys.byteorder and memory.nbytes:
        part = d.itemsize // 2 if d.is_complex else d.itemsize
        memory.view(f"u{part}").byteswap(inplace=True)


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
        data = storages[key].data
        file.write((len(data) // storages[key].dtype.itemsize).to_bytes(8, sys.byteorder))
        file.write(data)


# -- before 0.1.10 ---------------------------------------------------------------------------------


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
        with tarfile.open(fileobj=file, mode="r:") as archive:
            members = {name: _member(archive, name) for name in ("storages", "tensors", "pickle")}
    except tarfile.TarError as error:
        raise CheckpointError(f"checkpoint: the tar archive is damaged: {error}") from error
    storages = _read_tar_storages(members["storages"], restore, options)
    tensors = _read_tar_tensors(members["tensors"], storages, options)

    def persistent(pid: Any) -> Any:
        if isinstance(pid, tuple):
            _, cls, path, source = (None, *pid) if len(pid) == 3 else pid
            check_source(cls, path, source)
            return cls
        key = int(pid)
        return tensors[key] if key in tensors else storages[key].storage

    return run(make_unpickler(_reader(members["pickle"]), persistent, False, **options), False)


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    try:
        member = archive.extractfile(name)
    except KeyError:
        member = None
    if member is None:
        raise CheckpointError(f"checkpoint: a tar archive without {name!r}, of another program")
    return member.read()


def _reader(data: bytes) -> _Reader:
    return _Reader(FileSource(io.BytesIO(data)), 0)


def _read_tar_storages(
    data: bytes, restore: Restore, options: dict[str, Any]
) -> dict[int, TypedStorage]:
    reader, source = _reader(data), FileSource(io.BytesIO(data))
    storages: dict[int, TypedStorage] = {}
    for _ in range(reader.unpickle(_no_references, False, options)):
        key, location, type_name = reader.unpickle(_no_references, False, options)
        d = names.STORAGE_DTYPES[type_name]
        numel = _COUNT.unpack(reader.read(_COUNT.size))[0]
        memory, _owner = source.array(reader.at, numel * d.itemsize)
        reader.at += memory.nbytes
        restored = restore(Storage.from_bytes(memory), location)
        storages[key] = TypedStorage(restored, d, type_name)
    for view_key, root_key, offset, _size in reader.unpickle(_no_references, False, options):
        root = storages[root_key]
        view = storages[view_key] = TypedStorage(root.storage, root.dtype, root.type_name)
        view.offset = root.offset + offset
    return storages


def _read_tar_tensors(
    data: bytes, storages: dict[int, TypedStorage], options: dict[str, Any]
) -> dict[int, Any]:
    reader, rebuild = _reader(data), Rebuild()
    tensors = {}
    for _ in range(reader.unpickle(_no_references, False, options)):
        key, storage_key, _type = reader.unpickle(_no_references, False, options)
        ndim = struct.unpack("<i4x", reader.read(8))[0]
        numbers = struct.unpack(f"<{2 * ndim + 1}q", reader.read(8 * (2 * ndim + 1)))
        size, stride, offset = numbers[:ndim], numbers[ndim:-1], numbers[-1]
        storage = storages.get(storage_key)
        if storage is None:  # a tensor without elements
            storage = TypedStorage(Storage.from_bytes(np.empty(0, np.uint8)),
                                   names.tensor_dtype(_type), "")  # fmt: skip
        tensors[key] = rebuild.tensor_v2(storage, offset, size, stride)
    return tensors
