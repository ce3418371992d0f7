"""Adadelta."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.optim.optimizer import (
    Begin,
    Optimizer,
    check_options,
    counter,
    move_square,
    plus,
    turns,
    zeros,
)


class Adadelta(Optimizer):
    """Steps in the units of the parameter: gradient times the ratio of two root mean squares, of
    earlier steps and of gradients.

    Args:
        params: parameters or groups of them.
        lr: factor of the steps.
        rho: share that the averages keep at each step.
        eps: added under the roots.
        weight_decay: times the parameter, added to its gradient.

    Reference: Zeiler 2012, arXiv:1212.5701.

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = Adadelta([w])
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> bool((w < 1).all())
        True
    """

    def __init__(
        self, params: Any, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6,
        weight_decay: float = 0, foreach: bool | None = None, *, capturable: bool = False,
        maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_options(
            "Adadelta", lr=(lr, 0, None), eps=(eps, 0, None), weight_decay=(weight_decay, 0, None),
            rho=(rho, 0, 1 + 1e-12),
        )  # fmt: skip
        super().__init__(params, {
            "lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize,
            "capturable": capturable, "foreach": foreach, "differentiable": differentiable,
        })  # fmt: skip

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        return {"step": counter, "square_avg": zeros, "acc_delta": zeros}

    def _step_group(self, group: dict[str, Any]) -> None:
        rho, eps = group["rho"], group["eps"]
        for turn in turns(self, group):
            turn.count()
            grad = plus(turn.grad, turn.array, group["weight_decay"])
            square, steps = turn.state("square_avg"), turn.state("acc_delta")
            move_square(square, grad, rho)
            delta = np.sqrt(steps + eps)
            delta /= np.sqrt(square + eps)
            delta *= grad
            move_square(steps, delta, rho)
            delta *= float(group["lr"])
            turn.array -= delta
