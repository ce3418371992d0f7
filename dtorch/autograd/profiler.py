"""The profiler: how long operations and their gradients take, as a table and as a Chrome trace."""

from __future__ import annotations

import functools
import gzip
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from dtorch.autograd.watched import WatchedNode, after_backward
from dtorch.core import backend
from dtorch.core.composites import CompositeOp
from dtorch.core.device import device
from dtorch.core.dispatch import watch
from dtorch.core.elementwise import ElementwiseOp
from dtorch.core.errors import ArgumentError
from dtorch.core.interrupts import completed
from dtorch.core.op import Op
from dtorch.core.record import OpNode
from dtorch.core.views import ViewOp

_MICRO = 1000  # nanoseconds in one


class Interval(NamedTuple):
    """From when to when, in microseconds of a monotonic clock."""

    start: float
    end: float

    def elapsed_us(self) -> float:
        """How long."""
        return self.end - self.start


def format_time(time_us: float) -> str:
    """Microseconds in words.

    >>> format_time(1500)
    '1.500ms'
    """
    for unit, name in ((1e6, "s"), (1e3, "ms")):
        if time_us >= unit:
            return f"{time_us / unit:.3f}{name}"
    return f"{time_us:.3f}us"


class FunctionEvent:
    """One timed piece of work.

    Attributes:
        name: of the operation, the node, or what `record_function` was given.
        category: ``"op"``, ``"backward"`` or ``"user"``.
        start, end: nanoseconds of a monotonic clock.
        thread: number of the thread.
        children: nanoseconds that events inside it took.
        input_shapes: sizes of each operand, ``[]`` of what is no tensor; empty unless asked for.

    Example:
        >>> event = FunctionEvent("add", "op", start=1000, thread=1)
        >>> event.name, event.category
        ('add', 'op')
    """

    __slots__ = ("category", "children", "end", "input_shapes", "name", "start", "thread")
    count = 1
    device_time = device_time_total = self_device_time_total = 0.0  # nothing runs elsewhere
    cuda_time = cuda_time_total = self_cuda_time_total = 0.0

    def __init__(
        self, name: str, category: str, start: int, thread: int,
        input_shapes: list[list[int]] | None = None,
    ) -> None:  # fmt: skip
        self.name = name
        self.category = category
        self.start = start
        self.end = start
        self.thread = thread
        self.children = 0
        self.input_shapes = input_shapes or []

    @property
    def key(self) -> str:
        """The name."""
        return self.name

    @property
    def cpu_time_total(self) -> float:
        """Microseconds from start to end."""
        return (self.end - self.start) / _MICRO

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds without the events inside it."""
        return (self.end - self.start - self.children) / _MICRO

    cpu_time = cpu_time_total

    @property
    def time_range(self) -> Interval:
        """When it ran."""
        return Interval(self.start / _MICRO, self.end / _MICRO)

    cpu_interval = time_range  # classic name

    @property
    def cpu_time_str(self) -> str:
        """`cpu_time_total` in words."""
        return format_time(self.cpu_time_total)

    def __repr__(self) -> str:
        return f"<FunctionEvent {self.name} {self.cpu_time_total:.1f}us>"


class FunctionEventAvg:
    """All events of one name, or of one name and sizes of the operands.

    Attributes:
        key: the name.
        input_shapes: the sizes, where events were told apart by them.
        count: how many.
        cpu_time_total, self_cpu_time_total: summed microseconds, with and without inner events.
    """

    __slots__ = ("count", "cpu_time_total", "input_shapes", "key", "self_cpu_time_total")
    device_time = device_time_total = self_device_time_total = 0.0  # nothing runs elsewhere
    cuda_time = cuda_time_total = self_cuda_time_total = 0.0

    def __init__(self, key: str, input_shapes: list[list[int]] | None = None) -> None:
        self.key = key
        self.input_shapes = input_shapes or []
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

    def key_averages(
        self, group_by_input_shapes: bool = False, group_by_stack_n: int = 0
    ) -> EventList:
        """The events of each name, and sizes of operands, taken together."""
        return key_averages(self, group_by_input_shapes)

    @property
    def self_cpu_time_total(self) -> float:
        """Microseconds of all events, without counting inner ones twice."""
        return sum((event.self_cpu_time_total for event in self), 0.0)

    def export_chrome_trace(self, path: Any) -> None:
        """Write the events to a file that ``chrome://tracing`` and Perfetto show."""
        write_trace(path, self)

    def table(
        self, sort_by: str | None = None, row_limit: int = 100, max_src_column_width: int = 75,
        max_name_column_width: int = 55, max_shapes_column_width: int = 80,
        header: str | None = None, top_level_events_only: bool = False,
    ) -> str:  # fmt: skip
        """The events as text.

        Args:
            sort_by: ``"cpu_time_total"``, ``"self_cpu_time_total"``, ``"cpu_time"`` or ``"count"``:
                the largest first; times on other devices are all 0. Default: as they are.
            row_limit: how many are shown; -1 for all.
            max_name_column_width: longer names are cut.
            header: a line above the table.
        """
        rows: list[Any] = (
            key_averages(self) if self and isinstance(self[0], FunctionEvent) else self
        )
        if sort_by is not None:
            if sort_by not in _COLUMNS:
                raise ArgumentError(
                    f"table: sort_by is {sort_by!r}, expected one of {', '.join(_COLUMNS)}"
                )
            rows = sorted(rows, key=lambda row: getattr(row, sort_by), reverse=True)
        total = sum(row.self_cpu_time_total for row in rows) or 1.0
        shown = rows if row_limit < 0 else rows[:row_limit]
        most = max_name_column_width
        names = [row.key if len(row.key) <= most else f"{row.key[: most - 3]}..." for row in shown]
        width = max([len("Name"), *map(len, names)])
        has_shapes = any(row.input_shapes for row in shown)
        head = f"{'Name':<{width}}  {'Self CPU %':>10}  {'Self CPU':>10}  {'CPU total':>10}  "
        head += f"{'CPU avg':>10}  {'Calls':>8}"
        head += "  Input Shapes" if has_shapes else ""
        line = "-" * len(head)
        body = [
            f"{name:<{width}}  {100 * row.self_cpu_time_total / total:>9.2f}%  "
            f"{_time(row.self_cpu_time_total):>10}  {_time(row.cpu_time_total):>10}  "
            f"{_time(row.cpu_time):>10}  {row.count:>8}"
            + (f"  {row.input_shapes}"[: max_shapes_column_width + 2] if has_shapes else "")
            for name, row in zip(names, shown, strict=True)
        ]
        foot = f"Self CPU time total: {_time(total)}"
        above = [] if header is None else [header]
        return "\n".join([*above, line, head, line, *body, line, foot, ""])


_COLUMNS = (
    "self_cpu_time_total", "cpu_time_total", "cpu_time", "count", "device_time_total",
    "self_device_time_total", "device_time", "cuda_time_total", "self_cuda_time_total", "cuda_time",
)  # fmt: skip


def _time(microseconds: float) -> str:
    for unit, size in (("s", 1e6), ("ms", 1e3)):
        if microseconds >= size:
            return f"{microseconds / size:.3f}{unit}"
    return f"{microseconds:.3f}us"


def key_averages(events: Iterable[FunctionEvent], group_by_input_shapes: bool = False) -> EventList:
    """The events of each name, and if asked for of each sizes of operands, taken together.

    Example:
        >>> with profile() as prof:
        ...     for _ in range(3):
        ...         with record_function("part"):
        ...             pass
        >>> [(average.key, average.count) for average in key_averages(prof.function_events)]
        [('part', 3)]
    """
    found: dict[tuple[str, str], FunctionEventAvg] = {}
    for event in events:
        shapes = event.input_shapes if group_by_input_shapes else []
        key = event.name, str(shapes)
        found.setdefault(key, FunctionEventAvg(event.name, shapes)).add(event)
    return EventList(found.values())


def write_trace(path: Any, events: Iterable[FunctionEvent], **more: Any) -> None:
    """Write events, and what else is to be told, to a file that ``chrome://tracing`` and Perfetto
    show; compressed if its name ends with ``.gz``."""
    pid = os.getpid()
    told = [
        {"name": e.name, "cat": e.category, "ph": "X", "ts": e.start / _MICRO,
         "dur": e.cpu_time_total, "pid": pid, "tid": e.thread,
         "args": {"Input Dims": e.input_shapes} if e.input_shapes else {}}
        for e in events
    ]  # fmt: skip
    text = json.dumps({"schemaVersion": 1, "traceEvents": told, "displayTimeUnit": "ms", **more})
    if str(path).endswith(".gz"):
        with gzip.open(path, "wt", encoding="utf-8") as file:
            file.write(text)
    else:
        Path(path).write_text(text, encoding="utf-8")


class _Open(threading.local):
    """The events that have begun in a thread and not ended."""

    def __init__(self) -> None:
        self.events: list[FunctionEvent] = []


_open = _Open()
_active: list[profile] = []


def _profiler_enabled() -> bool:
    """Whether a profiler is recording."""
    return bool(_active)


def _begin(
    name: str, category: str, start: int, input_shapes: list[list[int]] | None = None
) -> FunctionEvent:
    event = FunctionEvent(name, category, start, threading.get_native_id(), input_shapes)
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
        shapes = None
        if any(profiler.record_shapes for profiler in _active):
            shapes = [list(getattr(value, "shape", ())) for value in args[0]]
        event = _begin(name, "op", time.perf_counter_ns(), shapes)
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
        record_shapes: note the sizes of operands.
        use_cuda, use_device, use_kineto, use_cpu, acc_events: what the reference API can do
            otherwise: nothing is timed on another device.
        with_flops, profile_memory, with_stack, with_modules: are not counted, which is said once.
    Attributes:
        function_events: what was timed, in the order of ending.

    Example:
        >>> import dtorch
        >>> x = dtorch.ones(3, requires_grad=True)
        >>> with profile() as prof:
        ...     (x * x).sum().backward()
        >>> sorted({event.name for event in prof.function_events})
        ['MulBackward0', 'SumBackward0', 'mul', 'sum']
    """

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, use_device: str | None = None,
        record_shapes: bool = False, with_flops: bool = False, profile_memory: bool = False,
        with_stack: bool = False, with_modules: bool = False, use_kineto: bool = False,
        use_cpu: bool = True, acc_events: bool = False,
    ) -> None:  # fmt: skip
        self.enabled = enabled
        self.record_shapes = record_shapes
        self.function_events = EventList()
        asked = {"use_cuda": use_cuda or use_device is not None, "with_flops": with_flops,
                 "profile_memory": profile_memory, "with_stack": with_stack,
                 "with_modules": with_modules}  # fmt: skip
        for what, wanted in asked.items():
            if wanted:
                say_not_counted(what)

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

    @property
    def is_running(self) -> bool:
        """Whether the block has begun and not ended."""
        return self in _active

    def __iter__(self) -> Iterator[FunctionEvent]:
        return iter(self.function_events)

    def __str__(self) -> str:
        return self.table()

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0
    ) -> EventList:
        """The events of each name, and if asked for of each sizes of operands, taken together."""
        return key_averages(self.function_events, group_by_input_shape)

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

    def table(self, sort_by: str | None = None, row_limit: int = 100, **layout: Any) -> str:
        """The averages as text; see `EventList.table`."""
        return self.key_averages().table(sort_by, row_limit, **layout)

    def export_chrome_trace(self, path: Any) -> None:
        """Write the events to a file that ``chrome://tracing`` and Perfetto show."""
        write_trace(path, self.function_events)


@functools.cache
def say_not_counted(what: str) -> None:
    """Say, once, that something asked for is not in the profile."""
    logging.getLogger("dtorch.profiler").warning(
        "profiler: %s has no effect: times on the CPU and sizes are all that is recorded", what
    )


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


class emit_nvtx:  # noqa: N801 - the public name of the reference API
    """Name operations in NVIDIA's profilers: there are no such names for them.

    Args:
        enabled: False makes it do nothing.

    Raises:
        NoDeviceError: in a ``with`` block, where there is no card.
        NotImplementedError: where there is one; `dtorch.cuda.nvtx.range` names pieces of a program.
    """

    def __init__(self, enabled: bool = True, record_shapes: bool = False) -> None:
        self.enabled = enabled

    def __enter__(self) -> emit_nvtx:
        if self.enabled:
            backend.require(device("cuda"))
            raise NotImplementedError(
                "emit_nvtx: operations are not named in NVTX; use dtorch.cuda.nvtx.range for a piece "
                "of the program, or dtorch.profiler for times"
            )
        return self

    def __exit__(self, *_: object) -> None:
        return None
