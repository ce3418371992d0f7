"""Gradient descent, plain and averaged."""

from __future__ import annotations

from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.grad_mode import no_grad
from dtorch.core.tensor import Tensor
from dtorch.legacy.optim.stepping import Function, Settings, counted, decayed, settings_of, step
from dtorch.optim.asgd import ASGD
from dtorch.optim.sgd import SGD

__all__ = ["asgd", "nag", "sgd"]


def _rate(config: Settings, steps: int) -> float:
    rate = config.get("learningRate", 1e-3) / (1 + steps * config.get("learningRateDecay", 0))
    return float(rate)


def sgd(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Tensor, Any]:
    """A step of gradient descent; see `dtorch.optim.SGD`.

    Args:
        opfunc: gives the value and the gradient at a point.
        x: the point; it is changed.
        config: ``learningRate`` (1e-3), ``learningRateDecay``, ``learningRates`` (a factor for each
            element of the gradient), ``weightDecay`` or ``weightDecays`` (one for each element),
            ``momentum``, ``dampening`` (as momentum), ``nesterov``.
        state: where the state stays between calls; ``config`` if left out.
    Returns: ``x``, and the value before the step.
    Raises:
        ValueError: ``nesterov`` without momentum or with dampening, or both kinds of decay.
    Example:
        >>> import dtorch
        >>> x = dtorch.tensor([4.0])
        >>> x, value = sgd(lambda x: ((x**2).sum(), 2 * x), x, {"learningRate": 0.25})
        >>> x, value
        (tensor([2.]), tensor(16.))
    """
    config, state = settings_of("sgd", config, state)
    momentum = config.get("momentum", 0)
    value, gradient = opfunc(x)
    gradient = decayed("sgd", x, gradient, config)
    if config.get("learningRates") is not None:
        gradient = gradient * config["learningRates"]
    step(
        SGD, x, gradient, state, lr=_rate(config, state.get("evalCounter", 0)), momentum=momentum,
        dampening=config.get("dampening", momentum), nesterov=config.get("nesterov", False),
    )  # fmt: skip
    counted(state)
    return x, value


def nag(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Tensor, Any]:
    """A step along the momentum, and one of gradient descent from there: Nesterov's method.

    Args:
        opfunc, x, state: as for `sgd`.
        config: as for `sgd`, with a ``momentum`` of 0.9 and without dampening.
    Returns: ``x``, and the value after the first of both.
    Raises:
        ValueError: momentum is not above 0, or both kinds of decay.

    Reference: Sutskever et al. 2013, "On the importance of initialization and momentum in deep
    learning".
    """
    config, state = settings_of("nag", config, state)
    momentum = config.get("momentum", 0.9)
    if not momentum > 0:
        raise ArgumentError(f"nag: momentum is {momentum}, expected above 0")
    with no_grad():
        if "dfdx" in state:
            x.add_(state["dfdx"], alpha=momentum)
    value, gradient = opfunc(x)
    gradient = decayed("nag", x, gradient, config)
    if config.get("learningRates") is not None:
        gradient = gradient * config["learningRates"]
    with no_grad():
        move = gradient * -_rate(config, counted(state))
        x.add_(move)
        state["dfdx"] = move if "dfdx" not in state else state["dfdx"].mul_(momentum).add_(move)
    return x, value


def asgd(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Tensor, Any, Tensor]:
    """A step of averaged gradient descent; see `dtorch.optim.ASGD`.

    Args:
        opfunc, x, state: as for `sgd`.
        config: ``eta0`` (1e-4), ``lambda`` (1e-4), ``alpha`` (0.75), ``t0`` (1e6), ``weightDecay``.
    Returns: ``x``, the value before the step, and the average of the points.
    """
    config, state = settings_of("asgd", config, state)
    value, gradient = opfunc(x)
    kept = step(
        ASGD, x, gradient, state, lr=config.get("eta0", 1e-4), lambd=config.get("lambda", 1e-4),
        alpha=config.get("alpha", 0.75), t0=config.get("t0", 1e6),
        weight_decay=config.get("weightDecay", 0),
    )  # fmt: skip
    counted(state, "t")
    return x, value, kept["ax"]
