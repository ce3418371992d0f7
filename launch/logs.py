"""From a worker's output to lines on the launcher's output and bytes in log files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from .output import Output

READ_SIZE = 1 << 16
PIPE_SIZE = 1 << 20  # the largest a pipe gets unless root enlarged it
# A "line" that does not end is printed in pieces of this size rather than kept.
LONGEST_LINE = 1 << 20


class LogFile:
    """One worker's output as it came, byte for byte.

    Args:
        path: the file; made anew, or continued if ``append``.

    Attributes:
        problem: why it could not be opened; it is no reason not to train.
    """

    def __init__(self, path: Path, append: bool) -> None:
        self.path = path
        self._file: BinaryIO | None = None
        self.problem: str | None = None
        try:
            self._file = path.open("ab" if append else "wb", buffering=0)
        except OSError as error:
            self.problem = f"{path}: {error.strerror}; this log file is not written"

    def write(self, data: bytes) -> str | None:
        """Writes ``data``. A message if that failed for the first time; afterwards all is dropped.

        A full disk must not stop the training.
        """
        if self._file is None:
            return None
        try:
            self._file.write(data)
        except OSError as error:
            self.close()
            return f"{self.path}: {error.strerror}; this log file ends here"
        return None

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


@dataclass(frozen=True)
class LogPlan:
    """What becomes of the workers' output.

    Attributes:
        outputs: the launcher's own, by ``"stdout"`` and ``"stderr"``.
        prefixed: whether each line on them starts with its rank.
        shown_ranks: ranks that are printed at all; None: all.
        directory: where log files go, or None.
    """

    outputs: dict[str, Output]
    prefixed: bool
    shown_ranks: frozenset[int] | None
    directory: Path | None

    def streams(self, rank: int, fds: dict[str, int], append: bool) -> dict[str, Stream]:
        """A stream for each descriptor of one worker's output."""
        streams = {}
        for name, fd in fds.items():
            shown = self.shown_ranks is None or rank in self.shown_ranks
            live = rank == min(self.shown_ranks or {0})
            file = None
            if self.directory is not None:
                file = LogFile(self.directory / f"rank{rank}.{name}.log", append)
            streams[name] = Stream(
                fd,
                self.outputs[name] if shown else None,
                f"[rank{rank}] ".encode() if self.prefixed else b"",
                live,
                file,
            )
        return streams


class Stream:
    """Standard output or error of one worker.

    Args:
        fd: non-blocking end of the worker's pipe.
        output: where its lines are printed; None: nowhere.
        prefix: put before each line; empty: lines stay byte for byte as they came.
        live: whether the line being written is shown on a terminal.
        file: log file for everything, or None.
    """

    def __init__(
        self, fd: int, output: Output | None, prefix: bytes, live: bool, file: LogFile | None
    ) -> None:
        self.fd = fd
        self._output = output
        self._prefix = prefix
        self._live = live
        self._file = file
        self._rest = b""
        if file is not None:
            self._report(file.problem)

    def read(self) -> bool:
        """Takes what is there, up to `READ_SIZE` bytes; False at the end of the stream."""
        try:
            data = os.read(self.fd, READ_SIZE)
        except BlockingIOError:
            return True
        self._take(data)
        return bool(data)

    def read_rest(self) -> None:
        """Takes what is there and counts an unfinished line as finished."""
        # A process that left the worker's session may still hold the pipe, and even write to it.
        for _ in range(PIPE_SIZE // READ_SIZE + 1):
            try:
                data = os.read(self.fd, READ_SIZE)
            except BlockingIOError:
                break
            if not data:
                break
            self._take(data)
        if self._rest and self._output is not None:
            self._show_live(b"", False)
            self._output.write_lines(self._finished(self._rest) + b"\n")
        self._rest = b""

    def append_to_file(self, text: str) -> None:
        """Adds what the launcher knows about the worker's end to its log file."""
        if self._file is not None:
            self._report(self._file.write(text.encode("utf-8", "backslashreplace")))

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _take(self, data: bytes) -> None:
        if self._file is not None:
            self._report(self._file.write(data))
        if self._output is None:
            return
        *lines, rest = (self._rest + data).split(b"\n")
        if len(rest) > LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        if lines:
            self._output.write_lines(b"".join(self._finished(line) + b"\n" for line in lines))
        # Of a progress bar only the last state is kept, however often it was redrawn.
        is_redrawn = b"\r" in rest
        if self._prefix and is_redrawn:
            rest = b"\r" + visible(rest) + (b"\r" if rest.endswith(b"\r") else b"")
        self._rest = rest
        self._show_live(visible(rest), is_redrawn)

    def _finished(self, line: bytes) -> bytes:
        return self._prefix + visible(line) if self._prefix else line

    def _show_live(self, line: bytes, is_redrawn: bool) -> None:
        if self._live and self._output is not None:
            row = self._prefix + line if line.strip() else b""
            self._output.show_unfinished(self, row, is_redrawn)

    def _report(self, problem: str | None) -> None:
        if problem is not None and self._output is not None:
            self._output.write_lines(f"dtorch-launch: {problem}\n".encode())


def visible(line: bytes) -> bytes:
    """What a terminal would show of ``line``: the last text written after a carriage return."""
    states = [state for state in line.split(b"\r") if state]
    return states[-1] if states else b""
