"""Adam and AdamW."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.errors import ArgumentError
from dtorch.optim import fused
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


def check_betas(optimizer: str, betas: Any) -> None:
    """Complain unless ``betas`` are two numbers from 0 up to, not including, 1."""
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ArgumentError(f"{optimizer}: betas are {betas!r}, expected two numbers")
    for i, beta in enumerate(betas):
        check_options(optimizer, **{f"betas[{i}]": (beta, 0, 1)})


def betas_of(group: dict[str, Any]) -> tuple[float, float]:
    """The betas of a group, which may be tensors, as numbers."""
    first, second = group["betas"]
    return float(first), float(second)


class Adam(Optimizer):
    """Gradient descent with a step size for each element, from averages of gradient and square.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: shares that the averages of gradient and square keep at each step.
        eps: added to the square root, after the correction of the start at zero.
        weight_decay: times the parameter, added to its gradient.
        amsgrad: use the largest average of squares so far.
        maximize: climb instead of descending.
        decoupled_weight_decay: subtract ``lr * weight_decay`` times the parameter instead; see
            `AdamW`.

    Reference: Kingma and Ba 2014, arXiv:1412.6980; Reddi et al. 2019, arXiv:1904.09237.

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = Adam([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> dtorch.allclose(w, dtorch.full((2,), 0.9), atol=1e-4)
        True
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, amsgrad: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:  # fmt: skip
        name = type(self).__name__
        check_options(name, lr=(lr, 0, None), eps=(eps, 0, None),
                      weight_decay=(weight_decay, 0, None))  # fmt: skip
        check_betas(name, betas)
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable, "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }  # fmt: skip
        super().__init__(params, defaults)

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))
        return {"step": counter, **dict.fromkeys(names, zeros)}

    def _step_group(self, group: dict[str, Any]) -> None:
        lr, (beta1, beta2), eps = float(group["lr"]), betas_of(group), group["eps"]
        decay, amsgrad = group["weight_decay"], group["amsgrad"]
        rest = fused.adam(group["params"], group, self.state)
        fresh = [p for p in rest if not (p._grad is None or self.state[p])]
        if fresh:
            for p in fresh:
                self._begin(p, self._states(group, p))
            rest = fused.adam(rest, group, self.state)
        for turn in turns(self, group, rest):
            t, array, grad = turn.count(), turn.array, turn.grad
            if decay and group["decoupled_weight_decay"]:
                array *= 1 - lr * decay
            else:
                grad = plus(grad, array, decay)
            average, square = turn.state("exp_avg"), turn.state("exp_avg_sq")
            move(average, grad, beta1)
            move_square(square, grad, beta2)
            if amsgrad:
                largest = turn.state("max_exp_avg_sq")
                np.maximum(largest, square, out=largest)
                square = largest
            denominator = np.sqrt(square)
            denominator /= math.sqrt(1 - beta2**t)
            denominator += eps
            np.divide(average, denominator, out=denominator)
            denominator *= lr / (1 - beta1**t)
            array -= denominator


class AdamW(Adam):
    """`Adam` whose weight decay acts on the parameter itself, not through the gradient.

    Reference: Loshchilov and Hutter 2017, arXiv:1711.05101.

    Args: as of `Adam`, but ``weight_decay`` is 0.01 unless given.

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = AdamW([w], lr=0.1, weight_decay=0.5)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> dtorch.allclose(w, dtorch.full((2,), 0.85), atol=1e-4)
        True
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 1e-2, amsgrad: bool = False, *,
        maximize: bool = False, foreach: bool | None = None, capturable: bool = False,
        differentiable: bool = False, fused: bool | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            params, lr, betas, eps, weight_decay, amsgrad, foreach=foreach, maximize=maximize,
            capturable=capturable, differentiable=differentiable, fused=fused,
            decoupled_weight_decay=True,
        )  # fmt: skip
