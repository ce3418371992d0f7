"""Reference counts of an arena's blocks, kept for each process apart."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

import numpy as np

from dtorch.core.backend import compiled
from dtorch.core.errors import StorageError
from dtorch.core.interrupts import undisturbed
from dtorch.multiprocessing import layout
from dtorch.multiprocessing.atomics import atomic_add, atomic_load
from dtorch.multiprocessing.layout import HOLD, HOLD_MASK, SENT_MASK, TAKEN, TAKEN_MASK
from dtorch.multiprocessing.memory import Mapping
from dtorch.multiprocessing.messages import Messages, Ticket
from dtorch.multiprocessing.processes import start_time

_UNCOUNTED = -1  # "row" of a forked child for which the table had no room
_WORD = 0xFFFF_FFFF_FFFF_FFFF


@compiled
def is_unused(address: int, stride: int, count: int) -> bool:
    """Whether these cells of one block, at equal distances, say that nobody uses it."""
    places = range(address, address + stride * count, stride)
    cells = [atomic_load(place) for place in places]
    return cells == [atomic_load(place) for place in places] and layout.count(cells) == (0, 0)


class Ledger:
    """This process's view of who uses which block. Callers hold the arena lock of the process.

    Attributes:
        slot: row of this process in the table, or None before it holds anything.
        messages: what is under way.
    """

    def __init__(self, mapping: Mapping, fd: int, plan: layout.Layout) -> None:
        memory = mapping.array
        self._fd = fd
        self._words = memory[: layout.SLOTS_AT].data.cast("Q")
        self._slots = memory[layout.SLOTS_AT : layout.GENERATIONS_AT].view(np.uint64)
        self._slots = self._slots.reshape(layout.MAX_SLOTS, 2)  # (slot, pid | start time)
        self._generations = memory[
            layout.GENERATIONS_AT : layout.GENERATIONS_AT + 4 * plan.max_blocks
        ].data.cast("I")
        cells = memory[plan.cells_at : plan.cells_at + 8 * layout.MAX_SLOTS * plan.max_blocks]
        self._cells = cells.view(np.uint64).reshape(layout.MAX_SLOTS, plan.max_blocks)
        self._cells_at = mapping.address + plan.cells_at
        self._row_nbytes = 8 * plan.max_blocks
        self._mine = 0  # address of this process's row
        self._private_row: np.ndarray | None = None
        self.slot: int | None = None
        self.messages = Messages(mapping, plan, self.slot_lock)

    # -- the counts of one block --------------------------------------------------------------

    def hold(self, index: int) -> None:
        """This process uses the block once more."""
        atomic_add(self._row() + 8 * index, HOLD)

    def release(self, index: int) -> None:
        """This process uses the block once less."""
        atomic_add(self._mine + 8 * index, -HOLD & _WORD)

    def send(self, index: int) -> Ticket:
        """A message with the block leaves this process, which holds it. Returns its ticket."""
        cell = self._row() + 8 * index
        return self.messages.send(cell, index, self._record_slot())

    def take(self, index: int, holds: int, ticket: Ticket) -> None:
        """A message with the block arrived, and ``holds`` (0 or 1) new users with it.

        Raises:
            StorageError: the message was received before or given up.
        """
        cell = self._row() + 8 * index
        if not self.messages.take(cell, ticket, self._record_slot(), holds):
            raise StorageError(
                "shared memory: this message was received before, or given up because nobody "
                "could receive it; a pickled tensor can be unpickled once"
            )

    def is_held_here(self, index: int) -> bool:
        """Whether this process uses the block."""
        return bool(atomic_load(self._mine + 8 * index) & HOLD_MASK)

    def is_free(self, index: int) -> bool:
        """Whether no process uses the block and no message has it. Once true, it stays true."""
        slots_used = self.slots_used
        if slots_used == 1 and not atomic_load(self._mine + 8 * index):
            return True
        return is_unused(self._cells_at + 8 * index, self._row_nbytes, slots_used)

    def blocks_in_use(self) -> np.ndarray:
        """Indices of the blocks that are held or under way (a snapshot, for statistics)."""
        cells = self._cells[: self.slots_used, : self.blocks_used]
        holds = (cells & np.uint64(HOLD_MASK)).sum(0)
        sent, taken = cells >> np.uint64(layout.SENT_SHIFT), cells >> np.uint64(layout.TAKEN_SHIFT)
        flight = (sent.sum(0) - taken.sum(0)) & np.uint64(layout.COUNT_MASK)
        found: np.ndarray = np.flatnonzero(holds | flight)
        return found

    def generation(self, index: int) -> int:
        """How often the block has become free."""
        return self._generations[index]

    def next_generation(self, index: int) -> None:
        """The block is free: from now on it is another one."""
        self._generations[index] = (self._generations[index] + 1) & 0xFFFFFFFF

    @property
    def blocks_used(self) -> int:
        """How many blocks were ever given out."""
        return self._words[layout.BLOCKS_USED_AT // 8]

    @blocks_used.setter
    def blocks_used(self, value: int) -> None:
        self._words[layout.BLOCKS_USED_AT // 8] = value

    # -- the processes ------------------------------------------------------------------------

    @property
    def slots_used(self) -> int:
        """How many rows were ever claimed."""
        return self._words[layout.SLOTS_USED_AT // 8]

    def reclaim_dead(self) -> None:
        """Give up what processes held that are no more."""
        with self.slot_lock():
            for slot in range(self.slots_used):
                self._clear_if_dead(slot)

    def give_up_lost(self, lost: set[int]) -> None:
        """Give up the messages that went into these channels: nobody can read from them."""
        for index, ticket in self.messages.sent_into(lost):
            with contextlib.suppress(StorageError):  # somebody has received it after all
                self.take(index, 0, ticket)

    def reserve_for_child(self) -> int | None:
        """A row for the child that this process is about to fork, holding what it holds.

        None when this process holds nothing.
        """
        if self.slot is None:
            return None
        used = self.blocks_used
        mine = self._cells[self.slot, :used]
        held = mine & np.uint64(HOLD_MASK)
        if not held.any():
            return None
        try:
            with self.slot_lock():
                slot = self._claim(os.getpid())
        except StorageError:
            # Fork cannot fail here; keep for the child's sake what we hold until we exit.
            mine[held != 0] += np.uint64(HOLD)
            return _UNCOUNTED
        # The child inherits holds as if by message: both rows change in their growing fields.
        passed = (held != 0).astype(np.uint64)
        mine += passed << np.uint64(40)
        theirs = self._cells[slot, :used]
        taken = (theirs + passed * np.uint64(TAKEN)) & np.uint64(TAKEN_MASK)
        theirs[:] = (theirs & np.uint64(SENT_MASK)) | taken | held
        return slot

    def become_child(self, slot: int | None) -> None:
        """In the forked child: use the row that the parent reserved."""
        if slot == _UNCOUNTED and self._mine:
            # The counts of a row of our own tell us when to let go, and nobody else anything.
            row = np.zeros(self._row_nbytes // 8, np.uint64)
            if self.slot is not None:
                row[:] = self._cells[self.slot]
            self._private_row = row
            self._mine = row.ctypes.data
            self.slot = None
            return
        self.slot = slot
        self._mine = 0
        if slot is not None:
            with self.slot_lock():
                self._slots[slot] = (os.getpid(), start_time(os.getpid()) or 0)
            self._mine = self._cells_at + self._row_nbytes * slot

    def _record_slot(self) -> int:
        return 0 if self.slot is None else self.slot

    def _row(self) -> int:
        if self._private_row is not None:
            raise StorageError(
                f"shared memory: {layout.MAX_SLOTS} processes already share one arena, the most it "
                "can count; send copies to this one"
            )
        if not self._mine:
            with self.slot_lock():
                self.slot = self._claim(os.getpid())
            self._mine = self._cells_at + self._row_nbytes * self.slot
        return self._mine

    def _claim(self, pid: int) -> int:
        for slot in range(self.slots_used):
            self._clear_if_dead(slot)
            if not self._slots[slot, 0]:
                break
        else:
            slot = self.slots_used
            if slot == layout.MAX_SLOTS:
                raise StorageError(
                    f"shared memory: {slot} processes already share one arena, the most it can "
                    "count; send copies to the others"
                )
            self._words[layout.SLOTS_USED_AT // 8] = slot + 1
        self._slots[slot] = (pid, start_time(pid) or 0)
        return slot

    def _clear_if_dead(self, slot: int) -> None:
        pid, started = self._slots[slot].tolist()
        if pid and start_time(pid) != started:
            row = self._cells[slot, : self.blocks_used]
            row &= np.uint64(_WORD ^ HOLD_MASK)
            self.messages.settle_dead(slot, row)
            self._slots[slot, 0] = 0

    @contextlib.contextmanager
    def slot_lock(self) -> Iterator[None]:
        """Excludes other processes, not other threads; given up when its holder dies."""
        # A record lock excludes processes even where they inherited one descriptor.
        with undisturbed():
            fcntl.lockf(self._fd, fcntl.LOCK_EX, 1, 0)
            try:
                yield
            finally:
                fcntl.lockf(self._fd, fcntl.LOCK_UN, 1, 0)
