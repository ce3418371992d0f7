"""Records of the messages that carry an arena's blocks; see `layout` for what they hold."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np

from dtorch.core.backend import compiled, tell
from dtorch.multiprocessing import layout
from dtorch.multiprocessing.atomics import atomic_add, atomic_load, atomic_store
from dtorch.multiprocessing.layout import (
    BLOCK_MASK,
    COUNT_MASK,
    FREE,
    KIND_MASK,
    RECORD,
    SENDER_SHIFT,
    SENDING,
    SENT,
    SENT_MASK,
    SENT_SHIFT,
    SENT_STATE,
    TAKEN,
    TAKEN_MASK,
    TAKEN_SHIFT,
    TAKING,
    fields,
    state,
)
from dtorch.multiprocessing.memory import Mapping

# Names one use of one record of an arena, by its number and token; None where there was no record.
Ticket = tuple[int, int] | None

Lock = Callable[[], AbstractContextManager[None]]

tell("set_layout", layout)  # the compiled forms below and in `ledger` know of it


@compiled
def send_message(
    table: int, count: int, slot: int, cell: int, block: int, first: int, lock: Lock
) -> tuple[int, int] | None:
    """Count a message as sent, and give it a record.

    Args:
        table, count: address and number of the records.
        slot: row of this process in the table of processes.
        cell: address of this process's cell of the block.
        block: the second word of the record.
        first: number of the record to look at first.
        lock: keeps other processes out, which the compiled form does not need.

    Returns:
        Number of the record, and the token of this use of it; None if all are in use.
    """
    with lock():
        for number in (*range(first, count), *range(first)):
            record = table + RECORD.size * number
            word = atomic_load(record)
            if word & KIND_MASK == FREE:
                token = (word >> layout.TOKEN_SHIFT) + 1 & layout.TOKEN_MASK
                sent = atomic_load(cell) >> SENT_SHIFT
                atomic_store(record, state(SENDING, slot, sent, token))
                atomic_store(record + 8, block)
                atomic_store(record + 16, layout.NO_CHANNEL)
                atomic_add(cell, SENT)
                atomic_store(record, state(SENT_STATE, 0, 0, token))
                return number, token
    atomic_add(cell, SENT)
    return None


@compiled
def take_message(
    table: int, count: int, slot: int, cell: int, number: int, token: int, holds: int, lock: Lock
) -> bool:
    """Count a message as taken, and ``holds`` new users of its block with it.

    Args:
        number, token: of the record; -1 for a message without one.

    Returns:
        False if somebody else was before us.
    """
    if number >= count:  # it comes from another process
        raise IndexError("take_message: no such record")
    before, record = atomic_load(cell), table + RECORD.size * number
    if number >= 0:
        taken = before >> TAKEN_SHIFT & COUNT_MASK
        with lock():
            if atomic_load(record) != state(SENT_STATE, 0, 0, token):
                return False
            atomic_store(record, state(TAKING, slot, taken, token))
    # One store, so that a process killed here has either done all of it or nothing.
    atomic_store(cell, (before & ~TAKEN_MASK | (before + TAKEN) & TAKEN_MASK) + holds)
    if number >= 0:
        atomic_store(record + 8, 0)
        atomic_store(record, state(FREE, 0, 0, token))
    return True


class Messages:
    """The table of messages under way, as one process sees it."""

    def __init__(self, mapping: Mapping, plan: layout.Layout, slot_lock: Lock) -> None:
        nbytes = RECORD.size * layout.MAX_MESSAGES
        table = mapping.array[plan.messages_at : plan.messages_at + nbytes]
        self._table = table.view(np.uint64).reshape(layout.MAX_MESSAGES, 3)
        self._at: int = mapping.address + plan.messages_at
        self._slot_lock = slot_lock
        self._next = 0  # where to look for a free record first

    def send(self, cell: int, index: int, slot: int) -> Ticket:
        """Count a message with a block as sent.

        Args:
            cell: address of this process's cell of the block ``index``.
            slot: row of this process in the table of processes.
        """
        block = index + 1 | slot << SENDER_SHIFT
        record = send_message(
            self._at, layout.MAX_MESSAGES, slot, cell, block, self._next, self._slot_lock
        )
        if record is not None:
            self._next = (record[0] + 1) % layout.MAX_MESSAGES
        return record

    def take(self, cell: int, ticket: Ticket, slot: int, holds: int) -> bool:
        """Count a message as taken, and ``holds`` new users of its block with it.

        Args:
            cell, slot: as of `send`.

        Returns:
            False if somebody else was before us.
        """
        number, token = ticket or (-1, 0)
        return take_message(
            self._at, layout.MAX_MESSAGES, slot, cell, number, token, holds, self._slot_lock
        )

    def set_channel(self, ticket: tuple[int, int], channel: int) -> None:
        """The message is about to be written into a channel."""
        number, token = ticket
        address = self._address(number)
        if atomic_load(address) == state(SENT_STATE, 0, 0, token):
            atomic_store(address + 16, channel)

    def channels(self) -> set[int]:
        """The known channels of messages under way."""
        sent = self._kinds() == SENT_STATE
        return set(self._table[sent, 2].tolist()) - {layout.NO_CHANNEL}

    def sent_into(self, channels: set[int]) -> Iterator[tuple[int, tuple[int, int]]]:
        """Block and ticket of the messages that went into these channels."""
        for number in np.flatnonzero(np.isin(self._table[:, 2], list(channels))).tolist():
            word, block, channel = self._table[number].tolist()
            kind, _, _, token = fields(word)
            if kind == SENT_STATE and channel in channels:
                yield (block & BLOCK_MASK) - 1, (number, token)

    def settle_dead(self, slot: int, row: np.ndarray) -> None:
        """Finish what a process was at that died; nobody else changes its ``row`` of cells."""
        for number in np.flatnonzero(self._kinds() != FREE).tolist():
            word, block, channel = self._table[number].tolist()
            kind, by, count, token = fields(word)
            if kind == SENT_STATE:
                if block >> SENDER_SHIFT == slot and channel == layout.NO_CHANNEL:
                    self._table[number, 2] = layout.SENDER_DIED
            elif by == slot and kind != FREE:
                if block:  # else it died before it had said which
                    self._settle(kind, count, row, (block & BLOCK_MASK) - 1)
                self._free(number, token)

    def _settle(self, kind: int, count: int, row: np.ndarray, index: int) -> None:
        """A process died with a message in hand: that is as if it was taken."""
        cell = int(row[index])
        if kind == TAKING and cell >> TAKEN_SHIFT & COUNT_MASK == count:
            row[index] = cell & ~TAKEN_MASK | (cell + TAKEN) & TAKEN_MASK
        elif kind == SENDING and cell >> SENT_SHIFT != count:
            row[index] = cell & ~SENT_MASK | count << SENT_SHIFT

    def under_way(self) -> int:
        """How many messages have a record."""
        return int((self._kinds() != FREE).sum())

    def _kinds(self) -> np.ndarray:
        kinds: np.ndarray = self._table[:, 0] & np.uint64(KIND_MASK)
        return kinds

    def _free(self, number: int, token: int) -> None:
        self._table[number, 1] = 0
        atomic_store(self._address(number), state(FREE, 0, 0, token))

    def _address(self, number: int) -> int:
        return self._at + RECORD.size * number
