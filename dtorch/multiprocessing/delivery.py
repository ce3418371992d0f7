"""What becomes of messages with shared memory: which channel they go into, and which are lost.

Pipes and queues of this package say into which channel, a pipe or a socket, they write a message.
It is lost when no process has the reading end of its channel any more: its reader died, or the
queue was dropped. Messages that go another way (the arguments of a process, the standard library's
own queues) count as under way until they are received or their sender has ended.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from dtorch.multiprocessing import layout
from dtorch.multiprocessing.channels import open_channels
from dtorch.multiprocessing.ledger import Ledger
from dtorch.multiprocessing.messages import Messages, Ticket

_SURE_AFTER_S = 0.25  # a descriptor that is itself under way to a process is in nobody's table
_SURE_OF_DEAD_AFTER_S = 2.0  # a process may be starting whose arguments a dead one has given
_LOOK_EVERY_S = 0.5

T = TypeVar("T")
Tickets = list[tuple[Messages, tuple[int, int]]]


class _Notes(threading.local):
    """The tickets of what this thread is pickling, where somebody wants to know."""

    tickets: Tickets | None = None


_notes = _Notes()


def note(messages: Messages, ticket: Ticket) -> None:
    """This thread is pickling a message."""
    if ticket and _notes.tickets is not None:
        _notes.tickets.append((messages, ticket))


def noting(pickle: Callable[[Any], T], obj: Any) -> tuple[T, Tickets]:
    """What pickling an object gives, and the tickets of the messages in it.

    If it fails they will not be written, and are given up.
    """
    tickets: Tickets = []
    before, _notes.tickets = _notes.tickets, tickets
    try:
        return pickle(obj), tickets
    except BaseException:
        set_channel(tickets, layout.SENDER_DIED)
        raise
    finally:
        _notes.tickets = before


def set_channel(tickets: Tickets, channel: int) -> None:
    """These messages are about to be written into a channel."""
    for messages, ticket in tickets:
        messages.set_channel(ticket, channel)


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
