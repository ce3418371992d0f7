"""Which operations are cast, and to what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_samples import map_tensors, samples_of

import dtorch
from dtorch.amp import policies
from dtorch.core.base import TensorBase
from dtorch.core.op import REGISTRY, Op

bf16, f32 = dtorch.bfloat16, dtorch.float32


def dtypes(result: Any) -> set[Any]:
    if isinstance(result, (list, tuple)):
        return set().union(*map(dtypes, result))
    return {result.dtype} if isinstance(result, TensorBase) else set()


def called(name: str, given: Any) -> list[set[Any]]:
    """The dtypes of the results of every sample, from operands of dtype ``given``."""
    op = REGISTRY[name]
    found = []
    for number in range(len(samples_of(op, np.float32))):
        args, kwargs = map_tensors(
            lambda t: t.to(given) if t.dtype is f32 else t, samples_of(op, np.float32)[number]
        )
        if name == "pad" and kwargs.get("mode") not in ("reflect", "replicate"):
            continue
        with dtorch.autocast("cpu"):
            found.append(dtypes(op.function(*args, **kwargs)))
    return found


@pytest.mark.parametrize("name", policies.LOWER)
def test_sums_of_products_are_bfloat16(name: str) -> None:
    assert all(result == {bf16} for result in called(name, f32))


@pytest.mark.parametrize("name", [*policies.SINGLE, "pad"])
def test_operations_that_lose_digits_get_float32(name: str) -> None:
    for result in called(name, bf16):
        assert bf16 not in result


@pytest.mark.parametrize("name", [*policies.UNCHANGED, "exp", "layer_norm", "max_pool2d", "sum"])
def test_other_operations_compute_in_what_they_are_given(name: str) -> None:
    for given in (f32, bf16):
        assert all(result <= {given, dtorch.int64} for result in called(name, given))


@pytest.mark.parametrize(
    "name", ["einsum", "tensordot", "chain_matmul", "linalg_multi_dot", "affine_grid", "cov"]
)
def test_operations_made_of_products_are_cast_inside(name: str) -> None:
    assert {bf16} in called(name, f32)


def test_no_operation_has_two_policies() -> None:
    named = [*policies.LOWER, *policies.SINGLE, *policies.UNCHANGED]
    assert len(named) == len(set(named))


def test_operations_are_free_of_policies_outside_of_regions() -> None:
    def governed() -> list[Op]:
        return [op for op in policies.POLICIES if op.policy is not None]

    assert not governed()
    with dtorch.autocast("cpu"):
        assert len(governed()) == len(policies.POLICIES)
        with dtorch.autocast("cpu", enabled=False):
            pass
        assert governed()
    assert not governed()
    assert getattr(REGISTRY["matmul"].function, "shortcut", True)
