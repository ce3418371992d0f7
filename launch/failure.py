"""Why a job failed: what the workers recorded, which failure came first, how it is told."""

from __future__ import annotations

import json
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
        message: the last line of its traceback; a `sys.exit` message as it is.
        where: innermost line of the user's own code.
        traceback: all of it, with the chained ones; empty for a `sys.exit` message.
    """

    time: float
    message: str
    where: str
    traceback: str

    @property
    def text(self) -> str:
        return self.traceback or self.message + "\n"


def read_record(path: Path, pid: int) -> ErrorRecord | None:
    """The record that process ``pid`` left at ``path``; None if it left none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if content["pid"] != pid:  # of an earlier job or start with the same log directory
        return None
    return ErrorRecord(content["time"], content["message"], content["where"], content["traceback"])


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
    """

    rank: int
    pid: int
    exit: Exit
    time: float
    hung_after: float | None
    record: ErrorRecord | None
    stacks: str

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
        what = self.record.message.splitlines()[-1] if self.record else self._what()
        return f"rank {self.rank} (pid {self.pid}) after that: {what}"

    def _what(self) -> str:
        if self.hung_after is not None:
            return (
                f"hangs at exit: its program has ended (exit code {self.exit.code}), its process "
                f"has not and did nothing for {self.hung_after:g} s; killed "
                "(--exit-timeout sets the time, 0 waits for ever)"
            )
        if self.exit.signal_name is not None:
            return f"was killed by {self.exit.signal_name}"
        if self.exit.code == 0:
            return "ended"
        return f"failed with exit code {self.exit.code}"


def without_bootstrap(stacks: str) -> str:
    """A fault handler's dump without the frames of the bootstrap, which are not the user's."""
    lines = stacks.splitlines(keepends=True)
    return "".join(line for line in lines if 'bootstrap.py", line' not in line)


def is_interrupt(exit: Exit) -> bool:
    """Whether the worker ended by Ctrl-C, as a process or with the code that says so."""
    return exit.shell_code == KEYBOARD_INTERRUPT_CODE
