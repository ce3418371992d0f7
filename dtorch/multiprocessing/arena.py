"""Shared memory for tensors: blocks in sealed arenas, counted across processes.

A block lives as long as a :class:`Block` object or an array over it in any process, or a message
under way to one. What a killed process held is given up exactly, and with the last process the
memory itself is gone: it has no name that could be left behind.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from types import TracebackType
from typing import NamedTuple

from dtorch.core.errors import StorageError
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
    """What this process knows of shared memory, under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._released: deque[tuple[Arena, int]] = deque()
        self.allocator = Allocator()
        self.arenas: dict[int, Arena] = {}
        self._rows: list[tuple[Arena, int | None]] = []

    def __enter__(self) -> _Process:
        self._lock.acquire()
        self._settle()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self._lock.release()
        if self._released:
            self.on_release()

    def on_release(self, arena: Arena | None = None, index: int = 0) -> None:
        """A Block object is gone.

        It may go at any moment, also while this very thread is in here; then whoever holds the
        lock does the work on leaving.
        """
        if arena is not None:
            self._released.append((arena, index))
        if self._lock.acquire(blocking=False):
            try:
                self._settle()
            finally:
                self._lock.release()

    def _settle(self) -> None:
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
        self._lock.acquire()
        self._settle()
        self._rows = [(a, a.ledger.reserve_for_child()) for a in self.arenas.values()]

    def after_fork_in_parent(self) -> None:
        self._rows = []
        self._lock.release()

    def after_fork_in_child(self) -> None:
        for arena, row in self._rows:
            arena.owned = False
            arena.broker = ""  # it does not know this process yet
            arena.ledger.become_child(row)
        self._rows = []
        self.allocator = Allocator()
        self._lock.release()


_process = _Process()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_process.before_fork,
        after_in_parent=_process.after_fork_in_parent,
        after_in_child=_process.after_fork_in_child,
    )


def allocate(nbytes: int) -> Block:
    """Shared memory of ``nbytes`` bytes, uninitialised.

    Raises:
        MemoryError: the machine or the control group has not that much left.
    """
    with _process as state:
        piece = state.allocator.take(nbytes)
        state.arenas[piece.arena.id] = piece.arena
        return Block(piece.arena, piece.index, piece.offset, nbytes, state.on_release)


def send(block: Block) -> Handle:
    """A handle for one message: the block stays alive until the message is received.

    The sender may exit before that. A handle can be received once. One that is pickled and written
    to a pipe or queue is given up when nobody can read from there any more.
    """
    arena = block.arena
    with _process:
        if not arena.broker:
            arena.broker = broker.deposit(arena.id, arena.fd)
        ticket = arena.ledger.send(block.index)
    delivery.note(arena.ledger.messages, ticket)
    return block.handle(ticket)


def receive(handle: Handle) -> Block:
    """The block of a message: this process's own object of it, if there is one.

    Raises:
        StorageError: the memory is gone, or the message was received before.
    """
    arena_id, offset, nbytes, index, generation, ticket, address = handle
    with _process as state:
        arena = state.arenas.get(arena_id)
        if arena is None:
            state.forget_orphans()
            arena = Arena.open(broker.fetch(address, arena_id), address)
            state.arenas[arena_id] = arena
        arena.check_within(index, offset, nbytes)
        if arena.ledger.generation(index) != generation:
            raise StorageError(
                "shared memory: this message's block was given up already; a pickled tensor can "
                "be unpickled once"
            )
        reference = arena.blocks.get(index)
        block = reference() if reference is not None else None
        arena.ledger.take(index, int(block is None), ticket)
        return block or Block(arena, index, offset, nbytes, state.on_release)


def usage() -> Usage:
    """Shared memory in use, after giving up what dead processes held and lost messages.

    A message counts as lost when it still is a quarter of a second after that was first seen.
    """
    with _process as state:
        state.allocator.collect(at_once=True)
        used, free = state.allocator.usage()
        blocks = sum(len(arena.ledger.blocks_in_use()) for arena in state.allocator.arenas)
        owned = len(state.allocator.arenas)
        return Usage(owned, len(state.arenas) - owned, blocks, used, free)
