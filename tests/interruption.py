"""Ctrl-C at every place of a piece of work where Python may run the handler of a signal."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, Iterator
from typing import Any

from dtorch.core import interrupts

# Python runs handlers where a function begins, after a call of what is not written in Python, and
# where a loop goes back; a call of a function that is begins one.
_PLACES = ("RESUME", "CALL", "CALL_FUNCTION_EX", "CALL_KW", "JUMP_BACKWARD")


class _Tracer:
    """Raises KeyboardInterrupt at the ``nr``-th such place."""

    def __init__(self, nr: int) -> None:
        self._left = nr
        self._last: dict[Any, str] = {}
        self.place = ""

    def forget(self) -> None:
        """Let go of the frames."""
        self._last.clear()

    def __call__(self, frame: Any, event: str, arg: Any) -> Any:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "return":
            self._last.pop(frame, None)
            if frame.f_back is not None:
                self._last[frame.f_back] = ""  # it called a function, which has returned
        if event != "opcode":
            return self
        before = self._last.get(frame, "")
        self._last[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
        if before in _PLACES and not self.place and not interrupts._depth:
            if self._left == 0:
                self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
                raise KeyboardInterrupt
            self._left -= 1
        return self


def interruptions(work: Callable[[], Any], every: int = 1) -> Iterator[str]:
    """Interrupt the work at the first place, then, from its beginning, at the next, and so on.

    Yields the place after each time, when it has to be as if the work had not been done, or had been
    done.
    """
    work()
    nr = 0
    while True:
        tracer = _Tracer(nr)
        sys.settrace(tracer)
        try:
            work()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
            tracer.forget()
        if not tracer.place:
            return
        yield tracer.place
        nr += every
