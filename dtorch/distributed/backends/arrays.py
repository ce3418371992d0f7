"""Arrays as transports move them: flat, as bytes, in parts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray

LINE_NBYTES = 64  # of a cache line


def describe(array: Array) -> str:
    """What ranks compare of an array: dtype and shape."""
    return f"{_name(array.dtype)} {array.shape}"


@cache
def _name(dtype: np.dtype[Any]) -> str:
    return dtype.name  # which NumPy puts together anew each time


@contextlib.contextmanager
def flat(array: Array, write: bool = True) -> Iterator[Array]:
    """The elements as a contiguous 1-D array; changes are written back if ``write``."""
    if array.flags.c_contiguous:
        yield array.reshape(-1)
        return
    copy = np.ascontiguousarray(array)
    yield copy.reshape(-1)
    if write:
        array[...] = copy


def as_bytes(flat: Array) -> Array:
    """A contiguous 1-D array as uint8."""
    return flat.view(np.uint8) if flat.size else np.empty(0, np.uint8)


def part_bounds(size: int, parts: int, itemsize: int) -> list[tuple[int, int]]:
    """Where the part of each rank begins and ends; at cache lines, so that none has two writers."""
    line = max(LINE_NBYTES // itemsize, 1)
    step = -(-size // (parts * line)) * line
    return list(pairwise(min(part * step, size) for part in range(parts + 1)))
