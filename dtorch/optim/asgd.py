"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from dtorch.optim.optimizer import (
    Begin,
    Optimizer,
    check_options,
    counter,
    number,
    plus,
    turns,
    zeros,
)


class ASGD(Optimizer):
    """Gradient descent that also averages the parameters it passes; the average is in the state,
    under ``"ax"``.

    Args:
        params: parameters or groups of them.
        lr: learning rate; at step t divided by ``(1 + lambd * lr * t) ** alpha``.
        lambd: decay of the parameter at each step.
        t0: step at which averaging begins.
        weight_decay: times the parameter, added to its gradient.

    Reference: Polyak and Juditsky 1992, "Acceleration of stochastic approximation by averaging".

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = ASGD([w], lr=0.25, lambd=0)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> dtorch.allclose(w, dtorch.full((2,), 0.5), atol=1e-4)
        True
        >>> tuple(optimizer.state[w]["ax"].shape)
        (2,)
    """

    _numbers = ("step", "eta", "mu")

    def __init__(
        self, params: Any, lr: float = 1e-2, lambd: float = 1e-4, alpha: float = 0.75,
        t0: float = 1e6, weight_decay: float = 0, foreach: bool | None = None,
        maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        check_options("ASGD", lr=(lr, 0, None), weight_decay=(weight_decay, 0, None))
        super().__init__(params, {
            "lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay,
            "foreach": foreach, "maximize": maximize, "differentiable": differentiable,
            "capturable": capturable,
        })  # fmt: skip

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        eta = number(float(group["lr"]))
        return {"step": counter, "eta": eta, "mu": number(1), "ax": zeros}

    def _step_group(self, group: dict[str, Any]) -> None:
        lr, lambd = float(group["lr"]), group["lambd"]
        for turn in turns(self, group):
            t, array = turn.count(), turn.array
            eta, mu = turn.number("eta"), turn.number("mu")
            grad = plus(turn.grad, array, group["weight_decay"])
            array *= 1 - lambd * float(eta)
            array -= grad * float(eta)
            average = turn.state("ax")
            average += (array - average) * float(mu)
            eta[...] = lr / (1 + lambd * lr * t) ** group["alpha"]
            mu[...] = 1 / max(1.0, t - group["t0"])
