"""Memory of the cards: CuPy's pool keeps freed blocks for reuse."""

from __future__ import annotations

from typing import Any

from dtorch.core import backend
from dtorch.core.device import device as core_device
from dtorch.cuda.device import device as current, is_initialized


def _pool() -> Any:
    return backend.xp_for(core_device("cuda")).get_default_memory_pool()


def memory_allocated(device: Any = None) -> int:
    """Bytes of tensors on the card."""
    with current(device):
        return int(_pool().used_bytes())


def memory_reserved(device: Any = None) -> int:
    """Bytes that the pool holds on the card, in use or not."""
    with current(device):
        return int(_pool().total_bytes())


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of the card."""
    with current(device):
        free, total = backend.xp_for(core_device("cuda")).cuda.runtime.memGetInfo()
    return int(free), int(total)


def empty_cache() -> None:
    """Give back what the pool does not use; nothing happens where CUDA was not used."""
    if is_initialized():
        _pool().free_all_blocks()
