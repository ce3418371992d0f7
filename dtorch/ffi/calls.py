"""Calls of functions in C with tensors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core import dtype as dtypes
from dtorch.core.creation import from_numpy
from dtorch.core.tensor import Tensor
from dtorch.core.typed_storage import TypedStorage
from dtorch.ffi.declarations import PREFIX

_KINDS = {
    dtypes.uint8: "Byte",
    dtypes.int8: "Char",
    dtypes.int16: "Short",
    dtypes.int32: "Int",
    dtypes.int64: "Long",
    dtypes.float32: "Float",
    dtypes.float64: "Double",
}
_DTYPES = {kind: dtype for dtype, kind in _KINDS.items()}


def bind(ffi: Any, lib: Any, name: str) -> Callable[..., Any]:
    """The function of an extension, for calls with tensors, storages and numbers."""
    function = getattr(lib, PREFIX + name)
    types = [kind.cname for kind in ffi.typeof(function).args]

    def call(*args: Any) -> Any:
        if len(args) != len(types):
            raise TypeError(f"{name}: got {len(args)} arguments, expected {len(types)}")
        given = _Arguments(ffi, lib, name)
        passed = [
            given.pointer(place, value, wanted)
            for place, (value, wanted) in enumerate(zip(args, types, strict=True))
        ]
        result = function(*passed)
        message = ffi.string(lib.dtorch_error()).decode(errors="replace")
        if message:
            given.release()
            raise RuntimeError(f"{name}: {message}")
        return given.taken_back(result)

    call.__name__ = call.__qualname__ = name
    return call


class _Arguments:
    """The tensors of one call, as C knows them."""

    def __init__(self, ffi: Any, lib: Any, name: str) -> None:
        self._ffi, self._lib, self._name = ffi, lib, name
        self._tensors: list[tuple[Tensor, Any]] = []
        self._kept: list[Any] = []

    def pointer(self, place: int, value: Any, wanted: str) -> Any:
        """What C gets for an argument."""
        if not isinstance(value, (Tensor, TypedStorage)):
            return value
        suffix = "Tensor" if isinstance(value, Tensor) else "Storage"
        given = f"TH{_KINDS.get(value.dtype)}{suffix} *"
        if given != wanted or value.device.type != "cpu":
            raise TypeError(
                f"{self._name}: argument {place} is a {type(value).__name__} of {value.dtype} on "
                f"{value.device}, expected what C declares as {wanted}"
            )
        if isinstance(value, Tensor):
            return self._tensor(value, wanted)
        return self._storage(value, wanted)

    def _tensor(self, tensor: Tensor, kind: str) -> Any:
        for known, struct in self._tensors:
            if known is tensor:
                return struct
        if tensor.ndim > 16:
            raise TypeError(f"{self._name}: a tensor has {tensor.ndim} dims, expected at most 16")
        struct = self._ffi.new(kind)
        sizes, strides = list(tensor.shape), list(tensor.stride())
        if not sizes:  # a number is a tensor of one dim in C
            sizes, strides = [1], [1]
        struct.data = self._ffi.cast(self._ffi.typeof(struct.data), tensor.data_ptr())
        struct.nDimension = len(sizes)
        struct.size[0 : len(sizes)] = sizes
        struct.stride[0 : len(sizes)] = strides
        struct.offset = tensor.storage_offset()
        struct.room = len(tensor.storage()) - tensor.storage_offset()
        struct.count = 1 << 30  # C may free what it was given, and it stays
        self._tensors.append((tensor, struct))
        return struct

    def _storage(self, storage: Any, kind: str) -> Any:
        struct = self._ffi.new(kind)
        struct.data = self._ffi.cast(self._ffi.typeof(struct.data), storage.data_ptr())
        struct.size = len(storage)
        self._kept.append(struct)
        return struct

    def release(self) -> None:
        """Give back what C allocated for tensors that it resized."""
        for _, struct in self._tensors:
            if struct.owned:
                self._lib.dtorch_release(struct.data)

    def taken_back(self, result: Any) -> Any:
        """The result for Python; tensors that C resized are resized."""
        try:
            for tensor, struct in self._tensors:
                sizes = self._sizes(struct)
                if struct.owned:
                    tensor.resize_(sizes).copy_(self._copied(struct))
                elif sizes != (list(tensor.shape) or [1]):
                    strides = list(struct.stride[0 : len(sizes)])
                    tensor.set_(tensor.storage(), tensor.storage_offset(), sizes, strides)
            return self._result(result)
        finally:
            self.release()

    def _result(self, result: Any) -> Any:
        if not isinstance(result, self._ffi.CData):
            return result
        kind = self._ffi.typeof(result).cname
        if not (kind.startswith("TH") and kind.endswith("Tensor *")) or not result:
            return result
        for tensor, struct in self._tensors:
            if struct == result:
                return tensor
        made = self._copied(result)
        if result.owned:
            self._lib.dtorch_release(result.data)
        self._lib.dtorch_release(result)
        return made

    def _sizes(self, struct: Any) -> list[int]:
        return list(struct.size[0 : struct.nDimension]) or [0]

    def _copied(self, struct: Any) -> Any:
        sizes = self._sizes(struct)
        kind = self._ffi.typeof(struct).cname
        dtype = np.dtype(_DTYPES[kind[2 : kind.index("Tensor")]].numpy)
        memory = self._ffi.buffer(struct.data, math.prod(sizes) * dtype.itemsize)
        array = np.frombuffer(memory, dtype).copy() if memory else np.empty(0, dtype)
        return from_numpy(array.reshape(sizes))
