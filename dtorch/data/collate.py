"""Making one batch of a list of samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from dtorch.core.base import PLAIN, TensorBase, wrap
from dtorch.core.creation import from_numpy, tensor
from dtorch.core.dtype import from_numpy_dtype, promote_types
from dtorch.core.errors import ArgumentError, DtypeError, ShapeError
from dtorch.core.ops.joining import stack

Allocate = Callable[[int], np.ndarray | None]

_NO_NUMBERS = "SaUOMmV"  # kinds of NumPy's texts, objects, dates and records


def _private(nbytes: int) -> np.ndarray | None:
    return None


class _Memory:
    """Where batches are put together: private memory, or in a worker what the trainer reads."""

    allocate: Allocate = staticmethod(_private)


def collate_into(allocate: Allocate) -> None:
    """Have `default_collate` build large tensors in the memory that ``allocate(nbytes)`` gives.

    It may give None for "put it anywhere".
    """
    _Memory.allocate = staticmethod(allocate)


def default_collate(batch: Sequence[Any]) -> Any:
    """Put samples together into a batch.

    Tensors and arrays are stacked, in the dtype to which all can be converted, as by ``stack``;
    numbers become a tensor (int64, float64, bool), texts stay as they are. Of dicts, tuples and
    lists the parts are put together, each with those of its place.

    Args:
        batch: at least one sample; all are built alike.
    Raises:
        ShapeError: tensors of different sizes; also a RuntimeError.
        RuntimeError: sequences of different lengths.
        KeyError: a dict without a key of the first one.
        TypeError: a type that cannot be put together, or several; the message names the sample.
    Example:
        >>> default_collate([(1, "a"), (2, "b")])
        [tensor([1, 2]), ('a', 'b')]
    """
    if not len(batch):
        raise IndexError("default_collate: the batch is empty, expected at least one sample")
    first = batch[0]
    if isinstance(first, (str, bytes)):  # numpy.str_, too
        return batch
    if isinstance(first, TensorBase):
        _expect_all(batch, TensorBase)
        return _stack_tensors(batch)
    if isinstance(first, (np.ndarray, np.generic)):
        _expect_all(batch, (np.ndarray, np.generic, TensorBase, int, float, complex))
        return wrap(_stack_arrays([_numeric(k, sample) for k, sample in enumerate(batch)]))
    if isinstance(first, (int, float)):  # bool, too
        _expect_all(batch, (int, float, np.generic, np.ndarray, TensorBase))
        return _numbers(batch)
    if isinstance(first, Mapping):
        _expect_all(batch, Mapping)
        return _rebuilt(first, {key: default_collate(_values(batch, key)) for key in first})
    if isinstance(first, Sequence):
        _expect_all(batch, Sequence)
        return _collate_sequences(first, batch)
    raise TypeError(
        f"default_collate: samples contain {type(first).__name__}, expected tensors, NumPy arrays, "
        "numbers, texts, dicts or lists; pass a collate_fn for other types"
    )


def _expect_all(batch: Sequence[Any], kinds: Any) -> None:
    """Complain about a sample that cannot be put together with the first one."""
    for position, sample in enumerate(batch):
        if not isinstance(sample, kinds):
            raise TypeError(
                f"default_collate: sample {position} of the batch is {type(sample).__name__}, "
                f"sample 0 is {type(batch[0]).__name__}; expected one type"
            )


def _numbers(batch: Sequence[Any]) -> Any:
    if isinstance(batch[0], float):
        return wrap(np.array([float(sample) for sample in batch]))
    for position, sample in enumerate(batch):
        if isinstance(sample, int) and not -(2**63) <= sample < 2**63:
            raise ArgumentError(
                f"default_collate: sample {position} of the batch is {sample}, which int64 cannot hold"
            )
    return tensor(list(batch))


def _values(batch: Sequence[Any], key: Any) -> list[Any]:
    """What all dicts of a batch have for one key."""
    for position, sample in enumerate(batch):
        if key not in sample:
            raise KeyError(
                f"default_collate: sample {position} of the batch has no key {key!r}, sample 0 has"
            )
    return [sample[key] for sample in batch]


def default_convert(data: Any) -> Any:
    """Turn the NumPy arrays in a sample into tensors; leave everything else as it is.

    Example:
        >>> import numpy as np
        >>> default_convert({"x": np.zeros(2), "name": "a"})
        {'x': tensor([0., 0.], dtype=dtorch.float64), 'name': 'a'}
    """
    if isinstance(data, TensorBase):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        return data if data.dtype.kind in _NO_NUMBERS else from_numpy(np.asarray(data))
    if isinstance(data, Mapping):
        return _rebuilt(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(default_convert, data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _rebuilt(data, [default_convert(value) for value in data])
    return data


def _stack_tensors(batch: Sequence[Any]) -> Any:
    if any(sample._mode != PLAIN or sample.is_cuda for sample in batch):
        return stack(list(batch))
    return wrap(_stack_arrays([sample.array for sample in batch]))


def _stack_arrays(arrays: list[np.ndarray]) -> np.ndarray:
    first = arrays[0]
    shape, dtype = first.shape, first.dtype
    for position, array in enumerate(arrays):
        if array.shape != shape:
            raise ShapeError(
                f"default_collate: sample {position} of the batch has shape {array.shape}, sample "
                f"0 has {shape}; expected one shape, pass a collate_fn that pads or keeps a list"
            )
        if array.dtype != dtype:
            dtype = promote_types(from_numpy_dtype(dtype), from_numpy_dtype(array.dtype)).numpy
    nbytes = len(arrays) * first.size * dtype.itemsize
    memory = _Memory.allocate(nbytes)
    if memory is None:
        out = np.empty((len(arrays), *shape), dtype)
    else:
        out = np.ndarray((len(arrays), *shape), dtype, memory)
    for position, array in enumerate(arrays):
        out[position] = array
    return out


def _numeric(position: int, sample: Any) -> np.ndarray:
    array = sample.array if isinstance(sample, TensorBase) else np.asarray(sample)
    try:
        from_numpy_dtype(array.dtype)
    except DtypeError:
        raise DtypeError(
            f"default_collate: sample {position} of the batch is an array of {array.dtype}, which "
            "no tensor can hold; convert it in the dataset, or pass a collate_fn"
        ) from None
    return array


def _collate_sequences(first: Any, batch: Sequence[Any]) -> Any:
    length = len(first)
    for position, sample in enumerate(batch):
        if len(sample) != length:
            raise RuntimeError(
                f"default_collate: sample {position} of the batch has {len(sample)} parts, sample 0 "
                f"has {length}; expected one length"
            )
    parts = [default_collate(part) for part in zip(*batch, strict=True)]
    if isinstance(first, tuple):
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    return _rebuilt(first, parts)


def _rebuilt(like: Any, content: Any) -> Any:
    """The content in a container of the same class, where that takes it."""
    if type(like) in (dict, list):
        return content
    try:
        return type(like)(content)
    except TypeError:  # its constructor wants something else
        return content
