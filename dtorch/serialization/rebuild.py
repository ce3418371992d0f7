"""What the functions named in checkpoints do here."""

from __future__ import annotations

import importlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.coo import layout, sparse_coo, strided
from dtorch.core.creation import tensor_from_storage
from dtorch.core.device import device
from dtorch.core.dtype import dtype
from dtorch.core.ops.sparse import sparse_coo_tensor
from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.serialization import names
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.location import DeviceStorage


class TypedStorage:
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


class Rebuild:
    """The functions that pickles of checkpoints call.

    Unpicklers get bound methods: a hostile pickle can set attributes of everything it names, but
    not of those.
    """

    def tensor(self, storage: TypedStorage, offset: int, size: Any, stride: Any) -> Tensor:
        """``_rebuild_tensor``: before 0.4."""
        return self.tensor_v2(storage, offset, size, stride)

    def tensor_v2(
        self, storage: TypedStorage, offset: int, size: Any, stride: Any,
        requires_grad: bool = False, hooks: Any = None, metadata: Any = None,
    ) -> Tensor:  # fmt: skip
        """``_rebuild_tensor_v2``."""
        storage.is_viewed = True
        memory: Any = storage.storage
        place = None
        if type(memory) is DeviceStorage:
            memory, place = memory.storage, memory.device
        tensor = tensor_from_storage(memory, storage.dtype, storage.offset + offset, size, stride)
        if place is not None:
            tensor = tensor.to(place)
        return tensor.requires_grad_() if requires_grad else tensor

    def tensor_v3(
        self, storage: TypedStorage, offset: int, size: Any, stride: Any, requires_grad: bool,
        hooks: Any, d: dtype, metadata: Any = None,
    ) -> Tensor:  # fmt: skip
        """``_rebuild_tensor_v3``: types that have no storage class of their own."""
        if not isinstance(d, dtype):
            raise CheckpointError(f"checkpoint: a tensor's dtype is {d!r}")
        storage.is_viewed = True
        typed = TypedStorage(storage.storage, d, names.UNTYPED_STORAGE)
        return self.tensor_v2(typed, offset, size, stride, requires_grad, hooks)

    def quantised(
        self, storage: TypedStorage, offset: int, size: Any, stride: Any, quantiser: Any,
        requires_grad: bool = False, hooks: Any = None,
    ) -> Tensor:  # fmt: skip
        """``_rebuild_qtensor``: gives the numbers that the stored integers stand for, float32."""
        stored = _memory_of(self.tensor_v2(storage, offset, size, stride)).astype(np.float64)
        _, scale, zero_point, *rest = quantiser
        if rest:  # one scale for each index of a dim
            shape = [n if dim == rest[0] else 1 for dim, n in enumerate(stored.shape)]
            scale = np.reshape(_memory_of(scale), shape)
            zero_point = np.reshape(_memory_of(zero_point), shape)
        with np.errstate(all="ignore"):
            steps = (stored - zero_point).astype(np.float32)
            return wrap(steps * np.asarray(scale, np.float32))  # type: ignore[no-any-return]

    def parameter(self, data: Any, requires_grad: bool, hooks: Any) -> Any:
        """``_rebuild_parameter``."""
        # The class belongs to a package above this one; it is looked up as any named class is.
        cls = importlib.import_module("dtorch.nn.parameter").Parameter
        if not isinstance(data, Tensor):
            raise CheckpointError(f"checkpoint: a parameter's data is {type(data).__name__}")
        return cls(data, requires_grad=bool(requires_grad))

    def parameter_with_state(self, data: Any, requires_grad: bool, hooks: Any, state: Any) -> Any:
        """``_rebuild_parameter_with_state``."""
        return _with_state(self.parameter(data, requires_grad, hooks), state)

    def subclass(self, function: Any, cls: Any, args: Any, state: Any) -> Any:
        """``_rebuild_from_type_v2``."""
        tensor = function(*args)
        if cls == self.parameter_class:
            tensor = self.parameter(tensor, tensor.requires_grad, None)
        elif cls != self.tensor_class:
            if not (isinstance(cls, type) and issubclass(cls, Tensor)):
                raise CheckpointError(f"checkpoint: {cls!r} is no class of tensors")
            tensor.__class__ = cls
        return _with_state(tensor, state)

    def tensor_class(self, *args: Any) -> Tensor:
        """``Tensor``."""
        return Tensor(*args)

    def parameter_class(self, data: Any = None, requires_grad: bool = True) -> Any:
        """``Parameter``."""
        return self.parameter(data, requires_grad, None)

    def variable(self, data: Any, *args: Any) -> Any:
        """``Variable`` of 0.1 to 0.3; requires_grad comes later, as its state."""
        return data

    def size(self, sizes: Any = ()) -> Size:
        """``Size``."""
        return Size(_plain(sizes))

    def device(self, *args: Any) -> device:
        """``device``."""
        return device(*args)

    def sparse(self, kind: Any, data: Any) -> Tensor:
        """``_rebuild_sparse_tensor``."""
        if kind is not sparse_coo:
            raise CheckpointError(f"checkpoint: it has a tensor of {kind}, which dtorch lacks")
        indices, values, size, *coalesced = data
        _memory_of(indices), _memory_of(values)
        # Indices that are promised to be sorted and are not would lead astray later.
        tensor: Tensor = sparse_coo_tensor(indices, values, size)
        return tensor.coalesce() if any(coalesced) else tensor

    def layout(self, name: str) -> layout:
        """``_get_layout``."""
        for known in (strided, sparse_coo):
            if name == f"torch.{known.name}":
                return known
        raise CheckpointError(
            f"checkpoint: it has a tensor of layout {name!r}, which dtorch does not have; convert it "
            "with to_dense() where the file was written"
        )

    def ordered_dict(self, items: Any = ()) -> OrderedDict[Any, Any]:
        """``collections.OrderedDict``."""
        return OrderedDict(_plain(items)) if items != () else OrderedDict()

    def counter(self, counts: Any = ()) -> Counter[Any]:
        """``collections.Counter``."""
        return Counter(_plain(counts))

    def set(self, items: Any = ()) -> set[Any]:
        """``set``."""
        return set(_plain(items))

    def frozenset(self, items: Any = ()) -> frozenset[Any]:
        """``frozenset``."""
        return frozenset(_plain(items))

    def encode(self, text: str, encoding: str = "latin1") -> bytes:
        """``_codecs.encode``: how protocol 2 writes bytes."""
        if not isinstance(text, str) or encoding != "latin1":
            raise CheckpointError(f"pickle: bytes written as {type(text).__name__} in {encoding!r}")
        return text.encode("latin1")

    def bytearray(self, content: Any = b"", encoding: str = "latin1") -> bytearray:
        """``bytearray``, but not of a number, which would be a size."""
        if isinstance(content, str):
            content = self.encode(content, encoding)
        if not isinstance(content, bytes):
            raise CheckpointError(f"pickle: a bytearray of {type(content).__name__}")
        return bytearray(content)

    def refused(self, name: str) -> Callable[..., NoReturn]:
        """A function for a kind of tensor that cannot be read."""

        def refuse(*args: Any, **kwargs: Any) -> NoReturn:
            raise CheckpointError(
                f"checkpoint: it has a tensor made by {name}, a kind that dtorch does not have; "
                "convert it to a dense CPU tensor where the file was written"
            )

        return refuse


def _plain(items: Any) -> Any:
    """A container that is as large as what the file has of it; a tensor may have any size."""
    if not isinstance(items, (list, tuple, dict)):
        raise CheckpointError(f"pickle: a container made of {type(items).__name__}")
    return items


def _memory_of(tensor: Tensor) -> np.ndarray:
    """The elements of a tensor, if there is a piece of memory for each of them."""
    if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes:
        raise CheckpointError(
            f"checkpoint: elements of a quantised or sparse tensor of shape {tuple(tensor.shape)} "
            "share their memory"
        )
    array: np.ndarray = tensor._array
    return array


def _with_state(tensor: Any, state: Any) -> Any:
    if isinstance(state, tuple):  # attributes, and values of slots
        state = {**(state[0] or {}), **(state[1] or {})} if len(state) == 2 else None
    if not isinstance(state, dict):
        raise CheckpointError(f"checkpoint: a tensor's state is {type(state).__name__}")
    tensor.__dict__.update(state)
    return tensor
