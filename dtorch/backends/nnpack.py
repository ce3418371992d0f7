"""NNPACK, which dtorch does not use."""

from contextlib import AbstractContextManager
from typing import Any

from dtorch.backends import settings

enabled = True


def is_available() -> bool:
    """Whether convolutions are NNPACK's: no."""
    return False


def set_flags(_enabled: bool) -> tuple[Any, ...]:
    """Set the flag; returns what it was."""
    return settings.set_flags(__name__, enabled=_enabled)


def flags(enabled: bool = False) -> AbstractContextManager[None]:
    """Set the flag until the end of a ``with`` block."""
    return settings.flags(__name__, enabled=enabled)
