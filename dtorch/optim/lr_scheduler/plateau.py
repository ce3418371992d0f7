"""Schedule by a measure that is watched."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.optim.lr_scheduler.base import LRScheduler, for_groups, set_rate
from dtorch.optim.optimizer import Optimizer


class ReduceLROnPlateau(LRScheduler):
    """Rate times ``factor`` when a measure has not improved for ``patience`` epochs.

    Args:
        mode: ``"min"`` or ``"max"``: whether less or more is better.
        factor: below 1.
        patience: epochs without improvement that are tolerated.
        threshold: least improvement, relative to the best (``threshold_mode="rel"``) or absolute
            (``"abs"``).
        cooldown: epochs after a reduction in which nothing is counted.
        min_lr: least rate, for all groups or each.
        eps: smaller reductions are not made.

    Raises:
        ValueError: ``factor`` of 1 or more, an unknown ``mode`` or ``threshold_mode``, or a list
            ``min_lr`` that is not as long as the list of groups.
        TypeError: ``optimizer`` is no `Optimizer`.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        >>> for loss in (3.0, 2.0, 2.0, 2.0):
        ...     schedule.step(loss)
        >>> optimizer.param_groups[0]["lr"]
        0.5
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0, min_lr: Any = 0,
        eps: float = 1e-8,
    ) -> None:  # fmt: skip
        if not factor < 1:
            raise ArgumentError(f"ReduceLROnPlateau: factor is {factor}, expected below 1")
        if mode not in ("min", "max") or threshold_mode not in ("rel", "abs"):
            raise ArgumentError(
                f"ReduceLROnPlateau: mode is {mode!r}, threshold_mode {threshold_mode!r}; expected "
                "'min' or 'max', and 'rel' or 'abs'"
            )
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"ReduceLROnPlateau: optimizer is {type(optimizer).__name__}, expected an Optimizer"
            )
        self.optimizer = optimizer
        self.mode = mode
        self.factor = factor
        self.patience = patience
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self.cooldown = cooldown
        self.min_lrs = for_groups(
            "ReduceLROnPlateau", "min_lr", min_lr, len(optimizer.param_groups)
        )
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = self._present()
        self._reset()

    def _reset(self) -> None:
        """Forget what was seen."""
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Count one epoch.

        Args:
            metrics: the measure.
        """
        current = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self.is_better(current, self.best):
            self.best = current
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = self._present()

    def _reduce(self) -> None:
        for group, least in zip(self.optimizer.param_groups, self.min_lrs, strict=True):
            before = float(group["lr"])
            lr = max(before * self.factor, least)
            if before - lr > self.eps:
                set_rate(group, lr)

    @property
    def in_cooldown(self) -> bool:
        """Whether nothing is counted now."""
        return self.cooldown_counter > 0

    def is_better(self, a: float, best: float) -> bool:
        """Whether ``a`` improves on ``best`` by more than the threshold."""
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "rel":
            bound = best * (1 + sign * self.threshold)
        else:
            bound = best + sign * self.threshold
        return a > bound if self.mode == "max" else a < bound
