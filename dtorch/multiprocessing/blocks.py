"""Arenas and the blocks in them, as one process sees them."""

from __future__ import annotations

import os
import secrets
import select
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core.errors import StorageError
from dtorch.core.interrupts import completed
from dtorch.multiprocessing import layout
from dtorch.multiprocessing.ledger import Ledger
from dtorch.multiprocessing.memory import Mapping, byte_interface, check_sealed, create_memory
from dtorch.multiprocessing.messages import Ticket
from dtorch.multiprocessing.processes import start_time

# arena id, offset, bytes, index, generation, ticket of the message, address of the broker
Handle = tuple[int, int, int, int, int, Ticket, str]


class Arena:
    """One mapping of shared memory with many blocks in it, behind one descriptor.

    Attributes:
        id: random number that names it among all processes.
        fd: its descriptor, open as long as the object lives.
        owned: whether this process made it; only the owner gives out blocks.
        broker: address of the broker that was given the descriptor, "" while none was.
        blocks: the living blocks of this process, by index.
    """

    fd = -1  # for `__del__`, should Ctrl-C come before the first line

    def __init__(self, fd: int, owned: bool, broker: str = "") -> None:
        self.fd = fd
        magic, self.id, self.data_nbytes, pid, started = _read_header(fd)
        if magic != layout.MAGIC:
            raise StorageError(f"shared memory: not an arena of this version (magic {magic!r})")
        self.owner = (pid, started)
        self.owned = owned
        self.broker = broker
        self.blocks: dict[int, weakref.ref[Block]] = {}
        plan = layout.layout_of(self.data_nbytes)
        self.data_at = plan.data_at
        self.max_blocks = plan.max_blocks
        if os.fstat(fd).st_size < plan.nbytes:
            raise StorageError(f"shared memory: an arena of less than its {plan.nbytes} bytes")
        self.mapping = Mapping(fd, plan.nbytes)
        self.ledger = Ledger(self.mapping, fd, plan)
        self._owner_end = None if owned else _end_of(pid, started)

    @classmethod
    def create(cls, data_nbytes: int) -> Arena:
        """A new arena of this process."""
        fd = create_memory(layout.layout_of(data_nbytes).nbytes)
        started = start_time(os.getpid()) or 0
        header = layout.HEADER.pack(
            layout.MAGIC, secrets.randbits(63), data_nbytes, os.getpid(), started
        )
        os.pwrite(fd, header, 0)
        return cls(fd, owned=True)

    @classmethod
    def open(cls, fd: int, broker: str) -> Arena:
        """An arena that another process made."""
        check_sealed(fd)
        return cls(fd, owned=False, broker=broker)

    def check_within(self, index: int, offset: int, nbytes: int) -> None:
        """Refuse a block, described by another process, that would not lie in the arena."""
        end = self.data_at + self.data_nbytes
        if not (0 <= index < self.max_blocks and self.data_at <= offset <= offset + nbytes <= end):
            raise StorageError(
                f"shared memory: block {index} of {nbytes} bytes at {offset} is not within its arena"
            )

    def owner_is_alive(self) -> bool:
        """Whether the process that made it still runs."""
        if self._owner_end is not None:
            return not self._owner_end.is_there()
        pid, started = self.owner
        return bool(start_time(pid) == started)

    @completed
    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            close(fd)


class _End:
    """The end of a process, by a descriptor: asking costs a twentieth of reading ``/proc``."""

    _fd = -1  # for `__del__`, should Ctrl-C come before the first line

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def is_there(self) -> bool:
        """Whether it has ended; a zombie has."""
        return bool(self._poll.poll(0))

    @completed
    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            close(fd)


def _end_of(pid: int, started: int) -> _End | None:
    """None if the process is gone already, or no descriptor can be had."""
    if not hasattr(os, "pidfd_open"):
        return None
    try:
        end = _End(os.pidfd_open(pid))
    except OSError:
        return None
    return end if start_time(pid) == started else None  # else another has the number now


def _read_header(fd: int) -> tuple[Any, ...]:
    raw = os.pread(fd, layout.HEADER.size, 0)
    if len(raw) < layout.HEADER.size:
        raise StorageError("shared memory: received a descriptor of something else")
    return layout.HEADER.unpack(raw)


class Block:
    """A piece of an arena, held as long as the object or an array over it lives.

    Attributes:
        arena: where it lies.
        nbytes: its size in bytes.
        offset: bytes from the start of the arena's mapping, a multiple of 64.
        index: its number in the arena.
        generation: how often this piece of the arena had become free before.
        storage: weak reference to the storage that this process has over it, if there is one.
    """

    __slots__ = ("__weakref__", "_on_release", "arena", "generation", "index", "nbytes", "offset",
                 "storage")  # fmt: skip

    is_shared = True

    def __init__(
        self, arena: Arena, index: int, offset: int, nbytes: int, on_release: Callable[..., None]
    ) -> None:
        self.arena = arena
        self.index = index
        self.offset = offset
        self.nbytes = nbytes
        self.generation = arena.ledger.generation(index)
        self.storage: weakref.ref[Any] | None = None
        self._on_release: Callable[..., None] | None = on_release
        arena.blocks[index] = weakref.ref(self)

    @property
    def address(self) -> int:
        """Address of the first byte in this process."""
        start: int = self.arena.mapping.address
        return start + self.offset

    @property
    def array(self) -> np.ndarray:
        """The bytes: a 1-D uint8 array that keeps the block."""
        return np.asarray(self)

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return byte_interface(self.address, self.nbytes)

    def handle(self, ticket: Ticket) -> Handle:
        """What another process needs to find the block, with the ticket of one message."""
        arena = self.arena
        return arena.id, self.offset, self.nbytes, self.index, self.generation, ticket, arena.broker

    def __repr__(self) -> str:
        return f"<Block of {self.nbytes} bytes at {self.offset} of arena {self.arena.id:x}>"

    @completed
    def __del__(self) -> None:
        on_release = getattr(self, "_on_release", None)  # Ctrl-C may come before the first line
        self._on_release = None
        if on_release is not None:
            on_release(self.arena, self.index)


def block_of(array: np.ndarray) -> Block | None:
    """The block whose memory ``array`` views, or None."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, Block) else None
