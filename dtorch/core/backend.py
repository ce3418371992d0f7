"""What differs between devices: the array module, the compiled kernels, moving data.

The only file that imports the native module or CuPy. CUDA registers itself here on first use, so
importing dtorch never imports CuPy.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core.device import CPU, device
from dtorch.core.errors import DeviceError

ndarray = np.ndarray


def _load_native() -> Any:
    if os.environ.get("DTORCH_NATIVE") == "0":
        return None
    try:
        return importlib.import_module("dtorch._native")
    except ModuleNotFoundError:
        return None


native: Any = _load_native()


def array_module(array: Any) -> Any:
    """The module whose functions work on ``array``: NumPy, or CuPy for an array on a card."""
    if type(array) is ndarray or not hasattr(array, "__cuda_array_interface__"):
        return np
    return _cupy()


def _cupy() -> Any:
    try:
        return importlib.import_module("cupy")
    except ModuleNotFoundError:
        raise DeviceError(
            "cuda: CuPy is not installed; install it with `pip install dtorch[cuda12]` (or cuda13)"
        ) from None


def require(wanted: device) -> None:
    """Complain unless tensors can be made on ``wanted``.

    Raises:
        DeviceError: CuPy is missing or sees no such card.
    """
    if wanted.type == "cuda":
        _cupy()


def device_of(array: Any) -> device:
    """Where an array lies."""
    if type(array) is ndarray:
        return CPU
    return device("cuda", array.device.id) if hasattr(array, "__cuda_array_interface__") else CPU


def address(array: Any) -> int:
    """Address of the first element."""
    if type(array) is ndarray:
        return int(array.ctypes.data)
    return int(array.data.ptr)


def to_numpy(array: Any) -> ndarray:
    """The array itself on the CPU, a copy of one on a card."""
    return array if isinstance(array, ndarray) else array.get()  # type: ignore[no-any-return]


def to_device(array: Any, wanted: device) -> Any:
    """A copy of ``array`` on another device."""
    require(wanted)
    if wanted.type == "cpu":
        return to_numpy(array)
    cupy = _cupy()
    with cupy.cuda.Device(wanted.index or 0):
        return cupy.asarray(array)


def shared_allocator() -> Callable[[int], Any]:
    """The function that allocates a block of shared memory."""
    return importlib.import_module("dtorch.multiprocessing.arena").allocate  # type: ignore[no-any-return]
