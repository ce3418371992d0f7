"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from dtorch.core.coo import CooArray
from dtorch.core.errors import ArgumentError, GradError
from dtorch.core.half import widened
from dtorch.optim import fused
from dtorch.optim.optimizer import (
    Begin,
    Optimizer,
    Turn,
    check_options,
    plus,
    turns,
    zeros,
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

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        return {}  # the momentum begins with the first gradient

    def _kept(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        return {"momentum_buffer": zeros} if group["momentum"] else {}

    def _begin_states(self) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                self._begin(p, self._kept(group, p))

    def _step_group(self, group: dict[str, Any]) -> None:
        def sparse(p: Any, grad: CooArray) -> None:
            if group["weight_decay"]:
                raise GradError("SGD: a sparse gradient does not go with weight_decay")
            if group["momentum"]:  # every element moves, whatever the gradient stores
                turn = Turn(p, self.state, grad.to_dense())
                self._take(group, turn)
                turn.close()
            else:
                at = tuple(grad.indices)
                p.array[at] = widened(p.array[at]) - widened(grad.values) * float(group["lr"])

        rest = fused.sgd(group["params"], group, self.state)
        for turn in turns(self, group, rest, sparse):
            self._take(group, turn)

    def _take(self, group: dict[str, Any], turn: Turn) -> None:
        update = plus(turn.grad, turn.array, group["weight_decay"])
        if group["momentum"]:
            first = self.state[turn.param].get("momentum_buffer") is None
            self._begin(turn.param, {"momentum_buffer": zeros})
            held = turn.state("momentum_buffer")
            if first:
                held[...] = update
            else:
                held *= group["momentum"]
                held += update if group["dampening"] == 0 else update * (1 - group["dampening"])
            if group["nesterov"]:
                scaled = held * group["momentum"]
                scaled += update
                update = scaled
            else:
                update = held
        turn.array -= update * float(group["lr"])
