"""Adam for sparse gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.coo import CooArray
from dtorch.core.errors import GradError
from dtorch.optim.adam import check_betas
from dtorch.optim.optimizer import Optimizer, check_options, with_gradients


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
        check_betas("SparseAdam", betas)
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})

    def _step_group(self, group: dict[str, Any]) -> None:
        (beta1, beta2), lr = group["betas"], float(group["lr"])

        def sparse(p: Any, grad: CooArray) -> None:
            array = p._array
            kind = array.dtype.type
            state = self.state[p]
            if not state:
                state["step"] = 0
                state["exp_avg"] = wrap(np.zeros_like(array))
                state["exp_avg_sq"] = wrap(np.zeros_like(array))
            state["step"] += 1
            t = state["step"]
            at, values = tuple(grad.indices), grad.values
            average, square = state["exp_avg"]._array, state["exp_avg_sq"]._array
            average[at] += (values - average[at]) * kind(1 - beta1)
            square[at] += (values * values - square[at]) * kind(1 - beta2)
            step = lr * math.sqrt(1 - beta2**t) / (1 - beta1**t)
            array[at] -= average[at] / (np.sqrt(square[at]) + kind(group["eps"])) * kind(step)

        for p, _, _ in with_gradients("SparseAdam", group, sparse=sparse):
            raise GradError(
                f"SparseAdam: the gradient of a parameter of shape {tuple(p.shape)} is dense; use "
                "Adam"
            )
