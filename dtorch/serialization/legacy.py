"""The formats before 1.6: a stream of pickles and raw storages, and before that a tar archive."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import tarfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from dtorch.core.dtype import dtype
from dtorch.core.storage import Storage
from dtorch.serialization import names
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.location import DeviceStorage, Restore
from dtorch.serialization.pickler import CheckpointPickler
from dtorch.serialization.rebuild import Rebuild, TypedStorage
from dtorch.serialization.scan import pickle_end
from dtorch.serialization.source import FileSource, Source, byteswapped
from dtorch.serialization.source_code import check_source
from dtorch.serialization.unpickler import (
    OBJECTS,
    make_unpickler,
    telling_damage,
    unpickle,
    without_types,
)

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
        return unpickle(self._next_pickle(), persistent, True, **options)

    def _next_pickle(self) -> bytes:
        size = _FIRST_PIECE
        while True:
            data = bytes(self._source.read(self.at, size))
            end = pickle_end(data, whole=len(data) < size)
            if end is not None:
                self.at += end
                return data[:end]
            size *= 4

    def find_storages(self, safe: bool, options: dict[str, Any]) -> dict[str, _Described]:
        """The storages that the next pickle of the stream refers to."""
        found: dict[str, _Described] = {}

        def look(file: Any) -> None:
            texts = {name: options[name] for name in ("encoding", "errors") if name in options}
            _FindStorages(file, found, **texts).load()

        if safe:
            with telling_damage():
                look(io.BytesIO(self._next_pickle()))
        else:
            look(self)
        return found

    def plain(self) -> Any:
        """The next pickle, of numbers, texts and names of types."""
        return self.unpickle(_no_references, True, {})


def _no_references(pid: Any) -> Any:
    raise CheckpointError(f"checkpoint: it refers to {pid!r} where it has to be plain")


class _Inert:
    """Stands for every object but texts, numbers and storages; whatever is done to it does nothing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def _nothing(self, *args: Any, **kwargs: Any) -> _Inert:
        return self

    __call__ = __setstate__ = __setitem__ = append = extend = add = _nothing


class _FindStorages(pickle.Unpickler):
    """Runs a pickle to learn which storages it refers to; makes nothing else.

    Their contents come after it, and have to be there when tensors are made: a sparse one looks at
    its indices.
    """

    def __init__(self, file: Any, found: dict[str, _Described], **options: Any) -> None:
        super().__init__(file, **options)
        self._found = found

    def find_class(self, module: str, name: str) -> Any:
        return OBJECTS.get((module, name), _Inert)

    def persistent_load(self, pid: Any) -> Any:
        if pid[0] == "storage":
            _, type_name, key, location, numel, *_ = pid
            if not isinstance(location, str) or not isinstance(numel, int):
                raise CheckpointError(f"checkpoint: it refers to {pid!r}, expected a storage")
            self._found.setdefault(
                str(key), _Described(names.STORAGE_DTYPES[type_name], location, numel)
            )
        return _Inert  # a class, as it may have to be


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
        self.given: list[TypedStorage] = []

    def __call__(self, pid: Any) -> Any:
        if pid[0] == "module":
            _, cls, file, source = pid
            check_source(cls, file, source)
            return cls
        kind, type_name, key, _, _, *view = pid
        if kind != "storage":
            raise CheckpointError(f"checkpoint: it refers to {pid!r}, expected a storage")
        typed = TypedStorage(self._storages[str(key)], names.STORAGE_DTYPES[type_name], type_name)
        if view and view[0] is not None:
            _, typed.offset, _ = view[0]
        self.given.append(typed)
        return typed


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
    pickle_at = reader.at
    described = reader.find_storages(safe, options)
    storages = _StreamStorages(_read_storages(source, reader, described, restore))
    obj = _Reader(source, pickle_at).unpickle(storages, safe, options)
    return without_types(obj, storages.given), reader.at


def _read_storages(
    source: Source, reader: _Reader, described: dict[str, _Described], restore: Restore
) -> dict[str, Any]:
    keys = reader.plain()
    if not isinstance(keys, list) or sorted(map(str, keys)) != sorted(described):
        raise CheckpointError(
            f"checkpoint: it refers to storages {sorted(described)} and has {keys!r}"
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
        memory, owner = source.array(reader.at, numel * d.itemsize)
        reader.at += memory.nbytes
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
    places = {name: FileSource(file, *place) for name, place in members.items()}
    with telling_damage():
        storages = _read_tar_storages(places["storages"], restore)
        tensors = _read_tar_tensors(places["tensors"], storages)
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


def _read_tar_storages(source: Source, restore: Restore) -> dict[int, TypedStorage]:
    reader = _Reader(source, 0)
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


def _read_tar_tensors(source: Source, storages: dict[int, TypedStorage]) -> dict[int, Any]:
    reader, rebuild = _Reader(source, 0), Rebuild()
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
