"""Padding layers."""

from __future__ import annotations

from typing import Any, ClassVar

from dtorch.core.errors import ArgumentError
from dtorch.core.functions import pad
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module

__all__ = [
    "CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d",
    "ConstantPad3d", "ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d",
    "ReplicationPad2d", "ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d",
]  # fmt: skip


class _Pad(Module):
    """Padding of the last dims; an int, or elements before and after each, the last dim first."""

    _dims: ClassVar[int]
    _mode: ClassVar[str] = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        if isinstance(padding, int):
            self.padding: tuple[int, ...] = (padding,) * (2 * self._dims)
        else:
            self.padding = tuple(padding)
        if len(self.padding) != 2 * self._dims:
            raise ArgumentError(
                f"{type(self).__name__}: padding is {self.padding}, expected an int or "
                f"{2 * self._dims} of them"
            )

    def forward(self, input: Tensor) -> Any:
        return pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Any:
        return pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Pads the last dim with ``value``.

    Args:
        padding: an int for all sides, or (left, right).
        value: of the new elements.

    Shape: ``(N, C, L)`` or ``(C, L)``.

    Raises:
        ValueError: ``padding`` has not 2 entries.

    Example:
        >>> import dtorch
        >>> ConstantPad1d((2, 1), 9.0)(dtorch.tensor([[1.0, 2.0, 3.0]])).tolist()
        [[9.0, 9.0, 1.0, 2.0, 3.0, 9.0]]
    """

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """Pads the last two dims with ``value``.

    Args:
        padding: an int for all sides, or (left, right, top, bottom); for the rest see `ConstantPad1d`.

    Example:
        >>> import dtorch
        >>> tuple(ConstantPad2d(1, 9.0)(dtorch.ones(1, 1, 4, 4)).shape)
        (1, 1, 6, 6)
    """

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last three dims with ``value``.

    Args:
        padding: an int for all sides, or (left, right, top, bottom, front, back); for the rest see `ConstantPad1d`.

    Example:
        >>> import dtorch
        >>> tuple(ConstantPad3d(1, 9.0)(dtorch.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 6, 6, 6)
    """

    _dims = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return str(self.padding)


class ZeroPad1d(_ZeroPad):
    """Pads the last dim with zeros.

    Args:
        padding: an int for all sides, or (left, right).

    Shape: ``(N, C, L)`` or ``(C, L)``.

    Raises:
        ValueError: ``padding`` has not 2 entries.

    Example:
        >>> import dtorch
        >>> ZeroPad1d((2, 1))(dtorch.tensor([[1.0, 2.0, 3.0]])).tolist()
        [[0.0, 0.0, 1.0, 2.0, 3.0, 0.0]]
    """

    _dims = 1


class ZeroPad2d(_ZeroPad):
    """Pads the last two dims with zeros.

    Args:
        padding: an int for all sides, or (left, right, top, bottom); for the rest see `ZeroPad1d`.

    Example:
        >>> import dtorch
        >>> tuple(ZeroPad2d(1)(dtorch.ones(1, 1, 4, 4)).shape)
        (1, 1, 6, 6)
    """

    _dims = 2


class ZeroPad3d(_ZeroPad):
    """Pads the last three dims with zeros.

    Args:
        padding: an int for all sides, or (left, right, top, bottom, front, back); for the rest see `ZeroPad1d`.

    Example:
        >>> import dtorch
        >>> tuple(ZeroPad3d(1)(dtorch.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 6, 6, 6)
    """

    _dims = 3


class ReflectionPad1d(_Pad):
    """Pads the last dim with its mirror image, without the edge.

    Args:
        padding: an int for all sides, or (left, right).

    The padding must be less than the size of the dim.

    Shape: ``(N, C, L)`` or ``(C, L)``.

    Raises:
        ValueError: ``padding`` has not 2 entries.

    Example:
        >>> import dtorch
        >>> ReflectionPad1d((2, 1))(dtorch.tensor([[1.0, 2.0, 3.0]])).tolist()
        [[3.0, 2.0, 1.0, 2.0, 3.0, 2.0]]
    """

    _dims, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Pads the last two dims with their mirror image, without the edge.

    Args:
        padding: an int for all sides, or (left, right, top, bottom); for the rest see `ReflectionPad1d`.

    Example:
        >>> import dtorch
        >>> tuple(ReflectionPad2d(1)(dtorch.ones(1, 1, 4, 4)).shape)
        (1, 1, 6, 6)
    """

    _dims, _mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Pads the last three dims with their mirror image, without the edge.

    Args:
        padding: an int for all sides, or (left, right, top, bottom, front, back); for the rest see `ReflectionPad1d`.

    Example:
        >>> import dtorch
        >>> tuple(ReflectionPad3d(1)(dtorch.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 6, 6, 6)
    """

    _dims, _mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Pads the last dim with its edge.

    Args:
        padding: an int for all sides, or (left, right).

    Shape: ``(N, C, L)`` or ``(C, L)``.

    Raises:
        ValueError: ``padding`` has not 2 entries.

    Example:
        >>> import dtorch
        >>> ReplicationPad1d((2, 1))(dtorch.tensor([[1.0, 2.0, 3.0]])).tolist()
        [[1.0, 1.0, 1.0, 2.0, 3.0, 3.0]]
    """

    _dims, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Pads the last two dims with their edge.

    Args:
        padding: an int for all sides, or (left, right, top, bottom); for the rest see `ReplicationPad1d`.

    Example:
        >>> import dtorch
        >>> tuple(ReplicationPad2d(1)(dtorch.ones(1, 1, 4, 4)).shape)
        (1, 1, 6, 6)
    """

    _dims, _mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Pads the last three dims with their edge.

    Args:
        padding: an int for all sides, or (left, right, top, bottom, front, back); for the rest see `ReplicationPad1d`.

    Example:
        >>> import dtorch
        >>> tuple(ReplicationPad3d(1)(dtorch.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 6, 6, 6)
    """

    _dims, _mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Pads the last dim with its other end.

    Args:
        padding: an int for all sides, or (left, right).

    The padding must be at most the size of the dim.

    Shape: ``(N, C, L)`` or ``(C, L)``.

    Raises:
        ValueError: ``padding`` has not 2 entries.

    Example:
        >>> import dtorch
        >>> CircularPad1d((2, 1))(dtorch.tensor([[1.0, 2.0, 3.0]])).tolist()
        [[2.0, 3.0, 1.0, 2.0, 3.0, 1.0]]
    """

    _dims, _mode = 1, "circular"


class CircularPad2d(_Pad):
    """Pads the last two dims with their other end.

    Args:
        padding: an int for all sides, or (left, right, top, bottom); for the rest see `CircularPad1d`.

    Example:
        >>> import dtorch
        >>> tuple(CircularPad2d(1)(dtorch.ones(1, 1, 4, 4)).shape)
        (1, 1, 6, 6)
    """

    _dims, _mode = 2, "circular"


class CircularPad3d(_Pad):
    """Pads the last three dims with their other end.

    Args:
        padding: an int for all sides, or (left, right, top, bottom, front, back); for the rest see `CircularPad1d`.

    Example:
        >>> import dtorch
        >>> tuple(CircularPad3d(1)(dtorch.ones(1, 1, 4, 4, 4)).shape)
        (1, 1, 6, 6, 6)
    """

    _dims, _mode = 3, "circular"
