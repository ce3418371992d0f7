"""Messages between a loader and its worker: a pickle, the bytes of arrays, and descriptors."""

from __future__ import annotations

import select
import socket
import struct
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

_HEADER = struct.Struct("<QQ")  # bytes of the pickle, number of buffers
_MOST_FDS = 8
_CHUNK = 1 << 16  # read at once; most messages are shorter


class Patience(NamedTuple):
    """With a sender that says nothing more in the middle of a message.

    Attributes:
        seconds: how long it may be silent.
        complain: called after that, again and again; may raise.
    """

    seconds: float
    complain: Callable[[], object]


class Channel:
    """One end of the connection."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self._arrived = memoryview(b"")  # read, and not yet asked for
        self._fds: list[int] = []
        self._posted: deque[tuple[bytes, Sequence[int]]] = deque()
        self._is_last = False

    def send(self, message: bytes, buffers: Sequence[Any] = ()) -> None:
        """Send a message; blocks while the other side has too much unread."""
        self.socket.sendall(_framed(message, buffers))
        for buffer in buffers:
            self.socket.sendall(buffer)

    def post(self, message: bytes, fds: Sequence[int] = ()) -> None:
        """Send a message and descriptors without blocking: what finds no room waits for `flush`."""
        self._posted.append((_framed(message), fds))
        self.flush()

    def post_end(self) -> None:
        """Let the other side see an end after what was posted; it can go on sending."""
        self._is_last = True
        self.flush()

    def flush(self) -> bool:
        """Send what was posted, as far as there is room; whether that was everything."""
        while self._posted:
            data, fds = self._posted[0]
            try:
                if fds:
                    sent = socket.send_fds(self.socket, [data], fds, socket.MSG_DONTWAIT)
                else:
                    sent = self.socket.send(data, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return False
            if sent == len(data):
                self._posted.popleft()
            else:
                self._posted[0] = data[sent:], ()
        if self._is_last:
            self.socket.shutdown(socket.SHUT_WR)
            self._is_last = False
        return True

    def receive(
        self, memory: Callable[[int], Any] = bytearray, patience: Patience | None = None
    ) -> tuple[bytearray, list[Any], list[int]]:
        """The next message: its pickle, its buffers, and descriptors that came meanwhile.

        Args:
            memory: ``memory(nbytes)`` gives the writable memory for a buffer.
            patience: None: for ever.
        Raises:
            EOFError: the other side is gone, or has posted its end.
        """
        if not self._arrived:
            # A read ends with the message that brings descriptors, so they are this one's.
            data, self._fds, _, _ = socket.recv_fds(self.socket, _CHUNK, _MOST_FDS)
            if not data:
                raise EOFError("the other side has closed the connection")
            self._arrived = memoryview(data)
        nbytes, count = _HEADER.unpack(self._exactly(bytearray(_HEADER.size), patience))
        sizes = struct.unpack(f"<{count}Q", self._exactly(bytearray(8 * count), patience))
        message = self._exactly(bytearray(nbytes), patience)
        buffers = [self._exactly(memory(size), patience) for size in sizes]
        fds: list[int] = []
        if not self._arrived:
            fds, self._fds = self._fds, []
        return message, buffers, fds

    @property
    def has_arrived(self) -> bool:
        """Whether more was read than was asked for."""
        return bool(self._arrived)

    def _exactly(self, buffer: Any, patience: Patience | None) -> Any:
        view = memoryview(buffer)
        ready = self._arrived[: len(view)]
        view[: len(ready)] = ready
        self._arrived = self._arrived[len(ready) :]
        view = view[len(ready) :]
        while view:
            if patience is not None:
                self._wait(patience)
            count = self.socket.recv_into(view)
            if not count:
                raise EOFError("the other side closed the connection within a message")
            view = view[count:]
        return buffer

    def _wait(self, patience: Patience) -> None:
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        while not poll.poll(patience.seconds * 1000):
            patience.complain()

    def close(self) -> None:
        """Close this end, which the other side sees."""
        self.socket.close()


def _framed(message: bytes, buffers: Sequence[Any] = ()) -> bytes:
    sizes = struct.pack(f"<{len(buffers)}Q", *(len(buffer) for buffer in buffers))
    return _HEADER.pack(len(message), len(buffers)) + sizes + message
