"""Layers that change sizes, and choose or repeat parts."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module
from dtorch.legacy.nn.recording import Table

__all__ = [
    "Contiguous", "Copy", "Identity", "Narrow", "Replicate", "Reshape", "Select", "Squeeze",
    "Transpose", "Unsqueeze", "View",
]  # fmt: skip


def sample_dim(dim: int, sample_dims: int | None, input: Any) -> int:
    """The dim in a batch for a dim in a sample of ``sample_dims``; the same if that is None.

    Layers of Torch7's files say how many dims a sample has; those made here do not.
    """
    return dim + 1 if dim >= 0 and sample_dims and input.ndim == sample_dims + 1 else dim


class Identity(Module):
    """The input, a tensor or any table."""

    def compute(self, input: Table) -> Table:
        return input


class Contiguous(Module):
    """The input, copied if its memory has another order."""

    def compute(self, input: Tensor) -> Any:
        return input.contiguous()


class Copy(Module):
    """The input as another type; its gradient is of the type of the input.

    Args:
        intype, outtype: types, by class or name.
        dontCast: the layer keeps its types when it is converted to another.
    """

    def __init__(self, intype: Any, outtype: Any, dontCast: bool = False) -> None:
        super().__init__()
        self.intype = intype
        self.outtype = outtype
        self.dontCast = dontCast

    def compute(self, input: Tensor) -> Any:
        return input.type(self.outtype)

    def type(self, type: Any = None, tensorCache: Any = None) -> Any:
        """As `Module.type`, unless ``dontCast``."""
        return self if type is not None and self.dontCast else super().type(type, tensorCache)


class View(Module):
    """The input with other sizes, those of a sample or of the whole batch.

    Args:
        args: the sizes; one may be -1.

    Example:
        >>> import dtorch
        >>> tuple(View(6).forward(dtorch.zeros(4, 2, 3)).shape)
        (4, 6)
    """

    numInputDims: int | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__()
        self.resetSize(*args)

    def resetSize(self, *args: Any) -> Any:
        """Change the sizes; returns self."""
        sizes = list(args[0] if len(args) == 1 and not isinstance(args[0], int) else args)
        if sizes.count(-1) > 1 or any(size < -1 for size in sizes):
            raise ArgumentError(f"View: sizes are {sizes}, expected at most one of them -1")
        self.size = sizes
        self.numElements = math.prod(size for size in sizes if size >= 0)
        return self

    def compute(self, input: Tensor) -> Any:
        batch = self.numInputDims and input.ndim > self.numInputDims
        if batch or (-1 not in self.size and input.numel() != self.numElements):
            return input.reshape(-1 if -1 not in self.size else input.size(0), *self.size)
        return input.reshape(*self.size)

    def __repr__(self) -> str:
        return f"{super().__repr__()}({', '.join(map(str, self.size))})"


class Reshape(Module):
    """The input, or each sample of it, with other sizes.

    Args:
        args: sizes of a sample. An input with as many elements as one sample is one, unless its
            first dim is 1.
    """

    batchMode: bool | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__()
        self.size = list(args[0] if len(args) == 1 and not isinstance(args[0], int) else args)
        self.nelement = math.prod(self.size)

    def compute(self, input: Tensor) -> Any:
        single = input.numel() == self.nelement and input.size(0) != 1
        if self.batchMode is False or (self.batchMode is None and single):
            return input.reshape(*self.size)
        if input.numel() != input.size(0) * self.nelement:
            raise ShapeError(
                f"Reshape: input has sizes {tuple(input.shape)}, expected {self.nelement} elements, "
                "or a batch of so many each"
            )
        return input.reshape(input.size(0), *self.size)

    def __repr__(self) -> str:
        return f"{super().__repr__()}({', '.join(map(str, self.size))})"


class Narrow(Module):
    """``length`` slices along a dim from ``offset`` on."""

    def __init__(self, dimension: int, offset: int, length: int = 1) -> None:
        super().__init__()
        self.dimension = dimension
        self.index = offset
        self.length = length

    def compute(self, input: Tensor) -> Any:
        length = self.length
        if length < 0:  # counted from the end
            length += input.size(self.dimension) - self.index + 1
        return input.narrow(self.dimension, self.index, length)


class Select(Module):
    """The slice at ``index`` along a dim."""

    def __init__(self, dimension: int, index: int) -> None:
        super().__init__()
        self.dimension = dimension
        self.index = index

    def compute(self, input: Tensor) -> Any:
        return input.select(self.dimension, self.index)


class Replicate(Module):
    """The input ``nf`` times, along a new dim."""

    ndim: int | None = None

    def __init__(self, nf: int, dim: int = 0) -> None:
        super().__init__()
        self.nfeatures = nf
        self.dim = dim

    def compute(self, input: Tensor) -> Any:
        dim = sample_dim(self.dim, self.ndim, input)
        sizes = list(input.shape)
        sizes.insert(dim if dim >= 0 else dim + input.ndim + 1, self.nfeatures)
        return input.unsqueeze(dim).expand(*sizes)


class Transpose(Module):
    """Dims swapped, one pair after the other.

    Args:
        args: pairs of dims.
    """

    numInputDims: int | None = None

    def __init__(self, *args: Any) -> None:
        super().__init__()
        self.permutations = list(args)

    def compute(self, input: Any) -> Any:
        for pair in self.permutations:
            a, b = (sample_dim(dim, self.numInputDims, input) for dim in pair)
            input = input.transpose(a, b)
        return input.contiguous()


class Squeeze(Module):
    """The input without dims of one element, or without ``dim`` if it has one."""

    numInputDims: int | None = None
    dim: int | None = None

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def compute(self, input: Tensor) -> Any:
        if self.dim is None:
            return input.squeeze()
        return input.squeeze(sample_dim(self.dim, self.numInputDims, input))


class Unsqueeze(Module):
    """The input with a dim of one element put in at ``dim``."""

    numInputDims: int | None = None

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.pos = dim

    def compute(self, input: Tensor) -> Any:
        return input.unsqueeze(sample_dim(self.pos, self.numInputDims, input))
