"""Intel's library of layers (oneDNN), which dtorch does not use."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from dtorch.backends import settings

VERBOSE_OFF = 0
VERBOSE_ON = 1
VERBOSE_ON_CREATION = 2

enabled = True
deterministic = False
allow_tf32 = True


def is_available() -> bool:
    """Whether layers are oneDNN's: no."""
    return False


def set_flags(
    _enabled: bool | None = None, _deterministic: bool | None = None,
    _allow_tf32: bool | None = None,
) -> tuple[Any, ...]:  # fmt: skip
    """Set those that are not None; returns what they all were."""
    return settings.set_flags(
        __name__, enabled=_enabled, deterministic=_deterministic, allow_tf32=_allow_tf32
    )


def flags(
    enabled: bool = False, deterministic: bool = False, allow_tf32: bool = True
) -> AbstractContextManager[None]:
    """Set all flags until the end of a ``with`` block."""
    return settings.flags(
        __name__, enabled=enabled, deterministic=deterministic, allow_tf32=allow_tf32
    )


@contextmanager
def verbose(level: int) -> Iterator[None]:
    """What oneDNN would print: nothing."""
    yield
