"""What PyTorch can do on a card and dtorch cannot: the names, which say so.

Each function raises a NoDeviceError where there is no card, and a NotImplementedError where there is
one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from dtorch.cuda.device import init

__all__ = [
    "CUDAGraph",
    "caching_allocator_alloc",
    "can_device_access_peer",
    "cudart",
    "current_blas_handle",
    "get_allocator_backend",
    "graph",
    "graph_pool_handle",
    "list_gpu_processes",
    "make_graphed_callables",
    "memory_snapshot",
    "memory_usage",
    "set_per_process_memory_fraction",
    "temperature",
    "utilization",
]  # fmt: skip


def _without(name: str, remedy: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> NoReturn:
        init()
        raise NotImplementedError(f"cuda.{name}: not there with dtorch on a card; {remedy}")

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"Not there: {remedy}."
    return function


_RUN = "run the operations one by one"
_ASK = "CuPy's memory pools and nvidia-smi can tell"
_CUPY = "cupy.cuda has the runtime's functions"

CUDAGraph = _without("CUDAGraph", _RUN)
graph = _without("graph", _RUN)
graph_pool_handle = _without("graph_pool_handle", _RUN)
make_graphed_callables = _without("make_graphed_callables", _RUN)
can_device_access_peer = _without("can_device_access_peer", _CUPY)
caching_allocator_alloc = _without("caching_allocator_alloc", _CUPY)
cudart = _without("cudart", _CUPY)
current_blas_handle = _without("current_blas_handle", _CUPY)
get_allocator_backend = _without("get_allocator_backend", _ASK)
list_gpu_processes = _without("list_gpu_processes", _ASK)
memory_snapshot = _without("memory_snapshot", _ASK)
memory_usage = _without("memory_usage", _ASK)
set_per_process_memory_fraction = _without("set_per_process_memory_fraction", _ASK)
temperature = _without("temperature", _ASK)
utilization = _without("utilization", _ASK)
