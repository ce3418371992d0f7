"""Adadelta."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.optim.adam import averages_of, move_square
from dtorch.optim.optimizer import (
    Optimizer,
    check_options,
    plus,
    with_gradients,
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

    def _step_group(self, group: dict[str, Any]) -> None:
        rho = group["rho"]
        for p, array, grad in with_gradients("Adadelta", group):
            kind = array.dtype.type
            eps = kind(group["eps"])
            state = self.state[p]
            if not state:
                averages_of(state, array, "square_avg", "acc_delta")
            state["step"]._array += 1
            grad = plus(grad, array, group["weight_decay"])
            square, steps = state["square_avg"]._array, state["acc_delta"]._array
            move_square(square, grad, rho)
            delta = np.sqrt((steps + eps) / (square + eps))
            delta *= grad
            move_square(steps, delta, rho)
            delta *= kind(float(group["lr"]))
            array -= delta
