"""What a conversion asks for: dtypes, tensor types and devices, by value or by name."""

from __future__ import annotations

from typing import Any

from dtorch.core.base import TensorBase
from dtorch.core.device import as_device, device
from dtorch.core.dtype import as_dtype, dtype, get_default_dtype
from dtorch.core.errors import ArgumentTypeError
from dtorch.core.naming import package

_TYPE_NAMES = {
    "float32": "Float", "float64": "Double", "float16": "Half", "bfloat16": "BFloat16",
    "uint8": "Byte", "int8": "Char", "int16": "Short", "int32": "Int", "int64": "Long",
    "bool": "Bool", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
}  # fmt: skip
_TYPES_BY_NAME = {name + "Tensor": as_dtype(d) for d, name in _TYPE_NAMES.items()}


def type_name(d: dtype, place: device, is_sparse: bool = False) -> str:
    """The classic name of a tensor type, such as ``dtorch.cuda.LongTensor``."""
    module = f".{place.type}" * (place.type != "cpu") + ".sparse" * is_sparse
    return f"{package()}{module}.{_TYPE_NAMES[d.name]}Tensor"


def dtype_of_type(value: Any) -> dtype:
    """The dtype that a dtype, a tensor type or the name of either stands for."""
    if isinstance(value, type):
        found = getattr(value, "dtype", None)
        if isinstance(found, dtype):
            return found
        if issubclass(value, TensorBase):  # the tensor type that is the default
            return get_default_dtype()
    if isinstance(value, str):
        named = _TYPES_BY_NAME.get(value.rpartition(".")[2])
        if named is not None:
            return named
        if value.endswith("Tensor"):
            raise ArgumentTypeError(f"type: there is no tensor type {value!r}")
    return as_dtype(value)


def place_of_type(value: Any) -> device | None:
    """The kind of device that a tensor type or its name stands for; None for a dtype."""
    if isinstance(value, str) and value.endswith("Tensor"):
        return as_device("cuda" if ".cuda." in value else "cpu")
    on_card = getattr(value, "is_cuda", None) if isinstance(value, type) else None
    return as_device("cuda" if on_card else "cpu") if isinstance(on_card, bool) else None


def same_device(wanted: device, here: device) -> bool:
    """Whether ``here`` is the device ``wanted`` names, perhaps without a number."""
    return wanted.type == here.type and wanted.index in (None, here.index)


def parse_to(
    args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dtype | None, device | None, bool, Any]:
    """The dtype, the device, the wish for a copy and the memory format in the arguments of
    `Tensor.to`."""
    wanted_dtype, wanted_device = kwargs.pop("dtype", None), kwargs.pop("device", None)
    copy, format = kwargs.pop("copy", False), kwargs.pop("memory_format", None)
    kwargs.pop("non_blocking", None)
    other = kwargs.pop("other", None)
    if kwargs:
        raise TypeError(f"to() got an unexpected keyword argument {next(iter(kwargs))!r}")
    for arg in (*args, other):
        if isinstance(arg, TensorBase):
            wanted_dtype, wanted_device = arg.dtype, arg.device  # type: ignore[attr-defined]
        elif (
            isinstance(arg, (device, str)) and not (isinstance(arg, str) and arg in _TYPE_NAMES)
        ) or (isinstance(arg, int) and not isinstance(arg, bool)):
            wanted_device = arg
        elif isinstance(arg, bool) or arg is None:
            continue  # non_blocking by position
        else:
            wanted_dtype = arg
    return (
        None if wanted_dtype is None else as_dtype(wanted_dtype),
        None if wanted_device is None else as_device(wanted_device),
        copy,
        format,
    )
