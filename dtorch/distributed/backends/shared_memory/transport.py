"""Collectives through shared memory, for ranks of one machine.

Every collective is a series of *exchanges*: each rank writes into a slot of its own, all wait for
each other, each reads from the others' slots. The first exchange of a collective carries the header.

A reduction of much data is split: rank r combines part r of all ranks, and the others copy its
result. Data that lies in an arena is combined where it lies; other data goes through the slots
piece by piece, small enough to stay in the cache.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dtorch.core.backend import share_cache_with_peers
from dtorch.core.errors import StorageError
from dtorch.core.storage import Storage
from dtorch.distributed.backends.arrays import LINE_NBYTES, Array, part_bounds
from dtorch.distributed.backends.header import find_disagreement, write_header
from dtorch.distributed.backends.shared_memory.mailbox import Mailbox
from dtorch.distributed.backends.shared_memory.peers import Peers
from dtorch.distributed.backends.shared_memory.region import Region, create_region
from dtorch.distributed.backends.transport import Transport
from dtorch.distributed.reduce_op import ReduceOp, reduce_into
from dtorch.distributed.rendezvous import meet
from dtorch.multiprocessing import layout
from dtorch.multiprocessing.arena import allocate, block_of
from dtorch.multiprocessing.memory import Mapping, check_sealed

_SMALL = 32 << 10  # up to here every rank reads everything and combines it itself
_BLOCK = 256 << 10  # bytes combined at a time; a few of them stay in the second-level cache
_PIECE = 1 << 20  # bytes that pass a slot at a time where everybody reads everything
_PLACE = struct.Struct("<QQI")  # arena id, offset in its mapping, descriptor


class SharedMemoryTransport(Transport):
    """The ranks of one machine, joined by shared memory; see `Transport`."""

    name = "shm"

    def __init__(
        self, meeting: str, rank: int, world_size: int, timeout: float, pids: Sequence[int] = ()
    ) -> None:
        share_cache_with_peers(world_size)
        super().__init__(meeting, rank, world_size, timeout, pids)
        fd, self.pids = meet(
            meeting, rank, world_size, lambda: create_region(world_size), timeout, pids
        )
        try:
            self._region = Region(fd, world_size)
        finally:
            os.close(fd)
        self._peers = Peers(self._region, rank, self.pids, timeout)
        self._mailbox = Mailbox(self._region, self._peers, rank, world_size)
        self._direct = True  # until mapping a peer's arena fails once
        self._mapped: dict[tuple[int, int], Array] = {}  # (rank, arena id) -> its memory
        self._header_sent = False
        try:
            self.barrier()
        except BaseException:
            self.close()
            raise

    def allocate(self, nbytes: int) -> Storage:
        """Zeros in an arena, where all ranks can see them."""
        block = allocate(nbytes)
        storage = Storage.from_bytes(block.array, block)
        storage._bytes[:] = 0
        return storage

    def abort(self, rank: int, reason: str) -> None:
        """Break the group for everybody because of ``rank``."""
        self._peers.abort(rank, reason)

    def close(self) -> None:
        """Leave the group; ranks that still wait for this one get PeerLost."""
        self._peers.leave()
        self._mapped.clear()

    # -- what messages do, done by shared memory --------------------------------------------------

    def _send(self, raw: Array, description: str, dst: int, tag: int) -> None:
        self._mailbox.send(raw, description, dst, tag)

    def _receive(self, raw: Array, description: str, src: int | None, tag: int) -> int:
        return self._mailbox.receive(raw, description, src, tag)

    def _begin(self) -> None:
        self._header_sent = False  # it goes with the first exchange
        self._peers.check(self._what)

    def _end(self) -> None:
        if not self._header_sent:
            self._exchange_slots()  # nothing to move, but the ranks must agree on that

    def _broadcast(self, raw: Array, src: int) -> None:
        for piece in _ranges(raw.size, self._region.half_nbytes):
            if self.rank == src:
                self._slot[: piece.stop - piece.start] = raw[piece]
            slots = self._exchange_slots()
            if self.rank != src:
                raw[piece] = slots[src][: piece.stop - piece.start]

    def _all_reduce(self, data: Array, op: ReduceOp) -> None:
        # NumPy rounds products of complex numbers by where the operands lie.
        same_everywhere = not (op is ReduceOp.PRODUCT and data.dtype.kind == "c")
        if data.nbytes <= _SMALL and same_everywhere:
            self._reduce_whole(data, op)
        elif (views := self._views_of_all(data)) is not None:
            self._reduce_in_place(views, op)
        elif self.world_size <= 2 and same_everywhere:
            self._reduce_whole(data, op)  # measured: splitting pays from three ranks on
        else:
            self._reduce_parts(data, op, data)

    def _reduce(self, data: Array, dst: int, op: ReduceOp) -> None:
        self._reduce_parts(data, op, data if self.rank == dst else None)

    def _reduce_scatter(self, out: Array, parts: Sequence[Array], op: ReduceOp) -> None:
        room = self._room
        for piece in _ranges(out.size, room // out.itemsize):
            mine = _split(self._slot, self.world_size, room)
            for view, part in zip(mine, parts, strict=True):
                _as(view, part.dtype, part[piece].size)[:] = part[piece]
            slots = self._exchange_slots()
            theirs = [_split(slot, self.world_size, room)[self.rank] for slot in slots]
            span = out[piece]
            reduce_into(span, [_as(view, out.dtype, span.size) for view in theirs], op)

    def _gather(self, targets: Sequence[Array], raw: Array, dsts: Sequence[int]) -> None:
        for piece in _ranges(raw.size, self._region.half_nbytes):
            length = piece.stop - piece.start
            self._slot[:length] = raw[piece]
            slots = self._exchange_slots()
            for target, slot in zip(targets, slots, strict=bool(targets)):
                target[piece] = slot[:length]

    def _deliver(
        self, targets: Sequence[Array], parts: Sequence[Array], srcs: Sequence[int]
    ) -> None:
        room = self._room
        for piece in _ranges(targets[0].size, room):
            length = piece.stop - piece.start
            slots = _split(self._slot, self.world_size, room)
            for slot, part in zip(slots, parts, strict=bool(parts)):
                slot[:length] = part[piece]
            arrived = self._exchange_slots()
            for target, src in zip(targets, srcs, strict=True):
                target[piece] = _split(arrived[src], self.world_size, room)[self.rank][:length]

    # -- reductions ---------------------------------------------------------------------------

    def _reduce_whole(self, data: Array, op: ReduceOp) -> None:
        """Every rank reads all and combines it itself: one exchange for each piece."""
        for piece in _ranges(data.size, min(_PIECE, self._region.half_nbytes) // data.itemsize):
            span = data[piece]
            _as(self._slot, data.dtype, span.size)[:] = span
            parts = [_as(slot, data.dtype, span.size) for slot in self._exchange_slots()]
            if len(parts) == 2:
                parts[self.rank] = span  # is in this core's cache already
            reduce_into(span, parts, op)

    def _reduce_parts(self, data: Array, op: ReduceOp, out: Array | None) -> None:
        """Part r of each piece is combined by rank r, then copied to ``out``."""
        for piece in _ranges(data.size, self._region.half_nbytes // data.itemsize):
            span = data[piece]
            bounds = part_bounds(span.size, self.world_size, data.itemsize)
            low, high = bounds[self.rank]
            slot = _as(self._slot, data.dtype, span.size)
            slot[:low] = span[:low]
            slot[high:] = span[high:]
            parts = [
                _as(other, data.dtype, span.size)[low:high] for other in self._exchange_slots()
            ]
            parts[self.rank] = span[low:high]
            reduce_into(_as(self._slot, data.dtype, span.size)[low:high], parts, op)
            results = self._exchange_slots()
            if out is not None:
                target = out[piece]
                for result, (low, high) in zip(results, bounds, strict=True):
                    target[low:high] = _as(result, data.dtype, span.size)[low:high]

    def _reduce_in_place(self, views: list[Array], op: ReduceOp) -> None:
        bounds = part_bounds(views[0].size, self.world_size, views[0].itemsize)
        first, end = bounds[self.rank]
        for block in _ranges(end - first, _BLOCK // views[0].itemsize):
            own = slice(first + block.start, first + block.stop)
            parts = [view[own] for view in views]
            reduce_into(parts[0], parts, op)
            for part in parts[1:]:
                part[:] = parts[0]
        self._exchange_slots()  # what the others have written here is complete

    # -- exchanges ----------------------------------------------------------------------------

    @property
    def _room(self) -> int:
        """Bytes of a slot for each rank, if it holds something for all."""
        return self._region.half_nbytes // self.world_size // LINE_NBYTES * LINE_NBYTES

    @property
    def _slot(self) -> Array:
        """Where this rank writes what the others see after the next exchange."""
        return self._region.slots[self._peers.sequence & 1][self.rank]

    def _exchange_slots(self) -> list[Array]:
        """Publish this rank's slot, wait for the others; returns all slots."""
        half = self._peers.sequence & 1
        if not self._header_sent:
            write_header(self._region.headers[half][self.rank], self._description)
        self._peers.wait_for_all(self._peers.arrive(), self._what)
        if not self._header_sent:
            self._header_sent = True
            if disagreement := find_disagreement(self._region.headers[half]):
                self._complain(disagreement)
        return self._region.slots[half]

    # -- data that lies in arenas -----------------------------------------------------------------

    def _views_of_all(self, data: Array) -> list[Array] | None:
        """Every rank's data as an array here, if all of it lies in arenas."""
        if not self._direct:
            return None
        block = block_of(data)
        place = (0, 0, 0)
        if block is not None:
            arena = block.arena
            place = (arena.id, data.ctypes.data - arena.mapping.address, arena.fd)
        _PLACE.pack_into(self._slot.data, 0, *place)
        places = [_PLACE.unpack_from(slot.data) for slot in self._exchange_slots()]
        if not all(arena_id for arena_id, _, _ in places):
            return None
        if any((rank, place[0]) not in self._mapped for rank, place in enumerate(places)):
            self._map_arenas(places)
        if not self._direct:
            return None
        return [
            _as(self._mapped[rank, arena_id][start:], data.dtype, data.size)
            for rank, (arena_id, start, _) in enumerate(places)
        ]

    def _map_arenas(self, places: list[tuple[int, int, int]]) -> None:
        """Map the arenas that this group sees for the first time; all ranks must manage to."""
        done = True
        for rank, (arena_id, _, fd) in enumerate(places):
            try:
                self._mapped[rank, arena_id] = _map_arena(self.pids[rank], fd, arena_id)
            except (OSError, StorageError):
                done = False  # for example a process that may not be looked into
        self._slot[0] = done
        self._direct = all(slot[0] for slot in self._exchange_slots())


def _map_arena(pid: int, fd: int, arena_id: int) -> Array:
    own = os.open(f"/proc/{pid}/fd/{fd}", os.O_RDWR | os.O_CLOEXEC)
    try:
        check_sealed(own)
        memory = Mapping(own, os.fstat(own).st_size).array
    finally:
        os.close(own)
    if layout.HEADER.unpack_from(memory.data)[:2] != (layout.MAGIC, arena_id):
        raise StorageError(f"descriptor {fd} of process {pid} is not arena {arena_id:x}")
    return memory


def _as(slot: Array, dtype: np.dtype[Any], size: int) -> Array:
    """The first ``size`` elements in a piece of shared memory."""
    return slot[: size * dtype.itemsize].view(dtype)


def _ranges(total: int, step: int) -> Iterator[slice]:
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))


def _split(slot: Array, parts: int, room: int) -> list[Array]:
    return [slot[part * room : (part + 1) * room] for part in range(parts)]
