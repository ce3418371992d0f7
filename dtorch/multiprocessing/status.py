"""Which arenas are alive on this machine, and who uses them: ``python -m dtorch.multiprocessing``.

Arenas have no names; they are found as open descriptors of processes, so an arena is seen if one
of its processes may be looked into: those of the same user, or all for root. Nothing here attaches
to an arena or keeps it alive.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from dtorch.core.errors import StorageError
from dtorch.multiprocessing import layout
from dtorch.multiprocessing.processes import start_time

_LINK = re.compile(r"/memfd:dtorch \(deleted\)|/dev/shm/dtorch-\w+ \(deleted\)")


@dataclass(frozen=True)
class ArenaStatus:
    """One arena, as seen from outside.

    Attributes:
        id: hexadecimal name.
        owner: pid of the process that made it.
        owner_is_alive: whether that one still runs.
        nbytes: bytes for blocks.
        resident_nbytes: memory it really takes.
        blocks: how many are held or under way.
        holders: blocks held by each living process, by pid.
        messages: how many are under way, by record.
        open_in: pids of the processes with a descriptor of it; one is the broker.
    """

    id: str
    owner: int
    owner_is_alive: bool
    nbytes: int
    resident_nbytes: int
    blocks: int
    holders: dict[int, int]
    messages: int
    open_in: list[int]


def arenas() -> list[ArenaStatus]:
    """All arenas that can be seen, by owner.

    Raises:
        StorageError: the system has no ``/proc``.
    """
    if not os.path.isdir("/proc/self/fd"):
        raise StorageError("shared memory: arenas are found through /proc, which is not here")
    paths: dict[int, str] = {}
    users: dict[int, list[int]] = {}
    for pid, path in _descriptors():
        try:
            inode = os.stat(path).st_ino
        except OSError:
            continue
        paths.setdefault(inode, path)
        users.setdefault(inode, []).append(pid)
    found = [_look_into(paths[inode], sorted(set(users[inode]))) for inode in paths]
    return sorted(
        (arena for arena in found if arena is not None), key=lambda arena: (arena.owner, arena.id)
    )


def report() -> list[dict[str, Any]]:
    """The same as plain dicts."""
    return [asdict(arena) for arena in arenas()]


def table() -> str:
    """The same for people."""
    rows = [("ARENA", "OWNER", "SIZE", "IN MEMORY", "BLOCKS", "MESSAGES", "HELD BY (pid: blocks)")]
    for arena in arenas():
        owner = f"{arena.owner}" if arena.owner_is_alive else f"{arena.owner} (ended)"
        holders = ", ".join(f"{pid}: {count}" for pid, count in sorted(arena.holders.items()))
        rows.append((
            arena.id, owner, _mib(arena.nbytes), _mib(arena.resident_nbytes), str(arena.blocks),
            str(arena.messages), holders or "nobody",
        ))  # fmt: skip
    if len(rows) == 1:
        return "no arenas of shared memory are alive (that this user can see)"
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _descriptors() -> list[tuple[int, str]]:
    """(pid, path below /proc) of every descriptor of an arena."""
    pids = [name for name in os.listdir("/proc") if name.isdecimal()]
    return [(int(pid), path) for pid in pids for path in _arenas_of(f"/proc/{pid}/fd")]


def _arenas_of(folder: str) -> list[str]:
    found = []
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return []  # ended, or not ours to see
    for name in names:
        path = f"{folder}/{name}"
        with contextlib.suppress(FileNotFoundError, PermissionError):  # as above
            if _LINK.fullmatch(os.readlink(path)):
                found.append(path)
    return found


def _look_into(path: str, users: list[int]) -> ArenaStatus | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        magic, arena_id, nbytes, pid, started = layout.HEADER.unpack(
            os.pread(fd, layout.HEADER.size, 0)
        )
        if magic != layout.MAGIC:
            return None
        plan = layout.layout_of(nbytes)
        blocks, holders, messages = _counts(fd, plan)
        return ArenaStatus(
            f"{arena_id:016x}", pid, start_time(pid) == started, nbytes,
            os.fstat(fd).st_blocks * 512, blocks, holders, messages, users,
        )  # fmt: skip
    except (OSError, struct.error):
        return None
    finally:
        os.close(fd)


def _counts(fd: int, plan: layout.Layout) -> tuple[int, dict[int, int], int]:
    """Blocks in use, blocks by pid, and messages under way."""
    (slots,) = struct.unpack("<Q", os.pread(fd, 8, layout.SLOTS_USED_AT))
    (used,) = struct.unpack("<Q", os.pread(fd, 8, layout.BLOCKS_USED_AT))
    held, flight = np.zeros(used, bool), np.zeros(used, np.uint64)
    holders: dict[int, int] = {}
    for slot in range(slots):
        at = layout.SLOTS_AT + layout.SLOT.size * slot
        pid, started = layout.SLOT.unpack(os.pread(fd, layout.SLOT.size, at))
        row = os.pread(fd, 8 * used, plan.cells_at + 8 * plan.max_blocks * slot)
        cells = np.frombuffer(row, np.uint64)
        flight += (cells >> np.uint64(40)) - (cells >> np.uint64(16))
        holds = (cells & np.uint64(layout.HOLD_MASK)) != 0
        if pid and start_time(pid) == started and holds.any():
            held |= holds
            holders[pid] = holders.get(pid, 0) + int(holds.sum())
    in_use = held | ((flight & np.uint64(layout.COUNT_MASK)) != 0)
    table = os.pread(fd, layout.RECORD.size * layout.MAX_MESSAGES, plan.messages_at)
    kinds = np.frombuffer(table, np.uint64)[::3] & np.uint64(layout.KIND_MASK)
    return int(in_use.sum()), holders, int((kinds != layout.FREE).sum())


def _mib(nbytes: int) -> str:
    return f"{nbytes / 2**20:.1f} MiB"
