"""The elements of a new tensor: from sizes, numbers, arrays or memory, on the CPU or on a card."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array
from dtorch.core.base import TensorBase
from dtorch.core.device import META, Place, as_device, defaults
from dtorch.core.dtype import dtype, from_numpy_dtype
from dtorch.core.errors import ArgumentTypeError, DeviceError, DtypeError, ShapeError
from dtorch.core.meta import is_meta
from dtorch.core.shapes import Size, as_sizes
from dtorch.core.storage import Storage, array_over, storage_of
from dtorch.core.typed_storage import TypedStorage

ndarray = np.ndarray
_NO_TENSORS = frozenset((bool, int, float, complex, list, tuple))


def placed(array: Array, place: Place | None) -> Any:
    """``array`` itself where ``place`` names the CPU or nothing, else a copy on that card.

    Raises:
        DeviceError: CuPy is missing or sees no such card.
    """
    wanted = as_device(place)
    if wanted.type == "cpu" or is_meta(array):
        return array
    return backend.to_device(array, wanted)


def xp_of(place: Place | None) -> Any:
    """The module whose ``empty``, ``zeros``, ``ones`` and ``full`` make arrays that go to a device:
    NumPy, but for the device that has no memory."""
    if place is None and not defaults.changed:
        return np
    return backend.xp_for(META) if as_device(place).type == "meta" else np


def device_like(tensor: TensorBase, place: Place | None) -> Any:
    """``place``, or where a tensor lies if it is None."""
    return backend.device_of(tensor._array) if place is None else place


def require_cpu(name: str, place: Place | None) -> None:
    """Complain unless ``place`` names the CPU or nothing, for what exists on the CPU alone."""
    wanted = as_device(place)
    if wanted.type != "cpu":
        backend.require(wanted)
        raise DeviceError(f"{name}: device is {wanted}, this exists on the CPU alone")


def shared_array(name: str, source: Any, wanted: dtype) -> tuple[ndarray, Storage]:
    """The array for ``FloatTensor(tensor)`` or ``FloatTensor(storage)``, over its memory."""
    if isinstance(source, TensorBase):
        check_dtype(name, from_numpy_dtype(source._array.dtype), wanted)
        return source._array.view(), storage_of(source)
    if isinstance(source, TypedStorage):
        check_dtype(name, source.dtype, wanted)
        return source._numbers, source.untyped()
    size = source.size() // wanted.itemsize
    return array_over(source, wanted.numpy, 0, (size,), None), source


def check_dtype(name: str, found: dtype, wanted: dtype) -> None:
    if found is not wanted:
        raise DtypeError(f"{name}: got {found}, expected {wanted}; convert it with .to()")


def classic_array(name: str, args: tuple[Any, ...], wanted: dtype) -> ndarray:
    """The array for ``FloatTensor(...)``: sizes, a sequence of numbers or an array."""
    numpy_dtype = wanted.numpy
    if not args:
        return np.empty(0, numpy_dtype)
    first = args[0]
    if len(args) == 1 and not isinstance(first, (int, np.integer)):
        if isinstance(first, Size):
            return np.empty(first, numpy_dtype)
        if isinstance(first, ndarray):
            return first.astype(numpy_dtype, copy=False)
        if isinstance(first, (float, np.generic)):
            raise ArgumentTypeError(
                f"{name}: got {first!r}, expected sizes or a sequence of numbers"
            )
        return sequence_array(name, first).astype(numpy_dtype)
    return np.empty(as_sizes(name, args), numpy_dtype)


def sequence_array(name: str, data: Any) -> ndarray:
    """An array of nested sequences of numbers and one-element tensors.

    Raises:
        ShapeError: the sequences are ragged.
        TypeError: an element is no number.
    """
    if isinstance(data, (list, tuple)) and not _NO_TENSORS.issuperset(map(type, data)):
        data = [d._array if isinstance(d, TensorBase) else d for d in data]
    try:
        array = np.array(data)
    except ValueError as error:
        raise ShapeError(f"{name}: sequences of different lengths in the data: {error}") from None
    if array.dtype.kind not in "biufcV":
        raise ArgumentTypeError(f"{name}: data of {array.dtype} cannot be elements of a tensor")
    if array.dtype == np.uint64 and not isinstance(data, np.ndarray):
        raise ArgumentTypeError(f"{name}: a number beyond int64 cannot be an element of a tensor")
    return array
