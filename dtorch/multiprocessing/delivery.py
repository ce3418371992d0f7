"""What becomes of messages with shared memory: which channel they go into, and which are lost.

A message is written into a pipe or socket right after it was pickled, by the same thread, so
`Connection` is asked where it writes. A message is lost when no process has the reading end of
its channel any more: its reader died, or the queue was dropped. Messages that go another way (the
arguments of a process) count as under way until they are received or their sender's program ends.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterable
from multiprocessing.connection import Connection
from typing import Any

from dtorch.multiprocessing import layout
from dtorch.multiprocessing.channels import UNKNOWN, channel_of, open_channels
from dtorch.multiprocessing.ledger import Ledger
from dtorch.multiprocessing.messages import Messages

_SURE_AFTER_S = 0.25  # a descriptor that is itself under way to a process is in nobody's table
_SURE_OF_DEAD_AFTER_S = 2.0  # a process may be starting whose arguments a dead one has given
_LOOK_EVERY_S = 0.5
_SEARCHED = 4 << 20  # bytes of a message; beside so much data a few blocks do not matter


Tickets = list[tuple[Messages, bytes]]


class _Fresh(threading.local):
    """Tickets of messages that this thread has pickled but not yet written."""

    def __init__(self) -> None:
        self.tickets: Tickets = []


_fresh = _Fresh()
_write: Any = Connection._send_bytes  # type: ignore[attr-defined]  # internal, as all of this


def note(messages: Messages, ticket: bytes) -> None:
    """This thread is pickling a message."""
    if ticket:
        _fresh.tickets.append((messages, ticket))


def take_notes() -> Tickets:
    """What this thread has noted since it last wrote."""
    tickets, _fresh.tickets = _fresh.tickets, []
    return tickets


def give_up(tickets: Tickets) -> None:
    """These messages will not be written."""
    for messages, ticket in tickets:
        messages.set_channel(ticket, layout.SENDER_DIED)


def set_channel(tickets: Tickets, connection: Any) -> None:
    """These messages are about to be written into a connection."""
    # Asking the system for the other end of a socket takes as long as sending a message.
    channel: int = getattr(connection, "_dtorch_channel", UNKNOWN)
    if channel == UNKNOWN:
        channel = connection._dtorch_channel = channel_of(connection.fileno())
    for messages, ticket in tickets:
        messages.set_channel(ticket, channel)


def _send_bytes(self: Any, buf: Any) -> None:
    if _fresh.tickets:
        tickets = take_notes()
        if len(buf) <= _SEARCHED:
            set_channel(_contained(tickets, bytes(buf)), self)
    _write(self, buf)


def _contained(tickets: Tickets, data: bytes) -> Tickets:
    """Those in a message; others were pickled for something else."""
    found, at = [], 0
    for messages, ticket in tickets:
        start = data.find(ticket, at)
        if start >= 0:
            at = start
            found.append((messages, ticket))
    return found


def watch_connections() -> None:
    """Have connections tell where the messages go that they write."""
    Connection._send_bytes = _send_bytes  # type: ignore[attr-defined]


def _family() -> list[int]:
    parent = multiprocessing.parent_process()
    pids = [os.getpid(), None if parent is None else parent.pid]
    return [pid for pid in pids if pid]


class LostMessages:
    """Finds the messages that nobody can receive any more."""

    def __init__(self) -> None:
        self._missing: dict[int, float] = {}  # channel -> since when
        self._looked = 0.0

    def give_up(self, ledgers: Iterable[Ledger], *, at_once: bool) -> None:
        """Give up lost messages of these arenas; unless ``at_once``, not more than once a while."""
        now = time.monotonic()
        if not at_once and now - self._looked < _LOOK_EVERY_S:
            return
        self._looked = now
        ledgers = list(ledgers)
        wanted = {channel for ledger in ledgers for channel in ledger.messages.channels()}
        readable = open_channels(_family()) if wanted else set()
        if readable is None:
            return
        self._missing = {c: self._missing.get(c, now) for c in wanted - readable}
        lost = {
            channel
            for channel, since in self._missing.items()
            if now - since
            >= (_SURE_OF_DEAD_AFTER_S if channel == layout.SENDER_DIED else _SURE_AFTER_S)
        }
        for ledger in ledgers if lost else ():
            ledger.give_up_lost(lost)
