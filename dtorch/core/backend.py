"""What differs between devices and builds: array module, compiled kernels, memory, moving data.

The only file that imports the native module or CuPy; importing dtorch never imports CuPy.

Environment, read once when dtorch is imported:

=====================  ============================================================================
DTORCH_NATIVE          ``0``: ignore the compiled module; NumPy does the work
DTORCH_ALLOCATOR       ``0``: leave NumPy's memory allocator in place
DTORCH_CACHE_LIMIT     bytes of freed memory kept for reuse; default: a quarter of the memory,
                       divided by the ranks on this machine, or the workers of a loader
DTORCH_CLASSIC         ``1``: classic mode, see `dtorch.core.classic`
DTORCH_CPU_CAPABILITY  ``baseline``, ``avx2`` or ``avx512``: which build of the kernels runs
DTORCH_TRACEBACK       ``full``: errors show the calls inside dtorch as well
OMP_NUM_THREADS        threads for operations; default: the processors this process may use
=====================  ============================================================================
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from dtorch.core import blas, meta
from dtorch.core.device import CPU, META, device
from dtorch.core.errors import ArgumentError, NoDataError, NoDeviceError

ndarray = np.ndarray
MetaArray = meta.MetaArray


def _load_native() -> Any:
    if os.environ.get("DTORCH_NATIVE") == "0":
        return None
    try:
        module = importlib.import_module("dtorch._native")
    except ModuleNotFoundError:  # a pure Python install
        return None
    except ImportError as error:
        raise ImportError(
            f"dtorch: the native module does not load: {error}; install dtorch again, "
            "or set DTORCH_NATIVE=0 to go without it"
        ) from error
    module.cpu_capability()  # complains here, not in the first kernel, about what it cannot run
    return module


native: Any = _load_native()  # Any: the compiled module has no type information

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """The native module's function of this name where there is the module, else the function itself.

    A decorator of the Python form, which says what both do.
    """
    return function if native is None else getattr(native, function.__name__)


def has_kernels(device: str) -> bool:
    """Whether kernels for the arrays of a device can run: those of the CPU are compiled."""
    return device != "cpu" or native is not None


def tell(setting: str, *values: Any) -> None:
    """Call a function of the native module, where there is one, that tells it of the Python side."""
    if native is not None:
        getattr(native, setting)(*values)


def install_allocator_in_this_thread() -> None:
    """Let NumPy arrays made by this thread use the caching allocator.

    NumPy keeps its allocator in a context variable and a new thread begins with NumPy's own, so
    every thread that dtorch starts calls this; elsewhere arrays are slower to make, never wrong.
    Does nothing without the native module or with ``DTORCH_ALLOCATOR=0``.
    """
    if native is not None and os.environ.get("DTORCH_ALLOCATOR") != "0":
        native.install_allocator()


_sharers = 1  # processes that this one knows of, each of which could keep a quarter of the memory


def share_cache(processes: int) -> None:
    """Keep no more freed memory than is the part of one of so many processes.

    They are those that one process has started for its work, whose own part they divide: the
    workers of a loader, or of each loader where ranks have loaders. None knows what the others
    keep. A ``DTORCH_CACHE_LIMIT`` stays, for each of them.
    """
    global _sharers
    _sharers *= processes
    if native is not None and not os.environ.get("DTORCH_CACHE_LIMIT"):
        native.set_cache_limit(native.allocator_stats()["cache_limit"] // processes)


def share_cache_with_peers(processes: int) -> None:
    """Be one of so many processes on this machine, if that was not known when they started."""
    if processes > _sharers:
        share_cache(-(-processes // _sharers))


def _set_cache_limit() -> None:
    text = os.environ.get("DTORCH_CACHE_LIMIT")
    if not text:
        ranks = os.environ.get("LOCAL_WORLD_SIZE", "")
        share_cache(max(1, int(ranks)) if ranks.isdecimal() else 1)
        return
    if native is None:
        return
    if not text.isdecimal():
        raise ArgumentError(f"DTORCH_CACHE_LIMIT is {text!r}, expected a number of bytes")
    native.set_cache_limit(int(text))


_set_cache_limit()
install_allocator_in_this_thread()


def get_num_threads() -> int:
    """Number of threads on which an operation runs, the calling one included."""
    return blas.get_num_threads() if native is None else int(native.get_num_threads())


def set_num_threads(num: int) -> None:
    """Set the number of threads on which operations run, and products of NumPy at most.

    Args:
        num: at least 1. Without the native module only products and factorizations have threads:
            as many as NumPy's library began with, or fewer.

    Raises:
        ArgumentError: ``num`` is not a positive integer.
    """
    if not isinstance(num, int) or isinstance(num, bool) or num < 1:
        raise ArgumentError(f"set_num_threads: got {num!r}, expected an integer of at least 1")
    if native is not None:
        native.set_num_threads(num)
    blas.limit_threads(num)


def get_num_interop_threads() -> int:
    """Number of operations that run at the same time: 1, each on `get_num_threads`."""
    return 1


def set_num_interop_threads(num: int) -> None:
    """Allow so many operations at the same time; they run one after the other in any case."""
    if not isinstance(num, int) or isinstance(num, bool) or num < 1:
        raise ArgumentError(
            f"set_num_interop_threads: got {num!r}, expected an integer of at least 1"
        )


if native is not None:
    blas.limit_threads(get_num_threads())


def capabilities() -> dict[str, Any]:
    """What this build and this machine can do, for bug reports."""
    known: dict[str, Any] = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": platform.machine(),
        "native": native is not None,
        "cpu_capability": None,
        "bfloat16_products": False,
        "num_threads": get_num_threads(),
        "allocator": None,
        "cupy": importlib.util.find_spec("cupy") is not None,
    }
    if native is not None:
        known["cpu_capability"] = native.cpu_capability()
        known["bfloat16_products"] = native.has_bfloat16_products()
        known["allocator"] = native.allocator_stats() if native.allocator_installed() else None
    return known


def array_module(array: Any) -> Any:
    """The module whose functions work on ``array``: NumPy, CuPy for an array on a card, or what
    works on arrays without memory. Of a list, the first counts."""
    if type(array) is ndarray:
        return np
    if type(array) is list and array:
        array = array[0]
    if type(array) is MetaArray:
        return meta.module
    if not hasattr(array, "__cuda_array_interface__"):
        return np
    return _cupy()


def _cupy() -> Any:
    try:
        return importlib.import_module("cupy")
    except ModuleNotFoundError:
        raise NoDeviceError(
            "cuda: CuPy is not installed; install it with `pip install dtorch[cuda12]` (or cuda13)"
        ) from None


def xp_for(wanted: device) -> Any:
    """The array module of a device: NumPy or CuPy.

    Raises:
        NoDeviceError: the device is a card and CuPy is missing.
    """
    require(wanted)
    return np if wanted.type == "cpu" else meta.module if wanted.type == "meta" else _cupy()


def require(wanted: device) -> None:
    """Complain unless tensors can be made on ``wanted``.

    Raises:
        NoDeviceError: CuPy is missing or sees no such card; or a device of another kind.
    """
    if wanted.type == "cuda":
        _cupy()
    elif wanted.type not in ("cpu", "meta"):
        raise NoDeviceError(
            f"{wanted}: dtorch is not compiled with {wanted.type.upper()} enabled; tensors lie on "
            "'cpu', or through CuPy on 'cuda'"
        )


def require_data(name: str, array: Any) -> None:
    """Complain about an array that has no elements to look at.

    Raises:
        NoDataError: it is on the device ``meta``.
    """
    if type(array) is MetaArray:
        raise NoDataError(f"{name}: meta tensors have no data to look at")


def device_of(array: Any) -> device:
    """Where an array lies."""
    if type(array) is ndarray:
        return CPU
    if type(array) is MetaArray:
        return META
    return device("cuda", array.device.id) if hasattr(array, "__cuda_array_interface__") else CPU


@compiled
def address_of(array: ndarray) -> int:
    """Of a NumPy array's first element; this way makes several objects on the way to it."""
    return int(array.ctypes.data)


@compiled
def matmul(a: Any, b: Any) -> Any:
    """The product of the last two dims of arrays, on our threads where that is compiled; NumPy's own may
    run on threads of a BLAS. Of arrays on a card it is CuPy's."""
    return np.matmul(a, b)


def address(array: Any) -> int:
    """Address of the first element."""
    if type(array) is ndarray:
        return address_of(array)
    return 0 if type(array) is MetaArray else int(array.data.ptr)


def to_numpy(array: Any) -> ndarray:
    """The array itself on the CPU, a copy of one on a card.

    Raises:
        NoDataError: it has no memory.
    """
    if type(array) is MetaArray:
        array._refuse()
    return array.get() if hasattr(array, "__cuda_array_interface__") else array  # type: ignore[no-any-return]


def to_device(array: Any, wanted: device) -> Any:
    """A copy of ``array`` on another device."""
    require(wanted)
    if wanted.type == "meta":
        return meta.over(array)
    if type(array) is MetaArray:
        array._refuse()
    if wanted.type == "cpu":
        return to_numpy(array)
    cupy = _cupy()
    with cupy.cuda.Device(wanted.index or 0):
        return cupy.asarray(array)


class PinnedMemory:
    """Page-locked memory, which a card copies from and to faster.

    Attributes:
        array: its bytes.
    """

    def __init__(self, nbytes: int) -> None:
        self.memory = _cupy().cuda.alloc_pinned_memory(nbytes)
        self.array = np.frombuffer(self.memory, np.uint8, nbytes)
