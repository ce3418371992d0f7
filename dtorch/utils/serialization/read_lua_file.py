"""Reader of Torch7's binary files (``.t7``).

Reference: https://github.com/torch/torch7/blob/master/File.lua (the format) and ``lib/TH`` (types).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any, BinaryIO

import numpy as np

from dtorch.core.creation import tensor_from_storage
from dtorch.core.dtype import as_dtype
from dtorch.core.errors import ArgumentError, DtorchError
from dtorch.core.storage import Storage
from dtorch.core.typed_storage import TypedStorage, typed_storage

_NIL, _NUMBER, _STRING, _TABLE, _TORCH, _BOOLEAN = range(6)
_FUNCTIONS = (6, 7, 8)  # old, with upvalues, with named upvalues

_DTYPES = {
    "Double": "float64", "Float": "float32", "Half": "float16", "Long": "int64", "Int": "int32",
    "Short": "int16", "Char": "int8", "Byte": "uint8", "CudaDouble": "float64", "Cuda": "float32",
    "CudaHalf": "float16", "CudaLong": "int64", "CudaInt": "int32", "CudaShort": "int16",
    "CudaChar": "int8", "CudaByte": "uint8",
}  # fmt: skip
_CUDA_PACKAGES = ("cunn.", "cudnn.", "ccn2.")


# What damage makes go wrong; objects too deep within each other are damage, too.
_DAMAGE_ERRORS = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, struct.error)


class T7ReaderException(DtorchError, RuntimeError):
    """The file is damaged, or has something that cannot be read."""


class TorchObject:
    """An object of a class that is not known here.

    Args:
        typename: the class in Torch7.
        obj: its attributes; they are attributes of this object, too.
    """

    def __init__(self, typename: str, obj: dict[Any, Any]) -> None:
        self._typename = typename
        self._obj = obj

    def torch_typename(self) -> str:
        """The class in Torch7."""
        return self._typename

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("_") and name in self._obj:
            return self._obj[name]
        raise AttributeError(
            f"a {self._typename} without {name!r}, it has {sorted(map(str, self._obj))}"
        )

    def __repr__(self) -> str:
        return f"<TorchObject {self._typename} with {sorted(map(str, self._obj))}>"


class T7Reader:
    """Reads objects from a file.

    Args:
        fileobj: the file, open for binary reading.
        list_heuristic: a table with the keys 1 to n becomes a list.
        int_heuristic: a number without a fraction becomes an int.
        unknown_classes: objects of unknown classes become `TorchObject`.
        long_size: bytes of a ``long`` where the file was written, 4 or 8; 8 if left out.
    """

    def __init__(
        self, fileobj: BinaryIO, list_heuristic: bool = True, int_heuristic: bool = True,
        unknown_classes: bool = False, long_size: int | None = None,
    ) -> None:  # fmt: skip
        if long_size not in (None, 4, 8):
            raise ArgumentError(f"T7Reader: long_size is {long_size}, expected 4 or 8")
        self._file = fileobj
        start = fileobj.tell()
        self._left = fileobj.seek(0, os.SEEK_END) - start
        fileobj.seek(start)
        self._list_heuristic = list_heuristic
        self._int_heuristic = int_heuristic
        self._unknown_classes = unknown_classes
        self._long = "i" if long_size == 4 else "q"
        self._known: dict[int, Any] = {}

    def read(self) -> Any:
        """The next object.

        Raises:
            T7ReaderException: the file is damaged, or has a class that is not known.
        """
        try:
            return self._next()
        except _DAMAGE_ERRORS as error:
            raise T7ReaderException(
                f"t7 file: it is damaged: {type(error).__name__}: {error}"
            ) from error

    def _next(self) -> Any:
        kind = self._int()
        if kind == _NIL:
            return None
        if kind == _NUMBER:
            return self._number()
        if kind == _STRING:
            return self._string()
        if kind == _BOOLEAN:
            return self._int() == 1
        if kind not in (_TABLE, _TORCH, *_FUNCTIONS):
            raise T7ReaderException(f"t7 file: {kind} is no kind of object; it is damaged, or text")
        if kind == 6:
            return self._function()
        index = self._int()
        if index not in self._known:
            if kind == _TABLE:
                return self._table(index)
            self._known[index] = self._function() if kind in _FUNCTIONS else self._object(index)
        return self._known[index]

    def _numbers(self, code: str, count: int = 1) -> tuple[Any, ...]:
        layout = f"<{count}{code}"
        return struct.unpack(layout, self._bytes(struct.calcsize(layout)))

    def _bytes(self, nbytes: int) -> bytes:
        if not 0 <= nbytes <= self._left:
            raise T7ReaderException(
                f"t7 file: it ends within the next {nbytes} bytes; it is cut off, or was written "
                "with another long_size"
            )
        self._left -= nbytes
        return self._file.read(nbytes)

    def _int(self) -> int:
        return int(self._numbers("i")[0])

    def _longs(self, count: int) -> tuple[int, ...]:
        if count < 0:
            raise T7ReaderException(f"t7 file: {count} sizes")
        return self._numbers(self._long, count)

    def _number(self) -> float:
        value = float(self._numbers("d")[0])
        return int(value) if self._int_heuristic and value.is_integer() else value

    def _string(self) -> str:
        return self._bytes(self._int()).decode("utf-8", "surrogateescape")

    def _function(self) -> Any:
        code = self._bytes(self._int())
        return TorchObject("function", {"code": code, "upvalues": self._next()})

    def _table(self, index: int) -> Any:
        table: dict[Any, Any] = {}
        self._known[index] = table  # a table may contain itself
        for _ in range(self._int()):
            key = self._next()
            table[_hashable(key)] = self._next()
        if self._list_heuristic and set(table) == set(range(1, len(table) + 1)) and table:
            self._known[index] = [table[place] for place in range(1, len(table) + 1)]
        return self._known[index]

    def _object(self, index: int) -> Any:
        name = self._string()
        if name.startswith("V "):  # versions before the first wrote the class at once
            name = self._string()
        if name.startswith("torch.") and (kind := _tensor_kind(name)) is not None:
            read: Callable[[str], Any] = self._tensor if name.endswith("Tensor") else self._storage
            return read(kind)
        content = self._next()
        attributes = content if isinstance(content, dict) else {"content": content}
        if name.startswith(("nn.", *_CUDA_PACKAGES)):
            # Few files have layers: the package of theirs is loaded for those.
            from dtorch.utils.serialization.lua_modules import module_of  # noqa: PLC0415

            module = module_of(name, attributes)
            if module is not None:
                return module
        if not self._unknown_classes:
            raise T7ReaderException(
                f"t7 file: the class {name} is not known here; pass unknown_classes=True to get its "
                "attributes in a TorchObject"
            )
        return TorchObject(name, attributes)

    def _tensor(self, kind: str) -> Any:
        ndim = self._int()
        size, stride = self._longs(ndim), self._longs(ndim)
        offset = self._longs(1)[0] - 1  # Lua counts from 1
        storage = self._next()
        dtype = as_dtype(_DTYPES[kind])
        if storage is None:
            return tensor_from_storage(Storage.from_bytes(np.empty(0, np.uint8)), dtype, 0, (0,))
        if not isinstance(storage, TypedStorage):
            raise T7ReaderException(f"t7 file: the storage of a tensor is {type(storage).__name__}")
        return tensor_from_storage(storage.untyped(), dtype, offset, size, stride)

    def _storage(self, kind: str) -> TypedStorage:
        count = self._longs(1)[0]
        dtype = np.dtype(_DTYPES[kind])
        stored = np.dtype(np.int32) if kind == "Long" and self._long == "i" else dtype
        if count < 0:
            raise T7ReaderException(f"t7 file: a storage of {count} elements")
        values = np.frombuffer(self._bytes(count * stored.itemsize), stored).astype(dtype)
        return typed_storage(Storage.from_bytes(values.view(np.uint8)), as_dtype(_DTYPES[kind]))


def load_lua(
    filename: str | os.PathLike[str], unknown_classes: bool = False, long_size: int | None = None,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """Read an object from a binary file of Torch7.

    Args:
        filename: the file.
        unknown_classes: give objects of unknown classes as `TorchObject`, instead of an error.
        long_size: bytes of a ``long`` where the file was written, 4 or 8.
        kwargs: ``list_heuristic`` and ``int_heuristic`` of `T7Reader`.
    Raises:
        T7ReaderException: the file cannot be read.
    """
    with open(filename, "rb") as file:
        return T7Reader(file, unknown_classes=unknown_classes, long_size=long_size, **kwargs).read()


def _tensor_kind(name: str) -> str | None:
    kind = name.removeprefix("torch.").removesuffix("Tensor").removesuffix("Storage")
    return kind if kind in _DTYPES else None


def _hashable(key: Any) -> Any:
    return key if isinstance(key, (str, int, float, bool)) else id(key)
