"""Storage: a flat piece of memory, and the tensors that view it.

A fresh result owns its memory alone and has no Storage; one is made when a view, sharing, or
``.storage()`` asks for it. A Storage knows its tensors by weak references, so that moving it to
other memory re-points all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.base import StorageBase, TensorBase, register_storage_type
from dtorch.core.errors import StorageError


class Storage(StorageBase):
    """Untyped memory that tensors view.

    Attributes:
        nbytes: size in bytes.
        owner: the object that owns the memory (a shared-memory block, a memory map), or None
            for private memory of NumPy.
    """

    __slots__ = ("_flat", "_source", "owner")

    def __init__(self, source: np.ndarray, owner: Any = None) -> None:
        super().__init__()
        self._source = source  # an array over the memory; `_bytes` finds all of it when needed
        self._flat: np.ndarray | None = None
        self.owner = owner

    @classmethod
    def from_bytes(cls, memory: np.ndarray, owner: Any = None) -> Storage:
        """A storage over a 1-D uint8 array."""
        if memory.dtype != np.uint8 or memory.ndim != 1 or not memory.flags.c_contiguous:
            raise StorageError(
                f"storage: memory is {memory.dtype} of shape {memory.shape}, expected contiguous "
                "1-D uint8"
            )
        return cls(memory, owner)

    @property
    def _bytes(self) -> np.ndarray:
        if self._flat is None:
            self._flat = _whole_memory(self._source)
        return self._flat

    @property
    def nbytes(self) -> int:
        return self._bytes.nbytes

    def data_ptr(self) -> int:
        """Address of the first byte."""
        return int(self._bytes.ctypes.data)

    def is_shared(self) -> bool:
        """Whether other processes can see the memory."""
        return bool(getattr(self.owner, "is_shared", False))

    def move_to(self, memory: np.ndarray, owner: Any) -> None:
        """Copy the contents into ``memory`` and re-point every tensor there.

        NumPy arrays handed out earlier keep viewing the old memory.

        Args:
            memory: 1-D uint8 array of at least `nbytes` bytes.
            owner: object that keeps the memory alive.
        """
        old = self._bytes
        if memory.nbytes < old.nbytes:
            raise StorageError(f"storage: {memory.nbytes} bytes cannot hold {old.nbytes}")
        memory = memory[: old.nbytes]
        memory[:] = old
        start = old.ctypes.data
        for tensor in self.tensors():
            array = tensor._array
            offset = array.ctypes.data - start if array.size else 0
            tensor._array = _place(memory, array.shape, array.dtype, offset, array.strides)
        self._source = self._flat = memory
        self.owner = owner

    def share_memory_(self) -> Storage:
        """Move the memory to where other processes can see it; nothing happens if it is there."""
        if not self.is_shared():
            block = backend.shared_allocator()(self.nbytes)
            self.move_to(block.array, block)
        return self

    def __len__(self) -> int:
        return self.nbytes

    def __repr__(self) -> str:
        place = "shared" if self.is_shared() else "private"
        return f"<Storage of {self.nbytes} bytes in {place} memory>"


register_storage_type(Storage)


def storage_of(tensor: TensorBase) -> Storage:
    """The storage of ``tensor``, made now if it has none."""
    storage = tensor._storage
    if storage is None:
        storage = Storage(tensor._array)
        storage.track(tensor)
    return storage  # type: ignore[no-any-return]


def _place(memory: np.ndarray, shape: Any, dtype: Any, offset: int, strides: Any) -> np.ndarray:
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, buffer=memory, offset=offset, strides=strides)


def _whole_memory(array: np.ndarray) -> np.ndarray:
    """All bytes of the memory that ``array`` views, as a 1-D array over it."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    if array.dtype == np.uint8 and array.ndim == 1 and array.flags.c_contiguous:
        return array
    if array.size == 0:
        return np.empty(0, np.uint8)
    # Put the dims in order of memory; an owner's memory is then contiguous.
    order = sorted(range(array.ndim), key=lambda dim: -array.strides[dim])
    flat = array.transpose(order)
    if not flat.flags.c_contiguous:
        raise StorageError(
            f"storage: memory with strides {array.strides} for shape {array.shape} has gaps or "
            "runs backwards; copy it first"
        )
    return flat.reshape(-1).view(np.uint8)
