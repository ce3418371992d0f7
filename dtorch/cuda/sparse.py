"""Classic types of sparse tensors on CUDA devices.

Sparse tensors exist on the CPU alone so far: no tensor is an instance of these, and their
constructors say so.
"""

from __future__ import annotations

from typing import Any, NoReturn

from dtorch.core import backend, dtype as dtypes
from dtorch.core.device import device
from dtorch.core.errors import DeviceError

__all__ = [
    "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor",
    "LongTensor", "ShortTensor",
]  # fmt: skip


class _SparseType(type):
    dtype: Any

    def __call__(cls, *args: Any) -> NoReturn:
        backend.require(device("cuda"))
        raise DeviceError(
            f"{cls.__name__}: sparse tensors on CUDA devices are not supported; use "
            f"dtorch.sparse.{cls.__name__}, or to_dense() and cuda()"
        )

    def __instancecheck__(cls, instance: Any) -> bool:
        return False


def _make(name: str, d: dtypes.dtype) -> Any:
    return _SparseType(name, (), {"dtype": d, "__module__": __name__})


FloatTensor = _make("FloatTensor", dtypes.float32)
DoubleTensor = _make("DoubleTensor", dtypes.float64)
HalfTensor = _make("HalfTensor", dtypes.float16)
ByteTensor = _make("ByteTensor", dtypes.uint8)
CharTensor = _make("CharTensor", dtypes.int8)
ShortTensor = _make("ShortTensor", dtypes.int16)
IntTensor = _make("IntTensor", dtypes.int32)
LongTensor = _make("LongTensor", dtypes.int64)
