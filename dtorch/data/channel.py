"""Messages between a loader and its worker: a pickle, the bytes of arrays, and descriptors."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

_HEADER = struct.Struct("<QQ")  # bytes of the pickle, number of buffers
_MOST_FDS = 8


class Channel:
    """One end of the connection."""

    def __init__(self, end: socket.socket) -> None:
        self.socket = end

    def send(self, message: bytes, buffers: Sequence[Any] = (), fds: Sequence[int] = ()) -> None:
        """Send a message; blocks while the other side has too much unread."""
        sizes = struct.pack(f"<{len(buffers)}Q", *(len(buffer) for buffer in buffers))
        head = _HEADER.pack(len(message), len(buffers)) + sizes + message
        if fds:
            head = head[socket.send_fds(self.socket, [head], fds) :]
        self.socket.sendall(head)
        for buffer in buffers:
            self.socket.sendall(buffer)

    def receive(
        self, memory: Callable[[int], Any] = bytearray
    ) -> tuple[bytearray, list[Any], list[int]]:
        """The next message: its pickle, its buffers, its descriptors.

        Args:
            memory: ``memory(nbytes)`` gives the writable memory for a buffer.
        Raises:
            EOFError: the other side is gone.
        """
        head, fds, _, _ = socket.recv_fds(self.socket, _HEADER.size, _MOST_FDS)
        if not head:
            raise EOFError("the other side has closed the connection")
        header = bytearray(head) + self._exactly(bytearray(_HEADER.size - len(head)))
        nbytes, count = _HEADER.unpack(header)
        sizes = struct.unpack(f"<{count}Q", self._exactly(bytearray(8 * count)))
        message = self._exactly(bytearray(nbytes))
        return message, [self._exactly(memory(size)) for size in sizes], fds

    def _exactly(self, buffer: Any) -> Any:
        view = memoryview(buffer)
        while view:
            count = self.socket.recv_into(view)
            if not count:
                raise EOFError("the other side closed the connection within a message")
            view = view[count:]
        return buffer

    def close(self) -> None:
        """Close this end, which the other side sees."""
        self.socket.close()


def close_all(fds: Sequence[int]) -> None:
    """Close descriptors."""
    for fd in fds:
        os.close(fd)
