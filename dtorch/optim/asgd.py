"""Averaged stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.optim.optimizer import (
    Optimizer,
    check_options,
    plus,
    with_gradients,
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

    def _step_group(self, group: dict[str, Any]) -> None:
        lr, lambd = float(group["lr"]), group["lambd"]
        for p, array, grad in with_gradients("ASGD", group):
            kind = array.dtype.type
            state = self.state[p]
            if not state:
                state["step"] = wrap(np.zeros((), np.float32))
                state["eta"] = wrap(np.asarray(lr, np.float32))
                state["mu"] = wrap(np.ones((), np.float32))
                state["ax"] = wrap(np.zeros_like(array))
            state["step"]._array += 1
            t = float(state["step"]._array)
            eta, mu = float(state["eta"]._array), float(state["mu"]._array)
            grad = plus(grad, array, group["weight_decay"])
            array *= kind(1 - lambd * eta)
            array -= grad * kind(eta)
            average = state["ax"]._array
            average += (array - average) * kind(mu)
            state["eta"]._array[...] = lr / (1 + lambd * lr * t) ** group["alpha"]
            state["mu"]._array[...] = 1 / max(1.0, t - group["t0"])
