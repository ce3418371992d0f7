"""Adagrad."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.coo import CooArray
from dtorch.core.errors import GradError
from dtorch.optim.optimizer import (
    Optimizer,
    check_options,
    plus,
    with_gradients,
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
        for group in self.param_groups:
            for p in group["params"]:
                # At once, not at the first step: processes can share the sums before they begin.
                self.state[p]["step"] = wrap(np.zeros((), np.float32))
                self.state[p]["sum"] = wrap(
                    np.full_like(p._array, group["initial_accumulator_value"])
                )

    def share_memory(self) -> None:
        """Move steps and sums to memory that other processes can see."""
        for group in self.param_groups:
            for p in group["params"]:
                self.state[p]["step"].share_memory_()
                self.state[p]["sum"].share_memory_()

    def _step_group(self, group: dict[str, Any]) -> None:
        def sparse(p: Any, grad: CooArray) -> None:
            if group["weight_decay"]:
                raise GradError("Adagrad: a sparse gradient does not go with weight_decay")
            state = self.state[p]
            state["step"]._array += 1
            t = float(state["step"]._array)
            at, kind = tuple(grad.indices), p._array.dtype.type
            total = state["sum"]._array
            total[at] += grad.values * grad.values
            update = grad.values / (np.sqrt(total[at]) + kind(group["eps"]))
            p._array[at] -= update * kind(float(group["lr"]) / (1 + (t - 1) * group["lr_decay"]))

        for p, array, grad in with_gradients("Adagrad", group, sparse=sparse):
            kind = array.dtype.type
            state = self.state[p]
            state["step"]._array += 1
            t = float(state["step"]._array)
            grad = plus(grad, array, group["weight_decay"])
            total = state["sum"]._array
            total += grad * grad
            update = np.sqrt(total)
            update += kind(group["eps"])
            np.divide(grad, update, out=update)
            update *= kind(float(group["lr"]) / (1 + (t - 1) * group["lr_decay"]))
            array -= update
