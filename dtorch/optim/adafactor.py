"""Adafactor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.dtype import finfo
from dtorch.core.errors import DtypeError
from dtorch.core.ops.norm import sum_of_squares
from dtorch.optim.optimizer import (
    Begin,
    Optimizer,
    Turn,
    check_options,
    counter,
    turns,
    zeros,
)


def _mean_square(grad: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(np.mean(grad * grad, axis=axis, keepdims=True, dtype=grad.dtype))


def _zeros_for(axis: int) -> Begin:
    """Begins a state of means over an axis."""

    def begin(array: np.ndarray) -> np.ndarray:
        shape = list(array.shape)
        shape[axis] = 1
        return np.zeros(shape, array.dtype)

    return begin


class Adafactor(Optimizer):
    """`Adam` without momentum whose average of squares is kept as a row and a column.

    Args:
        params: parameters or groups of them.
        lr: bound of the relative step size.
        beta2_decay: at step t the average keeps ``1 - t**beta2_decay``.
        eps: least square (None: by the dtype), and least root mean square of a parameter.
        d: largest root mean square of an update.
        weight_decay: times lr and the parameter, subtracted from it.

    Reference: Shazeer and Stern 2018, arXiv:1804.04235.

    Raises:
        ValueError: an option is out of its range; or as `Optimizer`.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.ones(2))
        >>> optimizer = Adafactor([w], lr=0.5)
        >>> (w * w).sum().backward()
        >>> optimizer.step()
        >>> dtorch.allclose(w, dtorch.full((2,), 0.5), atol=1e-4)
        True
    """

    def __init__(
        self, params: Any, lr: float = 1e-2, beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3), d: float = 1.0, weight_decay: float = 0.0,
        *, foreach: bool | None = None, maximize: bool = False,
    ) -> None:  # fmt: skip
        check_options("Adafactor", lr=(lr, 0, None), d=(d, 1, None),
                      weight_decay=(weight_decay, 0, None))  # fmt: skip
        check_options("Adafactor", beta2_decay=(-beta2_decay, 0, None))
        for i, least in enumerate(eps):
            if least is not None:
                check_options("Adafactor", **{f"eps[{i}]": (least, 0, None)})
        super().__init__(params, {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d,
            "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
        })  # fmt: skip

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        if p.ndim < 2:
            return {"step": counter, "variance": zeros}
        return {"step": counter, "row_var": _zeros_for(-1), "col_var": _zeros_for(-2)}

    def _step_group(self, group: dict[str, Any]) -> None:
        for turn in turns(self, group):
            if turn.param.is_complex():
                raise DtypeError(
                    f"Adafactor: a parameter is {turn.param.dtype}, complex numbers are not supported"
                )
            self._take(group, turn)

    def _take(self, group: dict[str, Any], turn: Turn) -> None:
        array, grad, t = turn.array, turn.grad, turn.count()
        least, least_size = group["eps"]
        if least is None:
            least = finfo(turn.param.dtype).eps
        fresh = t ** group["beta2_decay"]
        size = math.sqrt(sum_of_squares(array)) / math.sqrt(max(array.size, 1))
        alpha = max(least_size, size) * min(float(group["lr"]), 1 / math.sqrt(t))
        if group["weight_decay"]:
            array *= 1 - float(group["lr"]) * group["weight_decay"]
        if array.ndim > 1:
            row, column = turn.state("row_var"), turn.state("col_var")
            row += (_mean_square(grad, -1) - row) * fresh
            column += (_mean_square(grad, -2) - column) * fresh
            estimate = backend.matmul(row, column)
            estimate /= np.maximum(row.mean(axis=-2, keepdims=True), least)
        else:
            variance = turn.state("variance")
            variance += (grad * grad - variance) * fresh
            estimate = variance.copy()
        np.maximum(estimate, least * least, out=estimate)
        update = grad / np.sqrt(estimate)
        length = math.sqrt(sum_of_squares(update))
        clipped = max(1.0, length / (math.sqrt(max(update.size, 1)) * group["d"]))
        array -= update * (alpha / clipped)
