"""Start methods: the standard library's contexts, with queues, pipes and processes of our own.

Pools, and whatever else a context makes, use those through the context.
"""

from __future__ import annotations

import multiprocessing
from multiprocessing import context
from typing import Any

from dtorch.multiprocessing import queues
from dtorch.multiprocessing.connections import Pipe
from dtorch.multiprocessing.pickling import Portable


class Process(Portable, multiprocessing.Process):
    """`multiprocessing.Process`, by the start method of the program."""


class ForkProcess(Portable, context.ForkProcess):
    """A process that begins as a copy of this one."""


class SpawnProcess(Portable, context.SpawnProcess):
    """A process that begins anew."""


class ForkServerProcess(Portable, context.ForkServerProcess):
    """A process that begins as a copy of a small one."""


class _Context(context.BaseContext):
    def get_context(self, method: str | None = None) -> Any:
        return self if method is None else get_context(method)

    def Pipe(self, duplex: bool = True) -> Any:  # noqa: N802 - as are all names here
        return Pipe(duplex)

    def Queue(self, maxsize: int = 0) -> Any:  # noqa: N802
        return queues.Queue(maxsize, ctx=self)

    def JoinableQueue(self, maxsize: int = 0) -> Any:  # noqa: N802
        return queues.JoinableQueue(maxsize, ctx=self)

    def SimpleQueue(self) -> Any:  # noqa: N802
        return queues.SimpleQueue(ctx=self)


class ForkContext(_Context, context.ForkContext):
    """What ``get_context("fork")`` gives."""

    Process = ForkProcess


class SpawnContext(_Context, context.SpawnContext):
    """What ``get_context("spawn")`` gives."""

    Process = SpawnProcess


class ForkServerContext(_Context, context.ForkServerContext):
    """What ``get_context("forkserver")`` gives."""

    Process = ForkServerProcess


_CONTEXTS: dict[str, Any] = {
    made.get_start_method(): made for made in (ForkContext(), SpawnContext(), ForkServerContext())
}


def get_context(method: str | None = None) -> Any:
    """The context of a start method; by default of the one the program has set.

    Raises:
        ValueError: this system has no such start method.
    """
    return _CONTEXTS[multiprocessing.get_context(method).get_start_method()]


def own(given: Any) -> Any:
    """The context of this package for one of the standard library; any other as it is."""
    is_standard = type(given).__module__ == context.__name__
    return get_context(given.get_start_method()) if is_standard else given


def Queue(maxsize: int = 0) -> queues.Queue:  # noqa: N802
    """A queue that several processes write and read; see `queues.Queue`."""
    return queues.Queue(maxsize, ctx=get_context())


def JoinableQueue(maxsize: int = 0) -> queues.JoinableQueue:  # noqa: N802
    """A queue that can be waited for; see `queues.JoinableQueue`."""
    return queues.JoinableQueue(maxsize, ctx=get_context())


def SimpleQueue() -> queues.SimpleQueue:  # noqa: N802
    """A pipe with a lock at each end; see `queues.SimpleQueue`."""
    return queues.SimpleQueue(ctx=get_context())


def Pool(*args: Any, **kwargs: Any) -> Any:  # noqa: N802
    """`multiprocessing.Pool`, whose tasks and results pass tensors as handles."""
    return get_context().Pool(*args, **kwargs)
