"""Layers that put elements around, or into, their input."""

from __future__ import annotations

from typing import Any

from dtorch.core import functions
from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module
from dtorch.legacy.nn.shape import sample_dim

__all__ = [
    "Padding", "SpatialReflectionPadding", "SpatialReplicationPadding", "SpatialZeroPadding",
    "VolumetricReplicationPadding",
]  # fmt: skip


class Padding(Module):
    """``|pad|`` elements of ``value`` put in along a dim.

    Args:
        dim: the dim.
        pad: how many; negative: ``index`` counts from the start, else from the end.
        value: the elements.
        index: before which element, from 0; counted from the end, 0 is after the last.
    """

    nInputDim: int | None = None

    def __init__(self, dim: int, pad: int, value: float = 0, index: int = 0) -> None:
        super().__init__()
        self.dim = dim
        self.pad = pad
        self.value = value
        self.index = index

    def compute(self, input: Tensor) -> Any:
        dim = sample_dim(self.dim, self.nInputDim, input)
        size = input.size(dim)
        if not 0 <= self.index <= size:
            raise ArgumentError(f"Padding: index is {self.index}, expected 0 to {size}")
        place = self.index if self.pad < 0 else size - self.index
        sizes = list(input.shape)
        sizes[dim] = abs(self.pad)
        parts = [
            input.narrow(dim, 0, place),
            input.new_full(sizes, self.value),
            input.narrow(dim, place, size - place),
        ]
        return functions.cat(parts, dim)


class SpatialZeroPadding(Module):
    """Zeros left, right, above and below an image; a negative number crops.

    Sides that are left out are as the left one.
    """

    _mode = "constant"

    def __init__(
        self, pad_l: int, pad_r: int | None = None, pad_t: int | None = None,
        pad_b: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.pad_l = pad_l
        self.pad_r, self.pad_t, self.pad_b = (
            pad_l if pad is None else pad for pad in (pad_r, pad_t, pad_b)
        )

    def compute(self, input: Tensor) -> Any:
        if input.ndim not in (3, 4):
            raise ArgumentError(
                f"{type(self).__name__}: input has {input.ndim} dims, expected 3, or 4 for a batch"
            )
        return functions.pad(input, (self.pad_l, self.pad_r, self.pad_t, self.pad_b), self._mode)


class SpatialReflectionPadding(SpatialZeroPadding):
    """The image mirrored at its edges, left, right, above and below."""

    _mode = "reflect"


class SpatialReplicationPadding(SpatialZeroPadding):
    """The edges of the image repeated, left, right, above and below."""

    _mode = "replicate"


class VolumetricReplicationPadding(Module):
    """The edges of a volume repeated; sides that are left out are as the left one."""

    def __init__(
        self, pleft: int, pright: int | None = None, ptop: int | None = None,
        pbottom: int | None = None, pfront: int | None = None, pback: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.pleft = pleft
        self.pright, self.ptop, self.pbottom, self.pfront, self.pback = (
            pleft if pad is None else pad for pad in (pright, ptop, pbottom, pfront, pback)
        )

    def compute(self, input: Tensor) -> Any:
        pads = (self.pleft, self.pright, self.ptop, self.pbottom, self.pfront, self.pback)
        return functions.pad(input, pads, "replicate")
