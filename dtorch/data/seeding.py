"""Random numbers in datasets: the same whatever number of workers draws them.

Before every sample the generators of dtorch, of ``random`` and of ``numpy.random`` are seeded, from
the epoch's base seed and the number of the sample's *stream*. That is the sample's index, with how
often it came in this epoch before. So what is drawn does not depend on which process fetches the
sample, what it fetched before, or how samples are put into batches.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import random
from collections.abc import Iterator
from typing import Any

import numpy as np

from dtorch.core.random import default_generator
from dtorch.data.mersenne import NumpyTwister, PythonTwister, python_twister

_MASK = (1 << 64) - 1
_ODD = 0x9E37_79B9_7F4A_7C15  # spreads neighbouring numbers (Knuth's multiplicative hash)
_NUMPY_TOO = 0xD1B5_4A32_D192_ED03  # other numbers for the second twister
_REPEAT_SHIFT = 56
_UNUSUAL = 1 << 55


class Streams:
    """Numbers the streams of an epoch's samples, in the order in which they are to be fetched.

    Args:
        size: length of the dataset, 0 if unknown.
    """

    def __init__(self, size: int) -> None:
        self._came = bytearray(size)
        self._unusual = _UNUSUAL

    def of(self, indices: Any) -> Any:
        """For a list of indices a list of streams, for one index one stream."""
        if isinstance(indices, list):
            return [self._of(index) for index in indices]
        return self._of(indices)

    def _of(self, index: Any) -> int:
        came = self._came
        try:
            place = operator.index(index)
            before = came[place]
        except (TypeError, IndexError):
            self._unusual += 1  # not a place in the dataset: its place in the epoch must do
            return self._unusual
        came[place] = (before + 1) & 0xFF
        return place % len(came) + (before << _REPEAT_SHIFT)


@functools.cache
def _twisters() -> tuple[PythonTwister, NumpyTwister]:
    """Made on first use, as finding out where they are takes a while."""
    return python_twister(), NumpyTwister()


def seed_sample(base_seed: int, stream: int) -> None:
    """Begin a sample."""
    python, numpy = _twisters()
    seed = (base_seed + (stream + 1) * _ODD) & _MASK
    default_generator.attach((seed, None))
    python.seed(seed)
    numpy.seed(seed ^ _NUMPY_TOO)


def seed_everything(seed: int) -> None:
    """Seed all three generators of this process, in their own ways."""
    default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed & 0xFFFF_FFFF)  # noqa: NPY002 - datasets use it, so it has to be seeded


@contextlib.contextmanager
def generators_kept() -> Iterator[None]:
    """After the block the generators go on as if nothing had been drawn or seeded in it."""
    python, numpy = _twisters()
    states = default_generator.detach(), python.get(), numpy.get()
    try:
        yield
    finally:
        default_generator.attach(states[0])
        python.set(states[1])
        numpy.set(states[2])
