"""In which order the elements of images lie in memory: channels before places, or after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtorch.core.errors import ArgumentError, ArgumentTypeError

__all__ = [
    "channels_last", "channels_last_3d", "contiguous_format", "memory_format", "preserve_format",
]  # fmt: skip


class memory_format:  # noqa: N801 - the public name of the reference API
    """An order of the dims in memory: ``contiguous_format`` is that of the indices, in
    ``channels_last`` and ``channels_last_3d`` the dim 1 of ``(N, C, *sides)`` comes last, and
    ``preserve_format`` is that which is there."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"dtorch.{self.name}"

    def __reduce__(self) -> str:
        return self.name

    def __setstate__(self, state: Any) -> None:
        # A hostile pickle could otherwise change the one object of a format.
        raise TypeError(f"{self} cannot be changed, not by a pickle either")


contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")

_DIMS = {channels_last: 4, channels_last_3d: 5}
_BY_DIMS = {4: channels_last, 5: channels_last_3d}


def _order(format: memory_format) -> tuple[int, ...]:
    """The dims, the one first whose neighbours are farthest apart."""
    return (0, *range(2, _DIMS[format]), 1)


def order_of(name: str, format: Any, array: Any) -> tuple[int, ...] | None:
    """The order of the dims of ``array`` that a format means, the last one fastest; None is that of the
    indices.

    Raises:
        ArgumentError: no format, or one for another number of dims.
    """
    if format is None or format is preserve_format:
        return _own_order(array)
    if format is contiguous_format:
        return None
    if format not in _DIMS:
        raise ArgumentTypeError(
            f"{name}: memory_format is {format!r}, expected one of dtorch's formats"
        )
    if array.ndim != _DIMS[format]:
        raise ArgumentError(
            f"{name}: required rank {_DIMS[format]} tensor to use {format.name} format, the shape is "
            f"{tuple(array.shape)}"
        )
    return _order(format)


def is_for(format: Any, ndim: int) -> bool:
    """Whether a format that is none of all tensors is one of those with so many dims."""
    return _DIMS.get(format) == ndim


def _own_order(array: Any) -> tuple[int, ...] | None:
    if array.flags.c_contiguous:
        return None
    steps = array.strides  # dims that repeat their elements come first
    return tuple(sorted(range(array.ndim), key=lambda d: -steps[d] if steps[d] else -(2**63)))


def made_in(make: Any, shape: Sequence[int], dtype: Any, order: Sequence[int] | None) -> Any:
    """What ``make``, such as ``numpy.zeros``, gives, with the dims in an order of memory."""
    if order is None:
        return make(tuple(shape), dtype)
    places = [0] * len(shape)
    for place, dim in enumerate(order):
        places[dim] = place
    return make(tuple(shape[dim] for dim in order), dtype).transpose(places)


def is_in(array: Any, format: Any) -> bool:
    """Whether the elements lie in the order of a format, one after the other."""
    if format not in _DIMS:
        return bool(array.flags.c_contiguous)
    if array.ndim != _DIMS[format]:
        return False
    if not array.size:
        return True
    expected = array.itemsize
    for dim in reversed(_order(format)):
        if array.shape[dim] != 1:
            if array.strides[dim] != expected:
                return False
            expected *= array.shape[dim]
    return True


def kept(xp: Any, operands: Sequence[Any], result: Any) -> Any:
    """A result, or those of a tuple, in the format for channels last of the operands if one of them
    is in that and not in the order of its indices."""
    for array in operands:
        format = _BY_DIMS.get(array.ndim)
        if format is not None and not array.flags.c_contiguous and is_in(array, format):
            if isinstance(result, tuple):
                return tuple(_put(xp, part, format) for part in result)
            return _put(xp, result, format)
    return result


def _put(xp: Any, array: Any, format: memory_format) -> Any:
    if getattr(array, "ndim", 0) != _DIMS[format] or is_in(array, format):
        return array
    out = made_in(xp.empty, array.shape, array.dtype, _order(format))
    out[...] = array
    return out
