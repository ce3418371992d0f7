"""Pickles in a row, as the formats before 1.6 have them."""

from __future__ import annotations

from typing import Any

from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.scan import pickle_end
from dtorch.serialization.source import Source
from dtorch.serialization.unpickler import make_unpickler, unpickle

_FIRST_PIECE = 1 << 16


class PickleReader:
    """Reads pickles, and what stands between them, one after another.

    Attributes:
        at: where in the source it stands.
    """

    def __init__(self, source: Source, start: int) -> None:
        self._source = source
        self.at = start

    def read(self, nbytes: int) -> bytes:
        """The next bytes; fewer at the end."""
        piece = bytes(self._source.read(self.at, nbytes))
        self.at += len(piece)
        return piece

    def readline(self) -> bytes:
        """The next bytes up to a line's end."""
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
        return unpickle(self.next_pickle(), persistent, True, **options)

    def next_pickle(self) -> bytes:
        """The bytes of the next pickle, which was looked over."""
        size = _FIRST_PIECE
        while True:
            data = bytes(self._source.read(self.at, size))
            end = pickle_end(data, whole=len(data) < size)
            if end is not None:
                self.at += end
                return data[:end]
            size *= 4

    def plain(self) -> Any:
        """The next pickle, of numbers, texts and names of types."""
        return self.unpickle(no_references, True, {})


def no_references(pid: Any) -> Any:
    """For pickles that refer to nothing: raises."""
    raise CheckpointError(f"checkpoint: it refers to {pid!r} where it has to be plain")
