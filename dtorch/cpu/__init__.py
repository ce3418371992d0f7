"""The processor as a device, with the functions that devices have."""

from dtorch.cpu import amp
from dtorch.cpu.device import (
    current_device,
    device_count,
    is_available,
    is_initialized,
    set_device,
    synchronize,
)

__all__ = [
    "amp", "current_device", "device_count", "is_available", "is_initialized", "set_device",
    "synchronize",
]  # fmt: skip
