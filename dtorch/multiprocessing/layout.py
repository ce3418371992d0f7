"""Byte layout of an arena, as every process that maps one must know it.

An arena is one mapping::

    0                  HEADER   what it is, how large, how much of it is in use
    SLOTS_AT           one (pid, start time) for every process that holds blocks of it
    GENERATIONS_AT     one uint32 for every block: how often it has become free
    messages_at        one record for every message under way
    cells_at           one uint64 for every (process, block): that process's part of the count
    data_at            the blocks

A *cell* is written by its process alone, with one aligned store, and holds three fields:

* holds: how many Block objects of this process use the block,
* taken: how many messages with the block this process has received, modulo 2**24,
* sent:  how many it has sent.

A block is free when nobody holds it and as many messages were taken as sent. `sent` and `taken`
only ever grow, so two equal readings of all cells of a block are a consistent picture: no lock is
needed to find out. What a dead process held is exactly the first field of its cells.

A *record* tells of one message, so that one which nobody can receive any more is given up, and
one which was received cannot be received again. It is three words: the state, the block (and the
sender's slot; 0 while that is not known), and the channel (pipe or socket) that the message went
into. The state holds four fields:

* kind:  free, being sent, sent, or being taken,
* slot:  of the process that is sending or taking,
* count: `sent` or `taken` in that process's cell before; should the process die in between, they
  tell whether it had counted the message already,
* token: how often the record was used.

When all records are in use, further messages are counted without one.

This module is also loaded by the broker, which runs without NumPy and without dtorch's own
``__init__``; it imports the standard library alone.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

MAGIC = b"dtarena2"
PAGE = 4096
MAX_SLOTS = 256

HEADER = struct.Struct("<8sQQQQ")  # magic, arena id, bytes of data, owner's pid, its start time
SLOTS_USED_AT = 64  # uint64, grows under the slot lock
BLOCKS_USED_AT = 128  # uint64, written by the owner alone
SLOTS_AT = PAGE
SLOT = struct.Struct("<QQ")
GENERATIONS_AT = SLOTS_AT + PAGE

HOLD = 1
HOLD_MASK = 0xFFFF
COUNT_MASK = 0xFFFFFF  # of `taken`, `sent` and the difference between them
TAKEN_SHIFT, SENT_SHIFT = 16, 40
TAKEN, TAKEN_MASK = 1 << TAKEN_SHIFT, COUNT_MASK << TAKEN_SHIFT
SENT, SENT_MASK = 1 << SENT_SHIFT, COUNT_MASK << SENT_SHIFT

MAX_MESSAGES = 4096
RECORD = struct.Struct("<QQQ")  # state, block, channel
BLOCK_MASK, SENDER_SHIFT = 0xFFFFFFFF, 32  # of the second word: 1 + block, slot of the sender
NO_CHANNEL = 0  # not written yet, or who knows where to
SENDER_DIED = 1  # and NO_CHANNEL before
FREE, SENDING, SENT_STATE, TAKING = range(4)
KIND_MASK, SLOT_MASK, TOKEN_MASK = 3, MAX_SLOTS - 1, (1 << 30) - 1
SLOT_SHIFT, COUNT_SHIFT, TOKEN_SHIFT = 2, 10, 34

# One block for each 4 KiB on average; an arena whose blocks are smaller is full sooner.
BYTES_PER_BLOCK = 4096


class Layout(NamedTuple):
    """Where the parts of an arena with a given amount of data lie, in bytes from its start."""

    max_blocks: int
    messages_at: int
    cells_at: int
    data_at: int
    nbytes: int


def layout_of(data_nbytes: int) -> Layout:
    """The layout of an arena with ``data_nbytes`` bytes for blocks."""
    max_blocks = data_nbytes // BYTES_PER_BLOCK
    messages_at = _page_up(GENERATIONS_AT + 4 * max_blocks)
    cells_at = _page_up(messages_at + RECORD.size * MAX_MESSAGES)
    data_at = _page_up(cells_at + 8 * MAX_SLOTS * max_blocks)
    return Layout(max_blocks, messages_at, cells_at, data_at, data_at + data_nbytes)


def _page_up(nbytes: int) -> int:
    return -(-nbytes // PAGE) * PAGE


def state(kind: int, slot: int, count: int, token: int) -> int:
    """The first word of a message's record."""
    return kind | slot << SLOT_SHIFT | count << COUNT_SHIFT | token << TOKEN_SHIFT


def fields(word: int) -> tuple[int, int, int, int]:
    """Kind, slot, count and token of a record's first word."""
    return (
        word & KIND_MASK,
        word >> SLOT_SHIFT & SLOT_MASK,
        word >> COUNT_SHIFT & COUNT_MASK,
        word >> TOKEN_SHIFT,
    )


def count(cells: list[int]) -> tuple[int, int]:
    """Holds and messages under way, of a block with these cells."""
    holds = flight = 0
    for cell in cells:
        holds += cell & HOLD_MASK
        flight += (cell >> SENT_SHIFT) - (cell >> TAKEN_SHIFT)
    return holds, flight & COUNT_MASK
