"""Giving out blocks of this process's arenas, and taking them back with their pages populated."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from dtorch.core.errors import StorageError
from dtorch.multiprocessing import layout
from dtorch.multiprocessing.blocks import Arena
from dtorch.multiprocessing.budget import check_available
from dtorch.multiprocessing.delivery import LostMessages
from dtorch.multiprocessing.descriptors import descriptors_counted
from dtorch.multiprocessing.memory import populate

SMALLEST_ARENA = 64 << 20
LARGEST_ARENA = 4 << 30  # of those made ahead of need
LARGE = 64 << 10  # blocks from here start on a page
POPULATE = 1 << 20  # blocks from here get their pages at once
KEEP_WARM = 256 << 20  # free bytes whose pages are kept, or as many as are in use
_ALIGN = 64
_GLANCES = 4  # small blocks looked at in one allocation, so that it takes constant time


@dataclass(slots=True)
class Piece:
    """A place for a block."""

    arena: Arena
    index: int
    offset: int


class Allocator:
    """Free and not yet free pieces of the arenas that this process owns, by size class.

    A piece that this process gave up *waits* until no other process uses it. Fresh pages cost
    about as much as computing on them, so a free piece is used again before new memory is
    touched.
    """

    def __init__(self) -> None:
        self.arenas: list[Arena] = []
        self._tail: dict[int, int] = {}  # arena id -> first byte never given out
        self._pieces: dict[tuple[int, int], tuple[int, Piece]] = {}  # with their size classes
        self._free: dict[int, list[Piece]] = {}
        self._cold: dict[int, list[Piece]] = {}  # free, and their pages given back
        self._waiting: dict[int, deque[Piece]] = {}
        self._waits: set[tuple[int, int]] = set()  # what the queues of `_waiting` contain
        self._free_bytes = 0
        self._used_bytes = 0
        self._lost = LostMessages()

    def take(self, nbytes: int) -> Piece:
        """A piece of at least ``nbytes`` bytes, counted as held once by this process."""
        size = size_class(nbytes)
        piece = self._recycled(size) or self._fresh(size)
        piece.arena.ledger.hold(piece.index)
        self._used_bytes += size
        return piece

    def give_back(self, arena: Arena, index: int) -> None:
        """This process no longer holds the piece."""
        size, piece = self._pieces[arena.id, index]
        if (arena.id, index) in self._waits:
            return  # it went by message and came back to us meanwhile
        if arena.ledger.is_free(index):
            self._keep(size, piece)
        else:
            self._waits.add((arena.id, index))
            self._waiting.setdefault(size, deque()).append(piece)

    def collect(self, *, at_once: bool = False) -> None:
        """Find out everything that other processes have given up, the dead included.

        Lost messages are looked for now and then only, or ``at_once``.
        """
        for arena in self.arenas:
            arena.ledger.reclaim_dead()
        self._lost.give_up((arena.ledger for arena in self.arenas), at_once=at_once)
        for size, waiting in self._waiting.items():
            self._look_at(size, len(waiting), enough=len(waiting))

    def usage(self) -> tuple[int, int]:
        """Bytes used or waiting, and bytes free with their pages populated."""
        return self._used_bytes, self._free_bytes

    def _keep(self, size: int, piece: Piece) -> None:
        # A message with the block that is received once more finds out by the generation.
        piece.arena.ledger.next_generation(piece.index)
        self._used_bytes -= size
        if size >= POPULATE and self._free_bytes + size > max(KEEP_WARM, self._used_bytes):
            piece.arena.mapping.drop_pages(piece.offset, size & -layout.PAGE)
            self._cold.setdefault(size, []).append(piece)
            return
        self._free_bytes += size
        self._free.setdefault(size, []).append(piece)

    def _recycled(self, size: int) -> Piece | None:
        if self._waiting.get(size):
            self._look_at(size, _GLANCES if size < LARGE else len(self._waiting[size]), enough=1)
        if free := self._free.get(size):
            self._free_bytes -= size
            return free.pop()
        if cold := self._cold.get(size):
            piece = cold.pop()
            populate(piece.arena.fd, piece.offset, size)
            return piece
        return None

    def _look_at(self, size: int, times: int, enough: int) -> None:
        """Look whether the pieces that have waited longest are free, until ``enough`` are."""
        waiting = self._waiting[size]
        for _ in range(min(times, len(waiting))):
            piece = waiting.popleft()
            if piece.arena.ledger.is_free(piece.index):
                self._waits.discard((piece.arena.id, piece.index))
                self._keep(size, piece)
                enough -= 1
                if not enough:
                    return
            else:
                waiting.append(piece)

    def _fresh(self, size: int) -> Piece:
        if size >= LARGE and self._waiting.get(size) and (piece := self._reclaimed(size)):
            return piece
        for arena in reversed(self.arenas):
            if piece := self._cut(arena, size):
                return piece
        piece = self._reclaimed(size) or self._cut(self._grow(size), size)
        if piece is None:
            raise StorageError(f"shared memory: a new arena has no room for {size} bytes")
        return piece

    def _reclaimed(self, size: int) -> Piece | None:
        # Perhaps a dead process holds what we need; asking is cheaper than new pages.
        self.collect()
        return self._recycled(size)

    def _grow(self, size: int) -> Arena:
        ahead = min(SMALLEST_ARENA << len(self.arenas), LARGEST_ARENA)
        with descriptors_counted():
            check_available(size)
            arena = Arena.create(max(ahead, -(-size // layout.PAGE) * layout.PAGE))
        self._tail[arena.id] = arena.data_at
        self.arenas.append(arena)
        return arena

    def _cut(self, arena: Arena, size: int) -> Piece | None:
        start = self._tail[arena.id]
        if size >= LARGE:
            start = -(-start // layout.PAGE) * layout.PAGE
        ledger = arena.ledger
        index = ledger.blocks_used
        if start + size > arena.data_at + arena.data_nbytes or index == arena.max_blocks:
            return None
        if size >= POPULATE:
            check_available(size)
            populate(arena.fd, start, size)
        ledger.blocks_used = index + 1
        self._tail[arena.id] = start + size
        piece = Piece(arena, index, start)
        self._pieces[arena.id, index] = size, piece
        return piece


def size_class(nbytes: int) -> int:
    """The size of the piece given for ``nbytes``: at most an eighth more, for reuse.

    >>> size_class(0), size_class(64), size_class(1000), size_class(1025)
    (64, 64, 1024, 1152)
    """
    if nbytes <= 8 * _ALIGN:
        return max(-(-nbytes // _ALIGN), 1) * _ALIGN
    step = 1 << ((nbytes - 1).bit_length() - 4)
    step = max(step, _ALIGN)
    if nbytes > 8 * layout.PAGE:
        step = max(step, layout.PAGE)
    return -(-nbytes // step) * step
