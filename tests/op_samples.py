"""Sample inputs of every operation, made anew for each test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dtorch.core import functions  # noqa: F401 - fills the registry
from dtorch.core.base import TensorBase
from dtorch.core.creation import from_numpy
from dtorch.core.op import REGISTRY, Op


class Maker:
    """Makes tensors for samples: ``make(2, 3, low=0.1)``; the same ones for the same seed."""

    def __init__(self, dtype: Any = np.float64, seed: int = 0) -> None:
        self.dtype = np.dtype(dtype)
        self.random = np.random.default_rng(seed)

    def __call__(self, *shape: int, low: float = -1.0, high: float = 1.0) -> Any:
        """Numbers between ``low`` and ``high`` that are pairwise different and not near 0."""
        count = int(np.prod(shape, dtype=int))
        values = low + (high - low) * (np.arange(count) + 0.5) / max(count, 1)
        values += self.random.uniform(-0.2, 0.2, count) * (high - low) / max(count, 1)
        self.random.shuffle(values)
        return from_numpy(values.reshape(shape).astype(self.dtype))

    def constant(self, *shape: int, low: float = -1.0, high: float = 1.0) -> Any:
        """Like a call; the test does not differentiate with respect to it."""
        result = self(*shape, low=low, high=high)
        result.is_constant = True
        return result

    def index(self, *shape: int, high: int) -> Any:
        """Whole numbers from 0 to ``high`` - 1."""
        return from_numpy(self.random.integers(0, high, shape))


def samples_of(op: Op, dtype: Any = np.float64) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The samples of one operation, with inputs of ``dtype``."""
    assert op.make_samples is not None, f"operation {op.name} has no samples"
    return list(op.make_samples(Maker(dtype)))


def every_sample(applies: Callable[[Op, int], bool] = lambda op, number: True) -> Any:
    """Run a test for ``(op, number)``: every sample of every public operation it applies to."""
    parameters = [
        pytest.param(op, number, id=f"{op.name}-{number}")
        for op in REGISTRY.values()
        if op.make_samples is not None
        for number in range(len(samples_of(op)))
        if applies(op, number)
    ]
    return pytest.mark.parametrize(("op", "number"), parameters)


def map_tensors(function: Any, value: Any) -> Any:
    """Apply ``function`` to every tensor in nested lists, tuples and dicts."""
    if isinstance(value, TensorBase):
        return function(value)
    if isinstance(value, (list, tuple)):
        return type(value)(map_tensors(function, v) for v in value)
    if isinstance(value, dict):
        return {k: map_tensors(function, v) for k, v in value.items()}
    return value


def differentiable(value: Any) -> list[Any]:
    """The tensors in ``value`` with respect to which a test differentiates."""
    found: list[Any] = []

    def collect(tensor: Any) -> Any:
        if tensor.is_floating_point() and not getattr(tensor, "is_constant", False):
            found.append(tensor)
        return tensor

    map_tensors(collect, value)
    return found
