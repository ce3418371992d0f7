"""The card of this machine, whatever it is: CUDA's, or none.

>>> from dtorch import accelerator
>>> device = accelerator.current_accelerator() if accelerator.is_available() else "cpu"
"""

from __future__ import annotations

from collections import OrderedDict
from types import ModuleType
from typing import Any

from dtorch import cpu, cuda, mps, xpu
from dtorch.core.device import as_device, device
from dtorch.core.errors import NoDeviceError

__all__ = [
    "current_accelerator", "current_device_idx", "current_device_index", "current_stream",
    "device_count", "device_index", "empty_cache", "get_memory_info", "is_available",
    "max_memory_allocated", "max_memory_reserved", "memory_allocated", "memory_reserved",
    "memory_stats", "reset_accumulated_memory_stats", "reset_peak_memory_stats",
    "set_device_idx", "set_device_index", "set_stream", "synchronize",
]  # fmt: skip


def is_available() -> bool:
    """Whether there is a card."""
    return cuda.is_available()


def device_count() -> int:
    """Number of cards."""
    return cuda.device_count()


def current_accelerator(check_available: bool = False) -> device | None:
    """The kind of card, as a device without index; None where there is none."""
    return device("cuda") if is_available() else None


def get_device_module(device: Any = None) -> ModuleType:
    """The module of a kind of device, such as `dtorch.cuda`; by default that of the card if there is
    one, else `dtorch.cpu`.

    Raises:
        NoDeviceError: a kind that has no module.
    """
    modules = {"cpu": cpu, "cuda": cuda, "mps": mps, "xpu": xpu}
    kind = ("cuda" if is_available() else "cpu") if device is None else as_device(device).type
    if kind not in modules:
        raise NoDeviceError(f"get_device_module: there is no module for {kind!r}")
    return modules[kind]


def _require(name: str) -> None:
    if not is_available():
        raise NoDeviceError(
            f"accelerator.{name}: Cannot access accelerator device when none is available: this "
            "machine has no card that CuPy sees; ask accelerator.is_available() first"
        )


def current_device_index() -> int:
    """Number of the card on which new tensors are made.

    Raises:
        NoDeviceError: there is none; so does everything below.
    """
    _require("current_device_index")
    return cuda.current_device()


def set_device_index(device: Any) -> None:
    """Make a card the current one."""
    _require("set_device_index")
    cuda.set_device(device)


current_device_idx = current_device_index
set_device_idx = set_device_index


class device_index(cuda.device):  # noqa: N801 - the public name of the reference API
    """Makes a card current in a ``with`` block; None changes nothing."""


def current_stream(device: Any = None) -> cuda.Stream:
    """The stream that work is queued in."""
    _require("current_stream")
    return cuda.current_stream(device)


def set_stream(stream: cuda.Stream) -> None:
    """Queue work in a stream from here on."""
    _require("set_stream")
    cuda.set_stream(stream)


def synchronize(device: Any = None) -> None:
    """Wait for all work of a card."""
    _require("synchronize")
    cuda.synchronize(device)


def empty_cache() -> None:
    """Give back memory that is not in use."""
    _require("empty_cache")
    cuda.empty_cache()


def memory_allocated(device_index: Any = None) -> int:
    """Bytes of tensors on a card."""
    _require("memory_allocated")
    return cuda.memory_allocated(device_index)


def memory_reserved(device_index: Any = None) -> int:
    """Bytes held on a card, in use or not."""
    _require("memory_reserved")
    return cuda.memory_reserved(device_index)


def max_memory_allocated(device_index: Any = None) -> int:
    """See `dtorch.cuda.max_memory_allocated`."""
    _require("max_memory_allocated")
    return cuda.max_memory_allocated(device_index)


def max_memory_reserved(device_index: Any = None) -> int:
    """See `dtorch.cuda.max_memory_reserved`."""
    _require("max_memory_reserved")
    return cuda.max_memory_reserved(device_index)


def memory_stats(device_index: Any = None) -> OrderedDict[str, int]:
    """See `dtorch.cuda.memory_stats`."""
    _require("memory_stats")
    return cuda.memory_stats(device_index)


def get_memory_info(device_index: Any = None) -> tuple[int, int]:
    """Free and total bytes of a card."""
    _require("get_memory_info")
    return cuda.mem_get_info(device_index)


def reset_peak_memory_stats(device_index: Any = None) -> None:
    """See `dtorch.cuda.reset_peak_memory_stats`."""
    _require("reset_peak_memory_stats")
    cuda.reset_peak_memory_stats(device_index)


reset_accumulated_memory_stats = reset_peak_memory_stats
