"""Classic types of storages on CUDA devices.

Storages exist on the CPU alone so far: none is an instance of these, and their constructors say so.
"""

from __future__ import annotations

from typing import Any, NoReturn

from dtorch.core import backend, dtype as dtypes
from dtorch.core.device import device
from dtorch.core.errors import DeviceError

__all__ = [
    "BFloat16Storage", "BoolStorage", "ByteStorage", "CharStorage", "DoubleStorage", "FloatStorage",
    "HalfStorage", "IntStorage", "LongStorage", "ShortStorage",
]  # fmt: skip


class _StorageType(type):
    dtype: Any
    is_cuda = True

    def __call__(cls, *args: Any) -> NoReturn:
        backend.require(device("cuda"))
        raise DeviceError(
            f"{cls.__name__}: storages on CUDA devices are not supported; use dtorch.{cls.__name__}, or "
            f"a tensor on the card"
        )

    def __instancecheck__(cls, instance: Any) -> bool:
        return False


def _make(name: str, d: dtypes.dtype) -> Any:
    return _StorageType(name, (), {"dtype": d, "__module__": "dtorch.cuda"})


BFloat16Storage = _make("BFloat16Storage", dtypes.bfloat16)
BoolStorage = _make("BoolStorage", dtypes.bool_)
ByteStorage = _make("ByteStorage", dtypes.uint8)
CharStorage = _make("CharStorage", dtypes.int8)
DoubleStorage = _make("DoubleStorage", dtypes.float64)
FloatStorage = _make("FloatStorage", dtypes.float32)
HalfStorage = _make("HalfStorage", dtypes.float16)
IntStorage = _make("IntStorage", dtypes.int32)
LongStorage = _make("LongStorage", dtypes.int64)
ShortStorage = _make("ShortStorage", dtypes.int16)
