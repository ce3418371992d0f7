"""Telling a living process from a dead one, also after its number was given away again."""

from __future__ import annotations

import os
import signal

_STOPPED = "stopped by a signal"


def start_time(pid: int) -> int | None:
    """When ``pid`` started, in clock ticks after boot; None once it has exited.

    A zombie has exited. Together with the pid the time names one process for ever. Where there
    is no ``/proc`` the time is 0 for every living process.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            stat = file.read()
    except (FileNotFoundError, ProcessLookupError):
        return 0 if not os.path.exists("/proc/self/stat") and _answers(pid) else None
    # The second field is the command in parentheses and may itself contain both.
    state, *fields = stat[stat.rindex(b")") + 2 :].split()
    return None if state in b"ZXx" else int(fields[18])


def parent_of(pid: int) -> int:
    """The process above ``pid``; 0 if it has ended, or where there is no ``/proc``."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def named(pid: int) -> str:
    """``pid 7``, and that it was stopped if it was, which is why one waits for it in vain."""
    return f"pid {pid}, {_STOPPED}" if is_stopped(pid) else f"pid {pid}"


def is_stopped(pid: int) -> bool:
    """Whether it waits for SIGCONT, or for a debugger."""
    return activity(pid) == _STOPPED


def activity(pid: int) -> str:
    """What the system says a process is doing, as the end of a sentence."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            letter = file.read().rpartition(")")[2].split()[0]
    except OSError:
        return "unknown"
    return {"T": _STOPPED, "t": _STOPPED, "D": "waiting for a device", "R": "running",
            "S": "waiting"}.get(letter, letter)  # fmt: skip


def signal_name(number: int) -> str:
    """``SIGKILL`` and so on; real-time signals have numbers only."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _answers(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
