"""Adafactor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.dtype import finfo
from dtorch.optim.optimizer import Optimizer, check_options, with_gradients


def _mean_square(grad: np.ndarray, axis: int) -> np.ndarray:
    return np.asarray(np.mean(grad * grad, axis=axis, keepdims=True, dtype=grad.dtype))


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
        super().__init__(params, {
            "lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d,
            "weight_decay": weight_decay, "foreach": foreach, "maximize": maximize,
        })  # fmt: skip

    def _step_group(self, group: dict[str, Any]) -> None:
        for p, array, grad in with_gradients("Adafactor", group):
            self._step_parameter(group, self.state[p], array, grad)

    def _step_parameter(
        self, group: dict[str, Any], state: dict[str, Any], array: np.ndarray, grad: np.ndarray
    ) -> None:
        kind = array.dtype.type
        least, least_size = group["eps"]
        if least is None:
            least = finfo(array.dtype).eps
        if not state:
            state["step"] = wrap(np.zeros((), np.float32))
            if array.ndim > 1:
                state["row_var"] = wrap(np.zeros((*array.shape[:-1], 1), array.dtype))
                state["col_var"] = wrap(
                    np.zeros((*array.shape[:-2], 1, array.shape[-1]), array.dtype)
                )
            else:
                state["variance"] = wrap(np.zeros_like(array))
        state["step"]._array += 1
        t = float(state["step"]._array)
        fresh = kind(t ** group["beta2_decay"])
        size = float(np.linalg.norm(array.reshape(-1))) / math.sqrt(max(array.size, 1))
        alpha = max(least_size, size) * min(float(group["lr"]), 1 / math.sqrt(t))
        if group["weight_decay"]:
            array *= kind(1 - float(group["lr"]) * group["weight_decay"])
        if array.ndim > 1:
            row, column = state["row_var"]._array, state["col_var"]._array
            row += (_mean_square(grad, -1) - row) * fresh
            column += (_mean_square(grad, -2) - column) * fresh
            estimate = row @ column
            estimate /= np.maximum(row.mean(axis=-2, keepdims=True), kind(least))
        else:
            variance = state["variance"]._array
            variance += (grad * grad - variance) * fresh
            estimate = variance.copy()
        np.maximum(estimate, kind(least * least), out=estimate)
        update = grad / np.sqrt(estimate)
        length = float(np.linalg.norm(update.reshape(-1)))
        clipped = max(1.0, length / (math.sqrt(max(update.size, 1)) * group["d"]))
        array -= update * kind(alpha / clipped)
