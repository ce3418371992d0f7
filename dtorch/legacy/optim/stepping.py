"""What the functions have in common: where settings and state are, and a step of `dtorch.optim`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.grad_mode import no_grad
from dtorch.core.tensor import Tensor

# Gives the value and the gradient at a point, as tensors or numbers.
Function = Callable[[Tensor], tuple[Any, Any]]
Settings = dict[str, Any]


def settings_of(
    name: str, config: Settings | None, state: Settings | None
) -> tuple[Settings, Settings]:
    """The settings, and where the state is kept: in the settings themselves if nowhere else."""
    if config is None and state is None:
        raise ArgumentError(
            f"{name}: config and state are None, expected a dict in which the state stays between "
            "calls"
        )
    config = {} if config is None else config
    return config, config if state is None else state


def step(kind: Any, x: Tensor, gradient: Tensor, state: Settings, **options: Any) -> Any:
    """Change ``x`` by a step of a class of `dtorch.optim`, whose state is ``state["optimizer"]``.

    Returns: the optimizer's state of ``x``.
    """
    parameter = x.detach().requires_grad_()
    parameter.grad = gradient.detach()
    optimizer = kind([parameter], **options)
    optimizer.state[parameter] = state.setdefault("optimizer", {})
    optimizer.step()
    state["optimizer"] = optimizer.state[parameter]
    return state["optimizer"]


def counted(state: Settings, name: str = "evalCounter") -> int:
    """How often this was called before with the name of a counter."""
    before: int = state.get(name, 0)
    state[name] = before + 1
    return before


def decayed(name: str, x: Tensor, gradient: Tensor, config: Settings) -> Any:
    """The gradient with ``weightDecay`` or ``weightDecays`` times the parameters added."""
    decay, decays = config.get("weightDecay", 0), config.get("weightDecays")
    if decay and decays is not None:
        raise ArgumentError(f"{name}: got weightDecay and weightDecays, expected one of them")
    factor = decay if decays is None else decays
    with no_grad():
        return gradient + x * factor if decays is not None or decay else gradient.detach()
