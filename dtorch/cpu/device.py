"""There is one, it is always there, and its work is done when a call returns."""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """Whether there is a processor: True."""
    return True


def device_count() -> int:
    """Number of devices of type ``"cpu"``: 1, whatever the number of cores."""
    return 1


def current_device() -> str:
    """Name of the device: ``"cpu"``."""
    return "cpu"


def is_initialized() -> bool:
    """Whether the device can be used: True."""
    return True


def set_device(device: Any) -> None:
    """Make the one device there is the current one."""


def synchronize(device: Any = None) -> None:
    """Wait for the work of a device: there is nothing to wait for."""
