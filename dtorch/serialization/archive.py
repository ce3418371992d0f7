"""The zip container of checkpoints: entries stored as they are, their data aligned in the file.

Python's ``zipfile`` is not used because it takes 30 microseconds for an entry, and checkpoints
have thousands.

Reference: APPNOTE.TXT 6.3 (PKWARE), sections 4.3 and 4.5.3.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from dtorch.core.backend import native
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.source import Source

ALIGNMENT = 64
LIMIT_32 = 0xFFFF_FFFF  # from here on a field needs its 64-bit form
LIMIT_16 = 0xFFFF

_LOCAL = struct.Struct("<4s5H3I2H")
_LOCAL_SIZES = struct.Struct("<4s22x2H")  # its magic number, and the sizes of name and extra
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_END = struct.Struct("<4s4H2IH")
_END_64 = struct.Struct("<4sQ2H2I4Q")
_LOCATOR_64 = struct.Struct("<4sIQI")
_LOCAL_MAGIC, _CENTRAL_MAGIC, _END_MAGIC = b"PK\3\4", b"PK\1\2", b"PK\5\6"
_END_64_MAGIC, _LOCATOR_64_MAGIC = b"PK\6\6", b"PK\6\7"

_VERSION, _VERSION_64 = 20, 45
_DATE = 0x21  # 1 January 1980: equal contents make equal files
_EXTRA_64, _EXTRA_PADDING = 1, 0x4246
_JOINED = 1 << 14  # data up to here is copied to save a call of write()
_COMMENT = 1 << 16

# The native module leaves it out where its own is not the faster one.
crc32: Callable[..., int] = getattr(native, "crc32", zlib.crc32)


class Entry(NamedTuple):
    """One member of an archive.

    Attributes:
        header_at: offset of its local header.
        packed: size of its data in the file.
        nbytes: size of its data.
        crc: CRC-32 of its data.
        method: how it is compressed; 0 for not at all.
    """

    header_at: int
    packed: int
    nbytes: int
    crc: int
    method: int


class Writable(Protocol):
    """All of a file that writing needs."""

    def write(self, data: Any, /) -> Any:
        """Append these bytes."""


class ArchiveWriter:
    """Writes entries one after another; needs no seeking."""

    def __init__(self, file: Writable) -> None:
        self._file = file
        self._at = 0
        self._directory: list[bytes] = []

    def add(self, name: str, data: Any) -> None:
        """Write an entry with an aligned start."""
        crc = crc32(data)
        encoded, nbytes, header_at = name.encode(), len(data), self._at
        if nbytes >= LIMIT_32:
            extra, size, version = _sizes_64(nbytes, nbytes), LIMIT_32, _VERSION_64
        else:
            extra, size, version = b"", nbytes, _VERSION
        extra += _PADDINGS[-(header_at + _LOCAL.size + len(encoded) + len(extra)) % ALIGNMENT]
        header = _LOCAL.pack(_LOCAL_MAGIC, version, 0, 0, 0, _DATE, crc, size, size, len(encoded),
                             len(extra))  # fmt: skip
        if nbytes < _JOINED:
            self._write(b"".join((header, encoded, extra, data)))
        else:
            self._write(header + encoded + extra)
            self._write(data)
        self._directory.append(_central(encoded, crc, nbytes, header_at))

    def close(self) -> None:
        """Write the directory. The file itself stays open."""
        start = self._at
        self._write(b"".join(self._directory))
        count, nbytes = len(self._directory), self._at - start
        if count >= LIMIT_16 or start >= LIMIT_32 or nbytes >= LIMIT_32:
            end_64 = _END_64.pack(_END_64_MAGIC, _END_64.size - 12, _VERSION_64, _VERSION_64, 0, 0,
                                  count, count, nbytes, start)  # fmt: skip
            self._write(end_64 + _LOCATOR_64.pack(_LOCATOR_64_MAGIC, 0, start + nbytes, 1))
        count = min(count, LIMIT_16)
        self._write(_END.pack(_END_MAGIC, 0, 0, count, count, min(nbytes, LIMIT_32),
                              min(start, LIMIT_32), 0))  # fmt: skip

    def _write(self, data: Any) -> None:
        self._file.write(data)
        self._at += len(data)


def _sizes_64(*values: int) -> bytes:
    return struct.pack(f"<HH{len(values)}Q", _EXTRA_64, 8 * len(values), *values)


def _padding(missing: int) -> bytes:
    """An extra field of this many bytes, or of ALIGNMENT more where that is too small for one."""
    if not missing:
        return b""
    missing += ALIGNMENT if missing < 4 else 0  # the field's own header takes 4 bytes
    return struct.pack("<HH", _EXTRA_PADDING, missing - 4) + bytes(missing - 4)


# By how many bytes are missing to the next multiple of ALIGNMENT.
_PADDINGS = [_padding(missing) for missing in range(ALIGNMENT)]


def _central(name: bytes, crc: int, nbytes: int, header_at: int) -> bytes:
    if nbytes < LIMIT_32 and header_at < LIMIT_32:
        return _CENTRAL.pack(_CENTRAL_MAGIC, _VERSION, _VERSION, 0, 0, 0, _DATE, crc, nbytes, nbytes,
                             len(name), 0, 0, 0, 0, 0, header_at) + name  # fmt: skip
    large = [nbytes, nbytes] if nbytes >= LIMIT_32 else []
    if header_at >= LIMIT_32:
        large.append(header_at)
    extra, size = _sizes_64(*large), min(nbytes, LIMIT_32)
    return _CENTRAL.pack(_CENTRAL_MAGIC, _VERSION_64, _VERSION_64, 0, 0, 0, _DATE, crc, size, size,
                         len(name), len(extra), 0, 0, 0, 0, min(header_at, LIMIT_32)
                         ) + name + extra  # fmt: skip


class Archive:
    """Reads an archive.

    Attributes:
        entries: the members, by full name.
        name: the folder that all members lie in.

    Raises:
        CheckpointError: the file is no such archive, was cut off, or its entries overlap.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.entries = _read_directory(source)
        records = [name for name in self.entries if name.endswith("/data.pkl")]
        first = min(records, key=len, default="")
        self.name = first.removesuffix("/data.pkl")
        end = 0
        for entry in sorted(self.entries.values()):
            if entry.header_at < end:
                raise CheckpointError("zip archive: its entries overlap each other; refused")
            end = entry.header_at + _LOCAL.size + entry.packed
        if end > source.nbytes:
            raise CheckpointError("zip archive: its entries go beyond its end; it is cut off")

    def __contains__(self, record: str) -> bool:
        return f"{self.name}/{record}" in self.entries

    def read(self, record: str) -> bytes:
        """The contents of a member."""
        return self._read(f"{self.name}/{record}")

    def array(self, record: str) -> tuple[Any, Any]:
        """The contents of a member as uint8 memory, and the owner of that memory."""
        name = f"{self.name}/{record}"
        at, nbytes, crc = self._place(name)
        memory, owner = self._source.array(at, nbytes)
        # A file that is mapped is not read for its checksum.
        if crc and owner is None and crc32(memory) != crc:
            raise _differs(name)
        return memory, owner

    def verify(self) -> None:
        """Compare the members with their checksums, but for those that are compressed.

        Raises:
            CheckpointError: one differs.
        """
        for name, entry in self.entries.items():
            if not entry.method:
                self._read(name)

    def _read(self, name: str) -> bytes:
        at, nbytes, crc = self._place(name)
        data = bytes(self._source.read(at, nbytes))
        if len(data) != nbytes:
            raise CheckpointError(f"zip archive: cut off within {name!r}")
        if crc and crc32(data) != crc:
            raise _differs(name)
        return data

    def _place(self, name: str) -> tuple[int, int, int]:
        """Offset and size of a member's data; its checksum, 0 if PyTorch was told to omit it."""
        entry = self.entries.get(name)
        if entry is None:
            raise CheckpointError(f"zip archive: there is no member {name}")
        if entry.method:
            raise CheckpointError(
                f"zip archive: {name!r} is compressed, expected entries stored as they are; "
                "unpack the file and pack it again with `zip -0`"
            )
        header = self._source.read(entry.header_at, _LOCAL.size)
        try:
            magic, name_size, extra_size = _LOCAL_SIZES.unpack(header)
        except struct.error:  # the file ends within it
            magic = b""
        if magic != _LOCAL_MAGIC:
            raise CheckpointError(f"zip archive: no header of {name!r} at {entry.header_at}")
        at = entry.header_at + _LOCAL.size + name_size + extra_size
        if at + entry.nbytes > self._source.nbytes:
            raise CheckpointError(f"zip archive: cut off within {name!r}")
        return at, entry.nbytes, entry.crc


def _differs(name: str) -> CheckpointError:
    return CheckpointError(f"zip archive: {name!r} does not match its checksum, it is damaged")


def _read_directory(source: Source) -> dict[str, Entry]:
    count, nbytes, start = _read_end(source)
    if start + nbytes > source.nbytes or count * _CENTRAL.size > nbytes:
        raise CheckpointError(
            f"zip archive: a directory of {count} entries in {nbytes} bytes at {start} does not "
            f"fit a file of {source.nbytes} bytes; it is damaged or cut off"
        )
    directory = bytes(source.read(start, nbytes))
    entries, at = {}, 0
    unpack, size = _CENTRAL.unpack_from, _CENTRAL.size
    try:
        for _ in range(count):
            (magic, _, _, _, method, _, _, crc, packed, unpacked, name_size, extra_size, comment_size,
             _, _, _, header_at) = unpack(directory, at)  # fmt: skip
            if magic != _CENTRAL_MAGIC:
                raise CheckpointError("zip archive: an entry of the directory is damaged")
            at += size
            name = directory[at : at + name_size].decode()
            extra = at + name_size
            if LIMIT_32 in (packed, unpacked, header_at):
                packed, unpacked, header_at = _large(
                    directory[extra : extra + extra_size], packed, unpacked, header_at
                )
            at = extra + extra_size + comment_size
            if name in entries:
                raise CheckpointError(f"zip archive: it has the member {name!r} twice; refused")
            if not method and packed != unpacked:
                raise CheckpointError(f"zip archive: the member {name!r} has two sizes; refused")
            entries[name] = Entry(header_at, packed, unpacked, crc, method)
    except (struct.error, UnicodeDecodeError) as error:
        raise CheckpointError(f"zip archive: its directory is damaged: {error}") from error
    return entries


def _read_end(source: Source) -> tuple[int, int, int]:
    """Number of entries, size and offset of the directory."""
    tail_at = max(source.nbytes - _END.size - _COMMENT, 0)
    if source.nbytes >= _END.size:
        last = bytes(source.read(source.nbytes - _END.size, _END.size))
        if last.startswith(_END_MAGIC) and last.endswith(b"\0\0"):
            tail_at, tail = source.nbytes - _END.size, last  # the usual case: no comment
        else:
            tail = bytes(source.read(tail_at, source.nbytes - tail_at))
    else:
        tail = b""
    found = tail.rfind(_END_MAGIC)
    if found < 0 or found + _END.size > len(tail):
        raise CheckpointError(
            "zip archive: its end is missing; the file was cut off, or is still being written"
        )
    _, _, _, _, count, nbytes, start, _ = _END.unpack_from(tail, found)
    if count == LIMIT_16 or nbytes == LIMIT_32 or start == LIMIT_32:
        return _read_end_64(source, tail_at + found - _LOCATOR_64.size) or (count, nbytes, start)
    return count, nbytes, start


def _read_end_64(source: Source, locator_at: int) -> tuple[int, int, int] | None:
    if locator_at < 0:
        return None
    locator = bytes(source.read(locator_at, _LOCATOR_64.size))
    if not locator.startswith(_LOCATOR_64_MAGIC):
        return None
    end = bytes(source.read(_LOCATOR_64.unpack(locator)[2], _END_64.size))
    if len(end) < _END_64.size or not end.startswith(_END_64_MAGIC):
        raise CheckpointError("zip archive: its 64-bit end record is damaged")
    *_, count, nbytes, start = _END_64.unpack(end)
    return count, nbytes, start


def _large(extra: bytes, *values: int) -> list[int]:
    """Sizes (packed, unpacked) and offset, where those too large for 32 bits stand apart."""
    at = 0
    while at + 4 <= len(extra):
        kind, nbytes = struct.unpack_from("<HH", extra, at)
        if kind == _EXTRA_64:
            wide = list(struct.unpack_from(f"<{nbytes // 8}Q", extra, at + 4))
            packed, unpacked, header_at = values
            # In the field the unpacked size comes first.
            unpacked = wide.pop(0) if unpacked == LIMIT_32 and wide else unpacked
            packed = wide.pop(0) if packed == LIMIT_32 and wide else packed
            header_at = wide.pop(0) if header_at == LIMIT_32 and wide else header_at
            return [packed, unpacked, header_at]
        at += 4 + nbytes
    return list(values)
