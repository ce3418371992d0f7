"""Random numbers of the transforms: those of dtorch's default CPU generator.

Inside the worker processes of a data loader it is seeded for each worker and epoch.
"""

from __future__ import annotations

import math

from dtorch.core.generator import default_generator


def chance(p: float) -> bool:
    """True with probability ``p``."""
    return bool(default_generator.numpy.random() < p)


def uniform(low: float, high: float) -> float:
    """A number in ``[low, high)``."""
    return low + (high - low) * float(default_generator.numpy.random())


def log_uniform(low: float, high: float) -> float:
    """A number in ``[low, high)`` whose logarithm is uniform."""
    return math.exp(uniform(math.log(low), math.log(high)))


def integer(stop: int) -> int:
    """A whole number in ``[0, stop)``."""
    return int(default_generator.numpy.integers(stop))


def permutation(count: int) -> list[int]:
    """The numbers below ``count`` in random order."""
    return [int(number) for number in default_generator.numpy.permutation(count)]
