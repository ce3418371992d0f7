"""Rprop."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.errors import ArgumentError
from dtorch.optim.optimizer import (
    Begin,
    Optimizer,
    check_options,
    counter,
    filled,
    turns,
    zeros,
)


class Rprop(Optimizer):
    """Steps by the sign of the gradient alone, growing while it stays, shrinking when it changes.

    Args:
        params: parameters or groups of them.
        lr: first step of each element.
        etas: factors of the step after a change of sign, and without one.
        step_sizes: least and largest step.

    Reference: Riedmiller and Braun 1993, "A direct adaptive method for faster backpropagation
    learning".

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = Rprop([w], lr=0.5)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> dtorch.allclose(w, dtorch.full((2,), 0.5), atol=1e-4)
        True
    """

    def __init__(
        self, params: Any, lr: float = 1e-2, etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50), *, capturable: bool = False,
        foreach: bool | None = None, maximize: bool = False, differentiable: bool = False,
    ) -> None:  # fmt: skip
        check_options("Rprop", lr=(lr, 0, None))
        if not 0 < etas[0] < 1 < etas[1]:
            raise ArgumentError(f"Rprop: etas are {etas}, expected 0 < etas[0] < 1 < etas[1]")
        super().__init__(params, {
            "lr": lr, "etas": etas, "step_sizes": step_sizes, "foreach": foreach,
            "maximize": maximize, "differentiable": differentiable, "capturable": capturable,
        })  # fmt: skip

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        return {"step": counter, "prev": zeros, "step_size": filled(float(group["lr"]))}

    def _step_group(self, group: dict[str, Any]) -> None:
        (shrink, grow), (least, most) = group["etas"], group["step_sizes"]
        for turn in turns(self, group):
            turn.count()
            grad, before = turn.grad, turn.state("prev")
            size = turn.state("step_size")
            agreement = np.sign(grad * before)
            size *= np.where(agreement > 0, grow, np.where(agreement < 0, shrink, 1.0))
            np.clip(size, least, most, out=size)
            used = np.where(agreement < 0, grad.dtype.type(0), grad)
            turn.array -= np.sign(used) * size
            before[...] = used
