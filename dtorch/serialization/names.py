"""The names under which the reference implementation's files know things."""

from __future__ import annotations

from typing import NamedTuple

from dtorch.core import dtype as dtypes
from dtorch.core.dtype import dtype


class GlobalName(NamedTuple):
    """A class or function of the reference implementation, named in a pickle."""

    module: str
    name: str


REBUILD_TENSOR = GlobalName("torch._utils", "_rebuild_tensor_v2")
REBUILD_PARAMETER = GlobalName("torch._utils", "_rebuild_parameter")
REBUILD_SPARSE = GlobalName("torch._utils", "_rebuild_sparse_tensor")
REBUILD_META = GlobalName("torch._utils", "_rebuild_meta_tensor_no_storage")
GET_LAYOUT = GlobalName("torch.serialization", "_get_layout")
REBUILD_SUBCLASS = GlobalName("torch._tensor", "_rebuild_from_type_v2")
TENSOR = GlobalName("torch", "Tensor")
PARAMETER = GlobalName("torch.nn.parameter", "Parameter")
SIZE = GlobalName("torch", "Size")
DEVICE = GlobalName("torch", "device")
UNTYPED_STORAGE = "UntypedStorage"

STORAGE_NAMES = {
    dtypes.float32: "FloatStorage",
    dtypes.float64: "DoubleStorage",
    dtypes.float16: "HalfStorage",
    dtypes.bfloat16: "BFloat16Storage",
    dtypes.uint8: "ByteStorage",
    dtypes.int8: "CharStorage",
    dtypes.int16: "ShortStorage",
    dtypes.int32: "IntStorage",
    dtypes.int64: "LongStorage",
    dtypes.bool_: "BoolStorage",
    dtypes.complex64: "ComplexFloatStorage",
    dtypes.complex128: "ComplexDoubleStorage",
}
# Quantised numbers are stored as integers; what they stand for is computed on loading.
STORAGE_DTYPES: dict[str, dtype] = {name: d for d, name in STORAGE_NAMES.items()} | {
    UNTYPED_STORAGE: dtypes.uint8,
    "QInt8Storage": dtypes.int8,
    "QUInt8Storage": dtypes.uint8,
    "QInt32Storage": dtypes.int32,
}

# Classes of tensors in the first versions' files.
TENSOR_NAMES = tuple(name.replace("Storage", "Tensor") for name in STORAGE_NAMES.values())


def tensor_dtype(type_name: str) -> dtype:
    """The dtype of a classic tensor class, such as ``FloatTensor``."""
    return STORAGE_DTYPES[str(type_name).replace("Tensor", "Storage")]
