"""Memory that the ranks of a group share: sequence words, headers and staging slots."""

from __future__ import annotations

import os
import struct

import numpy as np

from dtorch.distributed.backends.header import HEADER_NBYTES
from dtorch.distributed.errors import RendezvousError
from dtorch.multiprocessing.memory import Mapping, check_sealed, create_memory

_LINE = 64
_PAGE = 4096
_MAGIC = b"dtgroup1"
_FRONT = struct.Struct("<8sQQ")  # magic, world size, bytes of one staging half
_ABORT_AT = 128
_ABORT = struct.Struct("<IiI")  # 0 = none, lost rank, length of the text that follows
_ABORT_TEXT = 512
BOX_NBYTES = 256 << 10
DEFAULT_HALF_NBYTES = 2 << 20


def create_region(world_size: int, half_nbytes: int = DEFAULT_HALF_NBYTES) -> int:
    """A descriptor of new shared memory for a group."""
    fd = create_memory(_size(world_size, half_nbytes))
    os.pwrite(fd, _FRONT.pack(_MAGIC, world_size, half_nbytes), 0)
    return fd


class Region:
    """Views of that memory.

    Each rank writes its own sequence word, headers and slots, and reads the others'. Headers and
    slots exist twice and are used in turn: when a rank overwrites one, everybody has passed the
    exchange after the one it belonged to, so nobody still reads it.

    Attributes:
        half_nbytes: size of one slot.
        words: uint32 words; word ``WORD * rank`` is the rank's sequence number.
        headers: ``headers[half][rank]``, memoryviews.
        slots: ``slots[half][rank]``, uint8 arrays.
        boxes: ``boxes[rank]``: header and data of a message that the rank sends to another.
    """

    WORD = _LINE // 4  # words from one rank's line to the next; in it, after the sequence number:
    LEFT = 1  # whether the rank has left the group
    POSTED = 2  # how many pieces it has put into its box
    TAKEN = 3  # how many of them were taken, written by their receivers
    REFUSED = 4  # whether the last one was refused

    def __init__(self, fd: int, world_size: int) -> None:
        check_sealed(fd)
        magic, ranks, half_nbytes = _FRONT.unpack(os.pread(fd, _FRONT.size, 0))
        size = os.fstat(fd).st_size
        if magic != _MAGIC or ranks != world_size or size != _size(world_size, half_nbytes):
            raise RendezvousError("init_process_group: rank 0 runs another version of dtorch")
        self.half_nbytes: int = half_nbytes
        mapping = Mapping(fd, size)
        memory = mapping.array
        lines_at, headers_at, boxes_at, slots_at = _offsets(world_size)
        self._memory: memoryview = memory.data
        self.words: memoryview = memory[lines_at:headers_at].data.cast("I")
        self.words_address: int = mapping.address + lines_at
        self.headers = [
            [
                memory[start : start + HEADER_NBYTES].data
                for start in _starts(headers_at, HEADER_NBYTES, world_size, half)
            ]
            for half in (0, 1)
        ]
        box = HEADER_NBYTES + BOX_NBYTES
        self.boxes: list[np.ndarray] = [
            memory[boxes_at + rank * box : boxes_at + (rank + 1) * box]
            for rank in range(world_size)
        ]
        self.slots: list[list[np.ndarray]] = [
            [
                memory[start : start + half_nbytes]
                for start in _starts(slots_at, half_nbytes, world_size, half)
            ]
            for half in (0, 1)
        ]

    def abort(self, rank: int, reason: str) -> None:
        """Tell everybody that the group is broken because of ``rank``; the first call counts."""
        if self.aborted() is not None:
            return
        text = reason.encode(errors="replace")[:_ABORT_TEXT]
        at = _ABORT_AT + _ABORT.size
        self._memory[at : at + len(text)] = text
        _ABORT.pack_into(self._memory, _ABORT_AT, 1, rank, len(text))

    def aborted(self) -> tuple[int, str] | None:
        """Who broke the group and why, or None."""
        if not self._memory[_ABORT_AT]:
            return None
        _, rank, length = _ABORT.unpack_from(self._memory, _ABORT_AT)
        at = _ABORT_AT + _ABORT.size
        return rank, bytes(self._memory[at : at + length]).decode(errors="replace")


def _starts(start: int, nbytes: int, world_size: int, half: int) -> list[int]:
    return [start + nbytes * (2 * rank + half) for rank in range(world_size)]


def _offsets(world_size: int) -> tuple[int, int, int, int]:
    lines_at = _PAGE
    headers_at = lines_at + _LINE * world_size
    boxes_at = _page_up(headers_at + 2 * HEADER_NBYTES * world_size)
    slots_at = _page_up(boxes_at + (HEADER_NBYTES + BOX_NBYTES) * world_size)
    return lines_at, headers_at, boxes_at, slots_at


def _page_up(nbytes: int) -> int:
    return -(-nbytes // _PAGE) * _PAGE


def _size(world_size: int, half_nbytes: int) -> int:
    return _offsets(world_size)[-1] + 2 * half_nbytes * world_size
