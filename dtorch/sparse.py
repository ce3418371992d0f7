"""Sparse tensors in coordinate form, and their classic constructors.

>>> import dtorch
>>> m = dtorch.sparse.FloatTensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
>>> dtorch.sparse.mm(m, dtorch.eye(2))
tensor([[0., 2.],
        [3., 0.]])
"""

from __future__ import annotations

from typing import Any

from dtorch.core.dtype import (
    bfloat16,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from dtorch.core.elements import require_cpu
from dtorch.core.naming import OWN, package
from dtorch.core.ops.sparse import (
    classic_sparse,
    sparse_addmm as addmm,
    sparse_log_softmax as log_softmax,
    sparse_softmax as softmax,
    sparse_sum as sum,
    spmm as mm,
)
from dtorch.core.tensor import Tensor

__all__ = [
    "BFloat16Tensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor", "HalfTensor",
    "IntTensor", "LongTensor", "ShortTensor", "SparseType", "addmm", "log_softmax", "mm", "softmax", "sum",
]  # fmt: skip


class SparseType(type):
    """Classic type of sparse tensors of one dtype: a constructor and what isinstance asks for."""

    dtype: Any

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        """``FloatTensor(indices, values, size)``, ``FloatTensor(size)``, ``FloatTensor()``."""
        require_cpu(cls.__name__, device)
        made: Tensor = classic_sparse(args, cls.dtype)
        return made

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__.replace(OWN, package(), 1)}.{cls.__name__}'>"

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.is_sparse and instance.dtype is cls.dtype


def sparse_type(name: str, dtype: Any, module: str = __name__) -> Any:
    """The classic sparse tensor type of one dtype."""
    doc = f"Sparse tensors of {dtype.name}: ``{name}(indices, values, size)``."
    return SparseType(name, (), {"dtype": dtype, "__doc__": doc, "__module__": module})


FloatTensor = sparse_type("FloatTensor", float32)
DoubleTensor = sparse_type("DoubleTensor", float64)
HalfTensor = sparse_type("HalfTensor", float16)
BFloat16Tensor = sparse_type("BFloat16Tensor", bfloat16)
ByteTensor = sparse_type("ByteTensor", uint8)
CharTensor = sparse_type("CharTensor", int8)
ShortTensor = sparse_type("ShortTensor", int16)
IntTensor = sparse_type("IntTensor", int32)
LongTensor = sparse_type("LongTensor", int64)
