"""RMSprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.optim.optimizer import (
    Begin,
    Optimizer,
    check_options,
    counter,
    move,
    move_square,
    plus,
    turns,
    zeros,
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

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        names = ["square_avg"]
        if group["momentum"] > 0:
            names.append("momentum_buffer")
        if group["centered"]:
            names.append("grad_avg")
        return {"step": counter, **dict.fromkeys(names, zeros)}

    def _step_group(self, group: dict[str, Any]) -> None:
        alpha, lr = group["alpha"], float(group["lr"])
        for turn in turns(self, group):
            turn.count()
            array = turn.array
            grad = plus(turn.grad, array, group["weight_decay"])
            square = turn.state("square_avg")
            move_square(square, grad, alpha)
            if group["centered"]:
                average = turn.state("grad_avg")
                move(average, grad, alpha)
                update = square - average * average
                np.sqrt(update, out=update)
            else:
                update = np.sqrt(square)
            update += group["eps"]
            np.divide(grad, update, out=update)
            if group["momentum"] > 0:
                held = turn.state("momentum_buffer")
                held *= group["momentum"]
                held += update
                update = held * lr
            else:
                update *= lr
            array -= update
