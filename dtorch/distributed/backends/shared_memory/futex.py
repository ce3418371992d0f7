"""Sleeping until a word of shared memory changes."""

from __future__ import annotations

import ctypes
import platform
import time

_WAIT, _WAKE = 0, 1
_EVERYBODY = 0x7FFFFFFF
_NUMBERS = {"x86_64": 202, "aarch64": 98, "riscv64": 98}
_number = _NUMBERS.get(platform.machine()) if platform.system() == "Linux" else None

_syscall = ctypes.CDLL(None, use_errno=True).syscall
_syscall.argtypes = [
    ctypes.c_long, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, ctypes.c_void_p,
]  # fmt: skip


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


def sleep_while(address: int, value: int, seconds: float) -> None:
    """Sleep while the uint32 at ``address`` is ``value``, at most ``seconds`` (below one).

    May return early; without futexes it sleeps a fraction of the time.
    """
    if _number is None:
        time.sleep(min(seconds, 0.0002))
        return
    timeout = _Timespec(0, int(seconds * 1e9))
    # The kernel compares the word under its own lock: a wake-up cannot be missed.
    _syscall(_number, address, _WAIT, value, ctypes.addressof(timeout))


def wake(address: int) -> None:
    """Wake everybody who sleeps on the word."""
    if _number is not None:
        _syscall(_number, address, _WAKE, _EVERYBODY, None)
