"""What the launcher prints: whole lines of many workers, and one progress bar that stays in place."""

from __future__ import annotations

import contextlib
import os
import select
import sys

# A pipe that polls as writable takes this much without making the writer wait (POSIX PIPE_BUF).
CHUNK = 4096
# More than this waiting for a slow reader, and the workers' own output is no longer read.
FULL = 1 << 18

ERASE_LINE = b"\r\x1b[K"


class Output:
    """The launcher's standard output or error. Never waits for whoever reads it, until `drain`.

    On a terminal the last row can show a line that is still being written, such as a progress
    bar; it moves down when whole lines are printed.

    Args:
        fd: where to write.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.is_terminal = os.isatty(fd) and os.environ.get("TERM", "dumb") != "dumb"
        self.reader_gone = False
        self._pending = bytearray()
        self._unfinished: dict[object, tuple[bool, bytes]] = {}
        self._shown = b""

    @property
    def is_blocked(self) -> bool:
        return bool(self._pending)

    @property
    def is_full(self) -> bool:
        return len(self._pending) > FULL

    def write_lines(self, text: bytes) -> None:
        """Prints ``text``, which ends with a newline."""
        if self._shown:
            self._pending += ERASE_LINE
            self._shown = b""
        self._pending += text

    def show_unfinished(self, writer: object, line: bytes, is_redrawn: bool = False) -> None:
        """Makes ``line`` the last row of a terminal, until ``writer`` gives another; empty: none.

        Of several writers, one that redraws its line (a progress bar) has precedence.
        """
        if not self.is_terminal:
            return
        if line:
            self._unfinished[writer] = (is_redrawn, self._fit(line))
        else:
            self._unfinished.pop(writer, None)

    def flush(self) -> None:
        """Writes what can be written without waiting."""
        _, line = max(self._unfinished.values(), default=(False, b""), key=lambda entry: entry[0])
        if line != self._shown:
            self._pending += (ERASE_LINE if self._shown else b"") + line
            self._shown = line
        self._write(timeout=0)

    def drain(self) -> None:
        """Writes everything, and waits for the reader if that takes long."""
        self._unfinished.clear()
        self.flush()
        self._write(timeout=None)

    def _write(self, timeout: float | None) -> None:
        ready = select.poll()
        ready.register(self.fd, select.POLLOUT)
        while self._pending and ready.poll(timeout):
            try:
                written = os.write(self.fd, self._pending[:CHUNK])
            except BlockingIOError:  # someone made the terminal non-blocking
                if timeout == 0:
                    break
                written = 0
            except OSError as error:
                # EPIPE: `dtorch-launch ... | head` has had enough. Else the terminal is gone
                # (nohup) or the disk is full: the job matters more than its messages.
                self.reader_gone = isinstance(error, BrokenPipeError)
                written = len(self._pending)
            del self._pending[:written]

    def _fit(self, line: bytes) -> bytes:
        """``line`` in one row: wrapped over two it could not be erased."""
        width = terminal_width(self.fd)
        text = line.decode("utf-8", "replace")
        return line if len(text) < width or "\x1b" in text else text[: width - 1].encode()


def terminal_width(fd: int) -> int:
    """Columns of the terminal ``fd``; 80 if it does not know."""
    with contextlib.suppress(OSError):
        return os.get_terminal_size(fd).columns or 80
    return 80


def standard_outputs() -> tuple[Output, Output]:
    """Outputs for stdout and stderr; the same one twice if both go to the same place."""
    # One that was closed before this process began is None.
    first, second = (
        os.open(os.devnull, os.O_WRONLY) if stream is None else stream.fileno()
        for stream in (sys.__stdout__, sys.__stderr__)
    )
    output = Output(first)
    same = os.path.samestat(os.fstat(first), os.fstat(second))
    return output, output if same else Output(second)
