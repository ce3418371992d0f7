"""The broker: holds descriptors of arenas for processes that have not asked for them yet.

Runs on the standard library alone. It knows the processes it serves by pidfd, and ends with the
last one, whatever way that ends.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import select
import struct
import time
from collections import Counter

from dtorch.multiprocessing import layout
from dtorch.multiprocessing.channels import open_channels
from dtorch.multiprocessing.processes import start_time
from dtorch.multiprocessing.reception import Caller, Reception, answer

DEPOSIT, FETCH = b"D", b"F"
HAVE, HAVE_NOT = b"+", b"-"
REQUEST = struct.Struct("<cQQ")  # kind, arena id, pid of the client's parent
_FIRST_LOOK_S, _LAST_LOOK_S = 0.25, 30.0


def main(address: str, pids: list[int]) -> None:
    """Serve at an abstract address until the last of ``pids`` and of all clients has ended."""
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))  # a pipe we kept open would hide its end
    try:
        reception = Reception(address, REQUEST.size + 1, nfds=1)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise
        return  # somebody else was faster
    broker = Broker(reception)
    for pid in pids:
        broker.watch(pid)
    if os.fork():
        os._exit(0)  # tells who started us that the address is bound
    os.setsid()  # Ctrl-C is for the program, which may still need us to end in order
    os.chdir("/")
    broker.serve()


class Broker:
    """Descriptors by arena, and the processes that may still ask for one."""

    def __init__(self, reception: Reception) -> None:
        self._reception = reception
        self._arenas: dict[int, int] = {}  # id -> descriptor
        self._orphans: set[int] = set()  # arenas whose owner has ended
        self._clients: dict[int, int] = {}  # pidfd -> pid
        self._poll = select.poll()
        self._poll.register(reception, select.POLLIN)
        self._missing: set[int] = set()  # channels nobody could read from at the last look
        self._look_again_in(_FIRST_LOOK_S)

    def watch(self, pid: int) -> None:
        """Serve at least as long as this process runs."""
        if pid in self._clients.values() or not 0 < pid < 1 << 31:
            return
        with contextlib.suppress(ProcessLookupError):
            pidfd = os.pidfd_open(pid)
            self._clients[pidfd] = pid
            self._poll.register(pidfd, select.POLLIN)

    def serve(self) -> None:
        """Answer requests until no client is left."""
        while self._clients:
            wait = max(self._look_at - time.monotonic(), 0) * 1000 if self._orphans else None
            for fd, _ in self._poll.poll(wait):
                if fd == self._reception.fileno():
                    for caller in self._reception.callers():
                        self._serve(caller)
                else:
                    self._ended(fd)
            if self._orphans and time.monotonic() >= self._look_at:
                self._drop_unused()
                self._look_again_in(min(2 * self._look_after, _LAST_LOOK_S))

    def _look_again_in(self, seconds: float) -> None:
        self._look_after = seconds
        self._look_at = time.monotonic() + seconds

    def _serve(self, caller: Caller) -> None:
        with caller.socket:
            kind, arena_id, parent = b"", 0, 0
            if len(caller.message) == REQUEST.size:  # else it is none of our clients
                kind, arena_id, parent = REQUEST.unpack(caller.message)
                self.watch(caller.pid)
                self.watch(parent)
            if kind == DEPOSIT and caller.fds and _is_arena(caller.fds[0], arena_id):
                self._keep(arena_id, caller.fds.pop())
                answer(caller.socket, HAVE)
            elif kind == FETCH and arena_id in self._arenas:
                answer(caller.socket, HAVE, (self._arenas[arena_id],))
            else:
                answer(caller.socket, HAVE_NOT)
        for fd in caller.fds:
            os.close(fd)

    def _keep(self, arena_id: int, fd: int) -> None:
        if arena_id in self._arenas:
            os.close(fd)
        else:
            self._arenas[arena_id] = fd
            self._find_orphans()

    def _ended(self, pidfd: int) -> None:
        self._poll.unregister(pidfd)
        os.close(pidfd)
        del self._clients[pidfd]
        self._look_again_in(_FIRST_LOOK_S)
        self._find_orphans()
        self._drop_unused()

    def _find_orphans(self) -> None:
        living = set(self._clients.values())
        for arena_id, fd in self._arenas.items():
            owner = layout.HEADER.unpack(os.pread(fd, layout.HEADER.size, 0))[3]
            if owner not in living:
                self._orphans.add(arena_id)

    def _drop_unused(self) -> None:
        """Close arenas that nobody can allocate in any more and nobody uses."""
        lost = self._lost_channels()
        for arena_id in list(self._orphans):
            if not in_use(self._arenas[arena_id], lost):
                os.close(self._arenas.pop(arena_id))
                self._orphans.discard(arena_id)

    def _lost_channels(self) -> set[int]:
        """Channels of messages in orphans that nobody can read from, now and at the last look."""
        used = {
            channel
            for arena_id in self._orphans
            for _, _, channel in _messages(self._arenas[arena_id])
            if channel
        }
        readable = open_channels(list(self._clients.values())) if used else None
        missing = set() if readable is None else used - readable
        lost = missing & self._missing
        self._missing = missing
        return lost


def _is_arena(fd: int, arena_id: int) -> bool:
    """Whether it is what it is said to be, and as large as it says itself."""
    try:
        magic, its_id, nbytes, _, _ = layout.HEADER.unpack(os.pread(fd, layout.HEADER.size, 0))
        size = os.fstat(fd).st_size
    except (OSError, struct.error):
        return False
    return (magic, its_id) == (layout.MAGIC, arena_id) and layout.layout_of(nbytes).nbytes == size


def in_use(fd: int, lost: set[int]) -> bool:
    """Whether a living process holds a block of the arena, or a message with one is under way.

    Messages that went into the channels ``lost`` are not under way.
    """
    plan = _layout(fd)
    with mmap.mmap(fd, plan.data_at) as memory, memoryview(memory) as raw:
        (slots,) = struct.unpack_from("<Q", raw, layout.SLOTS_USED_AT)
        (blocks,) = struct.unpack_from("<Q", raw, layout.BLOCKS_USED_AT)
        rows = []
        dead = set()
        for slot in range(slots):
            pid, started = layout.SLOT.unpack_from(raw, layout.SLOTS_AT + layout.SLOT.size * slot)
            start = plan.cells_at + 8 * plan.max_blocks * slot
            row = raw[start : start + 8 * blocks].cast("Q").tolist()
            # What a dead process held counts no more; what it sent does.
            if not pid or start_time(pid) != started:
                dead.add(slot)
                row = [cell & ~layout.HOLD_MASK for cell in row]
            rows.append(row)
    gone: Counter[int] = Counter()
    for word, block, channel in _messages(fd):
        kind, slot, number, _ = layout.fields(word)
        index = (block & layout.BLOCK_MASK) - 1
        if kind == layout.SENT_STATE:
            gone[index] += channel in lost
        elif slot in dead and block:
            cell = rows[slot][index]
            if kind == layout.TAKING:
                gone[index] += cell >> layout.TAKEN_SHIFT & layout.COUNT_MASK == number
            else:
                gone[index] += cell >> layout.SENT_SHIFT != number
    for index, cells in enumerate(zip(*rows, strict=True)):
        holds, under_way = layout.count(list(cells))
        if holds or under_way != gone[index]:
            return True
    return False


def _layout(fd: int) -> layout.Layout:
    return layout.layout_of(layout.HEADER.unpack(os.pread(fd, layout.HEADER.size, 0))[2])


def _messages(fd: int) -> list[tuple[int, int, int]]:
    """The records in use: state, block, channel."""
    table = os.pread(fd, layout.RECORD.size * layout.MAX_MESSAGES, _layout(fd).messages_at)
    records = layout.RECORD.iter_unpack(table)
    return [record for record in records if record[0] & layout.KIND_MASK != layout.FREE]
