"""What moves arrays between the ranks of a group: a protocol, and how all of it follows from messages.

A transport sends and receives bytes. Every collective has a definition here that is made of that
alone, and a transport overrides the parts (`_all_reduce`, `_gather`, ...) that it does better.

Whatever the transport, reductions combine the ranks' arrays in the order of the ranks, so all ranks
have the same bits, and have them again in the next run; and ranks that call different things find
out before any data moves.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from dtorch.core.quiet import quietly
from dtorch.core.storage import Storage
from dtorch.distributed.backends.arrays import Array, as_bytes, describe, flat, part_bounds
from dtorch.distributed.backends.header import HEADER_NBYTES, find_disagreement, write_header
from dtorch.distributed.errors import (
    CollectiveMismatch,
    CollectiveTimeout,
    DistributedError,
    PeerLost,
)
from dtorch.distributed.reduce_op import ReduceOp, check_reducible, reduce_into

_TAG = -1  # of the messages that collectives are made of; those of users count from 0


class Transport(ABC):
    """The ranks of a group, and how they exchange arrays.

    All arrays are of NumPy. Every rank must call the same collectives in the same order, one at a
    time; messages may pass meanwhile, from other threads.

    A subclass joins the other ranks in its constructor, and offers `_send`, `_receive`, `abort` and
    `close`. Whatever waits must raise `PeerLost` when the awaited rank is gone or anybody has
    called `abort`, and `CollectiveTimeout` when the time is up.

    Args:
        meeting: a name that only this group's ranks have in common.
        rank, world_size: this process's number, and how many there are.
        timeout: seconds to wait for another rank.
        pids: the processes of all ranks, if they are known before.

    Attributes:
        name: of the transport, for ``init_process_group(backend=...)``.
        device_types: where the tensors lie that it moves.
        rank, world_size: this process's number, and how many there are.
        pids: the process of each rank.
    """

    name: ClassVar[str]
    device_types: ClassVar[tuple[str, ...]] = ("cpu",)

    def __init__(
        self, meeting: str, rank: int, world_size: int, timeout: float, pids: Sequence[int] = ()
    ) -> None:
        self.rank = rank
        self.world_size = world_size
        self.pids = list(pids)
        self._calls = 0
        self._description = ""
        self._none: Sequence[Array | None] = [None] * world_size  # nothing for anybody

    # -- what a transport has to offer ----------------------------------------------------------

    @abstractmethod
    def _send(self, raw: Array, description: str, dst: int, tag: int) -> None:
        """Give bytes to rank ``dst``; returns when they may be changed, it may have to take them.

        Messages from one rank to another with the same tag arrive in their order.
        """

    @abstractmethod
    def _receive(self, raw: Array, description: str, src: int | None, tag: int) -> int:
        """Fill bytes with a message of rank ``src``, or of any for None; returns whose it was.

        Raises:
            CollectiveMismatch: the message has another description.
        """

    @abstractmethod
    def abort(self, rank: int, reason: str) -> None:
        """Break the group for everybody because of ``rank``; the first reason counts. Never waits."""

    @abstractmethod
    def close(self) -> None:
        """Leave the group; ranks that still wait for this one get PeerLost."""

    def allocate(self, nbytes: int) -> Storage:
        """Memory, all zero, that this transport reduces without detours."""
        return Storage(np.zeros(nbytes, np.uint8))

    # -- what ranks call ------------------------------------------------------------------------

    def barrier(self) -> None:
        """Wait until all ranks are here."""
        with self._collective("barrier"):
            pass  # the ranks meet to compare what they call

    def broadcast(self, array: Array, src: int) -> None:
        """Copy rank ``src``'s array to all."""
        with (
            self._collective(f"broadcast from rank {src} of {describe(array)}"),
            flat(array, write=self.rank != src) as data,
        ):
            self._broadcast(as_bytes(data), src)

    def all_reduce(self, array: Array, op: ReduceOp) -> None:
        """Combine the arrays of all ranks into each."""
        check_reducible(array.dtype, op)
        with (
            self._collective(f"all_reduce({op.name}) of {describe(array)}"),
            flat(array) as data,
        ):
            quietly(self._all_reduce, data, op)  # inf and nan are values like others

    def reduce(self, array: Array, dst: int, op: ReduceOp) -> None:
        """Combine the arrays of all ranks into rank ``dst``'s; the others keep theirs."""
        check_reducible(array.dtype, op)
        with (
            self._collective(f"reduce({op.name}) to rank {dst} of {describe(array)}"),
            flat(array, write=self.rank == dst) as data,
        ):
            quietly(self._reduce, data, dst, op)

    def all_gather(self, outs: Sequence[Array], array: Array) -> None:
        """Copy every rank's array to ``outs[rank]`` on all ranks."""
        with (
            self._collective(f"all_gather of {describe(array)}"),
            _flat_bytes(outs) as targets,
            _flat_bytes([array], write=False) as (raw,),
        ):
            self._gather(targets, raw, range(self.world_size))

    def gather(self, outs: Sequence[Array] | None, array: Array, dst: int) -> None:
        """Copy every rank's array to ``outs[rank]`` on rank ``dst``."""
        with (
            self._collective(f"gather to rank {dst} of {describe(array)}"),
            _flat_bytes(outs or []) as targets,
            _flat_bytes([array], write=False) as (raw,),
        ):
            self._gather(targets, raw, [dst])

    def scatter(self, array: Array, parts: Sequence[Array] | None, src: int) -> None:
        """Copy rank ``src``'s ``parts[rank]`` to every rank's array."""
        with (
            self._collective(f"scatter from rank {src} of {describe(array)}"),
            _flat_bytes([array]) as targets,
            _flat_bytes(parts or [], write=False) as sources,
        ):
            self._deliver(targets, sources, [src])

    def all_to_all(self, outs: Sequence[Array], parts: Sequence[Array]) -> None:
        """Copy rank r's ``parts[s]`` to rank s's ``outs[r]``."""
        with (
            self._collective(f"all_to_all of {describe(parts[0])}"),
            _flat_bytes(outs) as targets,
            _flat_bytes(parts, write=False) as sources,
        ):
            self._deliver(targets, sources, range(self.world_size))

    def reduce_scatter(self, out: Array, parts: Sequence[Array], op: ReduceOp) -> None:
        """Combine ``parts[rank]`` of all ranks into every rank's ``out``."""
        check_reducible(out.dtype, op)
        with (
            self._collective(f"reduce_scatter({op.name}) of {describe(out)}"),
            flat(out) as target,
            contextlib.ExitStack() as stack,
        ):
            sources = [stack.enter_context(flat(part, write=False)) for part in parts]
            quietly(self._reduce_scatter, target, sources, op)

    def send(self, array: Array, dst: int, tag: int) -> None:
        """Give the array to rank ``dst``; returns when it may be changed."""
        with flat(array, write=False) as data:
            self._send(as_bytes(data), describe(array), dst, tag)

    def recv(self, array: Array, src: int | None, tag: int) -> int:
        """Fill the array with what rank ``src``, or any for None, sends; returns its rank."""
        with flat(array) as data:
            return self._receive(as_bytes(data), describe(array), src, tag)

    # -- collectives made of messages, for transports that know nothing better --------------------

    def _begin(self) -> None:
        """Meet the other ranks and compare what they call; raises CollectiveMismatch on all."""
        headers = np.zeros((self.world_size, HEADER_NBYTES), np.uint8)
        write_header(headers[self.rank].data, self._description)
        self._gather(list(headers) if self.rank == 0 else [], headers[self.rank], [0])
        text = b""
        if self.rank == 0:
            text = find_disagreement([header.data for header in headers]).encode()
        length = np.array([len(text)])
        answer, answers = as_bytes(length), [as_bytes(length)] * self.world_size
        try:
            self._deliver([answer], answers if self.rank == 0 else [], [0])
        except CollectiveTimeout:
            # Rank 0 may have come late and wait for a third one, whom it will name.
            self._deliver([answer], answers if self.rank == 0 else [], [0])
        if length[0]:
            verdict = np.frombuffer(bytearray(text.ljust(length[0])), np.uint8)
            self._broadcast(verdict, 0)
            self._complain(verdict.tobytes().decode(errors="replace"))

    def _end(self) -> None:
        """What remains to be done when the data of a collective has moved."""
        return  # messages leave nothing to do

    def _broadcast(self, raw: Array, src: int) -> None:
        # A tree: a rank's parent is the place without its lowest bit, counted from the source.
        place = (self.rank - src) % self.world_size
        step = 1
        while step < self.world_size and not place & step:
            step *= 2
        if place:
            self._receive(raw, "", (self.rank - step) % self.world_size, _TAG)
        while step > 1:
            step //= 2
            if place + step < self.world_size:
                self._send(raw, "", (self.rank + step) % self.world_size, _TAG)

    def _all_reduce(self, data: Array, op: ReduceOp) -> None:
        parts, mine = self._combined_part(data, op)
        self._gather([as_bytes(part) for part in parts], as_bytes(mine), range(self.world_size))

    def _reduce(self, data: Array, dst: int, op: ReduceOp) -> None:
        parts, mine = self._combined_part(data, op)
        targets = [as_bytes(part) for part in parts] if self.rank == dst else []
        self._gather(targets, as_bytes(mine), [dst])

    def _combined_part(self, data: Array, op: ReduceOp) -> tuple[list[Array], Array]:
        """The data in one part for each rank, and this rank's part of all ranks combined."""
        bounds = part_bounds(data.size, self.world_size, data.itemsize)
        parts = [data[low:high] for low, high in bounds]
        mine = np.empty_like(parts[self.rank])
        self._reduce_scatter(mine, parts, op)
        return parts, mine

    def _reduce_scatter(self, out: Array, parts: Sequence[Array], op: ReduceOp) -> None:
        arrived = [np.empty_like(out) for _ in range(self.world_size)]
        self._exchange([as_bytes(part) for part in parts], [as_bytes(part) for part in arrived])
        reduce_into(out, arrived, op)

    def _gather(self, targets: Sequence[Array], raw: Array, dsts: Sequence[int]) -> None:
        """Copy every rank's bytes to ``targets[rank]`` on the ranks ``dsts``."""
        outgoing = [raw if rank in dsts else None for rank in range(self.world_size)]
        self._exchange(outgoing, targets or self._none)

    def _deliver(
        self, targets: Sequence[Array], parts: Sequence[Array], srcs: Sequence[int]
    ) -> None:
        """Copy ``parts[rank]`` of each source to the rank it is for, into ``targets`` by source."""
        incoming = dict(zip(srcs, targets, strict=True))
        self._exchange(
            parts or self._none,
            [incoming.get(rank) for rank in range(self.world_size)],
        )

    def _exchange(self, outgoing: Sequence[Array | None], incoming: Sequence[Array | None]) -> None:
        """Send ``outgoing[rank]`` to each rank and fill ``incoming[rank]`` from it.

        In every round each rank has one partner, who has it too: nobody waits in a circle.
        """
        for turn in range(self.world_size):
            partner = (turn - self.rank) % self.world_size
            given, wanted = outgoing[partner], incoming[partner]
            if partner == self.rank:
                if given is not None and wanted is not None:
                    wanted[...] = given
                continue
            for sends in (self.rank < partner, self.rank > partner):
                if sends and given is not None and given.size:
                    self._send(given, "", partner, _TAG)
                elif not sends and wanted is not None and wanted.size:
                    self._receive(wanted, "", partner, _TAG)

    # -- what goes wrong -------------------------------------------------------------------------

    @contextlib.contextmanager
    def _collective(self, description: str) -> Iterator[None]:
        """Count a collective; a rank that cannot finish it tells the others why."""
        try:
            self._calls += 1
            self._description = description
            self._begin()
            yield
            self._end()
        except PeerLost as lost:
            self.abort(lost.rank, lost.reason)
            raise
        except CollectiveTimeout as late:
            self.abort(self.rank, f"gave up: {late}")
            raise
        except DistributedError:
            raise  # the others know
        except BaseException as error:
            reason = f"it left {self._what()} with {type(error).__name__}: {error}"
            self.abort(self.rank, reason)
            raise

    def _what(self) -> str:
        """The collective under way, as errors name it."""
        return f"{self._description.partition(' ')[0].partition('(')[0]} #{self._calls}"

    def _complain(self, disagreement: str) -> None:
        raise CollectiveMismatch(
            f"{self._what()}: {disagreement}; every rank must call the same collective with the "
            "same shape and dtype"
        )


@contextlib.contextmanager
def _flat_bytes(arrays: Sequence[Array], write: bool = True) -> Iterator[list[Array]]:
    with contextlib.ExitStack() as stack:
        yield [as_bytes(stack.enter_context(flat(array, write))) for array in arrays]
