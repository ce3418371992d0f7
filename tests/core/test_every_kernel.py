"""Every kernel equals what it stands in for: the body of its operation, or a gradient formula."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from op_samples import arrays, differentiable, map_tensors, outputs, recorded, samples_of, scattered

from dtorch.autograd import grad
from dtorch.core import backend, functions  # noqa: F401 - fills the registry
from dtorch.core.creation import from_numpy
from dtorch.core.definition import Formula
from dtorch.core.dtype import bfloat16
from dtorch.core.elementwise import ElementwiseOp
from dtorch.core.half import widened
from dtorch.core.op import REGISTRY, Op

pytestmark = pytest.mark.skipif(not backend.has_kernels("cpu"), reason="kernels are compiled")

MANY = 2 * 32 * 1024  # elements that more than one thread works on
# Of single and double precision that of sums of some hundred numbers; else half a unit or two.
TOLERANCE = {
    np.dtype(np.float64): 1e-11,
    np.dtype(np.float32): 3e-5,
    np.dtype(np.float16): 2e-3,
    bfloat16.numpy: 1.6e-2,
}
WIDE = np.dtype(np.float64)


def every_kernel() -> list[Any]:
    return [pytest.param(op, id=op.name) for op in REGISTRY.values() if op.kernels]


def every_gradient_kernel() -> list[Any]:
    return [
        pytest.param(op, formula, id=f"{op.name}-{'-'.join(formula.args)}")
        for op in REGISTRY.values()
        for formula in {id(f): f for f in op.formulas.values()}.values()
        if formula.kernels
    ]


def cases(op: Op) -> Iterator[tuple[str, Any, Any]]:
    """Samples of all floating dtypes, of few and of many elements, in order and scattered."""
    for dtype in TOLERANCE:
        for many in (False, True):
            for number, sample in enumerate(samples_of(op, dtype, many)):
                if many and isinstance(op, ElementwiseOp):
                    sample = map_tensors(repeated, sample)
                for spread in (scattered, as_it_is):
                    args, kwargs = map_tensors(spread, sample)
                    yield f"{dtype}, sample {number}, {many=}, {spread.__name__}", args, kwargs


def as_it_is(tensor: Any) -> Any:
    return tensor


def repeated(tensor: Any) -> Any:
    """Many elements: the last dim repeated, which leaves operands fit to be broadcast."""
    array = tensor.numpy()
    if array.ndim == 0 or array.shape[-1] < 2:
        return tensor
    return from_numpy(np.tile(array, MANY // array.shape[-1]))


def elements(values: Any) -> int:
    """How many there are in arrays, which may be in lists."""
    if isinstance(values, (list, tuple)):
        return sum(elements(value) for value in values)
    return int(getattr(values, "size", 0))


def in_double(value: Any) -> Any:
    """Numbers in double precision; what are none stays."""
    if isinstance(value, list):
        return [in_double(v) for v in value]
    kind = getattr(getattr(value, "dtype", None), "kind", "")
    return np.asarray(value, WIDE) if kind in ("f", "V") else value


def expect_close(got: Any, expected: Any, name: str) -> None:
    for one, other in zip(got, expected, strict=True):
        assert (one is None) == (other is None), name
        if one is None:
            continue
        assert one.shape == other.shape, name
        bound = TOLERANCE.get(one.dtype, 0)
        size = float(np.max(np.abs(other), initial=0, where=np.isfinite(other))) if bound else 0
        np.testing.assert_allclose(
            np.asarray(one, other.dtype), other, rtol=bound, atol=bound * size + 1e-30, err_msg=name
        )


def as_tuple(result: Any) -> Any:
    return result if isinstance(result, (list, tuple)) else (result,)


@pytest.mark.parametrize("op", every_kernel())
def test_kernel_equals_the_body(op: Op) -> None:
    most = 0
    for name, args, kwargs in cases(op):
        bound = op.bind(args, kwargs)
        values = op.prepare(bound, op.unwrap(bound)[0])
        if op.widens(op.params, values):
            values = [widened(value) for value in values]
        found = op.kernels["cpu"](*operands_of_loop(op, values))
        if found is None:
            continue
        found = as_tuple(found)
        most = max(most, elements([*values, *found]))
        with np.errstate(all="ignore"):
            expected = as_tuple(op.run_body(np, [in_double(value) for value in values]))
        expect_close(found, expected, name)
    assert most >= MANY, f"no sample of {op.name} with many elements is for its kernel"


def operands_of_loop(op: Op, values: list[Any]) -> list[Any]:
    """A loop is for calls in which all that follows its operands is left as it is by default."""
    if getattr(op, "loop", None) is None:
        return values
    arity = len(op.tensors)
    return values[:arity] if values[arity:] == op.defaults[arity:] else values


@pytest.mark.parametrize(("op", "formula"), every_gradient_kernel())
def test_gradient_kernel_equals_the_formula(op: Op, formula: Formula) -> None:
    kernel, taken = formula.kernels["cpu"], []

    def noting(*values: Any) -> Any:
        found = kernel(*values)
        if found is not None:
            taken.append(elements([*values, found]))
        return found

    for name, args, kwargs in cases(op):
        before = len(taken)
        formula.kernels["cpu"] = noting
        try:
            found = gradients(op, args, kwargs)
            if len(taken) == before:
                continue
            del formula.kernels["cpu"]
            doubles = map_tensors(as_double, (args, kwargs))
            expected = gradients(op, *doubles)
        finally:
            formula.kernels["cpu"] = kernel
        expect_close(found, expected, name)
    assert max(taken) >= MANY, f"no sample of {op.name} with many elements is for the kernel"


def as_double(tensor: Any) -> Any:
    if not tensor.is_floating_point():
        return tensor
    made = from_numpy(tensor.numpy(force=True).astype(WIDE))
    made.is_constant = getattr(tensor, "is_constant", False)
    return made


def gradients(op: Op, args: Any, kwargs: Any) -> list[Any]:
    """Those of all inputs, for a gradient of the outputs without symmetry."""
    inputs = differentiable((args, kwargs))
    for tensor in inputs:
        tensor.requires_grad_()
    results = [output for output in outputs(op(*args, **kwargs)) if recorded(output)]
    upstream = [weights(result) for result in results]
    found = grad(results, inputs, upstream, allow_unused=True)
    return [None if g is None else arrays(g)[0] for g in found]


def weights(result: Any) -> Any:
    """Numbers that all dtypes hold."""
    count = math.prod(result.shape)
    numbers = (np.arange(count) * 7 % 29 - 14) / 8
    return from_numpy(numbers.reshape(tuple(result.shape)).astype(result.numpy(force=True).dtype))
