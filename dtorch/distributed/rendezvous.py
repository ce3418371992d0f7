"""How the ranks of one machine find each other and come to share memory.

Rank 0 listens at an abstract UNIX socket. The others connect, say who they are, and are given the
descriptor of the group's memory once all have come. Nobody needs a port, and processes of other
users are refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import socket
import struct
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from dtorch.core.errors import ArgumentError
from dtorch.distributed.errors import RendezvousError

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_LARGEST_MESSAGE = 1 << 16
_PROTOCOL = 1
_HELLO_TIMEOUT_S = 5.0
_LOOPBACK = {"localhost", "127.0.0.1", "::1", "[::1]"}


class Meeting(NamedTuple):
    """What every rank has afterwards: the group's memory, and the process of each rank."""

    fd: int
    pids: list[int]


def meeting_name(host: str, port: int | str, group: str = "") -> str:
    """The address of the ranks that were given this MASTER_ADDR and MASTER_PORT."""
    host = "127.0.0.1" if host in _LOOPBACK else host
    job = os.environ.get("DTORCH_JOB_ID", "")
    digest = hashlib.sha256("\n".join([host, str(port), job, group]).encode()).hexdigest()
    return f"dtorch-group-{digest[:32]}"


def name_from(init_method: str | None) -> str:
    """The meeting's name by an ``init_method``: env://, tcp://host:port or file:///path.

    Raises:
        ArgumentError: another method, or a variable that env:// needs is not set.
    """
    if init_method in (None, "env://"):
        return meeting_name(*_master_from_env())
    scheme, _, rest = str(init_method).partition("://")
    if scheme == "tcp" and ":" in rest:
        host, _, port = rest.rpartition(":")
        return meeting_name(host, port)
    if scheme == "file" and rest:
        return meeting_name("file", os.path.realpath(rest))
    raise ArgumentError(
        f"init_process_group: init_method is {init_method!r}, expected 'env://', "
        "'tcp://<host>:<port>' or 'file:///<path>'"
    )


def _master_from_env() -> tuple[str, str]:
    # The old form is "host:port" in MASTER_ADDR, on all ranks but the first.
    host, _, port = os.environ.get("MASTER_ADDR", "127.0.0.1").partition(":")
    port = os.environ.get("MASTER_PORT", port)
    if not port:
        raise ArgumentError(
            "init_process_group: MASTER_PORT is not set; start the script with dtorch-launch, or "
            "set MASTER_ADDR and MASTER_PORT to the same values in every process"
        )
    return host, port


def meet(
    name: str, rank: int, world_size: int, create: Callable[[], int], timeout: float
) -> Meeting:
    """Wait for all ranks.

    Args:
        name: as from `meeting_name`, equal on all ranks.
        rank, world_size: who we are, and how many there are.
        create: makes the group's memory and returns its descriptor; called on rank 0.
        timeout: seconds to wait for the others.

    Raises:
        RendezvousError: somebody did not come in time, or disagrees about the group.
    """
    if rank:
        return _join(name, rank, world_size, timeout)
    return _Host(name, world_size, timeout).gather(create)


class _Host:
    """Rank 0's side."""

    def __init__(self, name: str, world_size: int, timeout: float) -> None:
        self._name = name
        self._world_size = world_size
        self._timeout = timeout
        self._guests: dict[int, socket.socket] = {}
        self._pids = {0: os.getpid()}

    def gather(self, create: Callable[[], int]) -> Meeting:
        fd = create()
        try:
            if self._world_size > 1:
                self._receive_all(fd)
        except BaseException:
            os.close(fd)
            raise
        finally:
            for guest in self._guests.values():
                guest.close()
        return Meeting(fd, [self._pids[rank] for rank in range(self._world_size)])

    def _receive_all(self, fd: int) -> None:
        end = time.monotonic() + self._timeout
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            self._bind(listener)
            while len(self._guests) < self._world_size - 1:
                self._wait(listener, end)
                self._admit(listener.accept()[0])
        welcome = {"pids": [self._pids[rank] for rank in range(self._world_size)]}
        for guest in self._guests.values():
            # One that died meanwhile is found out by the first collective.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                socket.send_fds(guest, [json.dumps(welcome).encode()], [fd])

    def _bind(self, listener: socket.socket) -> None:
        try:
            listener.bind("\0" + self._name)
        except OSError as error:
            raise RendezvousError(
                "init_process_group: another rank 0 on this machine already waits with the same "
                "MASTER_ADDR and MASTER_PORT; give each job its own port"
            ) from error
        listener.listen(max(self._world_size, 16))

    def _wait(self, listener: socket.socket, end: float) -> None:
        """Until somebody knocks; a guest that ends before all are here is expected again."""
        by_fd = {guest.fileno(): rank for rank, guest in self._guests.items()}
        while True:
            wait_for: list[Any] = [listener, *by_fd]
            ready, _, _ = select.select(wait_for, [], [], max(end - time.monotonic(), 0))
            if not ready:
                missing = sorted(set(range(1, self._world_size)) - set(self._guests))
                raise RendezvousError(
                    f"init_process_group: ranks {missing} of {self._world_size} did not come "
                    f"within {self._timeout:g} s; are all processes started, with the same "
                    "MASTER_ADDR, MASTER_PORT and WORLD_SIZE?"
                )
            for fd in ready:
                if isinstance(fd, int):
                    self._guests.pop(by_fd.pop(fd)).close()
            if listener in ready:
                return

    def _admit(self, guest: socket.socket) -> None:
        pid, uid = _peer_of(guest)
        guest.settimeout(_HELLO_TIMEOUT_S)
        refusal = None
        # Whoever connects and does not say hello is none of ours, and no reason to fail.
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            hello = json.loads(guest.recv(_LARGEST_MESSAGE))
            refusal = self._objection(hello, uid)
            if refusal is None:
                self._guests[hello["rank"]] = guest
                self._pids[hello["rank"]] = pid
                return
            guest.send(json.dumps({"refused": refusal}).encode())
        guest.close()
        if refusal is not None and uid == os.getuid():
            raise RendezvousError(f"init_process_group: {refusal}")

    def _objection(self, hello: dict[str, Any], uid: int) -> str | None:
        rank, world_size = hello["rank"], hello["world_size"]
        if uid != os.getuid():
            return f"user {uid} may not join a group of user {os.getuid()}"
        if hello["protocol"] != _PROTOCOL:
            return f"rank {rank} speaks protocol {hello['protocol']}, rank 0 {_PROTOCOL}"
        if world_size != self._world_size:
            return f"rank {rank} has WORLD_SIZE {world_size}, rank 0 has {self._world_size}"
        if rank in self._guests:
            return f"rank {rank} came twice (pids {self._pids[rank]} and {hello['pid']})"
        return None


def _join(name: str, rank: int, world_size: int, timeout: float) -> Meeting:
    end = time.monotonic() + timeout
    hello = {"rank": rank, "world_size": world_size, "pid": os.getpid(), "protocol": _PROTOCOL}
    with _connect(name, end, timeout) as host:
        pid, uid = _peer_of(host)
        if uid != os.getuid():
            raise RendezvousError(
                f"init_process_group: rank 0 (pid {pid}) belongs to user {uid}, not to "
                f"{os.getuid()}; refused"
            )
        host.settimeout(max(end - time.monotonic(), 0.001))
        try:
            host.send(json.dumps(hello).encode())
            raw, fds, _, _ = socket.recv_fds(host, _LARGEST_MESSAGE, 1)
        except TimeoutError:
            raise RendezvousError(
                f"init_process_group: rank 0 (pid {pid}) waited {timeout:g} s for other ranks"
            ) from None
        except ConnectionError:
            raw, fds = b"", []
    if not raw:
        raise RendezvousError(f"init_process_group: rank 0 (pid {pid}) ended before all had come")
    welcome = json.loads(raw)
    if "refused" in welcome:
        raise RendezvousError(f"init_process_group: {welcome['refused']}")
    return Meeting(fds[0], welcome["pids"])


def _connect(name: str, end: float, timeout: float) -> socket.socket:
    pause = 0.001
    while True:
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            peer.connect("\0" + name)
        except (ConnectionRefusedError, FileNotFoundError):
            peer.close()
        except BaseException:
            peer.close()
            raise
        else:
            return peer
        if time.monotonic() > end:
            raise RendezvousError(
                f"init_process_group: found no rank 0 on this machine within {timeout:g} s; is it "
                "started, with the same MASTER_ADDR, MASTER_PORT and job?"
            )
        time.sleep(pause)
        pause = min(2 * pause, 0.02)


def _peer_of(peer: socket.socket) -> tuple[int, int]:
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return pid, uid
