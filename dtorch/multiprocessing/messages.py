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
    SENT_MASK,
    SENT_STATE,
    TAKEN,
    TAKEN_MASK,
    TAKING,
    fields,
    state,
)
from dtorch.multiprocessing.memory import Mapping

TICKET = struct.Struct("<QII")  # arena id, number of the record, token
NO_TICKET = b""  # of a message for which there was no record
_PROBES = 64  # others look for free records at the same time


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

    def begin(self, index: int, slot: int, sent: int) -> bytes:
        """A record for a message that is about to be counted."""
        for number in self._free_records():
            word = atomics.load(self._address(number))
            token = (word >> layout.TOKEN_SHIFT) + 1 & layout.TOKEN_MASK
            if word & KIND_MASK == FREE and self._exchange(
                number, word, state(SENDING, slot, sent & COUNT_MASK, token)
            ):
                self._next = number + 1
                self._table[number, 1:] = index + 1 | slot << SENDER_SHIFT, layout.NO_CHANNEL
                return TICKET.pack(self._arena_id, number, token)
        return NO_TICKET

    def _free_records(self) -> Iterator[int]:
        """Numbers of records that are probably free, beginning after the last one used."""
        first = self._next % layout.MAX_MESSAGES
        yield first
        free = np.flatnonzero(self._kinds() == FREE)
        yield from np.roll(free, -int(np.searchsorted(free, first)))[:_PROBES].tolist()

    def set_sent(self, ticket: bytes) -> None:
        """The message is counted."""
        if ticket:
            _, number, token = TICKET.unpack(ticket)
            atomics.store(self._address(number), state(SENT_STATE, 0, 0, token))

    def set_channel(self, ticket: bytes, channel: int) -> None:
        """The message is about to be written into a channel."""
        _, number, token = TICKET.unpack(ticket)
        if atomics.load(self._address(number)) == state(SENT_STATE, 0, 0, token):
            self._table[number, 2] = channel

    def claim(self, ticket: bytes, slot: int, taken: int) -> bool:
        """Be the one who takes the message; False if somebody was before us."""
        if not ticket:
            return True
        _, number, token = TICKET.unpack(ticket)
        expected = state(SENT_STATE, 0, 0, token)
        return self._exchange(number, expected, state(TAKING, slot, taken, token))

    def free(self, ticket: bytes) -> None:
        """The message was taken."""
        if ticket:
            _, number, token = TICKET.unpack(ticket)
            self._free(number, token)

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
        if kind == TAKING and cell >> 16 & COUNT_MASK == count:
            row[index] = cell & ~TAKEN_MASK | (cell + TAKEN) & TAKEN_MASK
        elif kind == SENDING and cell >> 40 != count:
            row[index] = cell & ~SENT_MASK | count << 40

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
