"""Eight-byte words in memory that several processes have, by address: reading, changing, waiting.

With the native module every access is atomic and sequentially consistent. Without it words are
read and written by ordinary loads and stores. That is enough for words with a single writer where
the processor keeps the order of stores, as x86 does; elsewhere the locks that callers hold around
it give the order. There is no `compare_exchange` then: callers exclude others by a lock between
processes, and waiting is sleeping for at most a millisecond at a time.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from typing import Any

from dtorch.core import backend
from dtorch.multiprocessing import layout

_NAP_S = 0.001
_WORD = 0xFFFF_FFFF_FFFF_FFFF


def _load(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _store(address: int, value: int) -> None:
    ctypes.c_uint64.from_address(address).value = value


def _add(address: int, value: int) -> int:
    word = ctypes.c_uint64.from_address(address)
    before = word.value
    word.value = (before + value) & _WORD
    return before


def _wait(address: int, value: int, seconds: float) -> None:
    end = time.monotonic() + seconds
    while _load(address) & 0xFFFF_FFFF == value and (left := end - time.monotonic()) > 0:
        time.sleep(min(_NAP_S, left))


def _wake(address: int) -> None:
    """Sleepers of `_wait` look by themselves."""


_native: Any = backend.native
backend.tell("set_layout", layout)  # of the words of blocks and messages

load: Callable[[int], int] = _load if _native is None else _native.atomic_load
store: Callable[[int, int], None] = _store if _native is None else _native.atomic_store
# The value before; wraps around. Without the native module for words with one writer only.
add: Callable[[int, int], int] = _add if _native is None else _native.atomic_add
# (address, expected, desired) -> whether it was as expected and is as desired now
compare_exchange: Callable[[int, int, int], bool] | None = (
    None if _native is None else _native.atomic_compare_exchange
)
# (address, stride, count) -> whether these cells of one block say that it is unused; see layout
is_unused: Callable[[int, int, int], bool] | None = None if _native is None else _native.is_unused
# The counts and the record of one message in one call; `messages` has the same in Python.
send_message: Callable[..., tuple[int, int] | None] | None = (
    None if _native is None else _native.send_message
)
take_message: Callable[..., bool] | None = None if _native is None else _native.take_message
# (address, value, seconds): sleep while the low half of the word has that value; may end early
wait: Callable[[int, int, float], None] = _wait if _native is None else _native.futex_wait
# Wake everybody who sleeps on the word.
wake: Callable[[int], None] = _wake if _native is None else _native.futex_wake
