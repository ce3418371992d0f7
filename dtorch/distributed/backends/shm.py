"""Collectives through shared memory, for ranks of one machine.

Every collective is a series of *exchanges*: each rank writes into a slot of its own, all wait for
each other, each reads from the others' slots. The first exchange of a collective carries a header,
so that ranks which disagree find out before any data moves.

A reduction of much data is split: rank r combines part r of all ranks, always in the order of the
ranks, and the others copy its result. So all ranks have the same bits, and have them again in the
next run. Data that lies in an arena is combined where it lies; other data goes through the slots
piece by piece, small enough to stay in the cache.
"""

from __future__ import annotations

import contextlib
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from dtorch.core.errors import StorageError
from dtorch.distributed.backends.mailbox import Mailbox
from dtorch.distributed.backends.peers import Peers
from dtorch.distributed.backends.region import HEADER_NBYTES, Region, create_region
from dtorch.distributed.errors import CollectiveMismatch, DistributedError
from dtorch.distributed.reduce_op import ReduceOp, check_reducible, reduce_into
from dtorch.distributed.rendezvous import meet
from dtorch.multiprocessing import layout
from dtorch.multiprocessing.arena import block_of
from dtorch.multiprocessing.memory import Mapping, check_sealed

Array = np.ndarray

_SMALL = 32 << 10  # up to here every rank reads everything and combines it itself
_BLOCK = 128 << 10  # bytes combined at a time; a few of them stay in the second-level cache
_PIECE = 1 << 20  # bytes that pass a slot at a time where everybody reads everything
_ALIGN = 64
_PLACE = struct.Struct("<QQI")  # arena id, offset in its mapping, descriptor
_LENGTHS = struct.Struct("<HH")  # of description and call site
_TEXT_AT = _LENGTHS.size
_LONGEST_TEXT = (HEADER_NBYTES - _TEXT_AT) // 2
_INTERNAL = ("dtorch.distributed", "dtorch.nn.parallel", "contextlib")


class SharedMemoryGroup:
    """The ranks of one machine, joined by shared memory.

    All arrays are of NumPy. Every rank must call the same collectives in the same order.

    Attributes:
        rank, world_size: this process's number, and how many there are.
        pids: the process of each rank.
    """

    name = "shm"

    def __init__(
        self, meeting: str, rank: int, world_size: int, timeout: float, pids: Sequence[int] = ()
    ) -> None:
        fd, self.pids = meet(
            meeting, rank, world_size, lambda: create_region(world_size), timeout, pids
        )
        try:
            self._region = Region(fd, world_size)
        finally:
            os.close(fd)
        self.rank = rank
        self.world_size = world_size
        self._peers = Peers(self._region, rank, self.pids, timeout)
        self._mailbox = Mailbox(self._region, self._peers, rank, world_size)
        self._calls = 0
        self._direct = True  # until mapping a peer's arena fails once
        self._mapped: dict[tuple[int, int], Array] = {}  # (rank, arena id) -> its memory
        self._description = ""
        self._header_sent = False
        try:
            self.barrier()
        except BaseException:
            self.close()
            raise

    # -- collectives --------------------------------------------------------------------------

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        with self._collective("barrier"):
            pass  # the ranks meet to compare what they call

    def broadcast(self, array: Array, src: int) -> None:
        """Copy rank ``src``'s array to all."""
        with (
            self._collective(f"broadcast from rank {src} of {_describe(array)}"),
            _flat(array, write=self.rank != src) as data,
        ):
            raw = _bytes(data)
            for piece in _ranges(raw.size, self._region.half_nbytes):
                if self.rank == src:
                    self._slot[: piece.stop - piece.start] = raw[piece]
                slots = self._exchange()
                if self.rank != src:
                    raw[piece] = slots[src][: piece.stop - piece.start]

    def all_reduce(self, array: Array, op: ReduceOp) -> None:
        """Combine the arrays of all ranks into each."""
        check_reducible(array.dtype, op)
        with (
            self._collective(f"all_reduce({op.name}) of {_describe(array)}"),
            _flat(array) as data,
        ):
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

    def reduce(self, array: Array, dst: int, op: ReduceOp) -> None:
        """Combine the arrays of all ranks into rank ``dst``'s; the others keep theirs."""
        check_reducible(array.dtype, op)
        with (
            self._collective(f"reduce({op.name}) to rank {dst} of {_describe(array)}"),
            _flat(array, write=self.rank == dst) as data,
        ):
            self._reduce_parts(data, op, data if self.rank == dst else None)

    def all_gather(self, outs: Sequence[Array], array: Array) -> None:
        """Copy every rank's array to ``outs[rank]`` on all ranks."""
        with self._collective(f"all_gather of {_describe(array)}"):
            self._gather(outs, array)

    def gather(self, outs: Sequence[Array] | None, array: Array, dst: int) -> None:
        """Copy every rank's array to ``outs[rank]`` on rank ``dst``."""
        with self._collective(f"gather to rank {dst} of {_describe(array)}"):
            self._gather(outs or [], array)

    def scatter(self, array: Array, parts: Sequence[Array] | None, src: int) -> None:
        """Copy rank ``src``'s ``parts[rank]`` to every rank's array."""
        with self._collective(f"scatter from rank {src} of {_describe(array)}"):
            self._deliver([array], [parts or []] if self.rank == src else [None], [src])

    def all_to_all(self, outs: Sequence[Array], parts: Sequence[Array]) -> None:
        """Copy rank r's ``parts[s]`` to rank s's ``outs[r]``."""
        with self._collective(f"all_to_all of {_describe(parts[0])}"):
            self._deliver(outs, [parts] * self.world_size, range(self.world_size))

    def reduce_scatter(self, out: Array, parts: Sequence[Array], op: ReduceOp) -> None:
        """Combine ``parts[rank]`` of all ranks into every rank's ``out``."""
        check_reducible(out.dtype, op)
        with (
            self._collective(f"reduce_scatter({op.name}) of {_describe(out)}"),
            contextlib.ExitStack() as stack,
        ):
            target = stack.enter_context(_flat(out))
            sources = [stack.enter_context(_flat(part, write=False)) for part in parts]
            room = self._room
            for piece in _ranges(target.size, room // target.itemsize):
                mine = _split(self._slot, self.world_size, room)
                for view, source in zip(mine, sources, strict=True):
                    _as(view, source.dtype, source[piece].size)[:] = source[piece]
                slots = self._exchange()
                theirs = [_split(slot, self.world_size, room)[self.rank] for slot in slots]
                span = target[piece]
                reduce_into(span, [_as(v, target.dtype, span.size) for v in theirs], op)

    def send(self, array: Array, dst: int, tag: int) -> None:
        """Give the array to rank ``dst``; returns when it has taken it."""
        with _flat(array, write=False) as data:
            self._mailbox.send(_bytes(data), _describe(array), dst, tag)

    def recv(self, array: Array, src: int | None, tag: int) -> int:
        """Fill the array with what rank ``src``, or any for None, sends; returns its rank."""
        with _flat(array) as data:
            return self._mailbox.receive(_bytes(data), _describe(array), src, tag)

    def close(self) -> None:
        """Leave the group; ranks that still wait for this one get PeerLost."""
        self._peers.leave()
        self._mapped.clear()

    # -- the parts they are made of -------------------------------------------------------------

    def _reduce_whole(self, data: Array, op: ReduceOp) -> None:
        """Every rank reads all and combines it itself: one exchange for each piece."""
        for piece in _ranges(data.size, min(_PIECE, self._region.half_nbytes) // data.itemsize):
            span = data[piece]
            _as(self._slot, data.dtype, span.size)[:] = span
            parts = [_as(slot, data.dtype, span.size) for slot in self._exchange()]
            if len(parts) == 2:
                parts[self.rank] = span  # is in this core's cache already
            reduce_into(span, parts, op)

    def _reduce_parts(self, data: Array, op: ReduceOp, out: Array | None) -> None:
        """Part r of each piece is combined by rank r, then copied to ``out``."""
        for piece in _ranges(data.size, self._region.half_nbytes // data.itemsize):
            span = data[piece]
            bounds = _bounds(span.size, self.world_size, data.itemsize)
            low, high = bounds[self.rank], bounds[self.rank + 1]
            slot = _as(self._slot, data.dtype, span.size)
            slot[:low] = span[:low]
            slot[high:] = span[high:]
            parts = [_as(other, data.dtype, span.size)[low:high] for other in self._exchange()]
            parts[self.rank] = span[low:high]
            reduce_into(_as(self._slot, data.dtype, span.size)[low:high], parts, op)
            results = self._exchange()
            if out is not None:
                target = out[piece]
                for result, (low, high) in zip(results, pairwise(bounds), strict=True):
                    target[low:high] = _as(result, data.dtype, span.size)[low:high]

    def _reduce_in_place(self, views: list[Array], op: ReduceOp) -> None:
        bounds = _bounds(views[0].size, self.world_size, views[0].itemsize)
        first = bounds[self.rank]
        step = _BLOCK // views[0].itemsize
        for block in _ranges(bounds[self.rank + 1] - first, step):
            own = slice(first + block.start, first + block.stop)
            parts = [view[own] for view in views]
            reduce_into(parts[0], parts, op)
            for part in parts[1:]:
                part[:] = parts[0]
        self._exchange()  # what the others have written here is complete

    def _gather(self, outs: Sequence[Array], array: Array) -> None:
        with contextlib.ExitStack() as stack:
            raw = _bytes(stack.enter_context(_flat(array, write=False)))
            targets = [_bytes(stack.enter_context(_flat(out))) for out in outs]
            for piece in _ranges(raw.size, self._region.half_nbytes):
                length = piece.stop - piece.start
                self._slot[:length] = raw[piece]
                slots = self._exchange()
                for target, slot in zip(targets, slots, strict=bool(targets)):
                    target[piece] = slot[:length]

    def _deliver(
        self, outs: Sequence[Array], parts: Sequence[Sequence[Array] | None], srcs: Sequence[int]
    ) -> None:
        """Copy ``parts[rank]`` of each source to the rank it is for."""
        mine = parts[0]
        with contextlib.ExitStack() as stack:
            targets = [_bytes(stack.enter_context(_flat(out))) for out in outs]
            sources = [_bytes(stack.enter_context(_flat(p, write=False))) for p in mine or ()]
            room = self._room
            for piece in _ranges(targets[0].size, room):
                length = piece.stop - piece.start
                slots = _split(self._slot, self.world_size, room)
                for slot, source in zip(slots, sources, strict=bool(sources)):
                    slot[:length] = source[piece]
                arrived = self._exchange()
                for target, src in zip(targets, srcs, strict=True):
                    target[piece] = _split(arrived[src], self.world_size, room)[self.rank][:length]

    # -- exchanges ----------------------------------------------------------------------------

    @property
    def _room(self) -> int:
        """Bytes of a slot for each rank, if it holds something for all."""
        return self._region.half_nbytes // self.world_size // _ALIGN * _ALIGN

    @property
    def _slot(self) -> Array:
        """Where this rank writes what the others see after the next exchange."""
        return self._region.slots[self._peers.sequence & 1][self.rank]

    def _exchange(self) -> list[Array]:
        """Publish this rank's slot, wait for the others; returns all slots."""
        half = self._peers.sequence & 1
        if not self._header_sent:
            self._write_header(self._region.headers[half][self.rank])
        self._peers.wait_for_all(self._peers.arrive(), self._what)
        if not self._header_sent:
            self._header_sent = True
            self._compare_headers(self._region.headers[half])
        return self._region.slots[half]

    @contextlib.contextmanager
    def _collective(self, description: str) -> Iterator[None]:
        self._calls += 1
        self._description = description
        self._header_sent = False
        self._peers.check(self._what)
        try:
            yield
            if not self._header_sent:
                self._exchange()  # nothing to move, but the ranks must agree on that
        except DistributedError:
            raise  # the others know
        except BaseException as error:
            reason = f"it left {self._what()} with {type(error).__name__}: {error}"
            self._peers.abort(self.rank, reason)
            raise

    def _what(self) -> str:
        return f"{self._description.partition(' ')[0].partition('(')[0]} #{self._calls}"

    def _write_header(self, header: memoryview) -> None:
        description = self._description.encode()[:_LONGEST_TEXT]
        site = _call_site().encode(errors="replace")[:_LONGEST_TEXT]
        _LENGTHS.pack_into(header, 0, len(description), len(site))
        end = _TEXT_AT + len(description)
        header[_TEXT_AT:end] = description
        header[end : end + len(site)] = site

    def _compare_headers(self, headers: list[memoryview]) -> None:
        first = _description_of(headers[0])
        for rank, header in enumerate(headers):
            if _description_of(header) != first:
                raise CollectiveMismatch(
                    f"{self._what()}: rank {rank} called {_read_header(header)}, rank 0 called "
                    f"{_read_header(headers[0])}; every rank must call the same collective with "
                    "the same shape and dtype"
                )

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
        places = [_PLACE.unpack_from(slot.data) for slot in self._exchange()]
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
        self._direct = all(slot[0] for slot in self._exchange())


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


def _description_of(header: memoryview) -> memoryview:
    return header[_TEXT_AT : _TEXT_AT + _LENGTHS.unpack_from(header)[0]]


def _read_header(header: memoryview) -> str:
    description, site = _LENGTHS.unpack_from(header)
    end = _TEXT_AT + description
    text = bytes(header[_TEXT_AT : end + site]).decode(errors="replace")
    return f"{text[:description]} at {text[description:]}"


def _call_site() -> str:
    """File and line outside of this package that asked for the collective."""
    frame = sys._getframe(2)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith(_INTERNAL):
        frame = frame.f_back
    return f"{os.path.basename(frame.f_code.co_filename)}:{frame.f_lineno}"


def _describe(array: Array) -> str:
    return f"{array.dtype.name} {array.shape}"


@contextlib.contextmanager
def _flat(array: Array, write: bool = True) -> Iterator[Array]:
    """The elements as a contiguous 1-D array; changes are written back if ``write``."""
    if array.flags.c_contiguous:
        yield array.reshape(-1)
        return
    copy = np.ascontiguousarray(array)
    yield copy.reshape(-1)
    if write:
        array[...] = copy


def _bytes(flat: Array) -> Array:
    return flat.view(np.uint8) if flat.size else np.empty(0, np.uint8)


def _as(slot: Array, dtype: np.dtype[Any], size: int) -> Array:
    """The first ``size`` elements in a piece of shared memory."""
    return slot[: size * dtype.itemsize].view(dtype)


def _ranges(total: int, step: int) -> Iterator[slice]:
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))


def _bounds(size: int, parts: int, itemsize: int) -> list[int]:
    """Where each rank's part starts, and the end; on cache lines, so that none has two writers."""
    line = max(_ALIGN // itemsize, 1)
    step = -(-size // (parts * line)) * line
    return [min(part * step, size) for part in range(parts + 1)]


def _split(slot: Array, parts: int, room: int) -> list[Array]:
    return [slot[part * room : (part + 1) * room] for part in range(parts)]
