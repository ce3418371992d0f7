"""Compiled steps: one pass over all parameters, their gradients and their states.

Each function steps those of ``params`` that have a gradient, and gives back the ones that are left to
NumPy: where arrays are of another kind, or a state has not begun.
"""

from __future__ import annotations

from typing import Any

from dtorch.core.backend import compiled


def sgd(params: list[Any], group: dict[str, Any], state: dict[Any, Any]) -> list[Any]:
    """Steps of `SGD`."""
    return sgd_steps(
        params, state, float(group["lr"]), group["momentum"], group["dampening"],
        group["weight_decay"], group["nesterov"], group["maximize"],
    )  # fmt: skip


def adam(params: list[Any], group: dict[str, Any], state: dict[Any, Any]) -> list[Any]:
    """Steps of `Adam` or `AdamW`."""
    beta1, beta2 = map(float, group["betas"])
    return adam_steps(
        params, state, float(group["lr"]), beta1, beta2, group["eps"],
        group["weight_decay"], group["decoupled_weight_decay"], group["amsgrad"],
        group["maximize"],
    )  # fmt: skip


@compiled
def sgd_steps(params: list[Any], *_: Any) -> list[Any]:
    """The parameters that it could not step: without the native module, all of them."""
    return params


@compiled
def adam_steps(params: list[Any], *_: Any) -> list[Any]:
    """As `sgd_steps`."""
    return params
