"""What storages need of memory that other processes can see: a small protocol, provided from above.

`dtorch.multiprocessing` has such memory; the package as a whole, which stands above both, says so.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import compiled
from dtorch.core.errors import StorageError


class SharedBlock(Protocol):
    """A piece of such memory, which lives as long as this object or an array over it.

    Attributes:
        is_shared: True.
        array: its bytes, 1-D uint8.
    """

    is_shared: bool

    @property
    def array(self) -> np.ndarray: ...


class SharedMemory(Protocol):
    """Where blocks come from."""

    def allocate(self, nbytes: int) -> SharedBlock:
        """A block, uninitialised.

        Raises:
            MemoryError: there is not that much left.
        """
        ...


def _missing() -> SharedMemory:
    raise StorageError("shared memory: nothing provides it; import dtorch")


_load: Callable[[], SharedMemory] = _missing


def provide(load: Callable[[], SharedMemory]) -> None:
    """Have shared memory come from what ``load()`` returns; called when it is first needed."""
    global _load
    _load = load


def allocate(nbytes: int) -> SharedBlock:
    """A block of shared memory."""
    return _load().allocate(nbytes)


@compiled
def shared_block_of(array: Array) -> SharedBlock | None:
    """The block in which NumPy made an array; without the native module it makes none there."""
    return None
