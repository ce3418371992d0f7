"""Base class of schedules."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.grad_mode import no_grad
from dtorch.core.tensor import Tensor
from dtorch.optim.optimizer import Optimizer


class LRScheduler:
    """Base class of schedules; subclasses compute the rates of all groups in ``get_lr``.

    Args:
        optimizer: whose groups get the rates.
        last_epoch: the epoch before the one to go on with; -1 begins, and makes the present rates
            initial. After ``n`` steps of another schedule, whose rates the groups still have,
            ``n - 1`` goes on where it stopped.

    Attributes:
        base_lrs: initial rate of each group.
        last_epoch: number of steps so far.

    Raises:
        TypeError: ``optimizer`` is no `Optimizer`.
        KeyError: ``last_epoch`` says to go on, but a group has no ``"initial_lr"``.

    Example:
        >>> import dtorch
        >>> class Halved(LRScheduler):
        ...     def get_lr(self):
        ...         return [base / 2**self.last_epoch for base in self.base_lrs]
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = Halved(optimizer)
        >>> optimizer.step()
        >>> schedule.step()
        >>> optimizer.param_groups[0]["lr"]
        0.5
    """

    # Whether `get_lr` changes the present rates. A schedule that goes on finds them changed already.
    _by_change = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(
                f"{type(self).__name__}: optimizer is {type(optimizer).__name__}, expected an "
                "Optimizer"
            )
        self.optimizer = optimizer
        if last_epoch == -1:
            for group in optimizer.param_groups:
                group.setdefault("initial_lr", float(group["lr"]))
        else:
            expect_in_groups(optimizer, last_epoch, "initial_lr")
        self.base_lrs: list[float] = [g["initial_lr"] for g in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = last_epoch + 1
        self._last_lr: list[float] = []
        self._steps_before = optimizer._steps_taken
        self._get_lr_called_within_step = False
        self._is_initial = True
        self.step()
        self._is_initial = False

    def get_lr(self) -> list[float]:
        """The rates of all groups at `last_epoch`, from those before."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_lr()")

    def get_last_lr(self) -> list[float]:
        """The rates set last."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Go on by one epoch, or (deprecated) to a given one."""
        begins = self._step_count == 1 and not self._is_initial
        if begins and self.optimizer._steps_taken == self._steps_before:
            warnings.warn(
                "scheduler.step() was called before optimizer.step(): the first rate of the "
                "schedule is skipped; call them the other way round",
                UserWarning,
                stacklevel=2,
            )
        self._step_count += 1
        if epoch is None:
            self.last_epoch += 1
            keeps = self._by_change and self._is_initial and self.last_epoch > 0
            values = self._present() if keeps else self._computed()
        else:
            warnings.warn(
                "the epoch argument of scheduler.step() is deprecated; call step() each epoch",
                UserWarning,
                stacklevel=2,
            )
            self.last_epoch = epoch
            closed = getattr(self, "_get_closed_form_lr", None)
            values = self._computed() if closed is None else closed()
        self._set(values)

    def _computed(self) -> list[float]:
        self._get_lr_called_within_step = True
        try:
            return self.get_lr()
        finally:
            self._get_lr_called_within_step = False

    def _set(self, values: Sequence[float]) -> None:
        for group, lr in zip(self.optimizer.param_groups, values, strict=True):
            set_rate(group, lr)
        self._last_lr = self._present()

    def _present(self) -> list[float]:
        rates = (group["lr"] for group in self.optimizer.param_groups)
        return [lr.item() if isinstance(lr, Tensor) else lr for lr in rates]

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer."""
        return {k: v for k, v in self.__dict__.items() if k not in ("optimizer", "_steps_before")}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave."""
        self.__dict__.update(state_dict)


def set_rate(group: dict[str, Any], lr: float) -> None:
    """Give a group another rate; one that is a tensor stays the same tensor."""
    if isinstance(group["lr"], Tensor):
        with no_grad():
            group["lr"].fill_(lr)
    else:
        group["lr"] = lr


def expect_in_groups(optimizer: Optimizer, last_epoch: int, *names: str) -> None:
    """Complain unless all groups hold what a schedule needs to go on."""
    for i, group in enumerate(optimizer.param_groups):
        for name in names:
            if name not in group:
                raise KeyError(
                    f"group {i} has no {name!r}, which is needed to go on from epoch {last_epoch}"
                )


def check_count(name: str, what: str, value: Any) -> None:
    if not isinstance(value, int) or value < 1:
        raise ArgumentError(f"{name}: {what} is {value!r}, expected an int of at least 1")


def for_groups(name: str, what: str, value: Any, count: int) -> list[Any]:
    """One value for each group, from one for all or a list."""
    if not isinstance(value, (list, tuple)):
        return [value] * count
    if len(value) != count:
        raise ArgumentError(f"{name}: {what} has {len(value)} entries, expected {count}")
    return list(value)
