"""Flags of a module, changed for a while."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def set_flags(module: str, **settings: Any) -> tuple[Any, ...]:
    """Set variables of a module, but those given as None; returns what they all were."""
    owner = sys.modules[module]
    before = tuple(getattr(owner, name) for name in settings)
    for name, value in settings.items():
        if value is not None:
            setattr(owner, name, value)
    return before


@contextmanager
def flags(module: str, **settings: Any) -> Iterator[None]:
    """Set variables of a module until the end of a ``with`` block."""
    before = dict(zip(settings, set_flags(module, **settings), strict=True))
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(sys.modules[module], name, value)
