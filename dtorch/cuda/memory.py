"""Memory of the cards: CuPy's pool keeps freed blocks for reuse.

Where CUDA was not used, nothing is in use: the answers are 0, and there is nothing to give back.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from dtorch.core import backend
from dtorch.core.device import device as core_device
from dtorch.cuda.device import device as current, is_initialized


def _pool() -> Any:
    return backend.xp_for(core_device("cuda")).get_default_memory_pool()


def memory_allocated(device: Any = None) -> int:
    """Bytes of tensors on the card."""
    if not is_initialized():
        return 0
    with current(device):
        return int(_pool().used_bytes())


def memory_reserved(device: Any = None) -> int:
    """Bytes that the pool holds on the card, in use or not."""
    if not is_initialized():
        return 0
    with current(device):
        return int(_pool().total_bytes())


memory_cached = memory_reserved


def max_memory_allocated(device: Any = None) -> int:
    """The most bytes that tensors had on the card: the pool keeps no count of it, but what it holds
    is a bound from above as long as `empty_cache` is not called."""
    return memory_reserved(device)


def max_memory_reserved(device: Any = None) -> int:
    """The most bytes that the pool held on the card, as long as `empty_cache` is not called."""
    return memory_reserved(device)


max_memory_cached = max_memory_reserved


def reset_peak_memory_stats(device: Any = None) -> None:
    """Count the most bytes from here on: no count is kept, see `max_memory_allocated`."""


reset_max_memory_allocated = reset_peak_memory_stats
reset_max_memory_cached = reset_peak_memory_stats
reset_accumulated_memory_stats = reset_peak_memory_stats


def memory_stats(device: Any = None) -> OrderedDict[str, int]:
    """What is counted, by the names of the reference API; nothing where CUDA was not used."""
    counted: OrderedDict[str, int] = OrderedDict()
    if is_initialized():
        counted["allocated_bytes.all.current"] = memory_allocated(device)
        counted["reserved_bytes.all.current"] = memory_reserved(device)
    return counted


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """`memory_allocated` and `memory_reserved` as text."""
    return (
        f"memory of CUDA tensors: {memory_allocated(device)} bytes\n"
        f"memory that the pool holds: {memory_reserved(device)} bytes\n"
    )


def mem_get_info(device: Any = None) -> tuple[int, int]:
    """Free and total bytes of the card."""
    with current(device):
        free, total = backend.xp_for(core_device("cuda")).cuda.runtime.memGetInfo()
    return int(free), int(total)


def empty_cache() -> None:
    """Give back what the pool does not use; nothing happens where CUDA was not used."""
    if is_initialized():
        _pool().free_all_blocks()


def ipc_collect() -> None:
    """Free memory that other processes have let go of: none is shared with them."""
