"""Tensors between libraries, by the DLPack protocol.

>>> import dtorch
>>> from dtorch.utils.dlpack import from_dlpack, to_dlpack
>>> x = dtorch.zeros(2)
>>> from_dlpack(to_dlpack(x)).add_(1)
tensor([1., 1.])
>>> x
tensor([1., 1.])
"""

from __future__ import annotations

from typing import Any

from dtorch.core import interop
from dtorch.core.tensor import Tensor

__all__ = ["from_dlpack", "to_dlpack"]


def to_dlpack(tensor: Tensor) -> Any:
    """A capsule over the memory of a tensor, of which a library can make one of its own, once."""
    return tensor.__dlpack__(max_version=(1, 0))


def from_dlpack(ext_tensor: Any) -> Tensor:
    """A tensor over the memory of an object of another library, or of a capsule that it gave.

    Raises:
        TypeError: neither; see `dtorch.from_dlpack`.

    Of a capsule of before DLPack 1.0 the memory can be read, not written: it does not say more.
    """
    if type(ext_tensor).__name__ == "PyCapsule":
        ext_tensor = _Capsule(ext_tensor)
    return interop.from_dlpack(ext_tensor)  # type: ignore[no-any-return]


class _Capsule:
    """An object that offers a capsule."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # the CPU
