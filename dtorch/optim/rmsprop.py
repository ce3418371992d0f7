"""RMSprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.optim.adam import averages_of, move, move_square
from dtorch.optim.optimizer import (
    Optimizer,
    check_options,
    plus,
    with_gradients,
)


class RMSprop(Optimizer):
    """Gradient divided by the root of an average of its square.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        alpha: share that the average keeps at each step.
        eps: added to the root.
        weight_decay: times the parameter, added to its gradient.
        momentum: share of the former step.
        centered: divide by the standard deviation instead.

    Reference: Hinton 2012, lecture 6e of "Neural networks for machine learning"; Graves 2013,
    arXiv:1308.0850 (centered).

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = RMSprop([w], lr=0.05)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> dtorch.allclose(w, dtorch.full((2,), 0.5), atol=1e-4)
        True
    """

    def __init__(
        self, params: Any, lr: float = 1e-2, alpha: float = 0.99, eps: float = 1e-8,
        weight_decay: float = 0, momentum: float = 0, centered: bool = False,
        capturable: bool = False, foreach: bool | None = None, maximize: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_options(
            "RMSprop", lr=(lr, 0, None), alpha=(alpha, 0, None), eps=(eps, 0, None),
            weight_decay=(weight_decay, 0, None), momentum=(momentum, 0, None),
        )  # fmt: skip
        super().__init__(params, {
            "lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered,
            "weight_decay": weight_decay, "capturable": capturable, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable,
        })  # fmt: skip

    def _step_group(self, group: dict[str, Any]) -> None:
        alpha, lr = group["alpha"], float(group["lr"])
        for p, array, grad in with_gradients("RMSprop", group):
            kind = array.dtype.type
            state = self.state[p]
            if not state:
                averages_of(state, array, "square_avg")
                if group["momentum"] > 0:
                    state["momentum_buffer"] = wrap(np.zeros_like(array))
                if group["centered"]:
                    state["grad_avg"] = wrap(np.zeros_like(array))
            state["step"]._array += 1
            grad = plus(grad, array, group["weight_decay"])
            square = state["square_avg"]._array
            move_square(square, grad, alpha)
            if group["centered"]:
                average = state["grad_avg"]._array
                move(average, grad, alpha)
                update = square - average * average
                np.sqrt(update, out=update)
            else:
                update = np.sqrt(square)
            update += kind(group["eps"])
            np.divide(grad, update, out=update)
            if group["momentum"] > 0:
                held = state["momentum_buffer"]._array
                held *= kind(group["momentum"])
                held += update
                update = held * kind(lr)
            else:
                update *= kind(lr)
            array -= update
