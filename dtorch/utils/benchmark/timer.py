"""Measurements of statements."""

from __future__ import annotations

import timeit
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np

from dtorch.core.backend import get_num_threads, set_num_threads
from dtorch.core.errors import ArgumentError

_UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "us"), (1e-9, "ns"))


class Language(Enum):
    """In which language a statement is."""

    PYTHON = 0
    CPP = 1


def readable(seconds: float) -> str:
    """A time with its unit."""
    for size, unit in _UNITS:
        if seconds >= size:
            return f"{seconds / size:.2f} {unit}"
    return f"{seconds / 1e-9:.2f} ns"


@dataclass(frozen=True)
class TaskSpec:
    """What was measured.

    Attributes:
        stmt, setup: the code.
        label, sub_label, description, env: what `Compare` tells measurements apart by.
        num_threads: on which it ran.
    """

    stmt: str
    setup: str
    label: str | None = None
    sub_label: str | None = None
    description: str | None = None
    env: str | None = None
    num_threads: int = 1

    @property
    def title(self) -> str:
        """The label, or the code."""
        return self.label or self.stmt


@dataclass
class Measurement:
    """Times of a statement.

    Attributes:
        number_per_run: how often it was run for each time.
        raw_times: seconds of all these runs together.
        task_spec: what was measured.
    """

    number_per_run: int
    raw_times: list[float]
    task_spec: TaskSpec
    metadata: dict[Any, Any] | None = field(default=None)

    @property
    def times(self) -> list[float]:
        """Seconds of one run."""
        return [t / self.number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        """Seconds of one run, on average."""
        return float(np.mean(self.times))

    @property
    def median(self) -> float:
        """Seconds of one run; half of the times are below."""
        return float(np.median(self.times))

    @property
    def iqr(self) -> float:
        """Distance of the quarters of the times, in seconds."""
        low, high = np.quantile(self.times, (0.25, 0.75))
        return float(high - low)

    @property
    def has_warnings(self) -> bool:
        """Whether the times spread so far that they say little."""
        return len(self.raw_times) > 1 and self.iqr > 0.25 * self.median

    def __repr__(self) -> str:
        spread = f"IQR: {readable(self.iqr)}" if len(self.raw_times) > 1 else "one time only"
        note = "\n  the times spread far: the machine may be busy" if self.has_warnings else ""
        return (
            f"<Measurement of {self.task_spec.title}>\n  Median: {readable(self.median)}\n"
            f"  {spread} ({len(self.raw_times)} times of {self.number_per_run} runs, "
            f"{self.task_spec.num_threads} threads){note}"
        )


class Timer:
    """Measures a statement of Python, on one thread unless told otherwise.

    Args:
        stmt, setup, global_setup: the code, and what is run before it is measured.
        globals: names the code may use.
        num_threads: of dtorch's operations.
        language: Python's alone.
    """

    def __init__(
        self, stmt: str = "pass", setup: str = "pass", global_setup: str = "",
        timer: Callable[[], float] = timeit.default_timer, globals: dict[str, Any] | None = None,
        label: str | None = None, sub_label: str | None = None, description: str | None = None,
        env: str | None = None, num_threads: int = 1, language: Any = Language.PYTHON,
    ) -> None:  # fmt: skip
        if language not in (Language.PYTHON, "py", "python"):
            raise ArgumentError(f"Timer: language is {language!r}, only Python can be measured")
        self._spec = TaskSpec(stmt, setup, label, sub_label, description, env, num_threads)
        before = "\n".join(filter(None, (global_setup, setup)))
        self._timer = timeit.Timer(stmt, before, timer, dict(globals or {}))

    def _run(self, number: int) -> float:
        threads = get_num_threads()
        set_num_threads(self._spec.num_threads)
        try:
            return max(self._timer.timeit(number), 1e-9)
        finally:
            set_num_threads(threads)

    def timeit(self, number: int = 1_000_000) -> Measurement:
        """One time of so many runs, after some that do not count."""
        if number < 1:
            raise ArgumentError(f"timeit: number is {number}, expected at least 1")
        self._run(max(number // 100, 1))
        return Measurement(number, [self._run(number)], self._spec)

    def blocked_autorange(
        self, callback: Callable[[int, float], Any] | None = None, min_run_time: float = 0.2
    ) -> Measurement:
        """Times of blocks of runs, each long enough to measure, until they take ``min_run_time``
        seconds together."""
        number, taken = 1, self._run(1)
        while taken < min_run_time / 1000 and number < 10**9:
            number *= 10
            taken = self._run(number)
        times: list[float] = []
        while not times or sum(times) < min_run_time:
            times.append(self._run(number))
            if callback is not None:
                callback(number, times[-1])
        return Measurement(number, times, self._spec)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0,
        callback: Callable[[int, float], Any] | None = None,
    ) -> Measurement:  # fmt: skip
        """As `blocked_autorange`, until the times spread by less than ``threshold`` of their median."""
        measured = self.blocked_autorange(callback, min_run_time)
        while sum(measured.raw_times) < max_run_time and (
            len(measured.raw_times) < 4 or measured.iqr > threshold * measured.median
        ):
            measured.raw_times.append(self._run(measured.number_per_run))
            if callback is not None:
                callback(measured.number_per_run, measured.raw_times[-1])
        return measured
