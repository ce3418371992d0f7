"""Two-byte floating-point numbers, float16 and bfloat16: for storage, not for arithmetic.

Sums of products and functions of such numbers are formed in float32 and rounded once, at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import compiled

SINGLE = np.dtype(np.float32)


@compiled
def convert(array: Array, dtype: Any) -> Any:
    """What ``array.astype`` gives."""
    return array.astype(dtype)


def is_half(array: Array) -> bool:
    """Whether a value is an array of float16 or bfloat16."""
    dtype = getattr(array, "dtype", None)
    return dtype is not None and dtype.itemsize == 2 and dtype.kind in "fV"


def widened(value: Any) -> Any:
    """An array of float16 or bfloat16, or those of a list, as float32; other values as they are."""
    if type(value) is list:
        return [widened(element) for element in value]
    return convert(value, SINGLE) if is_half(value) else value


def narrowed(result: Any, dtype: Any) -> Any:
    """What was computed in float32 as ``dtype``."""
    return convert(result, dtype) if getattr(result, "dtype", None) == SINGLE else result
