"""Byte layout of an arena, as every process that maps one must know it.

An arena is one mapping::

    0                  HEADER   what it is, how large, how much of it is in use
    SLOTS_AT           one (pid, start time) for every process that holds blocks of it
    GENERATIONS_AT     one uint32 for every block: how often it has become free
    cells_at           one uint64 for every (process, block): that process's part of the count
    data_at            the blocks

A *cell* is written by its process alone, with one aligned store, and holds three fields:

* holds: how many Block objects of this process use the block,
* taken: how many messages with the block this process has received, modulo 2**24,
* sent:  how many it has sent.

A block is free when nobody holds it and as many messages were taken as sent. `sent` and `taken`
only ever grow, so two equal readings of all cells of a block are a consistent picture: no lock is
needed to find out. What a dead process held is exactly the first field of its cells.

This module is also loaded by the broker, which runs without NumPy and without dtorch's own
``__init__``; it imports the standard library alone.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

MAGIC = b"dtarena1"
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
TAKEN = 1 << 16
TAKEN_MASK = 0xFFFFFF << 16
SENT = 1 << 40
SENT_MASK = 0xFFFFFF << 40
COUNT_MASK = 0xFFFFFF  # of the difference between sent and taken

# One block for each 4 KiB on average; an arena whose blocks are smaller is full sooner.
BYTES_PER_BLOCK = 4096


class Layout(NamedTuple):
    """Where the parts of an arena with a given amount of data lie, in bytes from its start."""

    max_blocks: int
    cells_at: int
    data_at: int
    nbytes: int


def layout_of(data_nbytes: int) -> Layout:
    """The layout of an arena with ``data_nbytes`` bytes for blocks."""
    max_blocks = data_nbytes // BYTES_PER_BLOCK
    cells_at = _page_up(GENERATIONS_AT + 4 * max_blocks)
    data_at = _page_up(cells_at + 8 * MAX_SLOTS * max_blocks)
    return Layout(max_blocks, cells_at, data_at, data_at + data_nbytes)


def _page_up(nbytes: int) -> int:
    return -(-nbytes // PAGE) * PAGE


def count(cells: list[int]) -> tuple[int, int]:
    """Holds and messages under way, of a block with these cells."""
    holds = flight = 0
    for cell in cells:
        holds += cell & HOLD_MASK
        flight += (cell >> 40) - (cell >> 16)
    return holds, flight & COUNT_MASK
