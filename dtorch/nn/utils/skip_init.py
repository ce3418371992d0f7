"""Modules made without drawing their parameters."""

from __future__ import annotations

from typing import Any

from dtorch.nn.module import Module


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """A module of a class that takes ``device``, its parameters uninitialised.

    Raises:
        TypeError: not a Module class.

    Example:
        >>> import dtorch
        >>> tuple(skip_init(dtorch.nn.Linear, 3, 2).weight.shape)
        (2, 3)
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise TypeError(f"skip_init: got {module_cls!r}, expected a Module class")
    device = kwargs.pop("device", "cpu")
    return module_cls(*args, **kwargs).to_empty(device=device)
