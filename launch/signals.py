"""Signals to the launcher as something that a selector waits for."""

from __future__ import annotations

import os
import signal
from types import TracebackType
from typing import Any

RELAYED = (
    signal.SIGINT,
    signal.SIGTERM,
    signal.SIGHUP,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGTSTP,
)


class SignalRelay:
    """Collects the signals of `RELAYED` while entered.

    A signal that the launcher was started to ignore (``nohup``: SIGHUP; a background job: SIGINT)
    stays ignored, by the workers too, which inherit that.
    """

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write_fd, False)
        self._before: dict[int, Any] = {}  # what signal.signal returns: int, enum or function

    def __enter__(self) -> SignalRelay:
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for signum in RELAYED:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._before[signum] = signal.signal(signum, _note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)
        signal.set_wakeup_fd(-1)
        os.close(self.fd)
        os.close(self._write_fd)

    def read(self) -> list[int]:
        """The signals that came since the last call, in their order."""
        try:
            return [signum for signum in os.read(self.fd, 4096) if signum in self._before]
        except BlockingIOError:
            return []


def _note(signum: int, frame: object) -> None:
    """The wakeup descriptor has told already; a handler must exist for it to be written."""
