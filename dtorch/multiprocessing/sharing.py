"""Making tensors in shared memory from the start."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from dtorch.core import backend
from dtorch.core.errors import StorageError
from dtorch.multiprocessing import arena
from dtorch.multiprocessing.blocks import Block


@backend.compiled
def enter_shared_memory(allocate: Callable[[int], tuple[Block, int]]) -> Any:
    """Have NumPy take its memory from ``allocate``; returns what it had before."""
    raise StorageError(
        "shared_memory() needs dtorch's native module, which this installation lacks (or "
        "DTORCH_NATIVE=0 turns off); create the tensors as usual and call share_memory_()"
    )


@contextlib.contextmanager
def shared_memory() -> Iterator[None]:
    """Every tensor that is created inside lives in shared memory, without being moved there.

    It holds for the tensors, and NumPy arrays, that this thread (or this asynchronous task) makes;
    sending them to other processes then copies nothing. Blocks of shared memory cost some
    microseconds each, so it is for data that is to be sent, not for a whole computation.

    Raises:
        StorageError: dtorch was built without its native module, which NumPy's allocation needs;
            `Tensor.share_memory_` moves a tensor there afterwards.
        MemoryError: inside, the machine or the control group has no memory left.

    >>> import dtorch
    >>> with shared_memory():
    ...     batch = dtorch.zeros(2, 3) + 1
    >>> batch.is_shared()
    True
    """
    previous = enter_shared_memory(_allocate)
    native = backend.native
    try:
        yield
    except MemoryError as error:
        cause = native.shared_memory_error()
        if cause is None or (isinstance(error, type(cause)) and error.args == cause.args):
            raise
        raise MemoryError(str(cause)) from error
    finally:
        native.leave_shared_memory(previous)


def _allocate(nbytes: int) -> tuple[Block, int]:
    block = arena.allocate(nbytes)
    return block, block.address
