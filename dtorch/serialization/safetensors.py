"""Files of the safetensors format, through its own library (extra ``safetensors``)."""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from dtorch.core.backend import to_numpy
from dtorch.core.creation import tensor_from_storage
from dtorch.core.dtype import as_dtype
from dtorch.core.errors import ShapeError
from dtorch.core.storage import Storage
from dtorch.core.tensor import Tensor
from dtorch.serialization.atomic import replacing
from dtorch.serialization.errors import CheckpointError

_NAMES = {
    "float32": "F32", "float64": "F64", "float16": "F16", "bfloat16": "BF16", "int8": "I8",
    "int16": "I16", "int32": "I32", "int64": "I64", "uint8": "U8", "bool": "BOOL",
    "complex64": "C64",
}  # fmt: skip
_DTYPES = {short: name for name, short in _NAMES.items()}


def save_file(
    tensors: Mapping[str, Tensor], filename: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
) -> None:  # fmt: skip
    """Write tensors by name; sharing between them is lost.

    Args:
        metadata: texts to keep beside them.
    Raises:
        CheckpointError: something that is no tensor, or of a dtype the format does not have.
    """
    arrays = {name: _array(name, tensor) for name, tensor in tensors.items()}
    content = _library("safetensors.numpy").save(arrays, metadata)
    with replacing(filename) as file:
        file.write(content)


def load_file(filename: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors in a file, by name.

    Raises:
        CheckpointError: the file is damaged, or has a dtype that is not known here.
    """
    library = _library("safetensors")
    with open(filename, "rb") as file:
        content = file.read()
    try:
        entries = library.deserialize(content)
    except library.SafetensorError as error:
        raise CheckpointError(f"safetensors: {os.fspath(filename)}: {error}") from error
    return {name: _tensor(name, entry) for name, entry in entries}


def _array(name: str, tensor: Any) -> np.ndarray:
    if not isinstance(tensor, Tensor):
        raise CheckpointError(
            f"safetensors: {name!r} is {type(tensor).__name__}, the format has tensors only"
        )
    if tensor.dtype.name not in _NAMES:
        raise CheckpointError(f"safetensors: {name!r} is {tensor.dtype}, which the format lacks")
    return np.array(to_numpy(tensor.array), order="C", copy=None)


def _tensor(name: str, entry: dict[str, Any]) -> Tensor:
    if entry["dtype"] not in _DTYPES:
        raise CheckpointError(f"safetensors: {name!r} is {entry['dtype']}, a dtype not known here")
    data = entry["data"]
    memory = data if isinstance(data, bytearray) else bytearray(data)
    storage = Storage.from_bytes(np.frombuffer(memory, np.uint8))
    try:
        return tensor_from_storage(storage, as_dtype(_DTYPES[entry["dtype"]]), 0, entry["shape"])
    except ShapeError as error:
        raise CheckpointError(f"safetensors: {name!r}: {error}") from error


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "safetensors is not installed; install it with `pip install dtorch[safetensors]`"
        ) from None
