"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.coo import CooArray
from dtorch.core.errors import ArgumentError, GradError
from dtorch.optim import fused
from dtorch.optim.optimizer import (
    Optimizer,
    check_options,
    plus,
    with_gradients,
)


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for.

    With gradient g, the buffer is ``momentum * buffer + (1 - dampening) * g`` (g itself at the
    first step) and the parameter loses ``lr * buffer``; with ``nesterov`` it loses
    ``lr * (g + momentum * buffer)``.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        momentum, dampening: see above.
        weight_decay: times the parameter, added to its gradient.
        nesterov: needs momentum and no dampening.
        maximize: climb instead of descending.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(1))
        >>> optimizer = SGD([w], lr=0.5)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> w.tolist()
        [0.0]

    Reference: Sutskever et al. 2013, "On the importance of initialization and momentum in deep
    learning".
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, momentum: float = 0, dampening: float = 0,
        weight_decay: float = 0, nesterov: bool = False, *, maximize: bool = False,
        foreach: bool | None = None, differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        check_options("SGD", lr=(lr, 0, None), momentum=(momentum, 0, None),
                      weight_decay=(weight_decay, 0, None))  # fmt: skip
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ArgumentError(
                f"SGD: nesterov needs momentum above 0 and no dampening, got momentum {momentum} "
                f"and dampening {dampening}"
            )
        defaults = {
            "lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay,
            "nesterov": nesterov, "maximize": maximize, "foreach": foreach,
            "differentiable": differentiable, "fused": fused,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _step_group(self, group: dict[str, Any]) -> None:
        def sparse(p: Any, grad: CooArray) -> None:
            if group["weight_decay"]:
                raise GradError("SGD: a sparse gradient does not go with weight_decay")
            if group["momentum"]:  # every element moves, whatever the gradient stores
                self._step_parameter(group, p, p._array, grad.to_dense())
            else:
                p._array[tuple(grad.indices)] -= grad.values * p._array.dtype.type(group["lr"])

        rest = fused.sgd(group["params"], group, self.state)
        for p, array, grad in with_gradients("SGD", group, rest, sparse):
            self._step_parameter(group, p, array, grad)

    def _step_parameter(
        self, group: dict[str, Any], p: Any, array: np.ndarray, grad: np.ndarray
    ) -> None:
        held, first = None, False
        if group["momentum"]:
            state = self.state[p]
            first = "momentum_buffer" not in state
            if first:
                state["momentum_buffer"] = wrap(np.empty_like(array))
            held = state["momentum_buffer"]._array
        kind, dampening = array.dtype.type, group["dampening"]
        update = plus(grad, array, group["weight_decay"])
        if held is not None:
            if first:
                held[...] = update
            else:
                held *= kind(group["momentum"])
                held += update if dampening == 0 else update * kind(1 - dampening)
            if group["nesterov"]:
                scaled = held * kind(group["momentum"])
                scaled += update
                update = scaled
            else:
                update = held
        array -= np.multiply(update, kind(group["lr"]))
