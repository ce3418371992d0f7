"""Listening to processes of the same user, of which none can keep the others waiting.

Runs on the standard library alone, as the broker uses it too.
"""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

_CREDENTIALS = struct.Struct("3i")  # pid, uid, gid
_BACKLOG = 1024
_MOST_SILENT = 128
_AT_A_TIME = 256  # accepted before those who speak are heard


class Caller(NamedTuple):
    """A process that has connected and said something; who gets it closes the socket.

    Attributes:
        socket: the connection; never waits.
        pid: its process.
        message, fds: what came.
    """

    socket: socket.socket
    pid: int
    message: bytes
    fds: list[int]


class Reception:
    """Connections at an abstract UNIX address.

    Processes of other users are turned away before anything is read. Whoever connects and says
    nothing costs a descriptor; when there are many such, the first of them has to go.

    Args:
        address: where.
        nbytes, nfds: the largest message, and the most descriptors with it.
        farewell: sent to those who have to go.

    Raises:
        OSError: the address is taken.
    """

    def __init__(self, address: str, nbytes: int, nfds: int = 0, farewell: bytes = b"") -> None:
        self._nbytes, self._nfds, self._farewell = nbytes, nfds, farewell
        self._silent: dict[int, tuple[socket.socket, int]] = {}  # the first to come first
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._listener.bind("\0" + address)
        except OSError:
            self._listener.close()
            raise
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        self._poll = select.epoll()
        self._poll.register(self._listener, select.EPOLLIN)

    def fileno(self) -> int:
        """Readable when `callers` has something to do."""
        return self._poll.fileno()

    def callers(self) -> Iterator[Caller]:
        """Those who have said something by now."""
        for fd, _ in self._poll.poll(0):
            if fd == self._listener.fileno():
                yield from self._accept()
            elif fd in self._silent and (caller := self._hear(fd)) is not None:
                yield caller

    def _accept(self) -> Iterator[Caller]:
        for _ in range(_AT_A_TIME):
            try:
                peer, _ = self._listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            pid, uid = peer_of(peer)
            if uid != os.getuid():
                peer.close()
                continue
            peer.setblocking(False)
            self._silent[peer.fileno()] = peer, pid
            self._poll.register(peer, select.EPOLLIN)
            if len(self._silent) > _MOST_SILENT:
                first = next(iter(self._silent))
                if (caller := self._hear(first)) is not None:  # it has spoken meanwhile
                    yield caller
                elif first in self._silent:
                    self._send_away(first)

    def _hear(self, fd: int) -> Caller | None:
        peer, pid = self._silent[fd]
        try:
            message, fds, _, _ = socket.recv_fds(
                peer, self._nbytes, self._nfds, socket.MSG_CMSG_CLOEXEC
            )
        except BlockingIOError:
            return None
        except OSError:
            message, fds = b"", []
        self._poll.unregister(fd)
        del self._silent[fd]
        if message:
            return Caller(peer, pid, message, fds)
        for extra in fds:
            os.close(extra)
        peer.close()
        return None

    def _send_away(self, fd: int) -> None:
        self._poll.unregister(fd)
        peer, _ = self._silent.pop(fd)
        answer(peer, self._farewell)
        peer.close()

    def close(self) -> None:
        """Nobody can connect any more, and those who have said nothing are let go."""
        self._poll.close()
        self._listener.close()
        for peer, _ in self._silent.values():
            peer.close()
        self._silent.clear()


def peer_of(peer: socket.socket) -> tuple[int, int]:
    """Process and user at the other end."""
    raw = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid, uid, _ = _CREDENTIALS.unpack(raw)
    return pid, uid


def answer(peer: socket.socket, message: bytes, fds: tuple[int, ...] = ()) -> None:
    """Send without waiting; whoever is gone, or does not read, gets nothing."""
    try:
        socket.send_fds(peer, [message], fds)
    except OSError:
        return
