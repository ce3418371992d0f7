"""NVIDIA's library for talk between cards, which dtorch does not use.

`dtorch.distributed` gathers and reduces between processes.
"""

from __future__ import annotations

from typing import Any


def is_available(tensors: Any = None) -> bool:
    """Whether NCCL would reduce these tensors: no."""
    return False


def version() -> tuple[int, ...]:
    """The version of NCCL: an empty tuple, which is below all."""
    return ()
