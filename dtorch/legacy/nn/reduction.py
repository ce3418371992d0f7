"""Layers that reduce a dim to one value."""

from __future__ import annotations

from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.module import Module
from dtorch.legacy.nn.shape import sample_dim

__all__ = ["Max", "Mean", "Min", "Sum"]


class _Reduction(Module):
    """A dim reduced to one value, and taken away unless it is the only one."""

    nInputDims: int | None = None

    def __init__(self, dimension: int = 0) -> None:
        super().__init__()
        self.dimension = dimension

    def compute(self, input: Tensor) -> Any:
        dim = sample_dim(self.dimension, self.nInputDims, input)
        return self._reduced(input, dim, input.ndim == 1)

    def _reduced(self, input: Any, dim: int, keepdim: bool) -> Any:
        raise NotImplementedError


class Max(_Reduction):
    """The largest element along a dim."""

    def _reduced(self, input: Any, dim: int, keepdim: bool) -> Any:
        return input.max(dim, keepdim)[0]


class Min(_Reduction):
    """The smallest element along a dim."""

    def _reduced(self, input: Any, dim: int, keepdim: bool) -> Any:
        return input.min(dim, keepdim)[0]


class Sum(_Reduction):
    """The sum along a dim, or the mean if ``sizeAverage``."""

    sizeAverage = False

    def __init__(self, dimension: int = 0, sizeAverage: bool = False) -> None:
        super().__init__(dimension)
        self.sizeAverage = sizeAverage

    def _reduced(self, input: Any, dim: int, keepdim: bool) -> Any:
        return input.mean(dim, keepdim) if self.sizeAverage else input.sum(dim, keepdim)


class Mean(Sum):
    """The mean along a dim."""

    sizeAverage = True

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension, True)
