"""Telling a worker that is still doing something from one that hangs."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

# Below these rates, each for one second, a worker counts as idle. A thread that only wakes up to
# look at a flag or a queue stays below them; saving, computing, talking to a server do not.
BUSY_CORES = 0.05
BUSY_BYTES = 1 << 16
BUSY_SWITCHES = 20

# A process ended while being looked at, or belongs to another user.
UNREADABLE = (FileNotFoundError, ProcessLookupError, PermissionError)


@dataclass(frozen=True)
class Activity:
    """What the processes of one session have done since they started.

    Attributes:
        at: seconds on the monotonic clock.
        cpu: seconds of processor time.
        nbytes: bytes read and written by system calls.
        switches: times a thread stopped to wait; traffic on sockets shows only here.
        in_disk_wait: a thread waits for a disk at this moment.
    """

    at: float
    cpu: float
    nbytes: int
    switches: int
    in_disk_wait: bool

    def is_busy_since(self, before: Activity) -> bool:
        span = max(self.at - before.at, 0.001)
        return (
            self.in_disk_wait
            or self.cpu - before.cpu > BUSY_CORES * span
            or self.nbytes - before.nbytes > BUSY_BYTES * span
            or self.switches - before.switches > BUSY_SWITCHES * span
        )


class Idleness:
    """For how long some processes have done nothing.

    Args:
        activity: tells what they have done so far; None where that is not known.
    """

    def __init__(self, activity: Callable[[], Activity | None]) -> None:
        self._activity = activity
        self._looked: Activity | None = None
        self._since = 0.0

    def begin(self) -> None:
        """What was before counts no more."""
        self._since = time.monotonic()
        self._looked = self._activity()

    def seconds(self) -> float:
        """Seconds since the last look at which they had done something; looks."""
        now, before = time.monotonic(), self._looked
        self._looked = activity = self._activity()
        if activity is not None and before is not None and activity.is_busy_since(before):
            self._since = now
        return now - self._since


def session_activity(session: int) -> Activity | None:
    """Sums over the processes of ``session``; None where there is no ``/proc`` to tell."""
    if not _has_proc():
        return None
    cpu, nbytes, switches, in_disk_wait = 0.0, 0, 0, False
    ticks = os.sysconf("SC_CLK_TCK")
    for pid, fields in _session_members(session):
        cpu += (int(fields[11]) + int(fields[12])) / ticks
        with contextlib.suppress(*UNREADABLE):
            nbytes += _sum(f"/proc/{pid}/io", ("rchar", "wchar"))
            for task in os.listdir(f"/proc/{pid}/task"):
                switches += _sum(f"/proc/{pid}/task/{task}/status", ("voluntary_ctxt_switches",))
                in_disk_wait |= _stat(f"/proc/{pid}/task/{task}/stat")[0] == "D"
    return Activity(time.monotonic(), cpu, nbytes, switches, in_disk_wait)


def session_is_alive(session: int) -> bool:
    """Whether a process of ``session`` still runs; where there is no ``/proc``: presumably."""
    return not _has_proc() or any(_session_members(session))


def _has_proc() -> bool:
    return os.path.exists("/proc/self/stat")


def _session_members(session: int) -> Iterator[tuple[str, list[str]]]:
    """Pid and stat fields of each process of ``session`` that has not ended."""
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            with contextlib.suppress(*UNREADABLE):
                fields = _stat(f"/proc/{pid}/stat")
                if int(fields[3]) == session and fields[0] not in "ZX":
                    yield pid, fields


def _stat(path: str) -> list[str]:
    """The fields of a stat file after the command's name, which may itself contain anything."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read().rpartition(")")[2].split()


def _sum(path: str, names: tuple[str, ...]) -> int:
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = [line.split(":") for line in file if ":" in line]
    return sum(int(parts[1]) for parts in lines if parts[0] in names)
