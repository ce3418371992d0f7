"""Tensors of random numbers of every dtype."""

from __future__ import annotations

import math
import warnings
from typing import Any

from dtorch.core.creation import empty
from dtorch.core.dtype import as_dtype, complex64, finfo, float32, float64, iinfo
from dtorch.core.functions import complex as complex_of, repeat_interleave, where
from dtorch.core.random import randint
from dtorch.core.shapes import as_sizes
from dtorch.core.tensor import Tensor


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of numbers uniform in ``[low, high)``.

    Args:
        shape: its sizes, one by one or as one sequence.
        dtype: any. By default numbers are -9 to 9, whole ones of integers (0 to 9 of uint8); both
            parts of complex ones are drawn so.
        device: where it is to be.
        low, high: bounds, moved to those of the dtype if they are beyond.
        requires_grad: for floating-point and complex dtypes.
        noncontiguous: with gaps in memory; tensors of fewer than two elements have none.
        exclude_zero: 1, or the smallest positive number, in place of zeros.
        memory_format: order in memory.

    Raises:
        ValueError: bounds that are nan, leave nothing between, or lie outside of the dtype.

    Example:
        >>> import dtorch
        >>> t = make_tensor(2, 3, dtype=dtorch.float32, device="cpu", low=1, high=2)
        >>> t.shape, bool(((t >= 1) & (t <= 2)).all())
        (dtorch.Size([2, 3]), True)
    """
    kind = as_dtype(dtype)
    if requires_grad and kind.category < 2:
        raise ValueError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, got {kind}"
        )
    if noncontiguous and memory_format is not None:
        raise ValueError(
            "The parameters `noncontiguous` and `memory_format` are mutually exclusive, got "
            f"noncontiguous={noncontiguous} and memory_format={memory_format}"
        )
    sizes = as_sizes("make_tensor", shape)
    least, most = _bounds(kind, low, high)
    if kind.category < 2:
        result = randint(math.ceil(least), math.ceil(most), sizes, dtype=kind, device=device)
    elif kind.is_complex:
        part = float32 if kind is complex64 else float64
        parts = [_floating(sizes, part, device, least, most) for _ in range(2)]
        result = complex_of(*parts)
    else:
        result = _floating(sizes, kind, device, least, most)
    if noncontiguous and result.numel() > 1:
        result = repeat_interleave(result, 2, dim=-1)[..., ::2]
    elif memory_format is not None:
        result = result.contiguous(memory_format=memory_format)
    if exclude_zero:
        nonzero = 1 if kind.category < 2 else finfo(kind).tiny
        result.copy_(where(result == 0, result.new_tensor(nonzero), result))
    return result.requires_grad_() if requires_grad else result


def _floating(sizes: Any, kind: Any, device: Any, low: float, high: float) -> Any:
    result = empty(*sizes, dtype=kind, device=device)
    if low == high:
        return result.fill_(low)
    # The width may be more than the dtype holds.
    return result.uniform_(low / 2, high / 2).mul_(2)


def _bounds(kind: Any, low: float | None, high: float | None) -> tuple[float, float]:
    floating = kind.category >= 2
    lowest: float
    highest: float
    if kind.category == 0:
        lowest, highest, default_low, default_high = 0, 2, 0, 2
    elif floating:
        limits = finfo(kind)
        lowest, highest, default_low, default_high = limits.min, limits.max, -9, 9
    else:
        whole = iinfo(kind)
        lowest, highest = whole.min, whole.max + 1
        default_low, default_high = max(whole.min, -9), 10
    low = default_low if low is None else low
    high = default_high if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"`low` and `high` cannot be NaN, got low={low} and high={high}")
    if low == high and floating:
        warnings.warn(
            "Passing `low==high` to `make_tensor` for floating or complex types is deprecated; use "
            "`full`.",
            FutureWarning,
            stacklevel=3,
        )
    elif low >= high:
        raise ValueError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < lowest or low >= highest:
        raise ValueError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {kind} only "
            f"supports [{lowest}, {highest})"
        )
    return min(max(low, lowest), highest), min(max(high, lowest), highest)
