"""Which cards there are, and which one is current."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

from dtorch.core import backend
from dtorch.core.device import device as core_device
from dtorch.core.errors import DeviceError, NoDeviceError

_initialized = False


def _runtime() -> Any:
    """CuPy's runtime interface, once it is known that there is a card.

    Raises:
        NoDeviceError: CuPy is missing, or the driver sees no card.
    """
    global _initialized
    cupy = backend.xp_for(core_device("cuda"))
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise NoDeviceError(f"cuda: {error}") from None
    if not count:
        raise NoDeviceError("cuda: the driver sees no card")
    _initialized = True
    return cupy.cuda


def is_available() -> bool:
    """Whether tensors can be put on a card; never raises.

    >>> isinstance(is_available(), bool)
    True
    """
    return device_count() > 0


def device_count() -> int:
    """Number of cards; 0 without CuPy or driver."""
    if importlib.util.find_spec("cupy") is None:
        return 0
    try:
        return int(_runtime().runtime.getDeviceCount())
    except DeviceError:
        return 0


def is_initialized() -> bool:
    """Whether this process has used CUDA."""
    return _initialized


def init() -> None:
    """Use CUDA now rather than when it is first needed.

    Raises:
        NoDeviceError: there is no card.
    """
    _runtime()


def current_device() -> int:
    """Number of the card on which new CUDA tensors are made."""
    return int(_runtime().runtime.getDevice())


def _index(place: Any) -> int:
    """The card that a number, a name or a device stands for; -1 for none."""
    if place is None:
        return -1
    if isinstance(place, int) and not isinstance(place, bool):
        return place
    wanted = core_device(place)
    if wanted.type != "cuda":
        raise DeviceError(f"cuda: got device {wanted}, expected a CUDA device")
    return current_device() if wanted.index is None else wanted.index


def set_device(device: Any) -> None:
    """Make a card the current one; a negative number changes nothing."""
    index = _index(device)
    if index >= 0:
        _runtime().Device(index).use()


class device:  # noqa: N801 - the public name of the reference API
    """Makes a card current in a ``with`` block; None or a negative number changes nothing."""

    def __init__(self, device: Any) -> None:
        self.index = _index(device)
        self.before = -1

    def __enter__(self) -> device:
        if self.index >= 0:
            self.before = current_device()
            set_device(self.index)
        return self

    def __exit__(self, *_: object) -> None:
        if self.index >= 0:
            set_device(self.before)


class device_of(device):  # noqa: N801 - the public name of the reference API
    """Makes the card of a tensor current; nothing changes for one on the CPU."""

    def __init__(self, obj: Any) -> None:
        super().__init__(obj.get_device() if obj.is_cuda else None)


def synchronize(device: Any = None) -> None:
    """Wait for all work of a card, the current one by default."""
    index = _index(device)
    _runtime().Device(index if index >= 0 else current_device()).synchronize()


def get_device_name(device: Any = None) -> str:
    """What the maker calls the card."""
    index = _index(device)
    runtime = _runtime().runtime
    properties = runtime.getDeviceProperties(index if index >= 0 else current_device())
    return str(properties["name"].decode())


def get_device_capability(device: Any = None) -> tuple[int, int]:
    """Major and minor number of the card's compute capability."""
    index = _index(device)
    text = _runtime().Device(index if index >= 0 else current_device()).compute_capability
    return int(text[:-1]), int(text[-1])


def get_device_properties(device: Any = None) -> SimpleNamespace:
    """What the driver says of a card: ``name``, ``total_memory`` in bytes, ``major``, ``minor``,
    ``multi_processor_count``, ``warp_size``."""
    index = _index(device)
    known = _runtime().runtime.getDeviceProperties(index if index >= 0 else current_device())
    return SimpleNamespace(
        name=known["name"].decode(), total_memory=known["totalGlobalMem"], major=known["major"],
        minor=known["minor"], multi_processor_count=known["multiProcessorCount"],
        warp_size=known["warpSize"],
    )  # fmt: skip


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether the current card computes with bfloat16; False without one."""
    return is_available() and (including_emulation or get_device_capability()[0] >= 8)


def is_tf32_supported() -> bool:
    """Whether products may be rounded to 10 bits: no, they stay float32."""
    return False


def get_arch_list() -> list[str]:
    """Cards that dtorch was compiled for: none, CuPy compiles for the one there is."""
    return []


def get_gencode_flags() -> str:
    """Options of the CUDA compiler dtorch was built with: none."""
    return ""
