"""Shared memory for tensors: blocks in sealed arenas, counted across processes.

A block lives as long as a :class:`Block` object or an array over it in any process, or a message
under way to one. What a killed process held is given up exactly, and with the last process the
memory itself is gone: it has no name that could be left behind.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import NamedTuple

from dtorch.core.errors import StorageError
from dtorch.core.interrupts import at_fork
from dtorch.multiprocessing import broker, delivery
from dtorch.multiprocessing.allocator import Allocator
from dtorch.multiprocessing.blocks import Arena, Block, Handle, block_of

__all__ = ["Block", "Usage", "allocate", "block_of", "receive", "send", "usage"]


class Usage(NamedTuple):
    """Shared memory of the arenas that this process owns.

    Attributes:
        arenas: how many it owns.
        attached: arenas of other processes that it maps.
        blocks: blocks in use by any process or under way to one.
        used_bytes: bytes of those blocks.
        free_bytes: bytes kept populated for the next blocks.
    """

    arenas: int
    attached: int
    blocks: int
    used_bytes: int
    free_bytes: int


class _Process:
    """What this process knows of shared memory.

    Attributes:
        lock: held by whoever looks at it or changes it. A lock of the standard library, so that no
            signal comes between taking it and the block that gives it back.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self._released: deque[tuple[Arena, int]] = deque()
        self.allocator = Allocator()
        self.arenas: dict[int, Arena] = {}
        self._rows: list[tuple[Arena, int | None]] = []

    def on_release(self, arena: Arena, index: int) -> None:
        """A Block object is gone.

        It may go at any moment, also while this very thread has the lock; then whoever has it does
        the work afterwards.
        """
        self._released.append((arena, index))
        self.settle_the_rest()

    def settle_the_rest(self) -> None:
        """What came while somebody had the lock."""
        if self._released and not self.lock.locked():
            with self.lock:
                self.settle()

    def settle(self) -> None:
        """Give up the blocks that are gone."""
        while self._released:
            arena, index = self._released.popleft()
            arena.ledger.release(index)
            if arena.ledger.is_held_here(index):
                continue  # received again before this was settled
            arena.blocks.pop(index, None)
            if arena.owned:
                self.allocator.give_back(arena, index)
            elif not arena.blocks and not arena.owner_is_alive():
                self.arenas.pop(arena.id, None)

    def forget_orphans(self) -> None:
        """Unmap arenas without a block here whose owner is gone."""
        for arena in list(self.arenas.values()):
            if not (arena.owned or arena.blocks or arena.owner_is_alive()):
                del self.arenas[arena.id]

    # A forked child has the same blocks, so it must be counted from its first moment.

    def before_fork(self) -> None:
        self.lock.acquire()
        self.settle()
        self._rows = [(a, a.ledger.reserve_for_child()) for a in self.arenas.values()]

    def after_fork_in_parent(self) -> None:
        self._rows = []
        self.lock.release()

    def after_fork_in_child(self) -> None:
        for arena, row in self._rows:
            arena.owned = False
            arena.broker = ""  # it does not know this process yet
            arena.ledger.become_child(row)
        self._rows = []
        self.allocator = Allocator()
        self.lock.release()


_process = _Process()
at_fork(
    before=_process.before_fork,
    after_in_parent=_process.after_fork_in_parent,
    after_in_child=_process.after_fork_in_child,
)


def allocate(nbytes: int) -> Block:
    """Shared memory of ``nbytes`` bytes, uninitialised.

    Raises:
        MemoryError: the machine or the control group has not that much left.
    """
    with _process.lock:
        _process.settle()
        piece = _process.allocator.take(nbytes)
        _process.arenas[piece.arena.id] = piece.arena
        block = Block(piece.arena, piece.index, piece.offset, nbytes, _process.on_release)
    _process.settle_the_rest()
    return block


def send(block: Block) -> Handle:
    """A handle for one message: the block stays alive until the message is received.

    The sender may exit before that. A handle can be received once. One that goes through a pipe or
    queue of this package is given up when nobody can read from there any more.
    """
    arena = block.arena
    with _process.lock:
        if not arena.broker:
            arena.broker = broker.deposit(arena.id, arena.fd)
        ticket = arena.ledger.send(block.index)
    _process.settle_the_rest()
    delivery.note(arena.ledger.messages, ticket)
    return block.handle(ticket)


def receive(handle: Handle) -> Block:
    """The block of a message: this process's own object of it, if there is one.

    Raises:
        StorageError: the memory is gone, or the message was received before.
    """
    arena_id, offset, nbytes, index, generation, ticket, address = handle
    with _process.lock:
        _process.settle()
        arena = _process.arenas.get(arena_id)
        if arena is None:
            _process.forget_orphans()
            arena = Arena.open(broker.fetch(address, arena_id), address)
            _process.arenas[arena_id] = arena
        arena.check_within(index, offset, nbytes)
        if arena.ledger.generation(index) != generation:
            raise StorageError(
                "shared memory: this message's block was given up already; a pickled tensor can "
                "be unpickled once"
            )
        reference = arena.blocks.get(index)
        block = reference() if reference is not None else None
        arena.ledger.take(index, int(block is None), ticket)
        block = block or Block(arena, index, offset, nbytes, _process.on_release)
    _process.settle_the_rest()
    return block


def usage() -> Usage:
    """Shared memory in use, after giving up what dead processes held and lost messages.

    A message counts as lost when it still is a quarter of a second after that was first seen.
    """
    with _process.lock:
        _process.settle()
        _process.forget_orphans()
        allocator = _process.allocator
        allocator.collect(at_once=True)
        used, free = allocator.usage()
        blocks = sum(len(arena.ledger.blocks_in_use()) for arena in allocator.arenas)
        owned, known = len(allocator.arenas), len(_process.arenas)
    _process.settle_the_rest()
    return Usage(owned, known - owned, blocks, used, free)
