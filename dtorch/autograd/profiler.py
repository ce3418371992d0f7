"""The profiler: how long operations and their gradients take, as a table and as a Chrome trace."""

from __future__ import annotations

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dtorch.autograd.watched import WatchedNode, after_backward
from dtorch.core.composites import CompositeOp
from dtorch.core.dispatch import watch
from dtorch.core.elementwise import ElementwiseOp
from dtorch.core.errors import ArgumentError
from dtorch.core.interrupts import completed
from dtorch.core.op import Op
from dtorch.core.record import OpNode
from dtorch.core.views import ViewOp

_MICRO = 1000  # nanoseconds in one


class FunctionEvent:
    """One timed piece of work.

    Attributes:
        name: of the operation, the node, or what `record_function` was given.
        category: ``"op"``, ``"backward"`` or ``"user"``.
        start, end: nanoseconds of a monotonic clock.
        thread: number of the thread.
        children: nanoseconds that events inside it took.

    Example:
        >>> event = FunctionEvent("add", "op", start=1000, thread=1)
        >>> event.name, event.category
        ('add', 'op')
    """

    __slots__ = ("category", "children", "end", "name", "start", "thread")

    def __init__(self, name: str, category: str, start: int, thread: int) -> None:
        self.name = name
        self.category = category
        self.start = start
        self.end = start
        self.thread = thread
        self.children = 0

    @property
    def cpu_time_total(self) -> float:
        """Microseconds from start to end."""
        return (self.end - self.start) / _MICRO

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds without the events inside it."""
        return (self.end - self.start - self.children) / _MICRO

    def __repr__(self) -> str:
        return f"<FunctionEvent {self.name} {self.cpu_time_total:.1f}us>"


class FunctionEventAvg:
    """All events of one name.

    Attributes:
        key: the name.
        count: how many.
        cpu_time_total, self_cpu_time_total: summed microseconds, with and without inner events.
    """

    __slots__ = ("count", "cpu_time_total", "key", "self_cpu_time_total")

    def __init__(self, key: str) -> None:
        self.key = key
        self.count = 0
        self.cpu_time_total = 0.0
        self.self_cpu_time_total = 0.0

    def add(self, event: FunctionEvent) -> None:
        """Count one more event."""
        self.count += 1
        self.cpu_time_total += event.cpu_time_total
        self.self_cpu_time_total += event.self_cpu_time_total

    @property
    def cpu_time(self) -> float:
        """Microseconds of one event, on average."""
        return self.cpu_time_total / self.count if self.count else 0.0


class EventList(list[Any]):
    """Events, or their averages.

    Example:
        >>> import dtorch
        >>> with profile() as prof:
        ...     _ = dtorch.ones(2) + 1
        >>> type(prof.function_events).__name__
        'EventList'
    """

    def table(self, sort_by: str | None = None, row_limit: int = 100) -> str:
        """The events as text.

        Args:
            sort_by: ``"cpu_time_total"``, ``"self_cpu_time_total"``, ``"cpu_time"`` or ``"count"``:
                the largest first. Default: as they are.
            row_limit: how many are shown; -1 for all.
        """
        columns = ("self_cpu_time_total", "cpu_time_total", "cpu_time", "count")
        rows: list[Any] = (
            key_averages(self) if self and isinstance(self[0], FunctionEvent) else self
        )
        if sort_by is not None:
            if sort_by not in columns:
                raise ArgumentError(
                    f"table: sort_by is {sort_by!r}, expected one of {', '.join(columns)}"
                )
            rows = sorted(rows, key=lambda row: getattr(row, sort_by), reverse=True)
        total = sum(row.self_cpu_time_total for row in rows) or 1.0
        shown = rows if row_limit < 0 else rows[:row_limit]
        width = max([len("Name"), *(len(row.key) for row in shown)])
        head = f"{'Name':<{width}}  {'Self CPU %':>10}  {'Self CPU':>10}  {'CPU total':>10}  "
        head += f"{'CPU avg':>10}  {'Calls':>8}"
        line = "-" * len(head)
        body = [
            f"{row.key:<{width}}  {100 * row.self_cpu_time_total / total:>9.2f}%  "
            f"{_time(row.self_cpu_time_total):>10}  {_time(row.cpu_time_total):>10}  "
            f"{_time(row.cpu_time):>10}  {row.count:>8}"
            for row in shown
        ]
        foot = f"Self CPU time total: {_time(total)}"
        return "\n".join([line, head, line, *body, line, foot, ""])


def _time(microseconds: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3f}{unit}"
    return f"{microseconds:.3f}us"


def key_averages(events: Iterable[FunctionEvent]) -> EventList:
    """The events of each name taken together.

    Example:
        >>> with profile() as prof:
        ...     for _ in range(3):
        ...         with record_function("part"):
        ...             pass
        >>> [(average.key, average.count) for average in key_averages(prof.function_events)]
        [('part', 3)]
    """
    by_name: dict[str, FunctionEventAvg] = {}
    for event in events:
        by_name.setdefault(event.name, FunctionEventAvg(event.name)).add(event)
    return EventList(by_name.values())


class _Open(threading.local):
    """The events that have begun in a thread and not ended."""

    def __init__(self) -> None:
        self.events: list[FunctionEvent] = []


_open = _Open()
_active: list[profile] = []


def _begin(name: str, category: str, start: int) -> FunctionEvent:
    event = FunctionEvent(name, category, start, threading.get_native_id())
    _open.events.append(event)
    return event


def _finish(event: FunctionEvent, end: int) -> None:
    _open.events.pop()
    event.end = end
    if _open.events:
        _open.events[-1].children += end - event.start
    for profiler in _active:
        profiler.function_events.append(event)


def _timed(run: Callable[..., Any], suffix: str) -> Callable[..., Any]:
    """A method of `Op` that runs a call, with an event around it."""

    @functools.wraps(run)
    def timed(self: Op, *args: Any, **kwargs: Any) -> Any:
        name = self.name + suffix
        if _open.events and _open.events[-1].name == name:
            return run(self, *args, **kwargs)  # a base class's part of the same call
        event = _begin(name, "op", time.perf_counter_ns())
        try:
            return run(self, *args, **kwargs)
        finally:
            _finish(event, time.perf_counter_ns())

    return timed


_RUNS = (
    (Op, "run", ""), (ViewOp, "run", ""), (Op, "run_inplace", "_"),
    (ElementwiseOp, "run_inplace", "_"), (CompositeOp, "run_inplace", "_"),
)  # fmt: skip
_originals: dict[tuple[type, str], Any] = {}


def _observe(node: Any) -> None:
    if type(node) is OpNode:
        node.__class__ = WatchedNode


def _after_backward(node: Any, grads: Any, start: int) -> None:
    event = FunctionEvent(node.name, "backward", start, threading.get_native_id())
    event.end = time.perf_counter_ns()
    if _open.events:
        _open.events[-1].children += event.end - start
    for profiler in _active:
        profiler.function_events.append(event)


def _instrument() -> None:
    for cls, name, suffix in _RUNS:
        if name in cls.__dict__:
            original = _originals.setdefault((cls, name), cls.__dict__[name])
            setattr(cls, name, _timed(original, suffix))
    watch(_observe, True)
    after_backward.append(_after_backward)


@completed
def _restore() -> None:
    if _after_backward in after_backward:
        after_backward.remove(_after_backward)
    watch(_observe, False)
    for (cls, name), original in _originals.items():
        setattr(cls, name, original)
    _originals.clear()


class profile:  # noqa: N801 - the public name of the reference API
    """Time every operation, and the gradient of every operation recorded, in the block.

    Args:
        enabled: False makes it do nothing.
    Attributes:
        function_events: what was timed, in the order of ending.

    Example:
        >>> import dtorch
        >>> x = dtorch.ones(3, requires_grad=True)
        >>> with profile() as prof:
        ...     (x * x).sum().backward()
        >>> sorted({event.name for event in prof.function_events})
        ['MulBackward', 'SumBackward', 'mul', 'sum']
    """

    def __init__(self, enabled: bool = True) -> None:
        self.enabled = enabled
        self.function_events = EventList()

    def __enter__(self) -> profile:
        if self.enabled:
            if not _active:
                try:
                    _instrument()
                except BaseException:
                    _restore()
                    raise
            _active[:] = [*_active, self]
        return self

    @completed
    def __exit__(self, *_: object) -> None:
        if self.enabled:
            if self in _active:
                _active.remove(self)
            if not _active:
                _restore()

    def __iter__(self) -> Iterator[FunctionEvent]:
        return iter(self.function_events)

    def __str__(self) -> str:
        return self.table()

    def key_averages(self) -> EventList:
        """The events of each name taken together."""
        return key_averages(self.function_events)

    def total_average(self) -> FunctionEventAvg:
        """All events taken together."""
        total = FunctionEventAvg("Total")
        for event in self.function_events:
            total.add(event)
        return total

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all events, without counting inner ones twice."""
        return sum((event.self_cpu_time_total for event in self.function_events), 0.0)

    def table(self, sort_by: str | None = None, row_limit: int = 100) -> str:
        """The averages as text; see `EventList.table`."""
        return self.key_averages().table(sort_by, row_limit)

    def export_chrome_trace(self, path: Any) -> None:
        """Write the events to a file that ``chrome://tracing`` and Perfetto show."""
        pid = os.getpid()
        events = [
            {"name": e.name, "cat": e.category, "ph": "X", "ts": e.start / _MICRO,
             "dur": e.cpu_time_total, "pid": pid, "tid": e.thread}
            for e in self.function_events
        ]  # fmt: skip
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"traceEvents": events, "displayTimeUnit": "ms"}, file)


class record_function:  # noqa: N801 - the public name of the reference API
    """Name a piece of the program in the profile: a ``with`` block or a decorated function.

    Args:
        name: shown in the table and the trace.
        args: text added to the name.

    Example:
        >>> with profile() as prof, record_function("part"):
        ...     pass
        >>> [event.name for event in prof.function_events]
        ['part']
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name if args is None else f"{name}({args})"
        self.events: list[FunctionEvent | None] = []

    def __enter__(self) -> record_function:
        self.events.append(_begin(self.name, "user", time.perf_counter_ns()) if _active else None)
        return self

    def __exit__(self, *_: object) -> None:
        event = self.events.pop()
        if event is not None:
            _finish(event, time.perf_counter_ns())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        name = self.name

        @functools.wraps(function)
        def recorded(*args: Any, **kwargs: Any) -> Any:
            with record_function(name):
                return function(*args, **kwargs)

        return recorded
