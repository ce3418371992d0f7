"""``torch._C``: the compiled part of PyTorch, of which there is next to nothing here.

Libraries ask it what it has; they are told.
"""

from __future__ import annotations

from typing import Any

from dtorch.core.device import device
from dtorch.core.dtype import dtype
from dtorch.core.generator import Generator
from dtorch.core.tensor import Tensor

__all__ = ["Generator", "Tensor", "device", "dtype"]


def _get_tracing_state() -> None:
    """What traces the program: nothing does."""
    return


def _log_api_usage_once(event: str) -> None:
    """Count the use of something: it is not counted."""


def _is_tracing() -> bool:
    """Whether the program is traced: no."""
    return False


def _get_privateuse1_backend_name() -> str:
    """The name of a device of somebody else's: there is none but the reserved one."""
    return "privateuseone"


def _has_torch_function(*args: Any) -> bool:
    """Whether an argument replaces functions: no."""
    return False
