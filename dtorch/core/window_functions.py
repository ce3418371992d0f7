"""Windows: factors that let the ends of a part of a signal fade.

>>> import dtorch
>>> dtorch.hann_window(4).tolist()
[0.0, 0.5, 1.0, 0.5]
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core.coo import strided
from dtorch.core.creation import as_tensor
from dtorch.core.dtype import as_dtype, get_default_dtype
from dtorch.core.errors import ArgumentError, DtypeError, LayoutError
from dtorch.core.tensor import Tensor

__all__ = [
    "bartlett_window", "blackman_window", "hamming_window", "hann_window", "kaiser_window",
]  # fmt: skip


def _made(
    name: str, length: Any, periodic: bool, shape: Callable[[np.ndarray], np.ndarray],
    dtype: Any = None, layout: Any = strided, device: Any = None, pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """A window of which ``shape`` gives the factors at places from 0 to 1.

    Args:
        periodic: leave the last factor out, so that windows one after the other fit together.

    Raises:
        ArgumentError: a negative length.
        DtypeError: a dtype of whole numbers.
    """
    kind = get_default_dtype() if dtype is None else as_dtype(dtype)
    if layout is not strided:
        raise LayoutError(f"{name}: layout is {layout}, expected {strided}")
    if not (kind.is_floating_point or kind.is_complex):
        raise DtypeError(f"{name}: dtype is {kind}, expected a floating-point dtype")
    if length < 0:
        raise ArgumentError(f"{name}: window_length is {length}, expected at least 0")
    count = length + 1 if periodic and length > 1 else length
    factors = shape(np.arange(count) / (count - 1)) if length > 1 else np.ones(length)
    window = as_tensor(factors[:length].astype(kind.numpy))
    window = window if device is None else window.to(device)
    return window.requires_grad_() if requires_grad else window


def bartlett_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """Triangle, 0 at the ends.

    >>> bartlett_window(5, periodic=False)
    tensor([0.0000, 0.5000, 1.0000, 0.5000, 0.0000])
    """
    return _made(
        "bartlett_window", window_length, periodic, lambda x: 1 - np.abs(2 * x - 1), **options
    )


def hann_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """Arch of a cosine, 0 at the ends."""
    return _arch("hann_window", window_length, periodic, 0.5, 0.5, options)


def hamming_window(
    window_length: int, periodic: bool = True, alpha: float = 0.54, beta: float = 0.46,
    **options: Any,
) -> Tensor:  # fmt: skip
    """Arch ``alpha - beta * cos(x)``."""
    return _arch("hamming_window", window_length, periodic, alpha, beta, options)


def _arch(name: str, length: Any, periodic: bool, a: float, b: float, options: Any) -> Tensor:
    return _made(name, length, periodic, lambda x: a - b * np.cos(2 * math.pi * x), **options)


def blackman_window(window_length: int, periodic: bool = True, **options: Any) -> Tensor:
    """Arch of two cosines, 0 at the ends."""

    def arch(x: np.ndarray) -> np.ndarray:
        return 0.42 - 0.5 * np.cos(2 * math.pi * x) + 0.08 * np.cos(4 * math.pi * x)

    return _made("blackman_window", window_length, periodic, arch, **options)


def kaiser_window(
    window_length: int, periodic: bool = True, beta: float = 12.0, **options: Any
) -> Tensor:
    """Bessel functions; the larger ``beta``, the narrower."""

    def arch(x: np.ndarray) -> np.ndarray:
        return np.i0(beta * np.sqrt(np.maximum(0, 1 - (2 * x - 1) ** 2))) / np.i0(beta)

    return _made("kaiser_window", window_length, periodic, arch, **options)
