"""Adam for sparse gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.coo import CooArray
from dtorch.core.errors import ArgumentError, GradError
from dtorch.core.half import widened
from dtorch.optim.adam import betas_of, check_betas
from dtorch.optim.optimizer import (
    Begin,
    Optimizer,
    check_options,
    turns,
    zeros,
)


class SparseAdam(Optimizer):
    """`Adam` that moves only the elements a sparse gradient stores, and their averages.

    Args:
        params: parameters or groups of them; their gradients must be sparse.
        lr, betas, eps: as in `Adam`.
        maximize: climb instead of descending.

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.
        RuntimeError: a step meets a dense gradient.

    Example:
        >>> import dtorch
        >>> table = dtorch.nn.Embedding(3, 2, sparse=True)
        >>> _ = dtorch.nn.init.ones_(table.weight)
        >>> optimizer = SparseAdam(table.parameters(), lr=0.5)
        >>> table(dtorch.tensor([1])).sum().backward()
        >>> optimizer.step()
        >>> (table.weight < 1).any(dim=1).tolist()
        [False, True, False]
    """

    def __init__(
        self, params: Any, lr: float = 1e-3, betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8, maximize: bool = False,
    ) -> None:  # fmt: skip
        check_options("SparseAdam", lr=(lr, 0, None), eps=(eps, 0, None))
        for name, value in (("lr", lr), ("eps", eps)):
            if not value > 0:
                raise ArgumentError(f"SparseAdam: {name} is {value}, expected more than 0")
        check_betas("SparseAdam", betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        for group in self.param_groups:
            for p in group["params"]:
                if p.is_complex():
                    raise ArgumentError(
                        f"SparseAdam: a parameter is {p.dtype}, complex numbers are not supported"
                    )

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        return {"exp_avg": zeros, "exp_avg_sq": zeros}

    def _step_group(self, group: dict[str, Any]) -> None:
        (beta1, beta2), lr = betas_of(group), float(group["lr"])

        def sparse(p: Any, grad: CooArray) -> None:
            array = p.array
            self._begin(p, self._states(group, p))
            state = self.state[p]
            state["step"] = t = state.get("step", 0) + 1
            at, values = tuple(grad.indices), widened(grad.values)
            average = widened(state["exp_avg"].array[at])
            square = widened(state["exp_avg_sq"].array[at])
            average += (values - average) * (1 - beta1)
            square += (values * values - square) * (1 - beta2)
            state["exp_avg"].array[at], state["exp_avg_sq"].array[at] = average, square
            step = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
            array[at] = widened(array[at]) - average / (np.sqrt(square) + group["eps"]) * step

        for turn in turns(self, group, sparse=sparse):
            raise GradError(
                f"SparseAdam: the gradient of a parameter of shape {tuple(turn.param.shape)} is "
                "dense; use Adam"
            )
