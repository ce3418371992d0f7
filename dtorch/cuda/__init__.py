"""CUDA devices, through CuPy (extras ``cuda12``, ``cuda13``), loaded when they are first used.

Without a card everything here imports, `is_available` says no, and what needs one raises a
DeviceError that names the missing part.
"""

from dtorch.cuda import amp, sparse
from dtorch.cuda.device import (
    current_device,
    device,
    device_count,
    device_of,
    get_device_capability,
    get_device_name,
    init,
    is_available,
    is_initialized,
    set_device,
    synchronize,
)
from dtorch.cuda.memory import empty_cache, mem_get_info, memory_allocated, memory_reserved
from dtorch.cuda.random import manual_seed, manual_seed_all, seed, seed_all
from dtorch.cuda.typed import (
    BFloat16Tensor,
    BoolTensor,
    ByteTensor,
    CharTensor,
    DoubleTensor,
    FloatTensor,
    HalfTensor,
    IntTensor,
    LongTensor,
    ShortTensor,
)

__all__ = [
    "BFloat16Tensor", "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor",
    "HalfTensor", "IntTensor", "LongTensor", "ShortTensor", "amp", "current_device", "device",
    "device_count", "device_of", "empty_cache", "get_device_capability", "get_device_name", "init",
    "is_available", "is_initialized", "manual_seed", "manual_seed_all", "mem_get_info",
    "memory_allocated", "memory_reserved", "seed", "seed_all", "set_device", "sparse",
    "synchronize",
]  # fmt: skip
