"""Where a tensor lies: ``cpu``, ``cuda:N``, or nowhere: ``meta``."""

from __future__ import annotations

import re
import threading
from typing import Any, TypeAlias

from dtorch.core.errors import ArgumentTypeError, DeviceError

# Others have names, so that programs can ask for them; tensors cannot be made there.
NAMES = (
    "cpu", "cuda", "meta", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga",
    "maia", "xla", "lazy", "vulkan", "mps", "hpu", "mtia", "privateuseone",
)  # fmt: skip
_PATTERN = re.compile(rf"({'|'.join(NAMES)})(?::(\d+))?\Z")


class device:  # noqa: N801 - the public name of the reference API
    """A place for tensors.

    Args:
        type: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"meta"``, another device, or a number (a CUDA
            index). Other kinds that the reference API knows, such as ``"mps"``, have names only.
        index: number of the card, where ``type`` does not say it.

    In a ``with`` block it is where tensors are made that are not told where.

    >>> device("cuda:1").index, device("cpu")
    (1, device(type='cpu'))
    >>> import dtorch
    >>> with device("meta"):
    ...     x = dtorch.ones(2, 3)
    >>> x
    tensor(..., device='meta', size=(2, 3))
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any, index: int | None = None) -> None:
        self.type: str
        self.index: int | None
        if isinstance(type, device):
            self.type, self.index = type.type, type.index
            return
        if isinstance(type, int) and not isinstance(type, bool):
            type, index = "cuda", type
        if not isinstance(type, str):
            raise ArgumentTypeError(
                f"device: got {type!r}, expected a string such as 'cuda:1', an index or a device"
            )
        match = _PATTERN.match(type)
        if match is None:
            raise DeviceError(
                f"device: got {type!r}, expected 'cpu', 'cuda', 'cuda:<index>' or 'meta'"
            )
        if match[2] is not None and index is not None:
            raise DeviceError(f"device: index given twice, in {type!r} and as {index}")
        self.type = match[1]
        self.index = int(match[2]) if match[2] is not None else index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __enter__(self) -> device:
        """Make tensors here until the end of the block, unless they are told where."""
        defaults.changed = True
        defaults.entered.devices = [*defaults.entered.devices, self]
        return self

    def __exit__(self, *_: object) -> None:
        defaults.entered.devices = defaults.entered.devices[:-1]

    def __reduce__(self) -> tuple[Any, tuple[str, int | None]]:
        return device, (self.type, self.index)


# What names a device.
Place: TypeAlias = device | str | int

CPU = device("cpu")
META = device("meta")


class _Entered(threading.local):
    """The devices of the ``with`` blocks that a thread is in."""

    def __init__(self) -> None:
        self.devices: list[device] = []


class _Defaults:
    """Where tensors are made that are not told where.

    Attributes:
        changed: whether that ever was another place than the CPU.
        place: that of all threads, outside of ``with`` blocks.
    """

    def __init__(self) -> None:
        self.changed = False
        self.place = CPU
        self.entered = _Entered()


defaults = _Defaults()


def get_default_device() -> device:
    """Where tensors are made that are not told where.

    >>> get_default_device()
    device(type='cpu')
    """
    entered = defaults.entered.devices
    return entered[-1] if entered else defaults.place


def make_default(place: device) -> None:
    """Set where tensors are made that are not told where."""
    defaults.place = place
    defaults.changed = True


def as_device(value: Any) -> device:
    """A device from anything that names one; None means the default one."""
    if value is None:
        return get_default_device() if defaults.changed else CPU
    return value if isinstance(value, device) else device(value)
