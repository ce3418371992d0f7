"""Tensor types: classic constructors such as ``FloatTensor``, which are isinstance targets too."""

from __future__ import annotations

from typing import Any

from dtorch.core import dtype as dtypes
from dtorch.core.base import TensorBase
from dtorch.core.dtype import dtype, from_numpy_dtype, set_default_dtype
from dtorch.core.errors import DtypeError
from dtorch.core.tensor import Tensor, dtype_of_type, type_name


class _TensorType(type):
    """Makes calls give tensors of the dtype, and those tensors instances."""

    dtype: dtype

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        return Tensor(*args, dtype=cls.dtype, device=device)

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, TensorBase)
            and from_numpy_dtype(instance._array.dtype) is cls.dtype
            and not instance.is_cuda  # type: ignore[attr-defined]  # a Tensor
        )

    def __repr__(cls) -> str:
        return f"<class 'dtorch.{cls.__name__}'>"


def _make(name: str, d: dtype) -> Any:
    doc = f"""Tensors of {d} on the CPU.

    ``{name}(2, 3)`` is uninitialised, ``{name}([1, 2])`` holds these numbers; of an array, a
    tensor or a storage of {d} it shares the memory.
    """
    return _TensorType(name, (), {"dtype": d, "is_cuda": False, "is_sparse": False,
                                  "__module__": "dtorch", "__doc__": doc})  # fmt: skip


FloatTensor = _make("FloatTensor", dtypes.float32)
DoubleTensor = _make("DoubleTensor", dtypes.float64)
HalfTensor = _make("HalfTensor", dtypes.float16)
BFloat16Tensor = _make("BFloat16Tensor", dtypes.bfloat16)
ByteTensor = _make("ByteTensor", dtypes.uint8)
CharTensor = _make("CharTensor", dtypes.int8)
ShortTensor = _make("ShortTensor", dtypes.int16)
IntTensor = _make("IntTensor", dtypes.int32)
LongTensor = _make("LongTensor", dtypes.int64)
BoolTensor = _make("BoolTensor", dtypes.bool_)


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
        return type_name(obj.dtype, obj.device)
    cls = type(obj)
    return (
        cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"
    )
