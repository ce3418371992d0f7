"""Places to read a file from: a descriptor, a memory map, a file object."""

from __future__ import annotations

import mmap
import os
from typing import Any, BinaryIO, Protocol

import numpy as np

from dtorch.core.dtype import dtype
from dtorch.serialization.errors import CheckpointError

_WINDOW = 1 << 20  # bytes read at once where small pieces are wanted
_SMALL = 1 << 16
_ALIGNMENT = 16


class Source(Protocol):
    """Random access to the bytes of a file.

    Attributes:
        nbytes: size of the file.
    """

    nbytes: int

    def read(self, offset: int, nbytes: int) -> bytes | memoryview:
        """The bytes there; fewer at the end of the file."""

    def array(self, offset: int, nbytes: int) -> tuple[np.ndarray, Any]:
        """Memory with these bytes, and the object that owns it (None for private memory)."""


class FileSource:
    """Reads a seekable binary file object; small pieces come from a window of it.

    Args:
        base: where in the file offset 0 is.
    """

    def __init__(self, file: BinaryIO, base: int = 0) -> None:
        self._file = file
        self._base = base
        self.nbytes = max(file.seek(0, os.SEEK_END) - base, 0)
        self._start = 0
        self._window, self._array = memoryview(b""), np.empty(0, np.uint8)  # the same bytes

    def read(self, offset: int, nbytes: int) -> memoryview:
        nbytes = min(nbytes, max(self.nbytes - offset, 0))
        start = offset - self._start
        if nbytes and (start < 0 or start + nbytes > len(self._window)):
            self._file.seek(self._base + offset)
            wanted = min(max(nbytes, _WINDOW), self.nbytes - offset)
            piece = self._file.read(wanted)
            self._window, self._array = memoryview(piece), np.frombuffer(piece, np.uint8)
            self._start, start = offset, 0
        return self._window[start : start + nbytes] if nbytes else self._window[:0]

    def array(self, offset: int, nbytes: int) -> tuple[np.ndarray, Any]:
        if offset + nbytes > self.nbytes:
            raise _ends(offset, nbytes)
        if 0 < nbytes <= _SMALL:
            start = offset - self._start
            if start < 0 or start + nbytes > self._array.nbytes:
                self.read(offset, nbytes)
                start = 0
            memory = self._array[start : start + nbytes].copy()
            if memory.nbytes < nbytes:  # the file has become shorter
                raise _ends(offset, nbytes)
            return memory, None
        memory = np.empty(nbytes, np.uint8)
        self._file.seek(self._base + offset)
        view = memory.data
        while view:
            count = self._read_into(view)
            if not count:
                raise _ends(offset, nbytes)
            view = view[count:]
        return memory, None

    def _read_into(self, view: memoryview) -> int:
        if hasattr(self._file, "readinto"):
            return self._file.readinto(view) or 0
        piece = self._file.read(len(view))
        view[: len(piece)] = piece
        return len(piece)


class Part:
    """A piece of another source."""

    def __init__(self, whole: Source, start: int, nbytes: int) -> None:
        self._whole = whole
        self._start = start
        self.nbytes = nbytes

    def read(self, offset: int, nbytes: int) -> bytes | memoryview:
        nbytes = min(nbytes, max(self.nbytes - offset, 0))
        return self._whole.read(self._start + offset, nbytes)

    def array(self, offset: int, nbytes: int) -> tuple[np.ndarray, Any]:
        if offset + nbytes > self.nbytes:
            raise _ends(offset, nbytes)
        return self._whole.array(self._start + offset, nbytes)


class MappedSource:
    """A file mapped privately: pages are read when touched, writes stay in this process."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        with open(path, "rb") as file:
            self.nbytes = os.fstat(file.fileno()).st_size
            self._map: Any = b""  # an empty file cannot be mapped
            if self.nbytes:
                self._map = mmap.mmap(file.fileno(), self.nbytes, access=mmap.ACCESS_COPY)

    def read(self, offset: int, nbytes: int) -> bytes:
        return bytes(self._map[offset : offset + nbytes])

    def array(self, offset: int, nbytes: int) -> tuple[np.ndarray, Any]:
        if offset + nbytes > self.nbytes:
            raise _ends(offset, nbytes)
        memory = np.frombuffer(self._map, np.uint8, nbytes, offset)
        if offset % _ALIGNMENT:  # other programs write such files; kernels want aligned elements
            return memory.copy(), None
        return memory, self._map


def byteswapped(memory: np.ndarray, d: dtype) -> np.ndarray:
    """The bytes of these elements in the other byte order."""
    part = d.itemsize // 2 if d.is_complex else d.itemsize
    whole = memory[: memory.nbytes - memory.nbytes % part]
    return whole.view(f"u{part}").byteswap().view(np.uint8)


def _ends(offset: int, nbytes: int) -> CheckpointError:
    return CheckpointError(f"checkpoint: the file ends within the {nbytes} bytes at {offset}")
