"""Why a job failed: what the workers recorded, which failure came first, how it is told."""

from __future__ import annotations

import json
import signal
from dataclasses import dataclass
from pathlib import Path

from .bootstrap import KEYBOARD_INTERRUPT_CODE
from .engines import Exit
from .job import Program


@dataclass(frozen=True)
class ErrorRecord:
    """What a worker wrote about the exception that ended it.

    Attributes:
        time: when it was raised, in seconds of the wall clock.
        code: exit code that follows from it.
        blames: process that it says is to blame, or None.
        message: the last line of its traceback; a `sys.exit` message as it is.
        where: innermost line of the user's own code.
        traceback: all of it, with the chained ones; empty for a `sys.exit` message.
    """

    time: float
    code: int
    blames: int | None
    message: str
    where: str
    traceback: str

    @property
    def text(self) -> str:
        return self.traceback or self.message + "\n"


def read_record(path: Path, pid: int) -> ErrorRecord | None:
    """The record that process ``pid`` left at ``path``; None if it left none.

    The program knows the path too, and may have written anything.
    """
    try:
        content = json.loads(path.read_bytes())
        if content["pid"] != pid:  # of an earlier job or start with the same log directory
            return None
        blames = content.get("blames")
        return ErrorRecord(
            time=float(content["time"]),
            code=int(content.get("code", 1)),
            blames=None if blames is None else int(blames),
            message=str(content["message"]),
            where=str(content["where"]),
            traceback=str(content["traceback"]),
        )
    except (
        OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError, OverflowError,
    ):  # fmt: skip
        return None


@dataclass(frozen=True)
class Failure:
    """How one worker failed.

    Attributes:
        rank: number of the worker.
        pid: its process.
        exit: how its process ended.
        time: when it went wrong, in seconds of the wall clock, as well as can be known.
        hung_after: seconds for which it stood still after its program had ended; None: it did not.
        record: what it recorded.
        stacks: Python stacks of a worker that crashed or hung.
        memory_kills: processes that the kernel has killed for want of memory since the start.
    """

    rank: int
    pid: int
    exit: Exit
    time: float
    hung_after: float | None
    record: ErrorRecord | None
    stacks: str
    memory_kills: int = 0

    @property
    def blames(self) -> int | None:
        """The process that it says is to blame."""
        return None if self.record is None else self.record.blames

    @property
    def exit_code(self) -> int:
        """The code with which the launcher passes this failure on; never 0."""
        return self.exit.shell_code or 1

    def summary(self, program: Program, world_size: int) -> str:
        return f"rank {self.rank} of {world_size} (pid {self.pid}) {self._what()}: {program}"

    def details(self) -> str:
        """Traceback, message or stacks, whole lines; may be empty."""
        if self.record is not None:
            return self.record.text
        return without_bootstrap(self.stacks)

    def consequence(self) -> str:
        """One line for a failure that followed another one."""
        lines = self.record.message.splitlines() if self.record else []
        what = lines[-1] if lines else self._what()
        return f"rank {self.rank} (pid {self.pid}) after that: {what}"

    def _what(self) -> str:
        if self.hung_after is not None:
            return (
                f"hangs at exit: its program has ended (exit code {self.exit.code}), its process "
                f"has not and did nothing for {self.hung_after:g} s; killed "
                "(--exit-timeout sets the time, after a failure --grace)"
            )
        if self.exit.code == -signal.SIGKILL and self.memory_kills:
            return f"was killed by SIGKILL, as the kernel does for want of memory ({self._kills})"
        if self.exit.signal_name is not None:
            return f"was killed by {self.exit.signal_name}"
        if self.exit.code == 0:
            return "ended"
        return f"failed with exit code {self.exit.code}"

    @property
    def _kills(self) -> str:
        processes = "process" if self.memory_kills == 1 else "processes"
        return f"{self.memory_kills} {processes} of this control group meanwhile"


def cause_first(failures: list[Failure]) -> list[Failure]:
    """The failures in the order of their times, but what caused the first of them before it.

    A worker may fail because another one did, and notice that before the other has told.
    """
    ordered = sorted(failures, key=lambda failure: failure.time)
    by_pid: dict[int | None, Failure] = {failure.pid: failure for failure in ordered}
    causes = ordered[:1]
    while causes and (blamed := by_pid.pop(causes[0].blames, None)) is not None:
        causes = [blamed]
    return causes + [failure for failure in ordered if failure not in causes]


def without_bootstrap(stacks: str) -> str:
    """A fault handler's dump without the frames of the bootstrap, which are not the user's."""
    lines = stacks.splitlines(keepends=True)
    return "".join(line for line in lines if 'bootstrap.py", line' not in line)


def is_interrupt(exit: Exit) -> bool:
    """Whether the worker ended by Ctrl-C, as a process or with the code that says so."""
    return exit.shell_code == KEYBOARD_INTERRUPT_CODE
