"""Pipes that know which tensors they carry: the standard library's, with a pickler of our own."""

from __future__ import annotations

import multiprocessing
import pickle
from multiprocessing import connection
from typing import Any

from dtorch.multiprocessing.channels import UNKNOWN, channel_of
from dtorch.multiprocessing.delivery import Tickets, set_channel
from dtorch.multiprocessing.pickling import Message, pickled


class Connection:
    """One end of a pipe, with the methods of `multiprocessing.connection.Connection`.

    What goes through is the same, so the other end may be one of the standard library.
    """

    __slots__ = ("_channel", "_end")

    def __init__(self, end: connection.Connection) -> None:
        self._end = end
        self._channel = UNKNOWN

    def send(self, obj: Any) -> None:
        """Send an object; tensors in it are shared, not copied."""
        self.write(pickled(obj))

    def recv(self) -> Any:
        """The next object.

        Raises:
            EOFError: the other end is closed and nothing is left.
        """
        return pickle.loads(self._end.recv_bytes())

    def write(self, message: Message) -> None:
        """Send an object that is pickled already."""
        self.announce(message.tickets)
        self._end.send_bytes(message.data)

    def announce(self, tickets: Tickets) -> None:
        """Say that what has these tickets is about to be sent."""
        if tickets:
            # Asking the system for the other end of a socket takes as long as sending a message.
            if self._channel == UNKNOWN:
                self._channel = channel_of(self._end.fileno())
            set_channel(tickets, self._channel)

    def send_bytes(self, buf: Any, offset: int = 0, size: int | None = None) -> None:
        """Send bytes as one message."""
        self._end.send_bytes(buf, offset, size)

    def recv_bytes(self, maxlength: int | None = None) -> bytes:
        """The next message, as bytes."""
        return self._end.recv_bytes(maxlength)

    def recv_bytes_into(self, buf: Any, offset: int = 0) -> int:
        """Read the next message into a buffer; returns its length."""
        return self._end.recv_bytes_into(buf, offset)

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is something to read within ``timeout`` seconds."""
        return self._end.poll(timeout)

    def fileno(self) -> int:
        """Its descriptor."""
        return self._end.fileno()

    def close(self) -> None:
        """Close it."""
        self._end.close()

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return self._end.closed

    @property
    def readable(self) -> bool:
        """Whether one can receive."""
        return self._end.readable

    @property
    def writable(self) -> bool:
        """Whether one can send."""
        return self._end.writable

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} over {self._end!r}>"


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:  # noqa: N802 - the public name
    """Two connected ends; with ``duplex=False`` the first only receives and the second only sends.

    >>> import dtorch
    >>> here, there = Pipe()
    >>> here.send(dtorch.ones(2))
    >>> there.recv()
    tensor([1., 1.])
    """
    here, there = multiprocessing.Pipe(duplex)
    return Connection(here), Connection(there)
