"""The part of a file that has arrived, and what is needed to ask for the rest."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Source:
    """Which bytes a partial file has.

    Attributes:
        url: where they came from.
        validator: the server's ETag or date of this version; without, nothing can be continued.
    """

    url: str
    validator: str


class Partial:
    """A partial file beside its destination: ``.name.part``, and ``.name.part.json`` about it."""

    def __init__(self, destination: Path) -> None:
        self.path = destination.with_name(f".{destination.name}.part")
        self._note = destination.with_name(f".{destination.name}.part.json")

    def size(self) -> int:
        """Bytes that are there."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def source(self) -> Source | None:
        """Whose bytes these are; None if that is not known."""
        try:
            return Source(**json.loads(self._note.read_text(encoding="utf-8")))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def begin(self, source: Source | None) -> None:
        """Forget what is there; what follows comes from ``source``."""
        self.discard()
        if source is not None:
            self._note.write_text(json.dumps(asdict(source)), encoding="utf-8")

    def discard(self) -> None:
        """Remove the files."""
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def finish(self, destination: Path) -> None:
        """Put the complete file in its place."""
        self.path.replace(destination)
        self._note.unlink(missing_ok=True)
