"""What all transforms share."""

from __future__ import annotations

from typing import Any

from dtorch.core.errors import ArgumentError


class Transform:
    """Callable with an image; its arguments are its attributes."""

    def __call__(self, img: Any) -> Any:
        """The transformed image."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__")

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"{type(self).__name__}({arguments})"


def check_probability(name: str, p: float) -> float:
    """The probability, having seen that it is one."""
    if not 0 <= p <= 1:
        raise ArgumentError(f"{name}: p is {p}, expected a probability from 0 to 1")
    return p
