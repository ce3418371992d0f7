"""Dropout layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from dtorch.core import functions
from dtorch.core.ops.dropout import check_probability
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module

__all__ = ["AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"]


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
    """Zeroes elements with probability ``p`` and scales the others by ``1 / (1 - p)``.

    Args:
        p: probability of zero, 0 to 1.
        inplace: write the result over the input.

    Shape: any; the output has that of the input.

    Raises:
        ValueError: ``p`` is not from 0 to 1.

    Reference: Hinton et al. 2012, arXiv:1207.0580.

    Example:
        >>> import dtorch
        >>> layer = Dropout(0.5)
        >>> sorted(set(layer(dtorch.ones(1000)).tolist()))
        [0.0, 2.0]
        >>> layer.eval()(dtorch.ones(2)).tolist()
        [1.0, 1.0]
    """

    _function = staticmethod(functions.dropout)


class Dropout1d(_Dropout):
    """Zeroes whole channels of ``(N, C, L)``.

    Arguments and errors are those of `Dropout`.

    Reference: Tompson et al. 2014, arXiv:1411.4280.

    Example:
        >>> import dtorch
        >>> out = Dropout1d(0.5)(dtorch.ones(4, 2, 5)).flatten(2)
        >>> bool((out == out[:, :, :1]).all())
        True
    """

    _function = staticmethod(functions.dropout1d)


class Dropout2d(_Dropout):
    """Zeroes whole channels of ``(N, C, H, W)``.

    Arguments and errors are those of `Dropout`.

    Reference: Tompson et al. 2014, arXiv:1411.4280.

    Example:
        >>> import dtorch
        >>> out = Dropout2d(0.5)(dtorch.ones(4, 2, 5, 5)).flatten(2)
        >>> bool((out == out[:, :, :1]).all())
        True
    """

    _function = staticmethod(functions.dropout2d)


class Dropout3d(_Dropout):
    """Zeroes whole channels of ``(N, C, D, H, W)``.

    Arguments and errors are those of `Dropout`.

    Reference: Tompson et al. 2014, arXiv:1411.4280.

    Example:
        >>> import dtorch
        >>> out = Dropout3d(0.5)(dtorch.ones(4, 2, 5, 5, 5)).flatten(2)
        >>> bool((out == out[:, :, :1]).all())
        True
    """

    _function = staticmethod(functions.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1, for networks of `SELU`.

    Arguments and errors are those of `Dropout`.

    Reference: Klambauer et al. 2017, arXiv:1706.02515.

    Example:
        >>> import dtorch
        >>> tuple(AlphaDropout(0.25)(dtorch.ones(2, 3)).shape)
        (2, 3)
    """

    _function = staticmethod(functions.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels.

    Arguments and errors are those of `Dropout`.

    Example:
        >>> import dtorch
        >>> out = FeatureAlphaDropout(0.5)(dtorch.ones(4, 2, 5))
        >>> bool((out == out[:, :, :1]).all())
        True
    """

    _function = staticmethod(functions.feature_alpha_dropout)
