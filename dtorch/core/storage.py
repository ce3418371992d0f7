"""Storage: a flat piece of memory, and the tensors that view it.

A fresh result owns its memory alone and has no Storage; one is made when a view, sharing, or
``.storage()`` asks for it. A Storage knows its tensors by weak references, so that moving it to
other memory re-points all of them.
"""

from __future__ import annotations

import operator
import sys
import weakref
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.base import StorageBase, TensorBase, register_storage_type
from dtorch.core.device import device
from dtorch.core.entry import entry
from dtorch.core.errors import DimensionError, IndicesError, ShapeError, StorageError
from dtorch.core.meta import is_meta
from dtorch.core.shapes import contiguous_stride
from dtorch.core.shared_memory import allocate, shared_block_of

_BYTE = np.dtype(np.uint8)
_INDEX = operator.index
MAX_DIMS = 64  # what NumPy can
_LARGEST = sys.maxsize  # of sizes and distances in bytes


class Storage(StorageBase):
    """Untyped memory that tensors view.

    Attributes:
        owner: the object that owns the memory (a shared-memory block, a memory map), or None
            for private memory of NumPy.
    """

    __slots__ = ("_flat", "_source", "_typed", "owner")

    def __init__(self, source: np.ndarray | int | Sequence[int] = 0, owner: Any = None) -> None:
        super().__init__()
        if type(source) is not np.ndarray and isinstance(source, (int, np.integer, Sequence)):
            source = _fresh_bytes(source)
        self._source = source  # an array over the memory; `_bytes` finds all of it when needed
        self._flat: np.ndarray | None = None
        self._typed: dict[Any, weakref.ref[Any]] | None = None
        self.owner = shared_block_of(source) if owner is None else owner

    @property
    def _cdata(self) -> int:
        """A number that tells this memory from any other."""
        return id(self)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()

    @property
    def typed(self) -> dict[Any, weakref.ref[Any]]:
        """The typed storages over this one that are in use, by dtype."""
        if self._typed is None:  # no WeakValueDictionary: it has callbacks, which lose Ctrl-C
            self._typed = {}
        return self._typed

    @classmethod
    def from_bytes(cls, memory: np.ndarray, owner: Any = None) -> Storage:
        """A storage over a 1-D uint8 array."""
        if memory.dtype != _BYTE or memory.ndim != 1 or not memory.flags.c_contiguous:
            raise StorageError(
                f"storage: memory is {memory.dtype} of shape {memory.shape}, expected contiguous "
                "1-D uint8"
            )
        storage = cls(memory, owner)
        storage._flat = memory  # not what it may be a part of
        return storage

    @property
    def _bytes(self) -> np.ndarray:
        if self._flat is None:
            if is_meta(self._source):
                backend.require_data("storage", self._source)
            self._flat = _whole_memory(self._source)
        return self._flat

    def nbytes(self) -> int:
        """Size in bytes."""
        source: Any = self._source
        return int(source.extent) if is_meta(source) else self._bytes.nbytes

    size = nbytes

    def element_size(self) -> int:
        """Bytes of one element: 1."""
        return 1

    @property
    def device(self) -> device:
        """Where the memory lies."""
        return backend.device_of(self._source)

    @property
    def is_meta(self) -> bool:
        """Whether there is no memory, but its size alone."""
        return is_meta(self._source)

    @property
    def is_cuda(self) -> bool:
        """Whether the memory lies on a CUDA device."""
        return False

    is_sparse = is_sparse_csr = False

    def get_device(self) -> int:
        """Number of the CUDA device; -1 for the CPU."""
        return -1

    def is_pinned(self, device: Any = "cuda") -> bool:
        """Whether the memory is page-locked, for faster copies to a card."""
        return isinstance(self.owner, backend.PinnedMemory)

    def resizable(self) -> bool:
        """Whether `resize_` can change the size: not of shared, mapped or page-locked memory."""
        return self.owner is None

    @property
    def filename(self) -> str | None:
        """The file that the memory maps; None for other memory."""
        return getattr(self.owner, "filename", None)

    def cpu(self) -> Storage:
        """Itself: the storage lies on the CPU."""
        return self

    def new(self, *args: Any) -> Storage:
        """Another storage; by default an empty one."""
        return type(self)(*args)

    def untyped(self) -> Storage:
        """Itself."""
        return self

    def is_writable(self) -> bool:
        """Whether the array it was made from may be written."""
        return bool(self._source.flags.writeable)

    def data_ptr(self) -> int:
        """Address of the first byte; 0 where there is none."""
        return 0 if self.is_meta else backend.address_of(self._bytes)

    def is_shared(self) -> bool:
        """Whether other processes can see the memory."""
        return bool(getattr(self.owner, "is_shared", False))

    def move_to(self, memory: np.ndarray, owner: Any) -> None:
        """Copy the contents into ``memory`` and re-point every tensor there.

        NumPy arrays handed out earlier keep viewing the old memory.

        Args:
            memory: 1-D uint8 array of at least as many bytes.
            owner: object that keeps the memory alive.
        """
        old = self._bytes
        if memory.nbytes < old.nbytes:
            raise StorageError(f"storage: {memory.nbytes} bytes cannot hold {old.nbytes}")
        memory = memory[: old.nbytes]
        memory[:] = old
        self._point_to(memory, old)
        self.owner = owner

    def share_memory_(self) -> Storage:
        """Move the memory to where other processes can see it; nothing happens if it is there."""
        if not self.is_shared():
            block = allocate(self.size())
            self.move_to(block.array, block)
        return self

    @entry("resize_", computes=False)
    def resize_(self, nbytes: int) -> Storage:
        """Change the size; the contents are kept as far as they fit, new bytes uninitialised.

        Raises:
            StorageError: the memory is shared, mapped or viewed from outside (`numpy()`, DLPack,
                a memoryview), or a tensor needs more.
        """
        nbytes = operator.index(nbytes)
        if nbytes < 0:
            raise StorageError(f"resize_: {nbytes} bytes, expected at least 0")
        if nbytes == self.size():
            return self
        self._check_resizable(nbytes)
        old = self._bytes
        new = np.empty(nbytes, np.uint8)
        kept = min(nbytes, old.nbytes)
        new[:kept] = old[:kept]
        self._point_to(new, old)
        return self

    def _check_resizable(self, nbytes: int) -> None:
        if self.owner is not None:
            raise StorageError(
                f"resize_: the memory belongs to a {type(self.owner).__name__} (it is shared or "
                "mapped) and cannot change its size; clone it first"
            )
        if self._is_exported():  # first: locals here would count as views from outside
            raise StorageError(
                "resize_: the memory is also viewed from outside (numpy(), DLPack, a memoryview, "
                "or something saved for a gradient); clone the tensor first"
            )
        for tensor in self.tensors():
            array = tensor._array
            end = end_of(array) - self.data_ptr() if array.size else 0
            if end > nbytes:
                raise StorageError(
                    f"resize_: a tensor of shape {tuple(array.shape)} needs {end} bytes of the "
                    f"storage, which was to have {nbytes}"
                )

    def _is_exported(self) -> bool:
        """Whether anything but this storage and its tensors refers to the memory.

        Nobody else is asked for leave to view it, so only the counts of references can tell; they
        are compared with those of an array that is held in the same way. One reference too many
        makes an error of a change that could be made, as in `numpy.ndarray.resize`.
        """
        held = [self._source, *([] if self._flat is None else [self._flat])]
        held += [tensor._array for tensor in self.tensors()]
        root = _root_of(self._source)
        # Each array once: those that view the root refer to it, and so do attributes.
        arrays = list({id(array): array for array in [root, *held]}.values())
        known = [sum(other is array for other in held) for array in arrays]
        known[0] += sum(array is not root and array.base is root for array in arrays)
        del held, root
        one = [np.empty(0, np.uint8)]
        base = sys.getrefcount(one[0])
        return any(sys.getrefcount(arrays[i]) - base > known[i] for i in range(len(arrays)))

    def _point_to(self, memory: np.ndarray, old: np.ndarray) -> None:
        """Make ``memory``, which has the contents of ``old``, that of every tensor."""
        start = backend.address_of(old)
        for tensor in self.tensors():
            array = tensor._array
            offset = backend.address_of(array) - start if array.size else 0
            tensor._array = _place(memory, array.shape, array.dtype, offset, array.strides)
        self._source = self._flat = memory

    # -- as a sequence of bytes -----------------------------------------------------------------

    def fill_(self, value: int) -> Storage:
        """Overwrite every byte."""
        self._bytes[...] = value
        return self

    def copy_(self, source: Any, non_blocking: bool = False) -> Storage:
        """Overwrite with the bytes of a storage of the same size."""
        other = source.untyped()._bytes
        if other.nbytes != self.size():
            raise StorageError(f"copy_: source has {other.nbytes} bytes, expected {self.size()}")
        self._bytes[...] = other
        return self

    def clone(self) -> Storage:
        """A copy in private memory."""
        return Storage(self._bytes.copy())

    def tolist(self) -> list[int]:
        """The bytes as numbers."""
        return self._bytes.tolist()  # type: ignore[no-any-return]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            if index.step not in (None, 1):
                raise StorageError(f"storage: slices have step 1, got {index.step}")
            return Storage.from_bytes(
                self._bytes[index], self if self.owner is None else self.owner
            )
        return int(self._bytes[checked_index(index, self.size())])

    def __setitem__(self, index: Any, value: int) -> None:
        self._bytes[index if isinstance(index, slice) else checked_index(index, self.size())] = (
            value
        )

    def __len__(self) -> int:
        return self.size()

    def __iter__(self) -> Iterator[int]:
        return iter(self.tolist())

    def __copy__(self) -> Storage:
        return self.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> Storage:
        if id(self) not in memo:
            memo[id(self)] = self.clone()
        return memo[id(self)]  # type: ignore[no-any-return]

    def __reduce__(self) -> Any:
        return _rebuild_storage, (self._bytes,)

    def __repr__(self) -> str:
        if self.is_meta:
            return f"<Storage of {self.size()} bytes that are not there: device='meta'>"
        place = "shared" if self.is_shared() else "private"
        return f"<Storage of {self.size()} bytes in {place} memory>"


register_storage_type(Storage)


def storage_of(tensor: TensorBase) -> Storage:
    """The storage of ``tensor``, made now if it has none."""
    storage = tensor._storage
    if storage is None:
        storage = Storage(tensor._array)
        storage.track(tensor)
    return storage  # type: ignore[no-any-return]


def array_over(
    storage: Storage, numpy_dtype: Any, offset: Any, size: Any, stride: Any
) -> np.ndarray:
    """An array over a storage.

    Args:
        offset, stride: in elements; a stride of None means contiguous.
    Raises:
        ShapeError: elements would lie outside the storage.
    """
    memory, itemsize = storage._bytes, numpy_dtype.itemsize
    if stride is None:
        size = tuple(size)
        stride = contiguous_stride(size)
    offset, size, stride = checked_place(memory.nbytes, itemsize, offset, size, stride)
    if 0 in size:
        return np.empty(size, numpy_dtype)
    steps = [step * itemsize for step in stride]
    return np.ndarray(size, numpy_dtype, memory, offset * itemsize, steps)


def checked_place(
    nbytes: int, itemsize: int, offset: Any, size: Any, stride: Any
) -> tuple[int, tuple[int, ...], tuple[int, ...]]:
    """Offset, size and stride, if all elements they name lie within a piece of memory.

    Every shape over memory that comes from outside goes by here: NumPy compares nothing where the
    memory is empty, and its products wrap.

    Args:
        nbytes: size of the memory.
        offset, stride: in elements of ``itemsize`` bytes.
    Raises:
        TypeError: a number is no int.
        ShapeError: an element would lie outside, or no array can have these sizes.
    """
    offset, size, stride = _INDEX(offset), tuple(map(_INDEX, size)), tuple(map(_INDEX, stride))
    if len(stride) != len(size):
        raise ShapeError(f"storage: size {size} and stride {stride} have different lengths")
    last, count, is_possible = offset, 1, offset >= 0 and len(size) <= MAX_DIMS
    for n, step in zip(size, stride, strict=True):
        last += (n - 1) * step
        count *= n or 1
        if n < 0 or step < 0 or step * itemsize > _LARGEST:
            is_possible = False
    is_within = 0 in size or (last + 1) * itemsize <= nbytes
    if not (is_possible and is_within and count * itemsize <= _LARGEST):
        raise ShapeError(
            f"storage of {nbytes} bytes cannot hold elements of {itemsize} bytes of size {size}, "
            f"stride {stride} from element {offset} on"
        )
    return offset, size, stride


def checked_index(index: Any, size: int) -> int:
    """``index`` as an int.

    Raises:
        DimensionError: out of range.
        IndicesError: no int.
    """
    try:
        number = operator.index(index)
    except TypeError:
        raise IndicesError(
            f"storage: cannot index a storage with {type(index).__name__}, expected an int or a slice"
        ) from None
    if not -size <= number < size:
        raise DimensionError(f"storage: index {number} is out of range for {size} elements")
    return number


def _rebuild_storage(memory: np.ndarray) -> Storage:
    return Storage(memory if memory.flags.writeable else memory.copy())


@entry("Storage", computes=False)
def _fresh_bytes(source: int | Sequence[int]) -> np.ndarray:
    if isinstance(source, Sequence):
        return np.array(source, np.uint8)
    return np.empty(operator.index(source), np.uint8)


def _place(memory: np.ndarray, shape: Any, dtype: Any, offset: int, strides: Any) -> np.ndarray:
    if 0 in shape:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, memory, offset, strides)


def end_of(array: np.ndarray) -> int:
    """Address after the last byte of an array with elements."""
    steps = ((n - 1) * s for n, s in zip(array.shape, array.strides, strict=True))
    return int(backend.address_of(array) + sum(s for s in steps if s > 0) + array.itemsize)


def _root_of(array: np.ndarray) -> np.ndarray:
    """The array whose memory ``array`` views; itself, if it owns it."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _whole_memory(array: np.ndarray) -> np.ndarray:
    """All bytes of the memory that ``array`` views, as a 1-D array over it."""
    root = _root_of(array)
    if root.dtype == np.uint8 and root.ndim == 1 and root.flags.c_contiguous:
        return root
    if root.size == 0:
        return np.empty(0, np.uint8)
    if root.flags.c_contiguous:
        return root.reshape(-1).view(np.uint8)
    # Put the dims in order of memory; an owner's memory is then contiguous.
    flat = root.transpose(sorted(range(root.ndim), key=lambda dim: -root.strides[dim]))
    if flat.flags.c_contiguous:
        return flat.reshape(-1).view(np.uint8)
    if any(stride < 0 for stride in root.strides):
        raise StorageError(
            f"storage: memory with strides {root.strides} for shape {root.shape} runs backwards; "
            "copy it first"
        )
    # Memory of somebody else, seen with gaps or overlaps: from its first byte to its last.
    first = root[(slice(0, 1),) * root.ndim].reshape(-1)
    return np.lib.stride_tricks.as_strided(
        first.view(np.uint8), (end_of(root) - backend.address_of(root),), (1,)
    )


def copy_in_storage(tensor: TensorBase, memo: dict[int, Any]) -> np.ndarray:
    """A copy of the elements; tensors that view one storage get copies that view one storage."""
    storage, array = tensor._storage, tensor._array
    if storage is None or is_meta(array):
        return array.copy("K")  # type: ignore[no-any-return]
    twin = memo.get(id(storage))
    if twin is None:
        twin = memo[id(storage)] = Storage.from_bytes(storage._bytes.copy())
    if not array.size:
        return array.copy()  # type: ignore[no-any-return]
    offset = backend.address_of(array) - storage.data_ptr()
    return np.ndarray(array.shape, array.dtype, twin._bytes, offset, array.strides)
