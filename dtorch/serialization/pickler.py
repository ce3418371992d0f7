"""The pickle stream of a checkpoint, with names that the reference implementation knows."""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from functools import lru_cache
from typing import Any, BinaryIO, ClassVar, NamedTuple

import numpy as np

from dtorch.core import backend
from dtorch.core.base import TensorBase
from dtorch.core.coo import layout, sparse_coo
from dtorch.core.device import device
from dtorch.core.dtype import dtype, from_numpy_dtype
from dtorch.core.errors import StorageError
from dtorch.core.parameter import Parameter
from dtorch.core.shapes import Size, contiguous_stride
from dtorch.core.storage import Storage, storage_of
from dtorch.core.tensor import Tensor
from dtorch.core.typed_storage import TypedStorage
from dtorch.serialization import names
from dtorch.serialization.location import location_tag
from dtorch.serialization.names import GlobalName
from dtorch.serialization.source_code import source_of


class StoredStorage(NamedTuple):
    """A storage that a checkpoint has to contain.

    Attributes:
        array: array over its memory.
        dtype: type under which it was met first.
        location: its place, such as ``"cpu"``.
    """

    array: np.ndarray
    dtype: dtype
    location: str

    @property
    def data(self) -> memoryview:
        """Its bytes."""
        return self.array.reshape(-1).view(np.uint8).data


class Place(NamedTuple):
    """What of a storage a tensor shows, counted in elements."""

    key: int
    numel: int
    offset: int
    size: tuple[int, ...]
    stride: tuple[int, ...]


class StorageTable:
    """The storages met while pickling; tensors over one memory get one storage."""

    def __init__(self) -> None:
        self.storages: list[StoredStorage] = []
        self._keys: dict[int, int] = {}
        self._alive: list[Any] = []  # so that no id is given away again meanwhile

    def view_of(self, tensor: Any) -> Place:
        """The number of the tensor's storage and the tensor's place in it."""
        array = tensor.array
        if tensor._storage is None and type(array) is np.ndarray and array.base is None \
                and array.flags.c_contiguous:  # fmt: skip
            key = self._add(array, array, array.dtype, "cpu")
            return Place(key, array.size, 0, array.shape, _stride(array))
        if tensor.is_cuda:
            copy = np.ascontiguousarray(backend.to_numpy(array))
            key = self._add(tensor, copy, copy.dtype, str(tensor.device))
            return Place(key, copy.size, 0, copy.shape, _stride(copy))
        return self._shared_view(tensor)

    def _shared_view(self, tensor: Any) -> Place:
        array, storage = tensor.array, storage_of(tensor)
        try:
            memory = storage._bytes
        except StorageError:  # a NumPy view with gaps, which nothing else can be known to share
            return self._copied_view(tensor)
        is_whole = array.nbytes == memory.nbytes and array.flags.c_contiguous
        distance = 0 if is_whole or not array.size else array.ctypes.data - memory.ctypes.data
        offset, rest = divmod(distance, array.dtype.itemsize)
        if rest or any(stride < 0 or stride % array.dtype.itemsize for stride in array.strides):
            return self._copied_view(tensor)
        key = self._add(storage, memory, array.dtype, location_tag(storage))
        numel = memory.nbytes // array.dtype.itemsize
        return Place(key, numel, offset, array.shape, _stride(array))

    def _copied_view(self, tensor: Any) -> Place:
        copy = np.array(tensor.array, order="C")
        return Place(self._add(tensor, copy, copy.dtype, "cpu"), copy.size, 0, copy.shape,
                    _stride(copy))  # fmt: skip

    def add_storage(self, storage: Storage) -> tuple[int, int]:
        """Number and bytes of a storage pickled by itself."""
        memory = storage._bytes
        return self._add(storage, memory, memory.dtype, location_tag(storage)), memory.nbytes

    def _add(self, owner: Any, memory: np.ndarray, numpy_dtype: Any, location: str) -> int:
        key = self._keys.get(id(owner))
        if key is None:
            key = self._keys[id(owner)] = len(self.storages)
            self._alive.append(owner)
            self.storages.append(StoredStorage(memory, from_numpy_dtype(numpy_dtype), location))
        return key


def _stride(array: np.ndarray) -> tuple[int, ...]:
    if not array.size:
        return contiguous_stride(array.shape)
    itemsize = array.dtype.itemsize
    return tuple([stride // itemsize for stride in array.strides])  # a list is quicker


class CheckpointPickler(pickle._Pickler):
    """Pickles an object; the contents of its storages are left to the container.

    This is the standard library's pickler in Python, because the compiled one cannot write names
    of modules that are not installed. Tensors are written as one piece, without its help.
    """

    def __init__(self, file: BinaryIO, protocol: int, is_stream: bool = False) -> None:
        super().__init__(file, max(protocol, 2))
        self._is_stream = is_stream
        self.table = StorageTable()
        self._names: dict[GlobalName, bytes] = {}
        self._texts: dict[str, bytes] = {}
        self._heads: dict[str, bytes] = {}
        view = pickle.NONE if is_stream else b""  # classic storages could be views of others
        self._tail = view + pickle.TUPLE + pickle.BINPERSID

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Pickle one object."""
        if type(obj) is str:
            known = self.memo.get(id(obj))  # type: ignore[attr-defined]  # not in its stub
            self.write(self.get(known[0]) if known else self._text(obj))  # type: ignore[attr-defined]
        elif isinstance(obj, TensorBase):
            known = self.memo.get(id(obj))  # type: ignore[attr-defined]
            if known:
                self.write(self.get(known[0]))  # type: ignore[attr-defined]
            else:
                self._save_tensor(obj)
        elif isinstance(obj, _OWN):
            self._save_own(obj)
        else:
            super().save(obj, save_persistent_id)  # type: ignore[misc]

    def _save_own(self, obj: Any) -> None:
        if isinstance(obj, GlobalName):
            self.write(self._global(obj))  # type: ignore[attr-defined]
        elif isinstance(obj, dtype):
            self.write(self._global(GlobalName("torch", obj.name)))  # type: ignore[attr-defined]
        elif isinstance(obj, TypedStorage):
            whole = obj if obj.is_whole() else obj.clone()
            key, _ = self.table.add_storage(whole.untyped())
            self.write(self._storage_id(names.STORAGE_NAMES[obj.dtype], key, len(whole)))  # type: ignore[attr-defined]
        elif isinstance(obj, Storage):
            key, nbytes = self.table.add_storage(obj)
            self.write(self._storage_id(names.UNTYPED_STORAGE, key, nbytes))  # type: ignore[attr-defined]
        elif isinstance(obj, Size):
            self.save_reduce(names.SIZE, (tuple(obj),), obj=obj)
        elif isinstance(obj, layout):
            self.save_reduce(names.GET_LAYOUT, (f"torch.{obj.name}",), obj=obj)
        else:
            args = (obj.type,) if obj.index is None else (obj.type, obj.index)
            self.save_reduce(names.DEVICE, args, obj=obj)

    def persistent_id(self, obj: Any) -> Any:
        """Classes of modules travel with their source text in the old format."""
        if self._is_stream and isinstance(obj, type) and hasattr(obj, "dump_patches"):
            return ("module", obj, *source_of(obj))
        return None

    def save_pers(self, pid: Any) -> None:
        """Write a reference; the class in it is written by name, not as a reference again."""
        self._is_stream = False
        try:
            super().save_pers(pid)  # type: ignore[misc]
        finally:
            self._is_stream = True

    def save_reduce(self, func: Any, args: Any, *rest: Any, **named: Any) -> None:
        """Pickle a call; `GlobalName` may stand for the function."""
        if isinstance(func, GlobalName):
            func = _Callable(func)
        super().save_reduce(func, args, *rest, **named)  # type: ignore[misc]

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Pickle a class or function by its name."""
        if isinstance(obj, _Callable):
            self.write(self._global(obj.name))  # type: ignore[attr-defined]
        elif obj is Tensor:
            self.write(self._global(names.TENSOR))  # type: ignore[attr-defined]
        elif obj is Parameter:
            self.write(self._global(names.PARAMETER))  # type: ignore[attr-defined]
        elif obj is Size:
            self.write(self._global(names.SIZE))  # type: ignore[attr-defined]
        else:
            super().save_global(obj, name)  # type: ignore[misc]

    dispatch: ClassVar[dict[type, Any]] = dict(pickle._Pickler.dispatch)

    # -- tensors ------------------------------------------------------------------------------

    def _save_tensor(self, tensor: Any) -> None:
        cls, state = type(tensor), tensor.__dict__
        if tensor.is_sparse:
            parts = (tensor._indices(), tensor._values(), tensor.shape, tensor.is_coalesced())
            self.save_reduce(names.REBUILD_SPARSE, (sparse_coo, parts), obj=tensor)
            return
        if tensor.is_meta and cls in (Tensor, Parameter) and not state:
            self._save_meta(tensor, cls)
            return
        if cls is Parameter and not state:
            self._save_parameter(tensor)
        elif cls is Tensor and not state:
            self.write(self._tensor(tensor))  # type: ignore[attr-defined]
        else:
            self._save_subclass(tensor, cls, state)
            return
        self.memoize(tensor)  # type: ignore[attr-defined]

    def _save_meta(self, tensor: Any, cls: type) -> None:
        """A tensor without elements: its dtype, sizes and strides."""
        if cls is Parameter:
            args: tuple[Any, ...] = (tensor.detach(), tensor.requires_grad, OrderedDict())
            self.save_reduce(names.REBUILD_PARAMETER, args, obj=tensor)
            return
        place = (tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor.requires_grad)
        self.save_reduce(names.REBUILD_META, place, obj=tensor)

    def _save_parameter(self, parameter: Any) -> None:
        start, flag = self._global(names.REBUILD_PARAMETER), _BOOL[parameter.requires_grad]
        body = self._tensor(parameter, requires_grad=False)
        self.write(  # type: ignore[attr-defined]
            start + pickle.MARK + body + flag + self._no_hooks() + pickle.TUPLE + pickle.REDUCE
        )

    def _save_subclass(self, tensor: Any, cls: type, state: dict[str, Any]) -> None:
        plain: Any = Tensor._wrap(tensor.array)
        if tensor._storage is not None:
            plain._storage = tensor._storage
        plain._mode = tensor._mode
        args = (_Callable(names.REBUILD_TENSOR), cls, _TensorArgs(plain), state)
        self.save_reduce(names.REBUILD_SUBCLASS, args, obj=tensor)

    def _tensor(self, tensor: Any, requires_grad: bool | None = None) -> bytes:
        start = self._global(names.REBUILD_TENSOR)
        return start + self._tensor_args(tensor, requires_grad) + pickle.REDUCE

    def _tensor_args(self, tensor: Any, requires_grad: bool | None = None) -> bytes:
        key, numel, offset, size, stride = self.table.view_of(tensor)
        d = from_numpy_dtype(tensor.array.dtype)
        needs_grad = tensor.requires_grad if requires_grad is None else requires_grad
        return b"".join((
            pickle.MARK, self._storage_id(names.STORAGE_NAMES[d], key, numel), _int(offset),
            _ints(size), _ints(stride), _BOOL[needs_grad], self._no_hooks(), pickle.TUPLE,
        ))  # fmt: skip

    def _storage_id(self, type_name: str, key: int, numel: int) -> bytes:
        location = self.table.storages[key].location
        head = self._heads.get(type_name) or self._head(type_name)
        place = self._texts.get(location) or self._constant(location)
        return b"".join((head, _encoded(str(key)), place, _int(numel), self._tail))

    def _head(self, type_name: str) -> bytes:
        """Code for the start of a reference to a storage."""
        module = "torch.storage" if type_name == names.UNTYPED_STORAGE else "torch"
        name = GlobalName(module, type_name)
        code = pickle.MARK + self._constant("storage") + self._global(name)
        self._heads[type_name] = pickle.MARK + self._constant("storage") + self._global(name)
        return code  # the first time it also puts its parts into the memo

    def _no_hooks(self) -> bytes:
        return self._global(_ORDERED_DICT) + pickle.EMPTY_TUPLE + pickle.REDUCE

    def _text(self, text: str) -> bytes:
        index = len(self.memo)  # type: ignore[attr-defined]
        self.memo[id(text)] = index, text  # type: ignore[attr-defined]
        return _encoded(text) + self.put(index)  # type: ignore[attr-defined,no-any-return]

    def _constant(self, text: str) -> bytes:
        """Code for a text that comes again and again."""
        known = self._texts.get(text)
        if known is not None:
            return known
        self._texts[text] = self.get(len(self.memo))  # type: ignore[attr-defined]
        return self._text(text)

    def _global(self, name: GlobalName) -> bytes:
        """Code that puts a global on the stack."""
        known = self._names.get(name)
        if known is not None:
            return known
        stands_for = OrderedDict if name is _ORDERED_DICT else name
        if id(stands_for) in self.memo:  # type: ignore[attr-defined]
            return self.get(self.memo[id(stands_for)][0])  # type: ignore[attr-defined,no-any-return]
        index = len(self.memo)  # type: ignore[attr-defined]
        self.memo[id(stands_for)] = index, stands_for  # type: ignore[attr-defined]
        self._names[name] = self.get(index)  # type: ignore[attr-defined]
        code = f"{name.module}\n{name.name}\n".encode("ascii")
        return pickle.GLOBAL + code + self.put(index)  # type: ignore[attr-defined,no-any-return]


class _Callable:
    """Stands for a function of the reference implementation where pickle wants one."""

    def __init__(self, name: GlobalName) -> None:
        self.name = name

    def __call__(self) -> None:
        raise TypeError(f"{self.name} is a name for a file, it cannot be called here")


class _TensorArgs:
    """Stands for the argument tuple of a tensor's rebuilder."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor


def _save_callable(pickler: Any, obj: _Callable) -> None:
    pickler.write(pickler._global(obj.name))


def _save_tensor_args(pickler: Any, obj: _TensorArgs) -> None:
    pickler.write(pickler._tensor_args(obj.tensor))


CheckpointPickler.dispatch[_Callable] = _save_callable
CheckpointPickler.dispatch[_TensorArgs] = _save_tensor_args

_OWN = (TypedStorage, Storage, dtype, device, layout, Size, GlobalName)
_ORDERED_DICT = GlobalName("collections", "OrderedDict")
_BOOL = {False: pickle.NEWFALSE, True: pickle.NEWTRUE}
_TUPLES = (pickle.EMPTY_TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3)


@lru_cache(maxsize=4096)
def _int(value: int) -> bytes:
    if 0 <= value < 1 << 8:
        return pickle.BININT1 + bytes((value,))
    if 0 <= value < 1 << 16:
        return pickle.BININT2 + value.to_bytes(2, "little")
    if -(1 << 31) <= value < 1 << 31:
        return pickle.BININT + struct.pack("<i", value)
    encoded = pickle.encode_long(value)
    return pickle.LONG1 + bytes((len(encoded),)) + encoded


@lru_cache(maxsize=4096)
def _ints(values: tuple[int, ...]) -> bytes:
    code = b"".join(map(_int, values))
    if len(values) < 4:
        return code + _TUPLES[len(values)]
    return pickle.MARK + code + pickle.TUPLE


def _encoded(value: str) -> bytes:
    encoded = value.encode("utf-8", "surrogatepass")
    return pickle.BINUNICODE + len(encoded).to_bytes(4, "little") + encoded
