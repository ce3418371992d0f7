"""Adagrad."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.coo import CooArray
from dtorch.core.errors import GradError
from dtorch.core.half import widened
from dtorch.optim.optimizer import (
    Begin,
    Optimizer,
    check_options,
    counter,
    filled,
    plus,
    turns,
)


class Adagrad(Optimizer):
    """Gradient descent with steps divided by the root of all squared gradients so far.

    Args:
        params: parameters or groups of them.
        lr: learning rate; at step t divided by ``1 + (t - 1) * lr_decay``.
        weight_decay: times the parameter, added to its gradient.
        initial_accumulator_value: sum of squares to begin with.
        eps: added to the root.

    Reference: Duchi et al. 2011, "Adaptive subgradient methods for online learning and stochastic
    optimization".

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = Adagrad([w], lr=0.5)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> dtorch.allclose(w, dtorch.full((2,), 0.5), atol=1e-4)
        True
    """

    def __init__(
        self, params: Any, lr: float = 1e-2, lr_decay: float = 0, weight_decay: float = 0,
        initial_accumulator_value: float = 0, eps: float = 1e-10, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        check_options(
            "Adagrad", lr=(lr, 0, None), lr_decay=(lr_decay, 0, None), eps=(eps, 0, None),
            weight_decay=(weight_decay, 0, None),
            initial_accumulator_value=(initial_accumulator_value, 0, None),
        )  # fmt: skip
        super().__init__(params, {
            "lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "fused": fused,
        })  # fmt: skip
        self._begin_states()  # processes can share the sums before they begin

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        return {"step": counter, "sum": filled(group["initial_accumulator_value"])}

    def _step_group(self, group: dict[str, Any]) -> None:
        def sparse(p: Any, grad: CooArray) -> None:
            if group["weight_decay"]:
                raise GradError("Adagrad: a sparse gradient does not go with weight_decay")
            state = self.state[p]
            state["step"].array += 1
            t = float(state["step"].array)
            at, values = tuple(grad.indices), widened(grad.values)
            total = widened(state["sum"].array[at]) + values * values
            state["sum"].array[at] = total
            update = values / (np.sqrt(total) + group["eps"])
            update *= float(group["lr"]) / (1 + (t - 1) * group["lr_decay"])
            p.array[at] = widened(p.array[at]) - update

        for turn in turns(self, group, sparse=sparse):
            t = turn.count()
            grad = plus(turn.grad, turn.array, group["weight_decay"])
            total = turn.state("sum")
            total += grad * grad
            update = np.sqrt(total)
            update += group["eps"]
            np.divide(grad, update, out=update)
            update *= float(group["lr"]) / (1 + (t - 1) * group["lr_decay"])
            turn.array -= update
