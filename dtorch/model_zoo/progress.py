"""Progress of a download on stderr: tqdm where it is installed, else a line of our own."""

from __future__ import annotations

import importlib
import sys
import time
from types import TracebackType
from typing import Any, Self


class Silent:
    """Shows nothing; the interface of the others."""

    def __init__(self, total: int | None, done: int) -> None:
        self.total = total
        self.done = done

    def update(self, count: int) -> None:
        """Count bytes that arrived."""
        self.done += count

    def close(self) -> None:
        """End the line."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()


class Line(Silent):
    """One line, rewritten twice a second on a terminal, written at the end elsewhere."""

    _INTERVAL = 0.5  # seconds

    def __init__(self, total: int | None, done: int) -> None:
        super().__init__(total, done)
        self._terminal = sys.stderr.isatty()
        self._shown = time.monotonic()

    def update(self, count: int) -> None:
        super().update(count)
        now = time.monotonic()
        if self._terminal and now - self._shown >= self._INTERVAL:
            self._shown = now
            sys.stderr.write("\r" + self._text())
            sys.stderr.flush()

    def close(self) -> None:
        sys.stderr.write(("\r" if self._terminal else "") + self._text() + "\n")

    def _text(self) -> str:
        mib = self.done / 2**20
        if not self.total:
            return f"{mib:.1f} MiB"
        return f"{100 * self.done / self.total:3.0f}% of {self.total / 2**20:.1f} MiB"


def progress_bar(total: int | None, done: int, show: bool) -> Any:
    """Something with ``update(bytes)``, to be used in a ``with`` statement.

    Args:
        total: size of the whole, in bytes, if known.
        done: bytes that are there already.
    """
    if not show:
        return Silent(total, done)
    try:
        tqdm = importlib.import_module("tqdm")
    except ImportError:
        return Line(total, done)
    return tqdm.tqdm(
        total=total, initial=done, unit="B", unit_scale=True, unit_divisor=1024, file=sys.stderr
    )
