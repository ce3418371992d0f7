"""What the functions named in checkpoints do here."""

from __future__ import annotations

import operator
import sys
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from types import NoneType
from typing import Any, NoReturn

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.coo import layout, sparse_coo, strided
from dtorch.core.creation import empty_strided, tensor_from_storage
from dtorch.core.device import device
from dtorch.core.dtype import dtype
from dtorch.core.ops.sparse import sparse_coo_tensor
from dtorch.core.parameter import Parameter
from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.serialization import names
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.location import DeviceStorage
from dtorch.serialization.machine import set_state
from dtorch.serialization.room import Keys, Room, shown

_INDEX = operator.index
_QUANTISED = 32  # what is charged for an element: it takes four bytes, and twelve on the way
_ITEM, _HASHED_ITEM = 16, 100  # what is charged for one in a tuple, in a set or a dict


class FileStorage:
    """A storage with the type that its place in the file gives it.

    Attributes:
        storage: the bytes.
        dtype: how tensors see them.
        type_name: the name of the type in the file.
        offset: element of the storage where this one begins; before 0.4 storages had views.
        is_viewed: whether a tensor was made of it; else it was saved by itself.
    """

    __slots__ = ("dtype", "is_viewed", "offset", "storage", "type_name")

    def __init__(self, storage: Any, d: dtype, type_name: str) -> None:
        self.storage = storage
        self.dtype = d
        self.type_name = type_name
        self.offset = 0
        self.is_viewed = False

    def __setstate__(self, state: Any) -> NoReturn:
        raise CheckpointError("pickle: it changes a storage behind its back; refused")


def storage_id(pid: Any) -> tuple[str, str, str, int]:
    """Type, key, place and number of elements of the storage that a persistent id names.

    Raises:
        CheckpointError: it names something else.
    """
    if type(pid) is tuple and len(pid) >= 5 and type(pid[0]) is str and pid[0] == "storage":
        type_name, key, location, numel = pid[1:5]
        kinds = type(type_name), type(location), type(numel)
        if kinds == (str, str, int) and type_name in names.STORAGE_DTYPES and numel >= 0:
            if type(key) in (str, int):
                return type_name, str(key), location, numel
            raise CheckpointError(f"checkpoint: a storage has the key {shown(key)}")
    raise CheckpointError(f"checkpoint: it refers to {shown(pid)}, expected a storage")


class Rebuild:
    """The functions that pickles of checkpoints call.

    What they are given is whatever a file says. Unpicklers get bound methods: a hostile pickle can
    set attributes of everything it names, but not of those.

    Args:
        room: what they may make.
    """

    def __init__(self, room: Room) -> None:
        self._room = room

    def tensor(self, storage: FileStorage, offset: int, size: Any, stride: Any) -> Tensor:
        """``_rebuild_tensor``: before 0.4."""
        return self.tensor_v2(storage, offset, size, stride)

    def tensor_v2(
        self, storage: FileStorage, offset: int, size: Any, stride: Any,
        requires_grad: bool = False, hooks: Any = None, metadata: Any = None,
    ) -> Tensor:  # fmt: skip
        """``_rebuild_tensor_v2``."""
        if type(storage) is not FileStorage:
            raise CheckpointError(f"checkpoint: a tensor over {shown(storage)}")
        offset, size, stride = storage.offset + _INDEX(offset), _tuple(size), _tuple(stride)
        storage.is_viewed = True
        memory: Any = storage.storage
        place = None
        if type(memory) is DeviceStorage:
            memory, place = memory.storage, memory.device
        tensor = tensor_from_storage(memory, storage.dtype, offset, size, stride)
        if place is not None:
            self._room.charge(tensor.nbytes)  # there each element gets a place of its own
            tensor = tensor.to(place)
        if type(metadata) is dict:
            tensor = self._changed(tensor, metadata)
        return tensor.requires_grad_() if requires_grad else tensor

    def _changed(self, tensor: Tensor, metadata: dict[Any, Any]) -> Tensor:
        """What a tensor stands for that is marked as conjugate or negative; here it is computed."""
        for name in ("conj", "neg"):
            if metadata.get(name) is True:
                self._room.charge(tensor.nbytes)
                tensor = tensor.conj() if name == "conj" else tensor.neg()
        return tensor

    def tensor_v3(
        self, storage: FileStorage, offset: int, size: Any, stride: Any, requires_grad: bool,
        hooks: Any, d: dtype, metadata: Any = None,
    ) -> Tensor:  # fmt: skip
        """``_rebuild_tensor_v3``: types that have no storage class of their own."""
        if not isinstance(d, dtype):
            raise CheckpointError(f"checkpoint: a tensor's dtype is {shown(d)}")
        if type(storage) is not FileStorage:
            raise CheckpointError(f"checkpoint: a tensor over {shown(storage)}")
        storage.is_viewed = True
        typed = FileStorage(storage.storage, d, names.UNTYPED_STORAGE)
        return self.tensor_v2(typed, offset, size, stride, requires_grad, hooks, metadata)

    def quantised(
        self, storage: FileStorage, offset: int, size: Any, stride: Any, quantiser: Any,
        requires_grad: bool = False, hooks: Any = None,
    ) -> Tensor:  # fmt: skip
        """``_rebuild_qtensor``: gives the numbers that the stored integers stand for, float32."""
        stored = _memory_of(self.tensor_v2(storage, offset, size, stride))
        if stored.dtype.name not in ("int8", "uint8", "int32"):
            raise CheckpointError(f"checkpoint: a quantised tensor of {stored.dtype}")
        self._room.charge(_QUANTISED * stored.size)
        _, scale, zero_point, *rest = _tuple(quantiser)
        with np.errstate(all="ignore"):
            if rest and type(rest[0]) is int:  # one scale for each index of a dim
                shape = [n if dim == rest[0] else 1 for dim, n in enumerate(stored.shape)]
                scale = np.reshape(_real(scale), shape).astype(np.float32)
                zero_point = np.reshape(_real(zero_point), shape).astype(np.float64)
            else:
                scale, zero_point = np.float32(_number(scale)), _number(zero_point)
            steps = (stored - zero_point).astype(np.float32)
            return wrap(steps * scale)  # type: ignore[no-any-return]

    def meta(self, d: dtype, size: Any, stride: Any, requires_grad: bool = False) -> Tensor:
        """``_rebuild_meta_tensor_no_storage``: there are no elements."""
        if not isinstance(d, dtype):
            raise CheckpointError(f"checkpoint: a tensor's dtype is {shown(d)}")
        return empty_strided(
            _tuple(size), _tuple(stride), dtype=d, device="meta", requires_grad=bool(requires_grad)
        )

    def parameter(self, data: Any, requires_grad: bool, hooks: Any) -> Any:
        """``_rebuild_parameter``."""
        if not isinstance(data, Tensor):
            raise CheckpointError(f"checkpoint: a parameter's data is {shown(data)}")
        return Parameter(data, requires_grad=bool(requires_grad))

    def parameter_with_state(self, data: Any, requires_grad: bool, hooks: Any, state: Any) -> Any:
        """``_rebuild_parameter_with_state``."""
        return _with_state(self.parameter(data, requires_grad, hooks), state)

    def subclass(self, function: Any, cls: Any, args: Any, state: Any) -> Any:
        """``_rebuild_from_type_v2``."""
        if getattr(function, "__func__", None) not in _MAKERS:
            raise CheckpointError(f"checkpoint: a tensor made by {shown(function)}")
        tensor = function(*_tuple(args))
        named = getattr(cls, "__func__", None)
        if named is Rebuild.parameter_class:
            tensor = self.parameter(tensor, tensor.requires_grad, None)
        elif named is not Rebuild.tensor_class:
            if not (isinstance(cls, type) and issubclass(cls, Tensor)):
                raise CheckpointError(f"checkpoint: {shown(cls)} is no class of tensors")
            tensor.__class__ = cls
        return _with_state(tensor, state)

    def tensor_class(self) -> Tensor:
        """``Tensor``; one of some size would not be in the file."""
        return Tensor()

    def parameter_class(self, data: Any = None, requires_grad: bool = True) -> Any:
        """``Parameter``."""
        return self.parameter(data, requires_grad, None)

    def variable(self, data: Any, *args: Any) -> Any:
        """``Variable`` of 0.1 to 0.3; requires_grad comes later, as its state."""
        return data

    def size(self, sizes: Any = ()) -> Size:
        """``Size``."""
        size = Size(map(_INDEX, self._plain(sizes, _ITEM)))
        if any(not -sys.maxsize <= n <= sys.maxsize for n in size):
            raise CheckpointError("checkpoint: a size is beyond 64 bits")
        return size

    def device(self, name: Any, index: Any = None) -> device:
        """``device``."""
        if type(name) not in (str, int) or type(index) not in (int, NoneType):
            raise CheckpointError(f"checkpoint: a device by the name {shown(name)}")
        return device(name, index)

    def sparse(self, kind: Any, data: Any) -> Tensor:
        """``_rebuild_sparse_tensor``."""
        if kind is not sparse_coo:
            raise CheckpointError(f"checkpoint: a sparse tensor of layout {shown(kind)}")
        indices, values, size, *coalesced = _tuple(data)
        self._room.charge(_memory_of(indices).nbytes + _memory_of(values).nbytes)
        # Indices that are promised to be sorted and are not would lead astray later.
        tensor: Tensor = sparse_coo_tensor(indices, values, self.size(size))
        return tensor.coalesce() if any(flag is True for flag in coalesced) else tensor

    def layout(self, name: str) -> layout:
        """``_get_layout``."""
        for known in (strided, sparse_coo):
            if type(name) is str and name == f"torch.{known.name}":
                return known
        raise CheckpointError(
            f"checkpoint: it has a tensor of layout {shown(name)}, which dtorch does not have; "
            "convert it with to_dense() where the file was written"
        )

    def ordered_dict(self, items: Any = ()) -> OrderedDict[Any, Any]:
        """``collections.OrderedDict``."""
        if type(items) is tuple and not items:
            return OrderedDict()
        pairs = [(key, value) for key, value in self._pairs(items)]
        self._check_keys(key for key, _ in pairs)
        return OrderedDict(pairs)

    def counter(self, counts: Any = ()) -> Counter[Any]:
        """``collections.Counter``."""
        self._check_keys(self._plain(counts))
        return Counter(counts)

    def dict(self) -> dict[Any, Any]:
        """``dict``."""
        return {}

    def default_dict(self, factory: Any = None) -> defaultdict[Any, Any]:
        """``collections.defaultdict``, of dicts: what optimizers keep their states in."""
        if getattr(factory, "__func__", None) is not Rebuild.dict:
            raise CheckpointError(f"pickle: a dict whose defaults come from {shown(factory)}")
        return defaultdict(dict)

    def set(self, items: Any = ()) -> set[Any]:
        """``set``."""
        self._check_keys(self._plain(items))
        return set(items)

    def frozenset(self, items: Any = ()) -> frozenset[Any]:
        """``frozenset``."""
        self._check_keys(self._plain(items))
        return frozenset(items)

    def _plain(self, items: Any, nbytes: int = _HASHED_ITEM) -> Any:
        """A container that is as large as what the file has of it; a tensor may have any size."""
        if not isinstance(items, (list, tuple, dict)):
            raise CheckpointError(f"pickle: a container made of {shown(items)}")
        self._room.charge(nbytes * (len(items) + 1))
        return items

    def _pairs(self, items: Any) -> Any:
        plain = self._plain(items)
        return plain.items() if isinstance(plain, dict) else plain

    def _check_keys(self, keys: Iterable[Any]) -> None:
        Keys(self._room).check(None, keys)

    def encode(self, text: str, encoding: str = "latin1") -> bytes:
        """``_codecs.encode``: how protocol 2 writes bytes."""
        if type(text) is not str or type(encoding) is not str or encoding != "latin1":
            raise CheckpointError(f"pickle: bytes written as {shown(text)} in {shown(encoding)}")
        self._room.charge(len(text))
        return text.encode("latin1")

    def bytes(self) -> bytes:
        """``bytes``: how protocol 2 writes those without content."""
        return b""

    def bytearray(self, content: Any = b"", encoding: str = "latin1") -> bytearray:
        """``bytearray``, but not of a number, which would be a size."""
        if isinstance(content, str):
            content = self.encode(content, encoding)
        if not isinstance(content, bytes):
            raise CheckpointError(f"pickle: a bytearray of {shown(content)}")
        self._room.charge(len(content))
        return bytearray(content)

    def backend(self) -> None:
        """``_get_thnn_function_backend``: layers of before 1.3 have it as an attribute."""

    def refused(self, name: str) -> Callable[..., NoReturn]:
        """A function for a kind of tensor that cannot be read."""

        def refuse(*args: Any, **kwargs: Any) -> NoReturn:
            raise CheckpointError(
                f"checkpoint: it has a tensor made by {name}, a kind that dtorch does not have; "
                "convert it to a dense CPU tensor where the file was written"
            )

        return refuse


# What `subclass` may call.
_MAKERS = {
    Rebuild.tensor, Rebuild.tensor_v2, Rebuild.tensor_v3, Rebuild.quantised, Rebuild.sparse,
    Rebuild.parameter, Rebuild.parameter_with_state,
}  # fmt: skip


def _tuple(value: Any) -> Any:
    """What is to be iterated over: a tensor may have any number of elements."""
    if type(value) not in (tuple, list, Size):
        raise CheckpointError(f"checkpoint: {shown(value)}, expected a tuple")
    return value


def _real(tensor: Any) -> np.ndarray:
    array = _memory_of(tensor)
    if array.dtype.kind not in "iuf":
        raise CheckpointError(f"checkpoint: a quantised tensor with scales of {array.dtype}")
    return array


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise CheckpointError(f"checkpoint: a quantised tensor with the scale {shown(value)}")
    return float(value)


def _memory_of(tensor: Tensor) -> np.ndarray:
    """The elements of a tensor, if there is a piece of memory for each of them."""
    if not isinstance(tensor, Tensor) or type(tensor.array) is not np.ndarray:
        raise CheckpointError(f"checkpoint: {shown(tensor)}, expected a tensor on the CPU")
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
        raise CheckpointError(
            f"checkpoint: elements of a quantised or sparse tensor of shape {tuple(tensor.shape)} "
            "share their memory"
        )
    array: np.ndarray = tensor.array
    return array


def _with_state(tensor: Any, state: Any) -> Any:
    if state:
        set_state(tensor, state)
    return tensor
