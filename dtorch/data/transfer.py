"""Batches on their way from a worker: structure as a pickle, large arrays in shared memory.

The loader lends the worker pieces of its shared memory, *slots*, with every request. Memory that
was used before is warm: writing to fresh pages takes as long as computing what is written.
"""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.creation import tensor_from_storage
from dtorch.core.dtype import from_numpy_dtype
from dtorch.core.storage import Storage
from dtorch.core.tensor import Tensor
from dtorch.multiprocessing.arena import Block, allocate
from dtorch.multiprocessing.memory import Mapping
from dtorch.multiprocessing.pickling import Pickler

SMALL = 1 << 13  # arrays below travel with the pickle

# (arena id, offset, bytes): where a slot lies
SlotName = tuple[int, int, int]
# ("slot" or "buffer", its number) or ("bytes", content); dtype; shape; is it a tensor
_Reference = tuple[str, Any, Any, tuple[int, ...], bool]


class SlotMap:
    """A worker's view of the memory it is lent."""

    def __init__(self) -> None:
        self._arenas: dict[int, Mapping] = {}
        self._slots: dict[SlotName, np.ndarray] = {}  # that were lent before
        self.memories: list[np.ndarray] = []
        self._used: list[bool] = []

    def attach(self, arena_ids: Sequence[int], fds: Sequence[int]) -> None:
        """Map arenas that came with a request."""
        for arena_id, fd in zip(arena_ids, fds, strict=True):
            self._arenas[arena_id] = Mapping(fd, os.fstat(fd).st_size)
            os.close(fd)

    def lend(self, slots: Sequence[SlotName]) -> None:
        """Begin a batch that may use these slots."""
        self.memories = [self._memory(slot) for slot in slots]
        self._used = [False] * len(slots)

    def _memory(self, slot: SlotName) -> np.ndarray:
        if slot not in self._slots:
            arena_id, start, nbytes = slot
            mapping = self._arenas[arena_id]
            mapping.map_pages(start, nbytes)
            self._slots[slot] = mapping.array[start : start + nbytes]
        return self._slots[slot]

    def take(self, nbytes: int) -> int | None:
        """The first unused slot that holds ``nbytes``."""
        for number, memory in enumerate(self.memories):
            if not self._used[number] and memory.nbytes >= nbytes:
                self._used[number] = True
                return number
        return None

    def allocate(self, nbytes: int) -> np.ndarray | None:
        """Memory in a slot, for `collate_into`."""
        number = self.take(nbytes) if nbytes >= SMALL else None
        return None if number is None else self.memories[number][:nbytes]

    def find(self, array: np.ndarray) -> int | None:
        """The slot at whose start a contiguous array lies."""
        address = array.__array_interface__["data"][0]
        for number, memory in enumerate(self.memories):
            if memory.__array_interface__["data"][0] == address:
                return number
        return None


class BatchPickler(Pickler):
    """Pickles a message of a worker.

    Attributes:
        buffers: arrays for which there was no slot, to be sent after the pickle.
    """

    def __init__(self, file: io.BytesIO, slots: SlotMap) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self._slots = slots
        self.buffers: list[memoryview] = []

    def persistent_id(self, obj: Any) -> _Reference | None:
        """Tensors and arrays are taken out of the pickle."""
        if type(obj) is Tensor and not obj._mode and not obj.is_cuda and not obj.__dict__:
            return self._place(obj.array, True)
        if type(obj) is np.ndarray and obj.nbytes >= SMALL and obj.dtype.kind in "biufc":
            return self._place(obj, False)
        return None

    def _place(self, array: np.ndarray, is_tensor: bool) -> _Reference:
        dtype = from_numpy_dtype(array.dtype) if is_tensor else array.dtype
        if array.nbytes < SMALL:
            return "bytes", array.tobytes(), dtype, array.shape, is_tensor
        array = np.ascontiguousarray(array)
        number = self._slots.find(array)
        if number is None and (number := self._slots.take(array.nbytes)) is not None:
            self._slots.memories[number][: array.nbytes] = array.reshape(-1).view(np.uint8)
        if number is not None:
            return "slot", number, dtype, array.shape, is_tensor
        self.buffers.append(array.reshape(-1).view(np.uint8).data)
        return "buffer", len(self.buffers) - 1, dtype, array.shape, is_tensor


def encode(message: Any, slots: SlotMap) -> tuple[bytes, list[memoryview]]:
    """A worker's message as a pickle and the arrays that are not in slots."""
    file = io.BytesIO()
    pickler = BatchPickler(file, slots)
    pickler.dump(message)
    return file.getvalue(), pickler.buffers


class BatchUnpickler(pickle.Unpickler):
    """Reads a worker's message.

    Attributes:
        layout: bytes of each array of the batch that can use a slot, in order.
    """

    def __init__(self, message: Any, slots: Sequence[Block], buffers: Sequence[Block]) -> None:
        super().__init__(io.BytesIO(message))
        self._blocks = {"slot": slots, "buffer": buffers}
        self.layout: list[int] = []

    def persistent_load(self, reference: _Reference) -> Any:
        """An array that was taken out of the pickle."""
        kind, place, dtype, shape, is_tensor = reference
        if kind == "bytes":
            array = np.frombuffer(bytearray(place), dtype.numpy).reshape(shape)
            return wrap(array)
        block = self._blocks[kind][place]
        if is_tensor:
            tensor = tensor_from_storage(Storage.from_bytes(block.array, block), dtype, 0, shape)
            self.layout.append(tensor.nbytes)
            return tensor
        result: np.ndarray = np.ndarray(shape, dtype, block.array)
        self.layout.append(result.nbytes)
        return result


def lend(layout: Sequence[int]) -> list[Block]:
    """Slots for a batch with arrays of these sizes."""
    return [allocate(nbytes) for nbytes in layout]
