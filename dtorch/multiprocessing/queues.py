"""Queues that write a short message with tensors themselves instead of waking their thread for it.

`multiprocessing.Queue` leaves every message to a thread, so that `put` never waits for a full
pipe. Handing over to a thread that sleeps takes longer than all else about a small tensor. So `put`
writes at once what is sure not to wait: a message that is short, into a pipe that has room, when
nobody else writes and the thread has nothing left to do. The order of messages is as ever.
"""

from __future__ import annotations

import functools
import io
import pickle
import select
from multiprocessing import queues
from queue import Full
from typing import Any

from dtorch.core.storage import storage_of
from dtorch.core.tensor import Tensor
from dtorch.multiprocessing.delivery import Tickets, note, set_channel, take_notes
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
    """`multiprocessing.Queue.put`."""
    if self._closed or self._ignore_epipe or not (_is_short(obj) and _is_idle(self)):
        _put(self, obj, block, timeout)
        return
    if not self._sem.acquire(block, timeout):
        raise Full
    try:
        take_notes()  # of what was pickled for something else
        data = _dumps(obj)
        tickets = take_notes()
        if not _write_now(self, data, tickets):
            _leave_to_thread(self, _Pickled(bytes(data), tickets))
    except Exception as error:  # noqa: BLE001 - what the thread would do
        self._sem.release()
        self._on_queue_feeder_error(error, obj)


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
    if queue._thread is None:
        return True
    condition = queue._notempty
    with condition:  # the thread waits for it exactly when it has nothing to do
        return bool(condition._waiters) and not queue._buffer


def _write_now(queue: Any, data: memoryview, tickets: Tickets) -> bool:
    """Write a message unless that might wait."""
    if len(data) > _AT_ONCE or not queue._wlock.acquire(False):
        return False
    try:
        room = select.poll()
        room.register(queue._writer, select.POLLOUT)
        if not room.poll(0):
            return False
        set_channel(tickets, queue._writer)
        queue._send_bytes(data)
    finally:
        queue._wlock.release()
    if queue._close is None:  # else the thread does it
        queue._close = functools.partial(_close_ends, queue._reader, queue._writer)
    return True


def _close_ends(reader: Any, writer: Any) -> None:
    reader.close()
    writer.close()


def _leave_to_thread(queue: Any, message: _Pickled) -> None:
    with queue._notempty:
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
