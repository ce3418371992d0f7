"""Queues that take a message as it is, and write a short one with tensors themselves.

`multiprocessing.Queue` leaves every message to a thread, so that `put` never waits for a full
pipe. What cannot be pickled is then noticed by nobody: the thread prints an error, and who called
`get` waits for ever. Here `put` pickles, and raises. Handing over to a thread that sleeps takes
longer than all else about a small tensor. So `put` also writes at once what is sure not to wait: a
message that is short, into a pipe that has room, when nobody else writes and the thread has nothing
left to do. The order of messages is as ever.
"""

from __future__ import annotations

import functools
import io
import pickle
import select
from multiprocessing import queues
from multiprocessing.reduction import ForkingPickler
from queue import Full
from typing import Any

from dtorch.core.interrupts import try_holding, undisturbed
from dtorch.core.storage import storage_of
from dtorch.core.tensor import Tensor
from dtorch.multiprocessing.delivery import Tickets, give_up, note, set_channel, take_notes
from dtorch.multiprocessing.reductions import is_data, reduce_tensor

_SMALL = 64 << 10  # bytes of a private tensor that take no time to move to shared memory
_FEW = 16  # things in a container
_NUMBERS = frozenset((int, float, bool, type(None)))
_SHORT = 256  # characters
# A pipe with room takes so much without waiting, and in one piece. Four go before the message.
_AT_ONCE = select.PIPE_BUF - 4

_TABLE: dict[type, Any] = {Tensor: reduce_tensor}
_put: Any = queues.Queue.put


def watch_queues() -> None:
    """Have the queues of this process do so."""
    queues.Queue.put = put  # type: ignore[method-assign]


def put(self: Any, obj: Any, block: bool = True, timeout: float | None = None) -> None:
    """`multiprocessing.Queue.put`.

    Raises:
        Full: there is no room within ``timeout`` seconds, or at once if not ``block``.
        Exception: what pickling the object raised, with a note that names it.
    """
    if self._closed or self._ignore_epipe:
        _put(self, obj, block, timeout)
        return
    if not self._sem.acquire(block, timeout):
        raise Full
    take_notes()  # of what was pickled for something else
    is_short = _is_short(obj)
    try:
        data = _dumps(obj) if is_short else memoryview(ForkingPickler.dumps(obj))
    except BaseException as error:
        self._sem.release()
        give_up(take_notes())
        error.add_note(f"while a {type(obj).__name__} was put into a queue: {_shown(obj)}")
        raise
    tickets = take_notes()
    if not (is_short and _is_idle(self) and _written_now(self, data, tickets)):
        _leave_to_thread(self, _Pickled(bytes(data), tickets))


def _shown(obj: Any) -> str:
    try:
        text = repr(obj)
    except Exception as error:  # noqa: BLE001 - of whatever class this is
        return f"its repr raises {type(error).__name__}"
    return text if len(text) <= _SHORT else text[:_SHORT] + "..."


def _is_short(obj: Any) -> bool:
    """Whether it is some tensors, beside numbers and names: pickling is quick and runs no code of
    others, to which it might matter in which thread."""
    kind = type(obj)
    if kind is Tensor:
        return _is_light(obj)
    if kind is dict:
        values = (*obj, *obj.values())
    elif kind is tuple or kind is list:
        values = obj
    else:
        return False
    return len(values) <= _FEW and all(map(_is_light, values))


def _is_light(value: Any) -> bool:
    kind = type(value)
    if kind is not Tensor:
        return kind in _NUMBERS or (kind is str and len(value) <= _SHORT)
    if not is_data(value):
        return False
    storage = storage_of(value)
    return storage.is_shared() or storage.size() <= _SMALL


def _dumps(obj: Any) -> memoryview:
    """What `ForkingPickler.dumps` gives for such a message, without its table of other types."""
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.dispatch_table = _TABLE
    pickler.dump(obj)
    return file.getbuffer()


def _is_idle(queue: Any) -> bool:
    """Whether everything that was put before is written."""
    # The thread waits for the condition exactly when it has nothing to do, and `put` ends that.
    return queue._thread is None or (bool(queue._notempty._waiters) and not queue._buffer)


def _written_now(queue: Any, data: memoryview, tickets: Tickets) -> bool:
    """Write a message unless that might wait; whether it is written."""
    return len(data) <= _AT_ONCE and bool(try_holding(queue._wlock, _written, queue, data, tickets))


def _written(queue: Any, data: memoryview, tickets: Tickets) -> bool:
    room = select.poll()
    room.register(queue._writer, select.POLLOUT)
    if not room.poll(0):
        return False
    set_channel(tickets, queue._writer)
    queue._send_bytes(data)
    if queue._close is None:  # else the thread does it
        queue._close = functools.partial(_close_ends, queue._reader, queue._writer)
    return True


def _close_ends(reader: Any, writer: Any) -> None:
    reader.close()
    writer.close()


def _leave_to_thread(queue: Any, message: _Pickled) -> None:
    with undisturbed(), queue._notempty:
        if queue._thread is None:
            queue._start_thread()
        queue._buffer.append(message)
        queue._notempty.notify()


class _Pickled:
    """A message that is pickled already."""

    def __init__(self, data: bytes, tickets: Tickets) -> None:
        self._data = data
        self._tickets = tickets

    def __reduce__(self) -> Any:
        for messages, ticket in self._tickets:
            note(messages, ticket)  # that this thread is going to write it
        return pickle.loads, (self._data,)
