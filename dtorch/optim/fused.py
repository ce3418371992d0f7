"""Compiled steps: one pass over a parameter, its gradient and its state."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend

ndarray = np.ndarray
_KINDS = (np.dtype(np.float32), np.dtype(np.float64))


def takes(param: ndarray, grad: ndarray, *state: ndarray | None) -> bool:
    """Whether the compiled steps know the arrays of a parameter, its gradient and its state."""
    kind = param.dtype
    if backend.native is None or kind not in _KINDS or type(param) is not ndarray:
        return False
    if type(grad) is not ndarray or grad.dtype != kind:
        return False
    return all(
        array is None or (array.dtype == kind and array.flags.c_contiguous)
        for array in (param, *state)
    )


def sgd(
    param: ndarray, grad: ndarray, buffer: ndarray | None, group: dict[str, Any], first: bool
) -> None:
    """A step of `SGD`; ``first`` begins the buffer."""
    backend.native.sgd_step(
        param, np.ascontiguousarray(grad), buffer, float(group["lr"]), group["momentum"],
        group["dampening"], group["weight_decay"], group["nesterov"], first,
    )  # fmt: skip


def adam(
    param: ndarray, grad: ndarray, average: ndarray, square: ndarray, largest: ndarray | None,
    group: dict[str, Any], step: int,
) -> None:  # fmt: skip
    """A step of `Adam` or `AdamW`, the ``step``-th."""
    beta1, beta2 = group["betas"]
    backend.native.adam_step(
        param, np.ascontiguousarray(grad), average, square, largest, float(group["lr"]), beta1,
        beta2, group["eps"], group["weight_decay"], group["decoupled_weight_decay"],
        1 - beta1**step, 1 - beta2**step,
    )  # fmt: skip
