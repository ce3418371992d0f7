"""Padding layers."""

from __future__ import annotations

from typing import Any, ClassVar

from dtorch.core.errors import ArgumentError
from dtorch.core.functions import pad
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module


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
    """Pads the last dim with ``value``."""

    _dims = 1


class ConstantPad2d(_ConstantPad):
    """Pads the last two dims with ``value``."""

    _dims = 2


class ConstantPad3d(_ConstantPad):
    """Pads the last three dims with ``value``."""

    _dims = 3


class _ZeroPad(_ConstantPad):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return str(self.padding)


class ZeroPad1d(_ZeroPad):
    """Pads the last dim with zeros."""

    _dims = 1


class ZeroPad2d(_ZeroPad):
    """Pads the last two dims with zeros."""

    _dims = 2


class ZeroPad3d(_ZeroPad):
    """Pads the last three dims with zeros."""

    _dims = 3


class ReflectionPad1d(_Pad):
    """Pads the last dim with its mirror image, without the edge."""

    _dims, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """Pads the last two dims with their mirror image, without the edge."""

    _dims, _mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """Pads the last three dims with their mirror image, without the edge."""

    _dims, _mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """Pads the last dim with its edge."""

    _dims, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """Pads the last two dims with their edge."""

    _dims, _mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """Pads the last three dims with their edge."""

    _dims, _mode = 3, "replicate"


class CircularPad1d(_Pad):
    """Pads the last dim with its other end."""

    _dims, _mode = 1, "circular"


class CircularPad2d(_Pad):
    """Pads the last two dims with their other end."""

    _dims, _mode = 2, "circular"


class CircularPad3d(_Pad):
    """Pads the last three dims with their other end."""

    _dims, _mode = 3, "circular"
