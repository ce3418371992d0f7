"""Keeping signals out of what must not stop half-way, and what is to be done around a fork.

The handler of a signal may raise: that of Ctrl-C does. Python runs handlers between any two steps
of the main thread, also between taking a lock and the block that gives it back, and drops what they
raise in functions that no program called, such as those that run around a fork. ``with lock:`` of
the standard library's own locks is one step; what takes several belongs into `undisturbed`.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import os
import random
import signal
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from dtorch.core import backend

F = TypeVar("F", bound=Callable[..., Any])

# Those that people, supervisors and timers send.
_SIGNALS = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGALRM", "SIGUSR1", "SIGUSR2")
    if hasattr(signal, name)
)
_SIGSET_NBYTES = 128

_libc = ctypes.CDLL(None)
_ARE_IMPORTED_BEFORE = (logging, random, threading)  # they register steps around a fork, as we do


class _Blocked:
    """Signals that are blocked in a thread until it calls `let_in`."""

    def __init__(self) -> None:
        self._set = ctypes.create_string_buffer(_SIGSET_NBYTES)
        # Not a function of Python: what a handler raises is raised by who called, not in here.
        self.let_in = functools.partial(
            _libc.pthread_sigmask, ctypes.c_int(signal.SIG_UNBLOCK), self._set, None
        )

    def none(self) -> None:
        """Begin anew."""
        _libc.sigemptyset(self._set)

    def block(self, number: int) -> None:
        """Block one more."""
        if number not in signal.pthread_sigmask(signal.SIG_BLOCK, [number]):
            _libc.sigaddset(self._set, number)


_postponed, _kept_out = _Blocked(), _Blocked()  # of the main thread; of another one that forks
_handlers: dict[int, Any] = {}  # for which `_postpone` stands in
_depth = 0


def _postpone(number: int, frame: Any) -> None:
    _postponed.block(number)
    signal.pthread_kill(threading.get_ident(), number)  # where it waits now


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class undisturbed:  # noqa: N801 - used like a function
    """A block in which no handler runs; signals that come meanwhile take effect at its end.

    Only the main thread runs handlers, so in other threads the block does nothing. Takes some ten
    microseconds.

    >>> try:
    ...     with undisturbed():
    ...         signal.raise_signal(signal.SIGINT)
    ...         print("the block goes on")
    ... except KeyboardInterrupt:
    ...     print("interrupted at its end")
    the block goes on
    interrupted at its end
    """

    def __enter__(self) -> None:
        if _in_main_thread():
            _begin()

    def __exit__(self, *_: object) -> None:
        if _in_main_thread():
            try:
                _end()
            finally:
                _postponed.let_in()


def _begin() -> None:
    global _depth
    if not _depth:
        _postponed.none()
        try:
            for number in _SIGNALS:
                handler = signal.getsignal(number)
                if callable(handler):
                    _handlers[number] = handler
                    signal.signal(number, _postpone)
        except BaseException:
            _give_handlers_back()
            raise
    _depth += 1


def _end() -> None:
    global _depth
    _depth -= 1
    if not _depth:
        _give_handlers_back()


def _give_handlers_back() -> None:
    while _handlers:
        number, handler = _handlers.popitem()  # the last first: that of Ctrl-C at the end
        if signal.getsignal(number) is _postpone:
            signal.signal(number, handler)


def leave_in_child() -> None:
    """In a process that was forked within `undisturbed`: be outside of it."""
    global _depth
    if _depth:
        _depth = 0
        _give_handlers_back()
        _postponed.let_in()


def _same(function: F) -> F:
    return function


finalizer: Callable[[F], F] = _same if backend.native is None else backend.native.Finalizer
"""Decorates a ``__del__``. Python drops what is raised in there, so that Ctrl-C would be lost if it
came then: here it is raised where the program goes on. The function may be called twice.

Without the native module it is an ordinary ``__del__``.
"""


def _try_holding(lock: Any, function: Callable[..., Any], *args: Any) -> Any:
    if not lock.acquire(False):
        return None
    try:
        return function(*args)
    finally:
        lock.release()


try_holding: Callable[..., Any] = (
    _try_holding if backend.native is None else backend.native.try_holding
)
"""``try_holding(lock, function, *args)``: what the function gives, called while the lock is held; None
if somebody else has the lock. A ``with`` that does not wait.

Without the native module a signal may come between taking the lock and the call.
"""


# -- around a fork ---------------------------------------------------------------------------------

_Step = Callable[[], object]


def _nothing() -> None:
    """For those who need no step there."""


_before: list[_Step] = []
_after_in_parent: list[_Step] = []
_after_in_child: list[_Step] = []
_forking = threading.RLock()
_is_forking = False
_from_main_thread = False


def at_fork(
    *, before: _Step = _nothing, after_in_parent: _Step = _nothing, after_in_child: _Step = _nothing
) -> None:
    """Have this done around every fork of this process, undisturbed by signals.

    Like `os.register_at_fork`: the last registered goes first before the fork, and last after it.
    """
    _before.insert(0, before)
    _after_in_parent.append(after_in_parent)
    _after_in_child.append(after_in_child)


def _run(steps: list[_Step]) -> None:
    with contextlib.ExitStack() as stack:  # all of them, also if one raises
        for step in reversed(steps):
            stack.callback(step)


def _begin_fork() -> None:
    global _is_forking, _from_main_thread
    if _is_forking:
        return  # see below
    _kept_out.none()
    _from_main_thread = _in_main_thread()
    if _from_main_thread:
        try:
            _begin()
        except KeyboardInterrupt:  # which nobody would see
            _begin()
            _postpone(signal.SIGINT, None)
    else:  # the child's only thread will be its main thread
        for number in _SIGNALS:
            _kept_out.block(number)
    _is_forking = True
    _run(_before)


def _end_fork_in_parent() -> None:
    global _is_forking
    if _is_forking:
        _is_forking = False
        try:
            _run(_after_in_parent)
        finally:
            if _from_main_thread:
                _end_unseen()


def _end_fork_in_child() -> None:
    global _is_forking, _depth
    if _is_forking:
        _is_forking = False
        if not _from_main_thread and _depth:  # the main thread, which is not here, had begun
            _depth = 1
        try:
            _run(_after_in_child)
        finally:
            if _depth:
                _end_unseen()


def _end_unseen() -> None:
    try:
        _end()
    except KeyboardInterrupt:  # the very last step before it was to be let in
        _postpone(signal.SIGINT, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_begin_fork,
        after_in_parent=_end_fork_in_parent,
        after_in_child=_end_fork_in_child,
    )
    # Once more, should a handler raise before the first call has come to its first line.
    os.register_at_fork(before=_begin_fork)
    for _let_in in (_postponed.let_in, _kept_out.let_in):
        os.register_at_fork(after_in_parent=_let_in, after_in_child=_let_in)
    os.register_at_fork(
        before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_forking.release
    )
