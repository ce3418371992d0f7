"""How the ranks of one machine find each other and come to share memory.

Rank 0 listens at an abstract UNIX socket. The others connect, say who they are, and are given the
descriptor of the group's memory once all have come. Nobody needs a port, and processes of other
users are refused.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import select
import socket
import struct
import time
import uuid
from collections.abc import Callable, Sequence
from typing import NamedTuple, NoReturn

from dtorch.core.errors import ArgumentError
from dtorch.distributed.environment import Environment, find_process, job_id
from dtorch.distributed.errors import RendezvousError
from dtorch.multiprocessing.processes import named, start_time
from dtorch.multiprocessing.reception import Caller, Reception, answer, peer_of

_log = logging.getLogger("dtorch.distributed")
_PROTOCOL = b"dtranks2"
_HELLO = struct.Struct("<8siI")  # protocol, rank, world size
_WELCOME, _REFUSED, _COME_AGAIN = b"+", b"-", b"?"  # then the ranks' pids, or why
_LARGEST_ANSWER = 1 << 16
_LOOPBACK = {"localhost", "127.0.0.1", "::1", "[::1]"}


class Meeting(NamedTuple):
    """What every rank has afterwards: the group's memory, and the process of each rank."""

    fd: int
    pids: list[int]


def meeting_name(host: str, port: int | str, group: str = "") -> str:
    """The address of the ranks that were given this MASTER_ADDR and MASTER_PORT."""
    host = "127.0.0.1" if host in _LOOPBACK else host
    digest = hashlib.sha256("\n".join([host, str(port), job_id(), group]).encode()).hexdigest()
    return f"dtorch-group-{digest[:32]}"


def name_in(found: Environment, group: str = "") -> str:
    """The meeting's name by what the environment tells.

    Raises:
        ArgumentError: it tells nothing that the ranks have in common.
    """
    if found.master_port is not None:
        return meeting_name(found.master_addr or "127.0.0.1", found.master_port, group)
    if found.world_size == 1:
        return meeting_name("alone", uuid.uuid4().hex, group)
    if not found.job:
        raise ArgumentError(
            "init_process_group: MASTER_PORT is not set; start the script with dtorch-launch, or "
            "set MASTER_ADDR and MASTER_PORT to the same values in every process"
        )
    return meeting_name("job", found.job, group)


def name_from(init_method: str, group: str = "") -> str:
    """The meeting's name by an ``init_method``: tcp://host:port or file:///path.

    Raises:
        ArgumentError: another method.
    """
    scheme, _, rest = init_method.partition("://")
    if scheme == "tcp" and ":" in rest:
        host, _, port = rest.rpartition(":")
        return meeting_name(host, port, group)
    if scheme == "file" and rest:
        return meeting_name("file", os.path.realpath(rest), group)
    raise ArgumentError(
        f"init_process_group: init_method is {init_method!r}, expected 'env://', "
        "'tcp://<host>:<port>' or 'file:///<path>'"
    )


def meet(
    name: str,
    rank: int,
    world_size: int,
    create: Callable[[], int],
    timeout: float,
    pids: Sequence[int] = (),
) -> Meeting:
    """Wait for all ranks.

    Args:
        name: as from `meeting_name`, equal on all ranks.
        rank, world_size: who we are, and how many there are.
        create: makes the group's memory and returns its descriptor; called on rank 0.
        timeout: seconds to wait for the others.
        pids: the processes of all ranks, if they are known: one that ends is not waited for.

    Raises:
        RendezvousError: somebody did not come in time, or disagrees about the group.
    """
    if rank:
        return _join(name, rank, world_size, timeout, pids[0] if pids else None)
    return _Host(name, world_size, timeout, pids).gather(create)


class _Guest(NamedTuple):
    """A rank that has come."""

    rank: int
    pid: int
    socket: socket.socket


class _Host:
    """Rank 0's side."""

    def __init__(self, name: str, world_size: int, timeout: float, pids: Sequence[int]) -> None:
        self._name = name
        self._expected = pids
        self._world_size = world_size
        self._timeout = timeout
        self._guests: dict[int, _Guest] = {}  # by descriptor
        self._refusals: list[str] = []

    def gather(self, create: Callable[[], int]) -> Meeting:
        fd = create()
        try:
            if self._world_size > 1:
                self._receive_all()
            pids = [os.getpid(), *self._pids()]
            for guest in self._guests.values():
                # One that died meanwhile is found out by the first collective.
                answer(guest.socket, _WELCOME + struct.pack(f"<{len(pids)}I", *pids), (fd,))
        except BaseException as error:
            os.close(fd)
            if isinstance(error, RendezvousError):
                for guest in self._guests.values():
                    answer(guest.socket, _REFUSED + str(error).encode()[: _LARGEST_ANSWER - 1])
            raise
        finally:
            for guest in self._guests.values():
                guest.socket.close()
        return Meeting(fd, pids)

    def _pids(self) -> list[int]:
        return [guest.pid for guest in sorted(self._guests.values())]

    def _receive_all(self) -> None:
        end = time.monotonic() + self._timeout
        with contextlib.closing(self._listen()) as reception, contextlib.ExitStack() as held:
            poll = select.poll()
            poll.register(reception, select.POLLIN)
            watched = {_watch(pid, held): rank for rank, pid in enumerate(self._expected) if rank}
            for pidfd in watched:
                poll.register(pidfd, select.POLLIN)
            while len(self._guests) < self._world_size - 1:
                left = end - time.monotonic()
                if left <= 0:
                    self._give_up()
                for fd, _ in poll.poll(left * 1000):
                    if fd in watched:
                        rank = watched[fd]
                        raise RendezvousError(_ended(rank, self._expected[rank]))
                    if fd in self._guests:  # it has ended, and is expected again
                        poll.unregister(fd)
                        self._guests.pop(fd).socket.close()
                        continue
                    for caller in reception.callers():
                        if self._admit(caller):
                            poll.register(caller.socket, select.POLLIN)

    def _listen(self) -> Reception:
        try:
            return Reception(self._name, _HELLO.size + 1, farewell=_COME_AGAIN)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            raise RendezvousError(
                "init_process_group: another rank 0 on this machine already waits with the same "
                "MASTER_ADDR and MASTER_PORT; give each job its own port"
            ) from error

    def _admit(self, caller: Caller) -> bool:
        """Take one of our ranks in; whoever else it is, it is told why not, and the job goes on."""
        refusal = None
        if len(caller.message) != _HELLO.size or not caller.message.startswith(_PROTOCOL):
            refusal = "this is the meeting of a group of ranks, of this version of dtorch"
        else:
            _, rank, world_size = _HELLO.unpack(caller.message)
            refusal = self._objection(rank, world_size, caller.pid)
            if refusal is None:
                self._guests[caller.socket.fileno()] = _Guest(rank, caller.pid, caller.socket)
                return True
            if refusal not in self._refusals:
                self._refusals.append(refusal)
                _log.warning("init_process_group: refused: %s", refusal)
        answer(caller.socket, _REFUSED + f"init_process_group: {refusal}".encode())
        caller.socket.close()
        return False

    def _objection(self, rank: int, world_size: int, pid: int) -> str | None:
        if world_size != self._world_size:
            return f"rank {rank} has WORLD_SIZE {world_size}, rank 0 has {self._world_size} (pid {pid})"
        if not 0 < rank < world_size:
            return f"rank {rank} (pid {pid}) is none of 1 to {world_size - 1}"
        for guest in self._guests.values():
            if guest.rank == rank:
                return f"rank {rank} came twice (pids {guest.pid} and {pid})"
        return None

    def _find(self, rank: int) -> str:
        return named(self._expected[rank]) if self._expected else find_process(rank)

    def _give_up(self) -> NoReturn:
        here = {guest.rank for guest in self._guests.values()}
        missing = sorted(set(range(1, self._world_size)) - here)
        running = [f"rank {rank} is {found}" for rank in missing if (found := self._find(rank))]
        known = "".join(f"; {told}" for told in [*running, *self._refusals])
        raise RendezvousError(
            f"init_process_group: ranks {missing} of {self._world_size} did not come within "
            f"{self._timeout:g} s{known}; are all processes started, with the same MASTER_ADDR, "
            "MASTER_PORT and WORLD_SIZE?"
        )


def _watch(pid: int, held: contextlib.ExitStack) -> int:
    """A descriptor that becomes readable when the process ends."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:  # it has ended
        pidfd, other_end = os.pipe()
        os.close(other_end)
    held.callback(os.close, pidfd)
    return pidfd


def _ended(rank: int, pid: int) -> str:
    return f"init_process_group: rank {rank} (pid {pid}) ended before all had come"


def _join(name: str, rank: int, world_size: int, timeout: float, expected: int | None) -> Meeting:
    end = time.monotonic() + timeout
    while True:
        with _connect(name, end, timeout, expected) as host:
            pid, uid = peer_of(host)
            if uid != os.getuid():
                raise RendezvousError(
                    f"init_process_group: rank 0 (pid {pid}) belongs to user {uid}, not to "
                    f"{os.getuid()}; refused"
                )
            message, fds = _ask(host, _HELLO.pack(_PROTOCOL, rank, world_size), end)
        kind, content = message[:1], message[1:]
        if kind == _WELCOME and len(fds) == 1 and len(content) == 4 * world_size:
            return Meeting(fds[0], list(struct.unpack(f"<{world_size}I", content)))
        for fd in fds:
            os.close(fd)
        if kind == _REFUSED:
            raise RendezvousError(content.decode(errors="replace"))
        if time.monotonic() >= end:
            raise RendezvousError(
                f"init_process_group: rank 0 ({named(pid)}) waited {timeout:g} s for other ranks"
            )
        if kind != _COME_AGAIN:
            raise RendezvousError(_ended(0, pid))


def _ask(host: socket.socket, hello: bytes, end: float) -> tuple[bytes, list[int]]:
    """Rank 0's answer; empty if none came by ``end``, or it has ended."""
    host.settimeout(max(end - time.monotonic(), 0.001))
    try:
        host.send(hello)
        message, fds, _, _ = socket.recv_fds(host, _LARGEST_ANSWER, 1, socket.MSG_CMSG_CLOEXEC)
    except (TimeoutError, ConnectionError):
        return b"", []
    return message, fds


def _connect(name: str, end: float, timeout: float, expected: int | None) -> socket.socket:
    pause = 0.001
    while True:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            peer.setblocking(False)
            peer.connect("\0" + name)
        except (ConnectionRefusedError, BlockingIOError):  # nobody there, or many at the door
            peer.close()
        except BaseException:
            peer.close()
            raise
        else:
            return peer
        if expected is not None and start_time(expected) is None:
            raise RendezvousError(_ended(0, expected))
        if time.monotonic() > end:
            host = find_process(0) if expected is None else named(expected)
            raise RendezvousError(
                f"init_process_group: found no rank 0 on this machine within {timeout:g} s"
                + (f" (rank 0 is {host})" if host else "")
                + "; is it started, with the same MASTER_ADDR, MASTER_PORT and job?"
            )
        time.sleep(pause)
        pause = min(2 * pause, 0.02)
