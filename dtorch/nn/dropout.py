"""Dropout layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from dtorch.core import functions
from dtorch.core.ops.dropout import check_probability
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module


class _Dropout(Module):
    """Zeros at random in training, the identity in evaluation."""

    _function: ClassVar[Callable[..., Any]]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        check_probability(type(self).__name__, p)
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Any:
        return type(self)._function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Zeroes elements with probability ``p`` and scales the others by ``1 / (1 - p)``."""

    _function = staticmethod(functions.dropout)


class Dropout1d(_Dropout):
    """Zeroes whole channels of ``(N, C, L)``."""

    _function = staticmethod(functions.dropout1d)


class Dropout2d(_Dropout):
    """Zeroes whole channels of ``(N, C, H, W)``."""

    _function = staticmethod(functions.dropout2d)


class Dropout3d(_Dropout):
    """Zeroes whole channels of ``(N, C, D, H, W)``."""

    _function = staticmethod(functions.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1, for networks of `SELU`."""

    _function = staticmethod(functions.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels."""

    _function = staticmethod(functions.feature_alpha_dropout)
