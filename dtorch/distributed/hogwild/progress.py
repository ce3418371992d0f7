"""Shows how a Hogwild run goes: one line that is rewritten on a terminal, now and then one else."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

_ON_TERMINAL_S = 0.2
_ELSEWHERE_S = 10.0


class Progress:
    """The display.

    Args:
        shown: False: show nothing.
        stream: where; None: standard error.
    """

    def __init__(self, shown: bool, stream: TextIO | None = None) -> None:
        self._shown = shown
        self._stream = sys.stderr if stream is None else stream
        self._is_terminal = shown and self._stream.isatty()
        self._every_s = _ON_TERMINAL_S if self._is_terminal else _ELSEWHERE_S
        self._began = self._looked = time.monotonic()
        self._steps = 0
        self._width = 0

    def update(self, steps: int, workers: int, metrics: Mapping[str, float]) -> None:
        """Show it if it is time."""
        now = time.monotonic()
        if not self._shown or now - self._looked < self._every_s:
            return
        rate = (steps - self._steps) / (now - self._looked)
        self._looked, self._steps = now, steps
        self._write(_line(steps, rate, workers, metrics, now - self._began))

    def say(self, message: str) -> None:
        """A line of its own, also when progress is not shown."""
        self.end()
        print(message, file=self._stream, flush=True)

    def end(self) -> None:
        """The last line stays."""
        if self._width:
            print(file=self._stream, flush=True)
            self._width = 0

    def _write(self, line: str) -> None:
        if self._is_terminal:
            self._stream.write("\r" + line.ljust(self._width))
            self._width = len(line)
        else:
            self._stream.write(line + "\n")
        self._stream.flush()


def _line(
    steps: int, rate: float, workers: int, metrics: Mapping[str, float], seconds: float
) -> str:
    shown = "  ".join(f"{name} {value:.4g}" for name, value in metrics.items())
    line = f"hogwild: {workers} workers  {steps:,} steps  {rate:,.0f} steps/s  {seconds:.0f} s"
    return f"{line}  {shown}".rstrip()
