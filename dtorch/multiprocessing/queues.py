"""Queues between processes that pass tensors as handles, with what the standard library's have.

There every message is left to a thread, so that `put` never waits for a full pipe. What cannot be
pickled is then noticed by nobody: the thread prints an error, and who called `get` waits for ever.
Here `put` pickles, and raises. Handing over to a thread that sleeps takes longer than all else
about a small message. So `put` also writes at once what is sure not to wait: a message that is
short, into a pipe that has room, when nobody else writes and the thread has nothing left to do.
The order of messages is as ever.
"""

from __future__ import annotations

import pickle
import queue
import select
import threading
import time
import traceback
import types
import weakref
from multiprocessing.synchronize import SEM_VALUE_MAX  # type: ignore[attr-defined]  # it has
from multiprocessing.util import Finalize, is_exiting, register_after_fork
from queue import Empty, Full
from typing import Any

from dtorch.core.interrupts import try_holding, undisturbed
from dtorch.multiprocessing.connections import Connection, Pipe
from dtorch.multiprocessing.pickling import Message, pickled

_SHOWN = 256  # characters
# A pipe with room takes so much without waiting, and in one piece. Four go before the message.
_AT_ONCE = select.PIPE_BUF - 4


class Queue:
    """A queue that several processes write and read.

    Args:
        maxsize: how many messages it takes; any number if not positive.
        ctx: the context whose locks it uses.
    """

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        self._maxsize: int = maxsize if maxsize > 0 else SEM_VALUE_MAX
        self._reader, self._writer = Pipe(duplex=False)
        self._rlock, self._wlock = ctx.Lock(), ctx.Lock()
        self._places = ctx.BoundedSemaphore(self._maxsize)
        self._begin()

    def __getstate__(self) -> Any:
        return self._maxsize, self._reader, self._writer, self._rlock, self._wlock, self._places

    def __setstate__(self, state: Any) -> None:
        self._maxsize, self._reader, self._writer, self._rlock, self._wlock, self._places = state
        self._begin()

    def _begin(self) -> None:
        self._in_this_process()
        register_after_fork(self, Queue._in_this_process)

    def _in_this_process(self) -> None:
        self._closed = False
        self._leaving = threading.Lock()
        self._feeder: _Feeder | None = None
        self._finish: Any = None
        self._join: Any = None
        self._is_joined = True

    def put(self, obj: Any, block: bool = True, timeout: float | None = None) -> None:
        """Put an object into the queue, as it is now; tensors in it are shared, not copied.

        Raises:
            Full: there is no room within ``timeout`` seconds, or at once if not ``block``.
            Exception: what pickling the object raised, with a note that names it.
        """
        self._check_open()
        if not self._places.acquire(block, timeout):
            raise Full
        try:
            message = pickled(obj)
        except BaseException as error:
            self._places.release()
            error.add_note(f"while a {type(obj).__name__} was put into a queue: {_shown(obj)}")
            raise
        self._count()
        if not self._written_now(message):
            self._leave_to_feeder(message)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """The next object.

        Raises:
            Empty: there is none within ``timeout`` seconds, or at once if not ``block``.
        """
        self._check_open()
        if block and timeout is None:
            with self._rlock:
                data = self._reader.recv_bytes()
                self._places.release()
            return pickle.loads(data)
        end = time.monotonic() + (timeout or 0)
        if not self._rlock.acquire(block, timeout):
            raise Empty
        try:
            if not self._reader.poll(max(end - time.monotonic(), 0) if block else 0):
                raise Empty
            data = self._reader.recv_bytes()
            self._places.release()
        finally:
            self._rlock.release()
        return pickle.loads(data)

    def put_nowait(self, obj: Any) -> None:
        """`put` that does not wait."""
        self.put(obj, False)

    def get_nowait(self) -> Any:
        """`get` that does not wait."""
        return self.get(False)

    def qsize(self) -> int:
        """How many objects are in it, about."""
        return int(self._maxsize - self._places.get_value())

    def empty(self) -> bool:
        """Whether there is nothing to get, just now."""
        return not self._reader.poll()

    def full(self) -> bool:
        """Whether it takes nothing more, just now."""
        return bool(self._places.get_value() == 0)

    def close(self) -> None:
        """This process puts and gets nothing more; what it has put still goes out."""
        self._closed = True
        if self._finish is None:
            self._reader.close()
            self._writer.close()
        else:
            self._finish()

    def join_thread(self) -> None:
        """Wait until everything that was put is written.

        Raises:
            ValueError: the queue is not closed.
        """
        if not self._closed:
            raise ValueError(f"join_thread: {self!r} is not closed")
        if self._join is not None:
            self._join()

    def cancel_join_thread(self) -> None:
        """Have the process not wait for that when it ends."""
        self._is_joined = False
        if self._join is not None:
            self._join.cancel()

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError(f"Queue {self!r} is closed")

    def _count(self) -> None:
        """An object is about to be written."""

    def _written_now(self, message: Message) -> bool:
        """Write a message unless that might wait; whether it is written."""
        if len(message.data) > _AT_ONCE or not (self._feeder is None or self._feeder.is_idle()):
            return False
        return bool(try_holding(self._wlock, _write_if_there_is_room, self._writer, message))

    def _leave_to_feeder(self, message: Message) -> None:
        with undisturbed(), self._leaving:
            if self._feeder is None:
                self._feeder = _Feeder(self._reader, self._writer, self._wlock, self._places)
                self._finish = Finalize(self, self._feeder.finish, exitpriority=10)
                if self._is_joined:
                    thread = weakref.ref(self._feeder.thread)
                    self._join = Finalize(self._feeder.thread, _join, [thread], exitpriority=-5)
            self._feeder.leave(message)

    __class_getitem__: Any = classmethod(types.GenericAlias)


def _shown(obj: Any) -> str:
    try:
        text = repr(obj)
    except Exception as error:  # noqa: BLE001 - of whatever class this is
        return f"its repr raises {type(error).__name__}"
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _write_if_there_is_room(writer: Connection, message: Message) -> bool:
    room = select.poll()
    room.register(writer.fileno(), select.POLLOUT)
    if not room.poll(0):
        return False
    writer.write(message)
    return True


def _join(thread: weakref.ref[threading.Thread]) -> None:
    if (living := thread()) is not None:
        living.join()


class _Feeder:
    """Writes what `put` has left, in a thread. Knows not the queue, which may be forgotten before."""

    def __init__(self, reader: Connection, writer: Connection, wlock: Any, places: Any) -> None:
        self._left: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self._count = self._done = 0
        self.thread = threading.Thread(
            target=self._run, args=(reader, writer, wlock, places), name="dtorch-queue", daemon=True
        )
        self.thread.start()

    def leave(self, message: Message) -> None:
        """Have it written after those before; one thread at a time may call this."""
        self._count += 1
        self._left.put(message)

    def is_idle(self) -> bool:
        """Whether everything is written."""
        return self._done == self._count

    def finish(self) -> None:
        """Close the ends when everything is written. May be called in the middle of anything."""
        self._left.put(None)

    def _run(self, reader: Connection, writer: Connection, wlock: Any, places: Any) -> None:
        while (message := self._left.get()) is not None:
            try:
                with wlock:
                    writer.write(message)
            except Exception:  # noqa: BLE001 - nobody is there to catch it
                if is_exiting():
                    return
                places.release()
                traceback.print_exc()
            self._done += 1
        reader.close()
        writer.close()


class JoinableQueue(Queue):
    """A `Queue` that can be waited for: until `task_done` was called for all that was put."""

    def __init__(self, maxsize: int = 0, *, ctx: Any) -> None:
        super().__init__(maxsize, ctx=ctx)
        self._unfinished = ctx.Semaphore(0)
        self._changed = ctx.Condition()

    def __getstate__(self) -> Any:
        return super().__getstate__(), self._unfinished, self._changed

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state[0])
        self._unfinished, self._changed = state[1:]

    def _count(self) -> None:
        with self._changed:
            self._unfinished.release()

    def task_done(self) -> None:
        """What one `get` has given is done.

        Raises:
            ValueError: it was called more often than something was put.
        """
        with self._changed:
            if not self._unfinished.acquire(False):
                raise ValueError("task_done() called too many times")
            if not self._unfinished.get_value():
                self._changed.notify_all()

    def join(self) -> None:
        """Wait until everything that was put is done."""
        with self._changed:
            if self._unfinished.get_value():
                self._changed.wait()


class SimpleQueue:
    """A pipe with a lock at each end; `put` waits while it is full.

    Args:
        ctx: the context whose locks it uses.
    """

    # The names that the standard library's pools and executors look for.
    def __init__(self, *, ctx: Any) -> None:
        self._reader, self._writer = Pipe(duplex=False)
        self._rlock, self._wlock = ctx.Lock(), ctx.Lock()

    def put(self, obj: Any) -> None:
        """Put an object into the queue; tensors in it are shared, not copied."""
        message = pickled(obj)
        with self._wlock:
            self._writer.write(message)

    def get(self) -> Any:
        """The next object."""
        with self._rlock:
            data = self._reader.recv_bytes()
        return pickle.loads(data)

    def empty(self) -> bool:
        """Whether there is nothing to get, just now."""
        return not self._reader.poll()

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()

    __class_getitem__: Any = classmethod(types.GenericAlias)
