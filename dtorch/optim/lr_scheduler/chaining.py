"""Schedules made of others: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.optim.lr_scheduler.base import LRScheduler, expect_in_groups, set_rate
from dtorch.optim.lr_scheduler.cyclic import CosineAnnealingWarmRestarts
from dtorch.optim.lr_scheduler.plateau import ReduceLROnPlateau
from dtorch.optim.optimizer import Optimizer


class _OfSchedules(LRScheduler):
    """A schedule made of others."""

    _schedulers: list[Any]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of the schedules their states."""
        state = {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "_schedulers")}
        state["_schedulers"] = [scheduler.state_dict() for scheduler in self._schedulers]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.__dict__.update({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)


class SequentialLR(_OfSchedules):
    """One schedule after the other.

    Args:
        schedulers: of one optimizer.
        milestones: epochs at which the next one begins.
        last_epoch: the epoch before the one to go on with, from the initial rates of the groups;
            -1 begins.

    Raises:
        KeyError: as of `LRScheduler`.
        ValueError: not one milestone fewer than schedules, a schedule of another optimizer, or
            `ReduceLROnPlateau`.

    Example:
        >>> import dtorch
        >>> from dtorch.optim.lr_scheduler import ConstantLR, ExponentialLR
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> parts = [ConstantLR(optimizer, 0.5, 10), ExponentialLR(optimizer, 0.5)]
        >>> schedule = SequentialLR(optimizer, parts, milestones=[2])
        >>> for _ in range(2):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [1.0]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[Any], milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise ArgumentError(
                f"SequentialLR: {len(schedulers)} schedulers and {len(milestones)} milestones, "
                "expected one milestone less"
            )
        for scheduler in schedulers:
            if isinstance(scheduler, ReduceLROnPlateau) or scheduler.optimizer is not optimizer:
                raise ArgumentError(
                    "SequentialLR: expected schedules of the given optimizer, none of them "
                    "ReduceLROnPlateau"
                )
        self._schedulers = list(schedulers)
        self._milestones = list(milestones)
        self.optimizer = optimizer
        expect_in_groups(optimizer, last_epoch, "initial_lr")
        # Making the schedules has let each of them act; only the first one does now.
        for group in optimizer.param_groups:
            set_rate(group, group["initial_lr"])
        for scheduler in self._schedulers:
            scheduler.last_epoch -= 1
        self._begin(self._schedulers[0])
        self._last_lr = self._schedulers[0].get_last_lr()
        self.last_epoch = 0
        if last_epoch >= 0:
            for scheduler in self._schedulers:
                scheduler._steps_before = -1  # the steps taken before are none to warn of
            while self.last_epoch <= last_epoch:
                self.step()

    @staticmethod
    def _begin(scheduler: Any) -> None:
        scheduler._step_count = 0
        if isinstance(scheduler, CosineAnnealingWarmRestarts):
            scheduler.step(0)
            return
        scheduler.last_epoch = -1
        scheduler.step()

    def step(self, epoch: int | None = None) -> None:
        """Go on by one epoch."""
        self.last_epoch += 1
        index = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[index]
        if index > 0 and self._milestones[index - 1] == self.last_epoch:
            for group in self.optimizer.param_groups:
                set_rate(group, group["initial_lr"])
            self._begin(scheduler)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


class ChainedScheduler(_OfSchedules):
    """Several schedules at once: each changes the rate that the one before left.

    Args:
        schedulers: of one optimizer.
        optimizer: theirs. Default: that of the first.

    Raises:
        ValueError: no schedules, schedules of several optimizers, or `ReduceLROnPlateau`.

    Example:
        >>> import dtorch
        >>> from dtorch.optim.lr_scheduler import ExponentialLR, StepLR
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = ChainedScheduler([ExponentialLR(optimizer, 0.5), StepLR(optimizer, 1, 0.5)])
        >>> optimizer.step()
        >>> schedule.step()
        >>> schedule.get_last_lr()
        [0.25]
    """

    def __init__(self, schedulers: Sequence[Any], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ArgumentError("ChainedScheduler: got no schedulers")
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        for scheduler in schedulers:
            if isinstance(scheduler, ReduceLROnPlateau) or (
                scheduler.optimizer is not self.optimizer
            ):
                raise ArgumentError(
                    "ChainedScheduler: expected schedules of one optimizer, none of them "
                    "ReduceLROnPlateau"
                )
        self._schedulers = list(schedulers)
        self._last_lr = self._present()

    def step(self, epoch: int | None = None) -> None:
        """Go on by one epoch."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = self._present()
