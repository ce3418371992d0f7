"""Tensor types: classic constructors such as ``FloatTensor``, which are isinstance targets too."""

from __future__ import annotations

from typing import Any

from dtorch.core import dtype as dtypes
from dtorch.core.base import TensorBase
from dtorch.core.conversion import dtype_of_type, type_name
from dtorch.core.device import Place
from dtorch.core.dtype import dtype, from_numpy_dtype, set_default_dtype
from dtorch.core.errors import DtypeError
from dtorch.core.naming import OWN, package
from dtorch.core.tensor import Tensor

__all__ = [
    "BFloat16Tensor", "BoolTensor", "ByteTensor", "CharTensor", "DoubleTensor", "FloatTensor",
    "HalfTensor", "IntTensor", "LongTensor", "ShortTensor", "set_default_tensor_type", "typename",
]  # fmt: skip


class _TensorType(type):
    """Makes calls give tensors of the dtype, and those tensors instances."""

    dtype: dtype
    is_cuda: bool

    def __call__(cls, *args: Any, device: Place | None = None) -> Tensor:
        if device is None and cls.is_cuda:
            device = "cuda"
        return Tensor(*args, dtype=cls.dtype, device=device)

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, TensorBase)
            and from_numpy_dtype(instance._array.dtype) is cls.dtype
            and instance.is_cuda is cls.is_cuda  # type: ignore[attr-defined]  # a Tensor
        )

    def __repr__(cls) -> str:
        module = cls.__module__.replace(OWN, package(), 1)
        return f"<class '{module}.{cls.__name__}'>"


def tensor_type(name: str, d: dtype, cuda: bool = False) -> Any:
    """The classic tensor type of one dtype, on the CPU or on the current card."""
    place = "a CUDA device" if cuda else "the CPU"
    doc = f"""Tensors of {d} on {place}.

    ``{name}(2, 3)`` is uninitialised, ``{name}([1, 2])`` holds these numbers; of an array, a
    tensor or a storage of {d} on {place} it shares the memory.
    """
    module = "dtorch.cuda" if cuda else "dtorch"
    return _TensorType(name, (), {"dtype": d, "is_cuda": cuda, "is_sparse": False,
                                  "__module__": module, "__doc__": doc})  # fmt: skip


FloatTensor = tensor_type("FloatTensor", dtypes.float32)
DoubleTensor = tensor_type("DoubleTensor", dtypes.float64)
HalfTensor = tensor_type("HalfTensor", dtypes.float16)
BFloat16Tensor = tensor_type("BFloat16Tensor", dtypes.bfloat16)
ByteTensor = tensor_type("ByteTensor", dtypes.uint8)
CharTensor = tensor_type("CharTensor", dtypes.int8)
ShortTensor = tensor_type("ShortTensor", dtypes.int16)
IntTensor = tensor_type("IntTensor", dtypes.int32)
LongTensor = tensor_type("LongTensor", dtypes.int64)
BoolTensor = tensor_type("BoolTensor", dtypes.bool_)


def set_default_tensor_type(t: Any) -> None:
    """Make a floating-point tensor type that of new tensors.

    Args:
        t: the type, such as `FloatTensor`, or its name; names of ``torch`` are understood.

    Raises:
        DtypeError: a type of whole numbers, or no type.

    Example:
        >>> import dtorch
        >>> set_default_tensor_type("dtorch.DoubleTensor")
        >>> dtorch.get_default_dtype()
        dtorch.float64
        >>> set_default_tensor_type(FloatTensor)
    """
    wanted = dtypes.float32 if t is Tensor else dtype_of_type(t)
    if not wanted.is_floating_point:
        raise DtypeError(f"set_default_tensor_type: got {t}, expected a floating-point type")
    set_default_dtype(wanted)


def typename(obj: Any) -> str:
    """The name of an object's type with its package; of a tensor, that of its tensor type.

    >>> import dtorch
    >>> typename(dtorch.ones(1)), typename([])
    ('dtorch.FloatTensor', 'list')
    """
    if isinstance(obj, Tensor):
        return type_name(obj.dtype, obj.device, obj.is_sparse)
    cls = type(obj)
    return (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )
