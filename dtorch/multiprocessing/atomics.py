"""Eight-byte words in memory that several processes have, by address: reading, changing, waiting.

With the native module every access is atomic and sequentially consistent. Without it words are
read and written by ordinary loads and stores. That is enough for words with a single writer where
the processor keeps the order of stores, as x86 does; elsewhere the locks that callers hold around
it give the order.
"""

from __future__ import annotations

import ctypes
import time

from dtorch.core.backend import compiled

_NAP_S = 0.001
_WORD = 0xFFFF_FFFF_FFFF_FFFF


@compiled
def atomic_load(address: int) -> int:
    """The word."""
    return ctypes.c_uint64.from_address(address).value


@compiled
def atomic_store(address: int, value: int) -> None:
    """Write the word."""
    ctypes.c_uint64.from_address(address).value = value


@compiled
def atomic_add(address: int, value: int) -> int:
    """Add to the word, which wraps around; returns the value before.

    Without the native module for words with one writer only.
    """
    word = ctypes.c_uint64.from_address(address)
    before = word.value
    word.value = (before + value) & _WORD
    return before


@compiled
def futex_wait(address: int, value: int, seconds: float) -> None:
    """Sleep while the low half of the word has that value; may end early."""
    end = time.monotonic() + seconds
    while atomic_load(address) & 0xFFFF_FFFF == value and (left := end - time.monotonic()) > 0:
        time.sleep(min(_NAP_S, left))


@compiled
def futex_wake(address: int) -> None:
    """Wake everybody who sleeps on the word; those of `futex_wait` here look by themselves."""
