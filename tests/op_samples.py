"""Sample inputs of every operation, made anew for each test."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from dtorch.core import functions  # noqa: F401 - fills the registry
from dtorch.core.base import REQUIRES_GRAD, TensorBase
from dtorch.core.creation import from_numpy
from dtorch.core.op import Op, public_ops


class Maker:
    """Makes tensors for samples: ``make(2, 3, low=0.1)``; the same ones for the same seed.

    Args:
        many: make samples of so many elements that kernels hand them to threads.
    """

    def __init__(self, dtype: Any = np.float64, seed: int = 0, many: bool = False) -> None:
        self.dtype = np.dtype(dtype)
        self.many = many
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

    def size(self, few: int, many: int) -> int:
        """The size of a dim: ``few``, or ``many`` where samples of many elements are asked for."""
        return many if self.many else few

    def index(self, *shape: int, high: int) -> Any:
        """Whole numbers from 0 to ``high`` - 1."""
        return from_numpy(self.random.integers(0, high, shape))


def samples_of(
    op: Op, dtype: Any = np.float64, many: bool = False
) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """The samples of one operation, with inputs of ``dtype``."""
    assert op.make_samples is not None, f"operation {op.name} has no samples"
    return list(op.make_samples(Maker(dtype, many=many)))


def every_sample(applies: Callable[[Op, int], bool] = lambda op, number: True) -> Any:
    """Run a test for ``(op, number)``: every sample of every public operation it applies to."""
    parameters = [
        pytest.param(op, number, id=f"{op.name}-{number}")
        for op in public_ops().values()
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
        parts = [map_tensors(function, v) for v in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
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


def outputs(result: Any) -> list[Any]:
    """The tensors of a result, or its plain values as they are."""
    if isinstance(result, (list, tuple)):
        return [tensor for part in result for tensor in outputs(part)]
    return [result]


def arrays(result: Any) -> list[np.ndarray]:
    return [
        r.numpy(force=True) if isinstance(r, TensorBase) else np.asarray(r) for r in outputs(result)
    ]


def recorded(value: Any) -> bool:
    return isinstance(value, TensorBase) and value._mode == REQUIRES_GRAD


def scattered(tensor: Any) -> Any:
    """The same elements with gaps between them and the dims in reverse order of memory."""
    array = tensor.numpy()
    wide = np.zeros(tuple(2 * n for n in array.shape[::-1]), array.dtype).T
    part = wide[(*(slice(None, None, 2) for _ in array.shape), ...)]
    part[...] = array
    return from_numpy(part)
