"""Pickles in a row, as the formats before 1.6 have them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.machine import PickleMachine
from dtorch.serialization.room import Room, shown
from dtorch.serialization.source import Source
from dtorch.serialization.unpickler import SafeUnpickler, make_unpickler, run, texts_of


class PickleReader:
    """Reads pickles, and what stands between them, one after another.

    Args:
        room: what the objects made may take.

    Attributes:
        at: where in the source it stands.
    """

    def __init__(self, source: Source, start: int, room: Room) -> None:
        self._source = source
        self._room = room
        self.at = start

    def read(self, nbytes: int) -> bytes:
        """The next bytes; fewer at the end."""
        piece = bytes(self._source.read(self.at, nbytes))
        self.at += len(piece)
        return piece

    def array(self, nbytes: int) -> tuple[np.ndarray, Any]:
        """Memory with the next bytes, and its owner."""
        memory, owner = self._source.array(self.at, nbytes)
        self.at += nbytes
        return memory, owner

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
            return make_unpickler(self, persistent, **options).load()
        return self.run(SafeUnpickler, persistent, **texts_of(options))

    def run(self, machine: Callable[..., PickleMachine], *args: Any, **texts: Any) -> Any:
        """The next pickle, executed by a machine of this kind."""
        start = self.at
        texts |= {"room": self._room, "more": lambda at, n: self._source.read(start + at, n)}
        running = machine(b"", *args, **texts)
        obj = run(running)
        self.at = start + running.end
        return obj

    def plain(self) -> Any:
        """The next pickle, of numbers, texts and names of types."""
        return self.unpickle(no_references, True, {})


def no_references(pid: Any) -> Any:
    """For pickles that refer to nothing: raises."""
    raise CheckpointError(f"checkpoint: it refers to {shown(pid)} where it has to be plain")
