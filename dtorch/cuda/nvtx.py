"""Names of pieces of a program in NVIDIA's profilers.

Raises:
    NoDeviceError: every function, where there is no card; `dtorch.profiler.record_function` names
        pieces in any case.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dtorch.core import backend
from dtorch.core.device import device


def _nvtx() -> Any:
    return backend.xp_for(device("cuda")).cuda.nvtx


def range_push(msg: str) -> None:
    """Begin a piece."""
    _nvtx().RangePush(msg)


def range_pop() -> None:
    """End the piece begun last."""
    _nvtx().RangePop()


def mark(msg: str) -> None:
    """Name a moment."""
    _nvtx().Mark(msg)


@contextmanager
def range(msg: str, *args: Any, **kwargs: Any) -> Iterator[None]:
    """Name a ``with`` block; ``msg`` may have places for the other arguments."""
    range_push(msg.format(*args, **kwargs))
    try:
        yield
    finally:
        range_pop()
