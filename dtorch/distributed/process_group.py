"""A process group: who takes part, by which transport, and in what order things happen."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

from dtorch.core import backend as core_backend
from dtorch.core.errors import ArgumentError
from dtorch.core.storage import Storage
from dtorch.distributed.backends.arrays import Array
from dtorch.distributed.backends.header import asked_at, call_site
from dtorch.distributed.backends.transport import Transport


class Work:
    """A collective that was started with ``async_op=True``, or a message by `isend` or `irecv`.

    Its tensors must not be touched before `wait` returns.
    """

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def wait(self, timeout: float | None = None) -> bool:
        """Until it is done; raises what it raised."""
        self._future.result(timeout)
        return True

    def is_completed(self) -> bool:
        """Whether it is done."""
        return self._future.done()


class ProcessGroup:
    """Some of the job's processes, which call the same collectives in the same order.

    Attributes:
        ranks: the global rank of each member.
        backend: name of the transport that moves the data.
        asked_backend: the name that the program gave it.
        device_types: where the tensors lie that it moves.
    """

    def __init__(
        self, ranks: Sequence[int], transport: Transport, asked_backend: str | None = None
    ) -> None:
        self.ranks = tuple(ranks)
        self.backend = transport.name
        self.asked_backend = str(asked_backend or transport.name).lower()
        self.device_types = transport.device_types
        self._transport = transport  # counts the members from 0
        self._turn = threading.Lock()
        self._worker: ThreadPoolExecutor | None = None
        self._messengers: dict[int | None, ThreadPoolExecutor] = {}
        self._last: Future[None] | None = None

    def rank(self) -> int:
        """This process's number in the group."""
        return self._transport.rank

    def size(self) -> int:
        """How many processes it has."""
        return len(self.ranks)

    def rank_of(self, global_rank: int, argument: str) -> int:
        """A member's number in the group.

        Raises:
            ArgumentError: it is no member.
        """
        if global_rank not in self.ranks:
            raise ArgumentError(f"{argument} is {global_rank}, expected one of {list(self.ranks)}")
        return self.ranks.index(global_rank)

    def pid_of(self, global_rank: int) -> int:
        """The process of a member."""
        return self._transport.pids[self.ranks.index(global_rank)]

    def allocate(self, nbytes: int) -> Storage:
        """Memory, all zero, that this group reduces without detours."""
        return self._transport.allocate(nbytes)

    def send(self, array: Array, dst: int, tag: int) -> None:
        """Give an array to the member ``dst``, whatever collectives are under way."""
        self._transport.send(array, dst, tag)

    def recv(self, array: Array, src: int | None, tag: int) -> int:
        """Fill an array with what the member ``src``, or any for None, sends; returns who did."""
        return self._transport.recv(array, src, tag)

    def send_later(self, array: Array, dst: int, tag: int) -> Work:
        """Start a `send`, after those started before: they leave in order."""
        return self._have_messenger(-1, self.send, array, dst, tag)

    def recv_later(self, array: Array, src: int | None, tag: int) -> Work:
        """Start a `recv`, after those from the same member started before."""
        return self._have_messenger(src, self.recv, array, src, tag)

    def _have_messenger(self, peer: int | None, do: Callable[..., object], *args: object) -> Work:
        """Have a thread of its own, for each member that may send and for all sending, do it."""
        if peer not in self._messengers:
            self._messengers[peer] = ThreadPoolExecutor(
                1, "dtorch-messages", core_backend.install_allocator_in_this_thread
            )
        return Work(self._messengers[peer].submit(do, *args))

    def run(self, call: Callable[[Transport], None], async_op: bool = False) -> Work | None:
        """Run a collective after those that were started before it, or only start it."""
        if async_op:
            return self.start(call)
        if self._last is not None:
            wait([self._last])  # what it raised is for its Work to say
            self._last = None
        self._take_turn(call)
        return None

    def start(self, call: Callable[[Transport], None]) -> Work:
        """Have a thread run a collective after those that were started before it."""
        if self._worker is None:
            self._worker = ThreadPoolExecutor(
                1, "dtorch-collectives", core_backend.install_allocator_in_this_thread
            )
        self._last = self._worker.submit(self._take_turn_later, call, call_site())
        return Work(self._last)

    def _take_turn(self, call: Callable[[Transport], None]) -> None:
        with self._turn:
            call(self._transport)

    def _take_turn_later(self, call: Callable[[Transport], None], site: str) -> None:
        asked_at.set(site)
        self._take_turn(call)

    def abort(self, reason: str) -> None:
        """Break the group for all members: this one does not go on."""
        self._transport.abort(self.rank(), reason)

    def close(self) -> None:
        """Finish what was started and leave."""
        for messenger in self._messengers.values():
            messenger.shutdown()
        if self._worker is not None:
            self._worker.shutdown()
        self._transport.close()
