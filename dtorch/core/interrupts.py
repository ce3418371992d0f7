"""Keeping signals out of what must not stop half-way, and what is to be done around a fork.

The handler of a signal may raise: that of Ctrl-C does. Python runs handlers in the main thread where
a function begins, after a call, and where a loop goes back, and drops what they raise in functions
that no program called, such as a ``__del__`` or those that run around a fork. So

- ``with lock:`` of the standard library's own locks is one step;
- a ``__enter__`` that changes something and then calls nothing more is one step, too;
- a ``__exit__``, a ``__del__`` and whatever else has to come to its end is `completed`;
- what takes several steps, and cannot be done twice, belongs into `undisturbed`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import random
import signal
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from dtorch.core.backend import compiled

F = TypeVar("F", bound=Callable[..., Any])

_ARE_IMPORTED_BEFORE = (logging, random, threading)  # they register steps around a fork, as we do


@compiled
def completed(function: F) -> F:
    """A function that ends what it does before Ctrl-C is raised, where the program goes on.

    If Ctrl-C comes in it, it is called once more: what it does twice must be as good as once.
    Without the native module it is an ordinary function, and Ctrl-C may come before its first line.
    """
    return function


@compiled
def try_holding(lock: Any, function: Callable[..., Any], *args: Any) -> Any:
    """What the function gives, called while the lock is held; None if somebody else has the lock.

    A ``with`` that does not wait. Without the native module a signal may come between taking the
    lock and the call.
    """
    if not lock.acquire(False):
        return None
    try:
        return function(*args)
    finally:
        lock.release()


# -- blocks ----------------------------------------------------------------------------------------

_handler: Any = None  # of Ctrl-C, while it is postponed
_came = False
_depth = 0


@compiled
def postpone_signals() -> None:
    """From now on no handler runs, in whichever thread, until `let_signals_in`.

    Without the native module that is so for Ctrl-C alone, and only in the main thread.
    """
    global _handler
    handler = signal.getsignal(signal.SIGINT)
    if callable(handler) and _in_main_thread():
        signal.signal(signal.SIGINT, _note)
        _handler = handler


@compiled
def let_signals_in() -> None:
    """Handlers run again, at first for what came meanwhile."""
    global _handler, _came
    if _handler is not None:
        if signal.getsignal(signal.SIGINT) is _note:
            signal.signal(signal.SIGINT, _handler)
        _handler = None
    if _came:
        _came = False
        signal.raise_signal(signal.SIGINT)


def _note(number: int, frame: Any) -> None:
    global _came
    _came = True


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


class undisturbed:  # noqa: N801 - used like a function
    """A block in which no handler runs; signals that come meanwhile take effect at its end.

    Only the main thread runs handlers, so in other threads the block does nothing. Takes a few
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
            _end()


def _begin() -> None:
    global _depth
    if not _depth:
        postpone_signals()
    _depth += 1


def _end() -> None:
    global _depth
    _depth -= 1
    if not _depth:
        let_signals_in()


def leave_in_child() -> None:
    """In a process that was forked within `undisturbed`: be outside of it."""
    global _depth
    if _depth:
        _depth = 0
        let_signals_in()


# -- around a fork ---------------------------------------------------------------------------------

_Step = Callable[[], object]


def _nothing() -> None:
    """For those who need no step there."""


_before: list[_Step] = []
_after_in_parent: list[_Step] = []
_after_in_child: list[_Step] = []
_forking = threading.RLock()
_is_forking = False
_kept = 0  # blocks around the fork that are the child's as well


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


@completed
def _begin_fork() -> None:
    global _is_forking, _kept
    if not _is_forking:
        kept = _depth if _in_main_thread() else 0
        _begin()
        _is_forking, _kept = True, kept
    _run(_before)


@completed
def _end_fork_in_parent() -> None:
    _end_fork(_after_in_parent)


@completed
def _end_fork_in_child() -> None:
    global _depth, _came
    _came = False  # it came to the parent
    if _is_forking:
        _depth = _kept + 1
    _end_fork(_after_in_child)


def _end_fork(steps: list[_Step]) -> None:
    global _is_forking
    if _is_forking:
        _is_forking = False
        try:
            _run(steps)
        finally:
            _end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_begin_fork,
        after_in_parent=_end_fork_in_parent,
        after_in_child=_end_fork_in_child,
    )
    os.register_at_fork(
        before=_forking.acquire, after_in_parent=_forking.release, after_in_child=_forking.release
    )
