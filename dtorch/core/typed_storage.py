"""Typed storages: memory as a sequence of numbers of one dtype.

They are thin: each stands for a `Storage`, which holds the bytes, or for a part of one.
"""

from __future__ import annotations

import builtins
import mmap
import os
import sys
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import numpy as np

from dtorch.core import backend, dtype as dtypes
from dtorch.core.device import Place, as_device, device
from dtorch.core.dtype import DType, as_dtype, dtype
from dtorch.core.entry import entry
from dtorch.core.errors import ArgumentError, ArgumentTypeError, DeviceError, StorageError
from dtorch.core.naming import package
from dtorch.core.storage import Storage, checked_index

__all__ = [
    "BFloat16Storage", "BoolStorage", "ByteStorage", "CharStorage", "ComplexDoubleStorage",
    "ComplexFloatStorage", "DoubleStorage", "FloatStorage", "HalfStorage", "IntStorage",
    "LongStorage", "ShortStorage", "TypedStorage",
]  # fmt: skip

_BYTE_ORDERS = {"native": sys.byteorder, "little": "little", "big": "big"}


class TypedStorage:
    """Base of the typed storages.

    ``FloatStorage(3)`` is uninitialised memory for 3 numbers, ``FloatStorage([1, 2])`` holds
    these, ``FloatStorage(other, offset, size)`` is a part of another storage of its type.

    Attributes:
        dtype: type of the elements.
    """

    __slots__ = ("__weakref__", "_offset", "_size", "_untyped")

    dtype: ClassVar[dtype]
    is_sparse = False
    is_cuda = False

    _untyped: Storage
    _offset: builtins.int
    _size: builtins.int | None  # None: all of the memory, however it is resized

    def __new__(cls, *args: Any, dtype: DType | None = None, **kwargs: Any) -> TypedStorage:
        if cls is TypedStorage:  # the type is that of the dtype
            kind = dtypes.get_default_dtype() if dtype is None else as_dtype(dtype)
            return object.__new__(STORAGE_TYPES[kind])
        return object.__new__(cls)

    @entry("TypedStorage")
    def __init__(
        self,
        *args: Any,
        dtype: DType | None = None,
        device: Place | None = None,
        wrap_storage: Any = None,
    ) -> None:
        self._offset, self._size = 0, None
        if device is not None and as_device(device).type != "cpu":
            raise DeviceError(f"{type(self).__name__}: device is {device}, expected the CPU")
        if wrap_storage is not None:
            args = (wrap_storage,)
        first = args[0] if args else 0
        if isinstance(first, TypedStorage):
            self._be_part_of(first, *args[1:])
        elif isinstance(first, Storage):
            self._untyped = first
        elif len(args) > 1:
            raise TypeError(f"{type(self).__name__}: got {len(args)} arguments, expected one")
        elif isinstance(first, (Sequence, np.ndarray)):
            values = self._converted(first)
            self._untyped = Storage(values.reshape(-1).view(np.uint8))
        else:
            self._untyped = Storage(np.empty(int(first) * self.dtype.itemsize, np.uint8))

    def _converted(self, values: Any) -> np.ndarray:
        """Numbers as elements of this storage."""
        array = np.array(values)
        if array.dtype.kind not in "biufcV":
            raise ArgumentTypeError(
                f"{type(self).__name__}: got {values!r}, expected numbers or a number of elements"
            )
        return array.astype(self.dtype.numpy)

    def _be_part_of(
        self, other: TypedStorage, offset: builtins.int = 0, size: builtins.int | None = None
    ) -> None:
        if other.dtype is not self.dtype:
            raise TypeError(f"{type(self).__name__}: got a storage of {other.dtype}")
        size = len(other) - offset if size is None else size
        if offset < 0 or size < 0 or offset + size > len(other):
            raise StorageError(
                f"{type(self).__name__}: {size} elements from {offset} on are not within the "
                f"{len(other)} of the storage"
            )
        self._untyped = other._untyped
        self._offset = other._offset + offset
        self._size = size

    # -- memory ---------------------------------------------------------------------------------

    @property
    def _numbers(self) -> np.ndarray:
        """The elements, as an array over the memory."""
        memory = self._untyped._bytes
        itemsize = self.dtype.itemsize
        whole = memory[: memory.nbytes // itemsize * itemsize].view(self.dtype.numpy)
        return whole if self._size is None else whole[self._offset : self._offset + self._size]

    @property
    def _cdata(self) -> builtins.int:
        """A number that tells this memory from any other."""
        return self._untyped._cdata

    @property
    def _untyped_storage(self) -> Storage:
        return self._untyped

    def __sizeof__(self) -> builtins.int:
        return object.__sizeof__(self) + self.nbytes()

    def untyped(self) -> Storage:
        """The memory, as bytes."""
        return self._untyped

    def is_whole(self) -> builtins.bool:
        """Whether this is all of the memory, not a part."""
        return self._size is None

    @property
    def device(self) -> device:
        """Where the memory lies."""
        return self._untyped.device

    is_sparse = is_cuda = False

    def resizable(self) -> builtins.bool:
        """Whether `resize_` can change the size."""
        return self._size is None and self._untyped.resizable()

    @property
    def filename(self) -> str | None:
        """The file that the memory maps; None for other memory."""
        return self._untyped.filename

    def get_device(self) -> builtins.int:
        """Number of the CUDA device.

        Raises:
            DeviceError: the storage lies on the CPU.
        """
        raise DeviceError("get_device: the storage lies on the CPU")

    def data_ptr(self) -> builtins.int:
        """Address of the first element."""
        return self._untyped.data_ptr() + self._offset * self.dtype.itemsize

    def element_size(self) -> builtins.int:
        """Bytes of one element."""
        return self.dtype.itemsize

    def size(self) -> builtins.int:
        """Number of elements."""
        return len(self)

    def nbytes(self) -> builtins.int:
        """Size in bytes."""
        return len(self) * self.dtype.itemsize

    def resize_(self, size: builtins.int) -> TypedStorage:
        """Change the number of elements; see `Storage.resize_`."""
        if self._size is not None:
            raise StorageError("resize_: this storage is a part of another one")
        self._untyped.resize_(size * self.dtype.itemsize)
        return self

    def is_shared(self) -> builtins.bool:
        """Whether other processes can see the memory."""
        return self._untyped.is_shared()

    def share_memory_(self) -> TypedStorage:
        """Move the memory to where other processes can see it."""
        self._untyped.share_memory_()
        return self

    def is_pinned(self, device: Any = "cuda") -> builtins.bool:
        """Whether the memory is page-locked, for faster copies to a card."""
        return self._untyped.is_pinned()

    def pin_memory(self, device: Any = "cuda") -> TypedStorage:
        """A copy in page-locked memory; itself if it lies there.

        Raises:
            DeviceError: there is no CUDA device.
        """
        if self.is_pinned():
            return self
        owner = backend.PinnedMemory(self.nbytes())
        pinned = typed_storage(Storage.from_bytes(owner.array, owner), self.dtype)
        return pinned.copy_(self)

    # -- contents -------------------------------------------------------------------------------

    def fill_(self, value: Any) -> TypedStorage:
        """Overwrite every element with a number."""
        self._numbers[...] = value
        return self

    def copy_(self, source: Any, non_blocking: Any = None, **_: Any) -> TypedStorage:
        """Overwrite with the elements of a storage of the same length, converted."""
        if not isinstance(source, TypedStorage):
            raise TypeError(f"copy_: source is {type(source).__name__}, expected a typed storage")
        if len(source) != len(self):
            raise StorageError(f"copy_: source has {len(source)} elements, expected {len(self)}")
        self._numbers[...] = source._numbers.astype(self.dtype.numpy)
        return self

    def clone(self) -> TypedStorage:
        """A copy in memory of its own."""
        return type(self)(self._numbers)

    def tolist(self) -> list[Any]:
        """The elements as Python numbers."""
        numbers = self._numbers
        wide = numbers.astype(np.float32) if numbers.dtype.kind == "V" else numbers
        return wide.tolist()  # type: ignore[no-any-return]

    def new(self, *args: Any) -> TypedStorage:
        """A storage of the same type; by default an empty one."""
        return type(self)(*args)

    def __len__(self) -> builtins.int:
        if self._size is not None:
            return self._size
        return self._untyped.size() // self.dtype.itemsize

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, slice):
            number = self._numbers[checked_index(index, len(self))]
            return float(number) if number.dtype.kind == "V" else number.item()
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise StorageError(f"storage: slices have step 1, got {step}")
        return type(self)(self, start, max(stop - start, 0))

    def __setitem__(self, index: Any, value: Any) -> None:
        at = index if isinstance(index, slice) else checked_index(index, len(self))
        self._numbers[at] = (
            value._numbers if isinstance(value, TypedStorage) else self._converted(value)
        )

    def __eq__(self, other: object) -> builtins.bool:
        return (
            isinstance(other, TypedStorage)
            and type(other) is type(self)
            and other._untyped is self._untyped
            and (other._offset, len(other)) == (self._offset, len(self))
        )

    def __hash__(self) -> builtins.int:
        return hash((id(self._untyped), self._offset))

    def __repr__(self) -> str:
        lines = [f" {value}" for value in self.tolist()]
        return "\n".join([*lines, f"[{package()}.{type(self).__name__} of size {len(self)}]"])

    def __copy__(self) -> TypedStorage:
        return self.clone()

    def __deepcopy__(self, memo: dict[int, Any]) -> TypedStorage:
        return _rebuild(type(self), self._untyped.__deepcopy__(memo), self._offset, self._size)

    def __reduce__(self) -> Any:
        return _rebuild, (type(self), self._untyped, self._offset, self._size)

    # -- conversion -----------------------------------------------------------------------------

    def type(
        self, dtype: DType | None = None, non_blocking: builtins.bool = False, **kwargs: Any
    ) -> Any:
        """The type's name, such as ``dtorch.FloatStorage``; or a storage of another type."""
        wanted = kwargs.pop("new_type", dtype)
        if wanted is None:
            return f"{package()}.{type(self).__name__}"
        if isinstance(wanted, str) and wanted.endswith("Storage"):
            wanted = _BY_NAME[wanted.rpartition(".")[2]]
        target = wanted if isinstance(wanted, type) and issubclass(wanted, TypedStorage) else (
            STORAGE_TYPES[as_dtype(wanted)])  # fmt: skip
        if target is type(self):
            return self
        return target(self._numbers.astype(target.dtype.numpy))

    def cpu(self) -> TypedStorage:
        """Itself: the storage lies on the CPU."""
        return self

    def cuda(
        self, device: Place | None = None, non_blocking: builtins.bool = False, **_: Any
    ) -> Any:
        """Storages lie on the CPU; move a tensor over it instead.

        Raises:
            DeviceError: always where there is no card.
        """
        backend.require(as_device("cuda" if device is None else device))
        raise DeviceError("cuda: move a tensor over the storage instead")

    def byte(self) -> TypedStorage:
        """As uint8."""
        return self.type(dtypes.uint8)  # type: ignore[no-any-return]

    def char(self) -> TypedStorage:
        """As int8."""
        return self.type(dtypes.int8)  # type: ignore[no-any-return]

    def short(self) -> TypedStorage:
        """As int16."""
        return self.type(dtypes.int16)  # type: ignore[no-any-return]

    def int(self) -> TypedStorage:
        """As int32."""
        return self.type(dtypes.int32)  # type: ignore[no-any-return]

    def long(self) -> TypedStorage:
        """As int64."""
        return self.type(dtypes.int64)  # type: ignore[no-any-return]

    def half(self) -> TypedStorage:
        """As float16."""
        return self.type(dtypes.float16)  # type: ignore[no-any-return]

    def float(self) -> TypedStorage:
        """As float32."""
        return self.type(dtypes.float32)  # type: ignore[no-any-return]

    def double(self) -> TypedStorage:
        """As float64."""
        return self.type(dtypes.float64)  # type: ignore[no-any-return]

    def bool(self) -> TypedStorage:
        """As bool."""
        return self.type(dtypes.bool_)  # type: ignore[no-any-return]

    def bfloat16(self) -> TypedStorage:
        """As bfloat16."""
        return self.type(dtypes.bfloat16)  # type: ignore[no-any-return]

    def complex_float(self) -> TypedStorage:
        """As complex64."""
        return self.type(dtypes.complex64)  # type: ignore[no-any-return]

    def complex_double(self) -> TypedStorage:
        """As complex128."""
        return self.type(dtypes.complex128)  # type: ignore[no-any-return]

    # -- from elsewhere -------------------------------------------------------------------------

    @classmethod
    def from_buffer(
        cls,
        buffer: Any,
        byte_order: str | None = None,
        count: builtins.int = -1,
        offset: builtins.int = 0,
    ) -> TypedStorage:
        """A copy of the numbers in a bytes-like object.

        Args:
            byte_order: ``"native"``, ``"little"`` or ``"big"``; needed for elements of several
                bytes.
            count: number of elements; -1 for all.
            offset: first byte.
        Raises:
            ArgumentError: the byte order is missing, or the buffer too small.
        """
        itemsize = cls.dtype.itemsize
        if byte_order is None and itemsize > 1:
            raise ArgumentError(
                f"from_buffer: byte_order is needed for {cls.dtype}: 'native', 'little' or 'big'"
            )
        if byte_order is not None and byte_order not in _BYTE_ORDERS:
            raise ArgumentError(
                f"from_buffer: byte_order is {byte_order!r}, expected 'native', 'little' or 'big'"
            )
        memory = memoryview(buffer).cast("B")
        available = len(memory) - offset
        if offset < 0 or available < 0:
            raise ArgumentError(f"from_buffer: offset {offset} is outside {len(memory)} bytes")
        if count < 0 and available % itemsize:
            raise ArgumentError(
                f"from_buffer: {available} bytes are no whole number of elements of {itemsize}"
            )
        count = available // itemsize if count < 0 else count
        if count * itemsize > available:
            raise ArgumentError(
                f"from_buffer: {count} elements of {itemsize} bytes do not fit into {available}"
            )
        values = np.frombuffer(memory, np.uint8, count * itemsize, offset).copy()
        if byte_order is not None and _BYTE_ORDERS[byte_order] != sys.byteorder:
            width = itemsize // 2 if cls.dtype.is_complex else itemsize
            values = values.reshape(-1, width)[:, ::-1].copy().reshape(-1)
        return cls(Storage(values))

    @classmethod
    def from_file(
        cls, filename: Any, shared: builtins.bool = False, size: builtins.int = 0
    ) -> TypedStorage:
        """A storage over a memory-mapped file.

        Args:
            shared: write changes to the file, which is made or extended as needed; otherwise
                changes stay in this process.
            size: number of elements; 0 for all of the file.
        Raises:
            StorageError: the file is smaller, and not shared.
            ArgumentError: no file can have that size.
        """
        if not 0 <= size <= sys.maxsize // cls.dtype.itemsize:
            raise ArgumentError(f"from_file: size is {size} elements, expected 0 or more")
        owner = MappedFile(filename, shared, size * cls.dtype.itemsize)
        return cls(Storage.from_bytes(owner.array, owner))


class MappedFile:
    """A file in memory.

    Attributes:
        array: its bytes.
        filename: its name.
    """

    def __init__(self, filename: Any, shared: bool, nbytes: int) -> None:
        self.filename = os.fsdecode(filename)
        flags = os.O_RDWR | os.O_CREAT if shared else os.O_RDONLY
        descriptor = os.open(filename, flags, 0o666)
        try:
            there = os.fstat(descriptor).st_size
            wanted = nbytes or there
            if shared and there < wanted:
                os.ftruncate(descriptor, wanted)
            elif there < wanted:
                raise StorageError(
                    f"from_file: {os.fspath(filename)} has {there} bytes, expected {wanted}"
                )
            access = mmap.ACCESS_WRITE if shared else mmap.ACCESS_COPY
            self.array = np.empty(0, np.uint8)
            if wanted:
                mapping = mmap.mmap(descriptor, wanted, access=access)
                self.array = np.frombuffer(mapping, np.uint8)
        finally:
            os.close(descriptor)


def _rebuild(
    cls: type[TypedStorage], untyped: Storage, offset: int, size: int | None
) -> TypedStorage:
    if size is None:
        return typed_storage(untyped, cls.dtype)
    storage = cls(untyped)
    storage._offset, storage._size = offset, size
    return storage


def _make(name: str, d: dtype) -> type[TypedStorage]:
    return type(name, (TypedStorage,), {"__slots__": (), "dtype": d, "__module__": "dtorch",
                                        "__doc__": f"Memory for numbers of {d}."})  # fmt: skip


FloatStorage = _make("FloatStorage", dtypes.float32)
DoubleStorage = _make("DoubleStorage", dtypes.float64)
HalfStorage = _make("HalfStorage", dtypes.float16)
BFloat16Storage = _make("BFloat16Storage", dtypes.bfloat16)
ByteStorage = _make("ByteStorage", dtypes.uint8)
CharStorage = _make("CharStorage", dtypes.int8)
ShortStorage = _make("ShortStorage", dtypes.int16)
IntStorage = _make("IntStorage", dtypes.int32)
LongStorage = _make("LongStorage", dtypes.int64)
BoolStorage = _make("BoolStorage", dtypes.bool_)
ComplexFloatStorage = _make("ComplexFloatStorage", dtypes.complex64)
ComplexDoubleStorage = _make("ComplexDoubleStorage", dtypes.complex128)

STORAGE_TYPES = {cls.dtype: cls for cls in TypedStorage.__subclasses__()}
_BY_NAME = {cls.__name__: cls for cls in TypedStorage.__subclasses__()}


def typed_storage(untyped: Storage, d: dtype) -> TypedStorage:
    """The typed storage over all of ``untyped``; the same object while it is in use."""
    reference = untyped.typed.get(d)
    known = None if reference is None else reference()
    if known is None:
        known = STORAGE_TYPES[d](untyped)
        untyped.typed[d] = weakref.ref(known)
    return known
