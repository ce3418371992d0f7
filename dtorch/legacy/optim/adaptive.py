"""Descent with a length of steps for each element, which the function finds itself."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.legacy.optim.stepping import Function, Settings, counted, settings_of, step
from dtorch.optim.adadelta import Adadelta
from dtorch.optim.adagrad import Adagrad
from dtorch.optim.adam import Adam
from dtorch.optim.adaptive import Adamax
from dtorch.optim.rmsprop import RMSprop
from dtorch.optim.rprop import Rprop

__all__ = ["adadelta", "adagrad", "adam", "adamax", "rmsprop", "rprop"]


def adadelta(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Tensor, Any]:
    """A step of Adadelta; see `dtorch.optim.Adadelta`.

    Args:
        opfunc, x, state: as for `sgd`.
        config: ``rho`` (0.9), ``eps`` (1e-6), ``weightDecay``.
    Returns: ``x``, and the value before the step.
    """
    config, state = settings_of("adadelta", config, state)
    value, gradient = opfunc(x)
    step(
        Adadelta, x, gradient, state, rho=config.get("rho", 0.9), eps=config.get("eps", 1e-6),
        weight_decay=config.get("weightDecay", 0),
    )  # fmt: skip
    counted(state)
    return x, value


def adagrad(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Tensor, Any]:
    """A step of Adagrad; see `dtorch.optim.Adagrad`.

    Args:
        opfunc, x, state: as for `sgd`.
        config: ``learningRate`` (1e-3), ``learningRateDecay``, ``weightDecay``.
    Returns: ``x``, and the value before the step.
    """
    config, state = settings_of("adagrad", config, state)
    value, gradient = opfunc(x)
    step(
        Adagrad, x, gradient, state, lr=config.get("learningRate", 1e-3),
        lr_decay=config.get("learningRateDecay", 0), weight_decay=config.get("weightDecay", 0),
    )  # fmt: skip
    counted(state)
    return x, value


def adam(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Tensor, Any]:
    """A step of Adam; see `dtorch.optim.Adam`.

    Args:
        opfunc, x, state: as for `sgd`.
        config: ``learningRate`` (1e-3), ``learningRateDecay``, ``beta1`` (0.9), ``beta2`` (0.999),
            ``epsilon`` (1e-8, added to the root of the second moment as it is, before it is
            corrected for its start at 0), ``weightDecay``.
    Returns: ``x``, and the value before the step.
    """
    config, state = settings_of("adam", config, state)
    value, gradient = opfunc(x)
    t = counted(state, "t") + 1
    betas = config.get("beta1", 0.9), config.get("beta2", 0.999)
    step(
        Adam, x, gradient, state, betas=betas, weight_decay=config.get("weightDecay", 0),
        lr=config.get("learningRate", 1e-3) / (1 + (t - 1) * config.get("learningRateDecay", 0)),
        eps=config.get("epsilon", 1e-8) / math.sqrt(1 - betas[1] ** t),
    )  # fmt: skip
    return x, value


def adamax(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Tensor, Any]:
    """A step of Adamax; see `dtorch.optim.Adamax`.

    Args:
        opfunc, x, state: as for `sgd`.
        config: ``learningRate`` (2e-3), ``beta1`` (0.9), ``beta2`` (0.999), ``epsilon`` (1e-38),
            ``weightDecay``.
    Returns: ``x``, and the value before the step.
    """
    config, state = settings_of("adamax", config, state)
    value, gradient = opfunc(x)
    step(
        Adamax, x, gradient, state, lr=config.get("learningRate", 2e-3),
        betas=(config.get("beta1", 0.9), config.get("beta2", 0.999)),
        eps=config.get("epsilon", 1e-38), weight_decay=config.get("weightDecay", 0),
    )  # fmt: skip
    counted(state, "t")
    return x, value


def rmsprop(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Tensor, Any]:
    """A step of RMSprop; see `dtorch.optim.RMSprop`.

    Args:
        opfunc, x, state: as for `sgd`.
        config: ``learningRate`` (1e-2), ``alpha`` (0.99), ``epsilon`` (1e-8), ``weightDecay``.
    Returns: ``x``, and the value before the step.
    """
    config, state = settings_of("rmsprop", config, state)
    value, gradient = opfunc(x)
    step(
        RMSprop, x, gradient, state, lr=config.get("learningRate", 1e-2),
        alpha=config.get("alpha", 0.99), eps=config.get("epsilon", 1e-8),
        weight_decay=config.get("weightDecay", 0),
    )  # fmt: skip
    counted(state)
    return x, value


def rprop(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Tensor, list[Any]]:
    """Steps by the sign of the gradient; see `dtorch.optim.Rprop`.

    Args:
        opfunc, x, state: as for `sgd`.
        config: ``stepsize`` (0.1), ``etaplus`` (1.2), ``etaminus`` (0.5), ``stepsizemin`` (1e-6),
            ``stepsizemax`` (50), ``niter`` (1), the number of steps.
    Returns: ``x``, and the value before each step.
    """
    config, state = settings_of("rprop", config, state)
    values = []
    for _ in range(config.get("niter", 1)):
        value, gradient = opfunc(x)
        values.append(value)
        step(
            Rprop, x, gradient, state, lr=config.get("stepsize", 0.1),
            etas=(config.get("etaminus", 0.5), config.get("etaplus", 1.2)),
            step_sizes=(config.get("stepsizemin", 1e-6), config.get("stepsizemax", 50)),
        )  # fmt: skip
        counted(state)
    return x, values
