"""Relatives of Adam: Adamax, NAdam, RAdam."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.optim.adam import averages_of, check_betas, move, move_square
from dtorch.optim.optimizer import (
    Optimizer,
    check_options,
    plus,
    with_gradients,
)


def _decayed(group: dict[str, Any], grad: np.ndarray, array: np.ndarray) -> np.ndarray:
    """The gradient with weight decay, or the parameter shrunk where that is decoupled."""
    decay = group["weight_decay"]
    if decay and group.get("decoupled_weight_decay"):
        array *= array.dtype.type(1 - float(group["lr"]) * decay)
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

    def _step_group(self, group: dict[str, Any]) -> None:
        (beta1, beta2), lr = group["betas"], float(group["lr"])
        for p, array, grad in with_gradients("Adamax", group):
            kind = array.dtype.type
            state = self.state[p]
            if not state:
                averages_of(state, array, "exp_avg", "exp_inf")
            state["step"]._array += 1
            grad = plus(grad, array, group["weight_decay"])
            average, largest = state["exp_avg"]._array, state["exp_inf"]._array
            move(average, grad, beta1)
            largest *= kind(beta2)
            size = np.abs(grad)
            size += kind(group["eps"])
            np.maximum(largest, size, out=largest)
            np.divide(average, largest, out=size)
            size *= kind(lr / (1 - beta1 ** int(state["step"]._array)))
            array -= size


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

    def _step_group(self, group: dict[str, Any]) -> None:
        (beta1, beta2), lr = group["betas"], float(group["lr"])
        for p, array, grad in with_gradients("NAdam", group):
            kind = array.dtype.type
            state = self.state[p]
            if not state:
                state["step"] = wrap(np.zeros((), np.float32))
                state["mu_product"] = wrap(np.ones((), np.float32))
                state["exp_avg"] = wrap(np.zeros_like(array))
                state["exp_avg_sq"] = wrap(np.zeros_like(array))
            state["step"]._array += 1
            t = int(state["step"]._array)
            grad = _decayed(group, grad, array)
            decay = group["momentum_decay"]
            mu = beta1 * (1 - 0.5 * 0.96 ** (t * decay))
            ahead = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * decay))
            state["mu_product"]._array *= np.float32(mu)
            product = float(state["mu_product"]._array)
            average, square = state["exp_avg"]._array, state["exp_avg_sq"]._array
            move(average, grad, beta1)
            move_square(square, grad, beta2)
            denominator = np.sqrt(square / kind(1 - beta2**t))
            denominator += kind(group["eps"])
            update = grad * kind(lr * (1 - mu) / (1 - product))
            update += average * kind(lr * ahead / (1 - product * ahead))
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

    def _step_group(self, group: dict[str, Any]) -> None:
        (beta1, beta2), lr = group["betas"], float(group["lr"])
        longest = 2 / (1 - beta2) - 1
        for p, array, grad in with_gradients("RAdam", group):
            kind = array.dtype.type
            state = self.state[p]
            if not state:
                averages_of(state, array, "exp_avg", "exp_avg_sq")
            state["step"]._array += 1
            t = int(state["step"]._array)
            grad = _decayed(group, grad, array)
            average, square = state["exp_avg"]._array, state["exp_avg_sq"]._array
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
                update += kind(group["eps"])
                np.divide(average, update, out=update)
                update *= kind(step * rectified * math.sqrt(correction))
            else:
                update = average * kind(step)
            array -= update
