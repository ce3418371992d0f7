"""Plugins that measure something at every iteration."""

from __future__ import annotations

import time as clock
from typing import Any

from dtorch.utils.trainer.plugins.plugin import Plugin


class Monitor(Plugin):
    """Puts a number of each iteration into ``trainer.stats[stat_name]``.

    A subclass has a ``stat_name`` and defines ``_get_value(time, input, target, output, loss)``.

    Args:
        running_average: also keep an average in which older values fade.
        epoch_average: also keep the mean of an epoch.
        smoothing: what part of the running average stays at each iteration.
        precision: digits after the point when printed; 2 if left out.
        number_format: a format such as ``".3e"``, instead of ``precision``.
        unit: printed after a number.
    """

    stat_name = "value"

    def __init__(
        self, running_average: bool = True, epoch_average: bool = True, smoothing: float = 0.7,
        precision: int | None = None, number_format: str | None = None, unit: str = "",
    ) -> None:  # fmt: skip
        super().__init__([(1, "iteration"), (1, "epoch")])
        self.with_running_average = running_average
        self.with_epoch_average = epoch_average
        self.smoothing = smoothing
        digits = 2 if precision is None else precision
        self.log_format = f"{{:{number_format or f'.{digits}f'}}}{unit}"
        self._sum, self._count = 0.0, 0

    def register(self, trainer: Any) -> None:
        """Make the place for the numbers."""
        self.trainer = trainer
        self.stats = trainer.stats.setdefault(self.stat_name, {})
        self.stats["log_format"] = self.log_format
        self.stats["log_iter_fields"] = ["last"]
        self.stats["log_epoch_fields"] = ["epoch_mean"] if self.with_epoch_average else []
        if self.with_running_average:
            self.stats["log_iter_fields"] = ["running_avg"]

    def iteration(self, time: int, *args: Any) -> None:
        """Take the number of an iteration."""
        value = self._get_value(time, *args)
        self.stats["last"] = value
        if self.with_epoch_average:
            self._sum += value
            self._count += 1
        if self.with_running_average:
            before = self.stats.get("running_avg", value)
            self.stats["running_avg"] = self.smoothing * before + (1 - self.smoothing) * value

    def epoch(self, time: int) -> None:
        """Close an epoch."""
        if self.with_epoch_average and self._count:
            self.stats["epoch_mean"] = self._sum / self._count
            self._sum, self._count = 0.0, 0

    def _get_value(self, time: int, *args: Any) -> float:
        raise NotImplementedError(f"{type(self).__name__} does not define _get_value")


class LossMonitor(Monitor):
    """The loss."""

    stat_name = "loss"

    def _get_value(self, time: int, *args: Any) -> float:
        return float(args[3])


class AccuracyMonitor(Monitor):
    """The percentage of samples whose class has the highest output."""

    stat_name = "accuracy"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("unit", "%")
        kwargs.setdefault("precision", 2)
        super().__init__(*args, **kwargs)

    def _get_value(self, time: int, *args: Any) -> float:
        _, target, output, _ = args
        return 100.0 * float((output.argmax(1) == target).sum()) / len(target)


class TimeMonitor(Monitor):
    """Milliseconds between iterations."""

    stat_name = "time"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("unit", "ms")
        kwargs.setdefault("precision", 0)
        super().__init__(*args, **kwargs)
        self._last: float | None = None

    def _get_value(self, time: int, *args: Any) -> float:
        now = clock.perf_counter()
        took = 0.0 if self._last is None else now - self._last
        self._last = now
        return 1e3 * took


class ProgressMonitor(Plugin):
    """How far the epoch has come, in ``trainer.stats["progress"]``."""

    stat_name = "progress"

    def __init__(self) -> None:
        super().__init__([(1, "iteration"), (1, "epoch")])

    def register(self, trainer: Any) -> None:
        """Make the place for the numbers."""
        self.stats = trainer.stats.setdefault(self.stat_name, {})
        self.stats.update(
            samples_used=0, epoch_size=len(trainer.dataset), log_iter_fields=["percent"],
            log_epoch_fields=[], log_format="{:.1f}%", percent=0.0,
        )  # fmt: skip

    def iteration(self, time: int, *args: Any) -> None:
        """Count a batch."""
        self.stats["samples_used"] += 1
        self.stats["percent"] = 100.0 * self.stats["samples_used"] / self.stats["epoch_size"]

    def epoch(self, time: int) -> None:
        """Begin anew."""
        self.stats.update(samples_used=0, percent=0.0)
