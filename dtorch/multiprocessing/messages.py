"""Records of the messages that carry an arena's blocks; see `layout` for what they hold."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import numpy as np

from dtorch.multiprocessing import atomics, layout
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

TICKET = struct.Struct("<QII")  # arena id, number of the record, token
NO_TICKET = b""  # of a message for which there was no record


class Messages:
    """The table of messages under way, as one process sees it.

    A *ticket* names one use of one record among all arenas; as bytes, so that it can be found in
    a pickle.
    """

    def __init__(
        self, mapping: Mapping, plan: layout.Layout,
        slot_lock: Callable[[], AbstractContextManager[None]],
    ) -> None:  # fmt: skip
        nbytes = RECORD.size * layout.MAX_MESSAGES
        table = mapping.array[plan.messages_at : plan.messages_at + nbytes]
        self._table = table.view(np.uint64).reshape(layout.MAX_MESSAGES, 3)
        self._at: int = mapping.address + plan.messages_at
        self._arena_id = layout.HEADER.unpack_from(mapping.array.data)[1]
        self._slot_lock = slot_lock
        self._next = 0  # where to look for a free record first

    def send(self, cell: int, index: int, slot: int) -> bytes:
        """Count a message with a block as sent.

        Args:
            cell: address of this process's cell of the block ``index``.
            slot: row of this process in the table of processes.
        """
        block = index + 1 | slot << SENDER_SHIFT
        if atomics.send_message is None:
            record = self._send(cell, block, slot)
        else:
            record = atomics.send_message(
                self._at, layout.MAX_MESSAGES, slot, cell, block, self._next
            )
        if record is None:
            return NO_TICKET
        self._next = (record[0] + 1) % layout.MAX_MESSAGES
        return TICKET.pack(self._arena_id, *record)

    def _send(self, cell: int, block: int, slot: int) -> tuple[int, int] | None:
        sent = atomics.load(cell) >> SENT_SHIFT
        for number in self._free_records():
            word = atomics.load(self._address(number))
            token = (word >> layout.TOKEN_SHIFT) + 1 & layout.TOKEN_MASK
            if word & KIND_MASK == FREE and self._exchange(
                number, word, state(SENDING, slot, sent, token)
            ):
                self._table[number, 1:] = block, layout.NO_CHANNEL
                atomics.add(cell, SENT)
                atomics.store(self._address(number), state(SENT_STATE, 0, 0, token))
                return number, token
        atomics.add(cell, SENT)
        return None

    def _free_records(self) -> Iterator[int]:
        """Numbers of records that are probably free, beginning after the last one used."""
        yield self._next
        free = np.flatnonzero(self._kinds() == FREE)
        yield from np.roll(free, -int(np.searchsorted(free, self._next))).tolist()

    def take(self, cell: int, ticket: bytes, slot: int, holds: int) -> bool:
        """Count a message as taken, and ``holds`` new users of its block with it.

        Args:
            cell, slot: as of `send`.

        Returns:
            False if somebody else was before us.
        """
        number, token = TICKET.unpack(ticket)[1:] if ticket else (-1, 0)
        if atomics.take_message is None:
            return self._take(cell, number, token, slot, holds)
        return atomics.take_message(self._at, layout.MAX_MESSAGES, slot, cell, number, token, holds)

    def _take(self, cell: int, number: int, token: int, slot: int, holds: int) -> bool:
        before = atomics.load(cell)
        if number >= 0:
            taken = before >> TAKEN_SHIFT & COUNT_MASK
            expected = state(SENT_STATE, 0, 0, token)
            if not self._exchange(number, expected, state(TAKING, slot, taken, token)):
                return False
        # One store, so that a process killed here has either done all of it or nothing.
        atomics.store(cell, (before & ~TAKEN_MASK | (before + TAKEN) & TAKEN_MASK) + holds)
        if number >= 0:
            self._free(number, token)
        return True

    def set_channel(self, ticket: bytes, channel: int) -> None:
        """The message is about to be written into a channel."""
        _, number, token = TICKET.unpack(ticket)
        address = self._address(number)
        if atomics.load(address) == state(SENT_STATE, 0, 0, token):
            atomics.store(address + 16, channel)

    def channels(self) -> set[int]:
        """The known channels of messages under way."""
        sent = self._kinds() == SENT_STATE
        return set(self._table[sent, 2].tolist()) - {layout.NO_CHANNEL}

    def sent_into(self, channels: set[int]) -> Iterator[tuple[int, bytes]]:
        """Block and ticket of the messages that went into these channels."""
        for number in np.flatnonzero(np.isin(self._table[:, 2], list(channels))).tolist():
            word, block, channel = self._table[number].tolist()
            kind, _, _, token = fields(word)
            if kind == SENT_STATE and channel in channels:
                yield (block & BLOCK_MASK) - 1, TICKET.pack(self._arena_id, number, token)

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
        atomics.store(self._address(number), state(FREE, 0, 0, token))

    def _address(self, number: int) -> int:
        return self._at + RECORD.size * number

    def _exchange(self, number: int, expected: int, desired: int) -> bool:
        address = self._address(number)
        if atomics.compare_exchange is not None:
            return atomics.compare_exchange(address, expected, desired)
        with self._slot_lock():
            if atomics.load(address) != expected:
                return False
            atomics.store(address, desired)
            return True
