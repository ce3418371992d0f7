"""Gradients of every operation that takes complex numbers, against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_samples import every_sample, map_tensors, samples_of

from dtorch.autograd import grad
from dtorch.core.base import REQUIRES_GRAD, TensorBase
from dtorch.core.creation import from_numpy
from dtorch.core.errors import DtypeError
from dtorch.core.generator import manual_seed
from dtorch.core.op import Op

STEP = 1e-6
# Singular vectors are determined but for a complex factor of size 1, which is not differentiable.
HAS_FREE_FACTORS = {"linalg_svd", "svd"}
FEW = 6  # elements of each operand that are looked at


def complex_samples(op: Op, number: int) -> tuple[Any, Any, list[Any]]:
    """A sample with complex numbers in place of real ones, and those."""
    rng = np.random.default_rng(7)
    leaves: list[Any] = []

    def complex_of(tensor: Any) -> Any:
        if not tensor.is_floating_point() or getattr(tensor, "is_constant", False):
            return tensor
        real = tensor.numpy()
        made = from_numpy(np.asarray(real + 1j * rng.uniform(-1, 1, real.shape), np.complex128))
        leaves.append(made.requires_grad_())
        return made

    args, kwargs = samples_of(op)[number]
    return map_tensors(complex_of, args), map_tensors(complex_of, kwargs), leaves


def recorded_outputs(result: Any) -> list[Any]:
    if isinstance(result, (list, tuple)):
        return [output for part in result for output in recorded_outputs(part)]
    is_recorded = isinstance(result, TensorBase) and result._mode == REQUIRES_GRAD
    return [result] if is_recorded else []


def weighted(outputs: list[Any]) -> Any:
    """A real number made of all parts of some outputs."""
    total: Any = 0
    for k, output in enumerate(outputs):
        weights = np.random.default_rng(k).uniform(0.5, 1.5, (2, *output.shape))
        parts = (output.real, output.imag) if output.is_complex() else (output,)
        for part, weight in zip(parts, weights, strict=False):
            total = total + (part * from_numpy(np.asarray(weight))).sum()
    return total


@every_sample(lambda op, number: op.name not in HAS_FREE_FACTORS)
def test_gradient_equals_finite_differences(op: Op, number: int) -> None:
    args, kwargs, leaves = complex_samples(op, number)
    if not leaves:
        pytest.skip("takes no floating-point numbers")

    def outputs() -> list[Any]:
        manual_seed(0)
        return recorded_outputs(op.function(*args, **kwargs))

    try:
        found = outputs()
    except DtypeError:
        pytest.skip("not defined for complex numbers")
    if not found:
        pytest.skip("no output is differentiable")
    gradients = grad(weighted(found), leaves, allow_unused=True)

    for leaf, gradient in zip(leaves, gradients, strict=True):
        array = leaf.detach().numpy()

        def value(place: Any, number: complex, array: Any = array) -> float:
            kept = array[place]
            array[place] = number
            total = float(weighted(outputs()).detach())
            array[place] = kept
            return total

        for place in list(np.ndindex(array.shape))[:FEW]:
            at = array[place]
            slopes = [value(place, at + d) - value(place, at - d) for d in (STEP, 1j * STEP)]
            expected = complex(*slopes) / (2 * STEP)
            actual = 0j if gradient is None else complex(gradient.detach().numpy()[place])
            assert abs(actual - expected) <= 1e-5 * (1 + abs(expected)), (place, actual, expected)
