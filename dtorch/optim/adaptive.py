"""Relatives of Adam: Adamax, NAdam, RAdam."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.optim.adam import betas_of, check_betas
from dtorch.optim.optimizer import (
    Begin,
    Optimizer,
    check_options,
    counter,
    move,
    move_square,
    number,
    plus,
    turns,
    zeros,
)


def _decayed(group: dict[str, Any], grad: np.ndarray, array: np.ndarray) -> np.ndarray:
    """The gradient with weight decay, or the parameter shrunk where that is decoupled."""
    decay = group["weight_decay"]
    if decay and group.get("decoupled_weight_decay"):
        array *= 1 - float(group["lr"]) * decay
        return grad
    return plus(grad, array, decay)


class Adamax(Optimizer):
    """`Adam` with the largest gradient so far, decaying, in the place of the root mean square.

    Args:
        params: parameters or groups of them.
        lr: learning rate.
        betas: shares that average and maximum keep at each step.
        eps: added to the absolute gradient.
        weight_decay: times the parameter, added to its gradient.

    Reference: Kingma and Ba 2014, arXiv:1412.6980, section 7.1.

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = Adamax([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> dtorch.allclose(w, dtorch.full((2,), 0.9), atol=1e-4)
        True
    """

    def __init__(
        self, params: Any, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, foreach: bool | None = None, *,
        maximize: bool = False, differentiable: bool = False, capturable: bool = False,
    ) -> None:  # fmt: skip
        check_options("Adamax", lr=(lr, 0, None), eps=(eps, 0, None),
                      weight_decay=(weight_decay, 0, None))  # fmt: skip
        check_betas("Adamax", betas)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        })  # fmt: skip

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        return {"step": counter, "exp_avg": zeros, "exp_inf": zeros}

    def _step_group(self, group: dict[str, Any]) -> None:
        (beta1, beta2), lr = betas_of(group), float(group["lr"])
        for turn in turns(self, group):
            t = turn.count()
            grad = plus(turn.grad, turn.array, group["weight_decay"])
            average, largest = turn.state("exp_avg"), turn.state("exp_inf")
            move(average, grad, beta1)
            largest *= beta2
            size = np.abs(grad)
            size += group["eps"]
            np.maximum(largest, size, out=largest)
            np.divide(average, largest, out=size)
            size *= lr / (1 - beta1**t)
            turn.array -= size


class NAdam(Optimizer):
    """`Adam` with Nesterov momentum.

    Args:
        params: parameters or groups of them.
        lr, betas, eps, weight_decay: as in `Adam`.
        momentum_decay: how fast the share of the average approaches ``betas[0]``.
        decoupled_weight_decay: as in `AdamW`.

    Reference: Dozat 2016, "Incorporating Nesterov momentum into Adam".

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = NAdam([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> bool((w < 1).all())
        True
    """

    _numbers = ("step", "mu_product")

    def __init__(
        self, params: Any, lr: float = 2e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False, *, foreach: bool | None = None,
        maximize: bool = False, capturable: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_options("NAdam", lr=(lr, 0, None), eps=(eps, 0, None),
                      weight_decay=(weight_decay, 0, None),
                      momentum_decay=(momentum_decay, 0, None))  # fmt: skip
        check_betas("NAdam", betas)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "momentum_decay": momentum_decay, "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "differentiable": differentiable,
        })  # fmt: skip

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        ones = number(1)
        return {"step": counter, "mu_product": ones, "exp_avg": zeros, "exp_avg_sq": zeros}

    def _step_group(self, group: dict[str, Any]) -> None:
        (beta1, beta2), lr = betas_of(group), float(group["lr"])
        for turn in turns(self, group):
            t, array = turn.count(), turn.array
            grad = _decayed(group, turn.grad, array)
            decay = group["momentum_decay"]
            mu = beta1 * (1 - 0.5 * 0.96 ** (t * decay))
            ahead = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * decay))
            products = turn.number("mu_product")
            products *= np.float32(mu)
            product = float(products)
            average, square = turn.state("exp_avg"), turn.state("exp_avg_sq")
            move(average, grad, beta1)
            move_square(square, grad, beta2)
            denominator = np.sqrt(square / (1 - beta2**t))
            denominator += group["eps"]
            update = grad * (lr * (1 - mu) / (1 - product))
            update += average * (lr * ahead / (1 - product * ahead))
            update /= denominator
            array -= update


class RAdam(Optimizer):
    """`Adam` that follows the plain average until the variance of its step size can be bounded.

    Args:
        params: parameters or groups of them.
        lr, betas, eps, weight_decay: as in `Adam`.
        decoupled_weight_decay: as in `AdamW`.

    Reference: Liu et al. 2019, arXiv:1908.03265.

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = RAdam([w], lr=0.1)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> dtorch.allclose(w, dtorch.full((2,), 0.8), atol=1e-4)
        True
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, weight_decay: float = 0, decoupled_weight_decay: bool = False, *,
        foreach: bool | None = None, maximize: bool = False, capturable: bool = False,
        differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_options("RAdam", lr=(lr, 0, None), eps=(eps, 0, None),
                      weight_decay=(weight_decay, 0, None))  # fmt: skip
        check_betas("RAdam", betas)
        super().__init__(params, {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay,
            "maximize": maximize, "foreach": foreach, "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay, "differentiable": differentiable,
        })  # fmt: skip

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        return {"step": counter, "exp_avg": zeros, "exp_avg_sq": zeros}

    def _step_group(self, group: dict[str, Any]) -> None:
        (beta1, beta2), lr = betas_of(group), float(group["lr"])
        longest = 2 / (1 - beta2) - 1
        for turn in turns(self, group):
            t, array = turn.count(), turn.array
            grad = _decayed(group, turn.grad, array)
            average, square = turn.state("exp_avg"), turn.state("exp_avg_sq")
            move(average, grad, beta1)
            move_square(square, grad, beta2)
            correction = 1 - beta2**t
            length = longest - 2 * t * beta2**t / correction
            step = lr / (1 - beta1**t)
            if length > 5:
                rectified = math.sqrt(
                    (length - 4) * (length - 2) * longest
                    / ((longest - 4) * (longest - 2) * length)
                )  # fmt: skip
                update = np.sqrt(square)
                update += group["eps"]
                np.divide(average, update, out=update)
                update *= step * rectified * math.sqrt(correction)
            else:
                update = average * step
            array -= update
