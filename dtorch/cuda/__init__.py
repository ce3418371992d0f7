"""CUDA devices, through CuPy (extras ``cuda12``, ``cuda13``), loaded when they are first used.

Without a card everything here imports, `is_available` says no, questions about memory are answered
with 0, and what needs a card raises a NoDeviceError that names the missing part.
"""

from typing import Any as _Any

from dtorch.core.errors import OutOfMemoryError
from dtorch.cuda import amp, nccl, nvtx, sparse, streams
from dtorch.cuda.device import (
    current_device,
    device,
    device_count,
    device_of,
    get_arch_list,
    get_device_capability,
    get_device_name,
    get_device_properties,
    get_gencode_flags,
    init,
    is_available,
    is_bf16_supported,
    is_initialized,
    is_tf32_supported,
    set_device,
    synchronize,
)
from dtorch.cuda.memory import (
    empty_cache,
    ipc_collect,
    max_memory_allocated,
    max_memory_cached,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_cached,
    memory_reserved,
    memory_stats,
    memory_summary,
    reset_accumulated_memory_stats,
    reset_max_memory_allocated,
    reset_max_memory_cached,
    reset_peak_memory_stats,
)
from dtorch.cuda.random import (
    get_rng_state,
    get_rng_state_all,
    initial_seed,
    manual_seed,
    manual_seed_all,
    seed,
    seed_all,
    set_rng_state,
    set_rng_state_all,
)
from dtorch.cuda.storages import (
    BFloat16Storage,
    BoolStorage,
    ByteStorage,
    CharStorage,
    DoubleStorage,
    FloatStorage,
    HalfStorage,
    IntStorage,
    LongStorage,
    ShortStorage,
)
from dtorch.cuda.streams import (
    Event,
    Stream,
    StreamContext,
    current_stream,
    default_stream,
    is_current_stream_capturing,
    set_stream,
    stream,
)
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
from dtorch.cuda.unsupported import (
    CUDAGraph,
    caching_allocator_alloc,
    can_device_access_peer,
    cudart,
    current_blas_handle,
    get_allocator_backend,
    graph,
    graph_pool_handle,
    list_gpu_processes,
    make_graphed_callables,
    memory_snapshot,
    memory_usage,
    set_per_process_memory_fraction,
    temperature,
    utilization,
)

has_half = True
has_magma = False
default_generators: tuple[_Any, ...] = ()  # each tensor is filled from `dtorch.default_generator`

__all__ = [
    "BFloat16Storage", "BFloat16Tensor", "BoolStorage", "BoolTensor", "ByteStorage", "ByteTensor",
    "CUDAGraph", "CharStorage", "CharTensor", "DoubleStorage", "DoubleTensor", "Event",
    "FloatStorage", "FloatTensor", "HalfStorage", "HalfTensor", "IntStorage", "IntTensor",
    "LongStorage", "LongTensor", "OutOfMemoryError", "ShortStorage", "ShortTensor", "Stream",
    "StreamContext", "amp", "caching_allocator_alloc", "can_device_access_peer", "cudart",
    "current_blas_handle", "current_device", "current_stream", "default_generators",
    "default_stream", "device", "device_count", "device_of", "empty_cache", "get_allocator_backend",
    "get_arch_list", "get_device_capability", "get_device_name", "get_device_properties",
    "get_gencode_flags", "get_rng_state", "get_rng_state_all", "graph", "graph_pool_handle",
    "has_half", "has_magma", "init", "initial_seed", "ipc_collect", "is_available",
    "is_bf16_supported", "is_current_stream_capturing", "is_initialized", "is_tf32_supported",
    "list_gpu_processes", "make_graphed_callables", "manual_seed", "manual_seed_all",
    "max_memory_allocated", "max_memory_cached", "max_memory_reserved", "mem_get_info",
    "memory_allocated", "memory_cached", "memory_reserved", "memory_snapshot", "memory_stats",
    "memory_summary", "memory_usage", "nccl", "nvtx", "reset_accumulated_memory_stats",
    "reset_max_memory_allocated", "reset_max_memory_cached", "reset_peak_memory_stats", "seed",
    "seed_all", "set_device", "set_per_process_memory_fraction", "set_rng_state",
    "set_rng_state_all", "set_stream", "sparse", "stream", "streams", "synchronize", "temperature",
    "utilization",
]  # fmt: skip
