"""Schedules by functions of the caller."""

from __future__ import annotations

import types
from typing import Any

from dtorch.optim.lr_scheduler.base import LRScheduler, for_groups
from dtorch.optim.optimizer import Optimizer


class _WithFunctions(LRScheduler):
    """Schedules by functions of the epoch."""

    lr_lambdas: list[Any]

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        self.lr_lambdas = for_groups(
            type(self).__name__, "lr_lambda", lr_lambda, len(optimizer.param_groups)
        )
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer; of functions that are objects, their attributes."""
        state = super().state_dict()
        state["lr_lambdas"] = [
            None if isinstance(f, types.FunctionType) else dict(f.__dict__) for f in self.lr_lambdas
        ]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave; functions stay."""
        functions = state_dict["lr_lambdas"]
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for function, attributes in zip(self.lr_lambdas, functions, strict=True):
            if attributes is not None:
                function.__dict__.update(attributes)


class LambdaLR(_WithFunctions):
    """Initial rate times a function of the epoch.

    Args:
        lr_lambda: the function, or one for each group.

    Raises:
        ValueError: a list of functions that is not as long as the list of groups.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = LambdaLR(optimizer, lambda epoch: 0.5**epoch)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.125]
    """

    def get_lr(self) -> list[float]:
        return [
            base * f(self.last_epoch)
            for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)
        ]


class MultiplicativeLR(_WithFunctions):
    """Rate before times a function of the epoch.

    Args:
        lr_lambda: the function, or one for each group.

    Raises:
        ValueError: a list of functions that is not as long as the list of groups.

    Example:
        >>> import dtorch
        >>> optimizer = dtorch.optim.SGD([dtorch.ones(1)], lr=1.0)
        >>> schedule = MultiplicativeLR(optimizer, lambda epoch: 0.5)
        >>> for _ in range(3):
        ...     optimizer.step()
        ...     schedule.step()
        >>> schedule.get_last_lr()
        [0.125]
    """

    _by_change = True

    def get_lr(self) -> list[float]:
        if self.last_epoch == 0:
            return self._present()
        return [
            lr * f(self.last_epoch) for lr, f in zip(self._present(), self.lr_lambdas, strict=True)
        ]
