"""Profiles of whole programs: steps that are waited for, warmed up and recorded, as tables and traces.

>>> import dtorch
>>> from dtorch.profiler import ProfilerActivity, profile, record_function, schedule
>>> with profile(activities=[ProfilerActivity.CPU], schedule=schedule(wait=1, warmup=1, active=2)) as p:
...     for _ in range(4):
...         with record_function("part"):
...             _ = dtorch.ones(2) + 1
...         p.step()
>>> [(row.key, row.count) for row in p.key_averages() if row.key in ("add", "part")]
[('add', 2), ('part', 2)]
"""

from __future__ import annotations

import json
import os
import socket
import time
import warnings
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from dtorch.autograd import profiler as times
from dtorch.autograd.profiler import EventList, record_function
from dtorch.core.errors import ArgumentError

__all__ = [
    "ProfilerAction", "ProfilerActivity", "kineto_available", "profile", "record_function",
    "schedule", "supported_activities", "tensorboard_trace_handler",
]  # fmt: skip


class ProfilerActivity(Enum):
    """Where something is timed; here on the CPU alone."""

    CPU = 0
    CUDA = 1
    XPU = 2
    MTIA = 3
    HPU = 4
    PrivateUse1 = 5


class ProfilerAction(Enum):
    """What is done in a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


def kineto_available() -> bool:
    """Whether times come from Kineto: no, from the profiler of `dtorch.autograd.profiler`."""
    return False


def supported_activities() -> set[ProfilerActivity]:
    """What can be timed: the CPU."""
    return {ProfilerActivity.CPU}


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0,
    skip_first_wait: int = 0,
) -> Callable[[int], ProfilerAction]:  # fmt: skip
    """What to do in each step: after ``skip_first`` steps, rounds of ``wait`` steps without the
    profiler, ``warmup`` steps whose times are thrown away, and ``active`` ones that are recorded.

    Args:
        repeat: number of rounds; 0: as long as there are steps.
        skip_first_wait: not 0: the first round begins without waiting.

    Example:
        >>> [action.name for action in map(schedule(wait=1, warmup=0, active=2, repeat=1), range(4))]
        ['NONE', 'RECORD', 'RECORD_AND_SAVE', 'NONE']
    """
    counts = {"wait": wait, "warmup": warmup, "repeat": repeat, "skip_first": skip_first}
    if min(counts.values()) < 0 or active < 1:
        raise ArgumentError(
            f"schedule: active is {active}, expected at least 1; {counts}, expected at least 0"
        )
    length = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        step -= skip_first
        if step < 0:
            return ProfilerAction.NONE
        if skip_first_wait:
            step += wait
        if 0 < repeat <= step // length:
            return ProfilerAction.NONE
        place = step % length
        if place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def _always(step: int) -> ProfilerAction:
    return ProfilerAction.RECORD


def tensorboard_trace_handler(
    dir_name: str | os.PathLike[str], worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[profile], None]:
    """What writes each trace to a file of its own in a folder, for ``on_trace_ready``.

    Args:
        worker_name: beginning of the file's name. Default: the name of the machine and the number of
            the process.
    """

    def write(prof: profile) -> None:
        folder = Path(dir_name)
        folder.mkdir(parents=True, exist_ok=True)
        worker = worker_name or f"{socket.gethostname()}_{os.getpid()}"
        ending = ".pt.trace.json.gz" if use_gzip else ".pt.trace.json"
        prof.export_chrome_trace(folder / f"{worker}.{time.time_ns()}{ending}")

    return write


class profile:  # noqa: N801 - the public name of the reference API
    """Time the operations of a ``with`` block, or of those of its steps that a schedule chooses.

    Args:
        activities: `ProfilerActivity`; the CPU is what there is.
        schedule: function from the number of a step to a `ProfilerAction`, such as `schedule` gives.
            Default: everything is recorded.
        on_trace_ready: called with the profile whenever a round of the schedule, or all, is
            recorded.
        record_shapes: note the sizes of operands.
        profile_memory, with_stack, with_flops, with_modules: are not counted, which is said once.

    Attributes:
        step_num: how often `step` was called.
    """

    def __init__(
        self, *, activities: Iterable[ProfilerActivity] | None = None,
        schedule: Callable[[int], ProfilerAction] | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None, record_shapes: bool = False,
        profile_memory: bool = False, with_stack: bool = False, with_flops: bool = False,
        with_modules: bool = False, experimental_config: Any = None,
        execution_trace_observer: Any = None, acc_events: bool = False,
        use_cuda: bool | None = None,
    ) -> None:  # fmt: skip
        self.activities = set(activities or supported_activities())
        unknown = {a for a in self.activities if not isinstance(a, ProfilerActivity)}
        if unknown:
            raise TypeError(f"profile: activities has {unknown}, expected ProfilerActivity")
        for activity in self.activities - supported_activities():
            warnings.warn(
                f"profile: nothing is timed on {activity.name}, only on the CPU", stacklevel=2
            )
        self.schedule = schedule or _always
        self.on_trace_ready = on_trace_ready
        self.record_shapes = record_shapes
        counted = {"profile_memory": profile_memory, "with_stack": with_stack,
                   "with_flops": with_flops, "with_modules": with_modules}  # fmt: skip
        for what, wanted in counted.items():
            if wanted:
                times.say_not_counted(what)
        self.records_steps = schedule is not None
        self.step_num = 0
        self.current_action = ProfilerAction.NONE
        self.profiler: times.profile | None = None
        self._metadata: dict[str, Any] = {}
        self._step: record_function | None = None

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begin, with step 0."""
        self.current_action = self.schedule(self.step_num)
        self._begin()

    def stop(self) -> None:
        """End; what is recorded so far is a trace."""
        self._end_step()
        action, self.current_action = self.current_action, ProfilerAction.NONE
        if action in _RECORDING:
            self._finish()
        elif action is ProfilerAction.WARMUP:
            self._stop_timing()

    def step(self) -> None:
        """The next step begins."""
        self._end_step()
        before, self.step_num = self.current_action, self.step_num + 1
        self.current_action = self.schedule(self.step_num)
        if before is ProfilerAction.RECORD_AND_SAVE:
            self._finish()
        elif before is ProfilerAction.WARMUP:
            self._stop_timing()
        elif before is ProfilerAction.RECORD and self.current_action not in _RECORDING:
            warnings.warn(
                "profile: the schedule ends a round with RECORD; end it with RECORD_AND_SAVE",
                stacklevel=2,
            )
            self._finish()
        self._begin()

    def _begin(self) -> None:
        wanted = self.current_action is not ProfilerAction.NONE
        if wanted and (self.profiler is None or not self.profiler.is_running):
            self.profiler = times.profile(record_shapes=self.record_shapes).__enter__()
        if self.records_steps and self.current_action in _RECORDING:
            self._step = record_function(f"ProfilerStep#{self.step_num}").__enter__()

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.__exit__(None, None, None)
            self._step = None

    def _stop_timing(self) -> None:
        if self.profiler is not None:
            self.profiler.__exit__(None, None, None)

    def _finish(self) -> None:
        self._stop_timing()
        if self.on_trace_ready is not None:
            self.on_trace_ready(self)

    # -- what was recorded ------------------------------------------------------------------------

    def _recorded(self) -> times.profile:
        if self.profiler is None:
            raise AssertionError("profile: nothing has been recorded yet")
        return self.profiler

    def events(self) -> EventList:
        """What was timed in the last round, in the order of ending."""
        return self._recorded().function_events

    def key_averages(
        self, group_by_input_shape: bool = False, group_by_stack_n: int = 0,
        group_by_overload_name: bool = False,
    ) -> EventList:  # fmt: skip
        """The events of each name, and if asked for of each sizes of operands, taken together."""
        return self._recorded().key_averages(group_by_input_shape)

    def export_chrome_trace(self, path: str | os.PathLike[str]) -> None:
        """Write the last round to a file that ``chrome://tracing``, Perfetto and TensorBoard show;
        compressed if its name ends with ``.gz``."""
        times.write_trace(path, self.events(), **self._metadata)

    def export_stacks(self, path: str, metric: str = "self_cpu_time_total") -> None:
        """Not there: stacks are not recorded.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(
            "export_stacks: stacks are not recorded; export_chrome_trace shows what calls what"
        )

    def add_metadata(self, key: str, value: str) -> None:
        """Add a text to the traces."""
        self._metadata[key] = value

    def add_metadata_json(self, key: str, value: str) -> None:
        """Add a value, given as JSON, to the traces."""
        self._metadata[key] = json.loads(value)
