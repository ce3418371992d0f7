"""Schedules that go from one rate to another: by steps, straight or along a curve."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable

from dtorch.core.errors import ArgumentError
from dtorch.optim.lr_scheduler.base import LRScheduler, check_count
from dtorch.optim.optimizer import Optimizer


class StepLR(LRScheduler):
    """Rate times ``gamma`` every ``step_size`` epochs.

    Args:
        step_size: epochs, at least 1.
        gamma: factor of the rate.

    Raises:
        ValueError: ``step_size`` is no int of at least 1.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
        >>> for _ in range(4):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.25]
    """

    _by_change = True

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        check_count("StepLR", "step_size", step_size)
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0 or self.last_epoch % self.step_size:
            return self._present()
        return [lr * self.gamma for lr in self._present()]

    def _get_closed_form_lr(self) -> list[float]:
        return [b * self.gamma ** (self.last_epoch // self.step_size) for b in self.base_lrs]


class MultiStepLR(LRScheduler):
    """Rate times ``gamma`` at each of the epochs ``milestones``.

    Args:
        milestones: epochs; one that is given twice counts twice.
        gamma: factor of the rate.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = MultiStepLR(optimizer, [1, 3], gamma=0.5)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.25]
    """

    _by_change = True

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        times = self.milestones.get(self.last_epoch, 0)
        if not times:
            return self._present()
        return [lr * self.gamma**times for lr in self._present()]

    def _get_closed_form_lr(self) -> list[float]:
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return [base * self.gamma**passed for base in self.base_lrs]


class ConstantLR(LRScheduler):
    """Rate times ``factor`` for the first ``total_iters`` epochs.

    Args:
        factor: from 0 to 1.
        total_iters: epochs.

    Raises:
        ValueError: ``factor`` is out of its range.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = ConstantLR(optimizer, factor=0.5, total_iters=3)
        >>> for _ in range(2):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    _by_change = True

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if not 0 <= factor <= 1:
            raise ArgumentError(f"ConstantLR: factor is {factor}, expected 0 to 1")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [lr * self.factor for lr in self._present()]
        if self.last_epoch != self.total_iters:
            return self._present()
        if self.factor == 0:
            return list(self.base_lrs)  # what was there before is lost
        return [lr * (1 / self.factor) for lr in self._present()]

    def _get_closed_form_lr(self) -> list[float]:
        factor = self.factor if self.last_epoch < self.total_iters else 1
        return [base * factor for base in self.base_lrs]


class LinearLR(LRScheduler):
    """Rate times a factor that goes evenly from ``start_factor`` to ``end_factor`` in
    ``total_iters`` epochs.

    Args:
        start_factor: above 0, to 1.
        end_factor: from 0 to 1.
        total_iters: epochs.

    Raises:
        ValueError: a factor is out of its range.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = LinearLR(optimizer, start_factor=0.5, total_iters=2)
        >>> for _ in range(1):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.75]
    """

    _by_change = True

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0,
        total_iters: int = 5, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        if not 0 < start_factor <= 1:
            raise ArgumentError(f"LinearLR: start_factor is {start_factor}, expected above 0, to 1")
        if not 0 <= end_factor <= 1:
            raise ArgumentError(f"LinearLR: end_factor is {end_factor}, expected 0 to 1")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return [lr * self.start_factor for lr in self._present()]
        if self.last_epoch > self.total_iters:
            return self._present()
        rise = self.end_factor - self.start_factor
        earlier = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return [lr * (1 + rise / earlier) for lr in self._present()]

    def _get_closed_form_lr(self) -> list[float]:
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        factor = self.start_factor + (self.end_factor - self.start_factor) * share
        return [base * factor for base in self.base_lrs]


class ExponentialLR(LRScheduler):
    """Rate times ``gamma`` every epoch.

    Args:
        gamma: factor of the rate.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = ExponentialLR(optimizer, gamma=0.5)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.125]
    """

    _by_change = True

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self._present()
        return [lr * self.gamma for lr in self._present()]

    def _get_closed_form_lr(self) -> list[float]:
        return [base * self.gamma**self.last_epoch for base in self.base_lrs]


class PolynomialLR(LRScheduler):
    """Initial rate times ``(1 - epoch / total_iters) ** power``, 0 at the end.

    Args:
        total_iters: epochs, at least 1.
        power: exponent; 1 is a straight line.

    Raises:
        ValueError: ``total_iters`` is no int of at least 1.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = PolynomialLR(optimizer, total_iters=4)
        >>> for _ in range(2):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.5]
    """

    _by_change = True

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        check_count("PolynomialLR", "total_iters", total_iters)
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0 or self.last_epoch > self.total_iters:
            return self._present()
        left = 1 - self.last_epoch / self.total_iters
        before = 1 - (self.last_epoch - 1) / self.total_iters
        return [lr * (left / before) ** self.power for lr in self._present()]

    def _get_closed_form_lr(self) -> list[float]:
        left = 1 - min(self.total_iters, self.last_epoch) / self.total_iters
        return [base * left**self.power for base in self.base_lrs]


class CosineAnnealingLR(LRScheduler):
    """Rate along half a cosine from the initial one to ``eta_min`` in ``T_max`` epochs, and back.

    Reference: Loshchilov and Hutter 2016, arXiv:1608.03983 (without restarts).

    Args:
        T_max: epochs, at least 1.
        eta_min: least rate.

    Raises:
        ValueError: ``T_max`` is no int of at least 1.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = CosineAnnealingLR(optimizer, T_max=4)
        >>> for _ in range(4):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.0]
    """

    _by_change = True

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0,  # noqa: N803 - public name
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_count("CosineAnnealingLR", "T_max", T_max)
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self._present()
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [
                lr + (base - self.eta_min) * rise
                for base, lr in zip(self.base_lrs, self._present(), strict=True)
            ]
        ratio = self._height(self.last_epoch) / self._height(self.last_epoch - 1)
        return [ratio * (lr - self.eta_min) + self.eta_min for lr in self._present()]

    def _height(self, epoch: int) -> float:
        return 1 + math.cos(math.pi * epoch / self.T_max)

    def _get_closed_form_lr(self) -> list[float]:
        height = self._height(self.last_epoch) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]
