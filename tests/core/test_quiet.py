"""No warning of NumPy's escapes, whatever the numbers are (warnings are errors in all tests)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_samples import every_sample, map_tensors, samples_of

import dtorch
from dtorch.core.base import TensorBase
from dtorch.core.entry import entry
from dtorch.core.errors import DtorchError
from dtorch.core.op import Op

SPECIAL = np.array(
    [0.0, 1.0, np.inf, -0.0, -1.0, np.nan, 3e38, -np.inf, 88.8, 1e-45, -3e38, 65504, -104, 2.5]
)
DTYPES = [dtorch.float32, dtorch.bfloat16, dtorch.complex64]
INF, NAN = float("inf"), float("nan")


def special(shape: Any, dtype: Any, start: int = 0) -> Any:
    values = np.resize(np.roll(SPECIAL, start), tuple(shape)).astype(np.float32)
    return dtorch.from_numpy(values).to(dtype)


def quiet(function: Any, *args: Any, **kwargs: Any) -> Any:
    """What a function gives, None where it refuses; warnings are for pytest to see."""
    try:
        return function(*args, **kwargs)
    except (DtorchError, TypeError, ValueError, IndexError, RuntimeError, ArithmeticError):
        return None


def flat(result: Any) -> list[Any]:
    if isinstance(result, (list, tuple)):
        return [tensor for part in result for tensor in flat(part)]
    return [result]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@every_sample()
def test_operations_on_special_numbers_are_quiet(op: Op, number: int, dtype: Any) -> None:
    starts = iter(range(number, 10_000, 5))

    def replaced(tensor: Any) -> Any:
        if tensor.dtype is not dtorch.float32:
            return tensor
        return special(tensor.shape, dtype, next(starts)).requires_grad_()

    args, kwargs = map_tensors(replaced, samples_of(op, np.float32)[number])
    for out in flat(quiet(op.function, *args, **kwargs)):
        if isinstance(out, TensorBase) and out.requires_grad:  # type: ignore[attr-defined]
            grad = special(out._array.shape, out.dtype, 3)  # type: ignore[attr-defined]
            quiet(out.backward, grad, retain_graph=True)  # type: ignore[attr-defined]
    if op.inplace_function is not None and isinstance(args[0], TensorBase):
        quiet(op.inplace_function, args[0].detach().clone(), *args[1:], **kwargs)


@pytest.mark.parametrize(
    "bounds", [(INF,), (0.0, INF), (NAN, 1.0), (1e38, 1e38), (1e-320,), (1e300,)]
)
@pytest.mark.parametrize(
    "name",
    ["normal_", "uniform_", "exponential_", "cauchy_", "log_normal_", "geometric_", "random_",
     "bernoulli_", "fill_"],
)  # fmt: skip
def test_fillers_are_quiet(name: str, bounds: Any) -> None:
    for dtype in (dtorch.float32, dtorch.float64, dtorch.float16, dtorch.bfloat16):
        quiet(getattr(dtorch.empty(50, dtype=dtype), name), *bounds)


@pytest.mark.parametrize(
    "dtype", [None, dtorch.float16, dtorch.bfloat16, dtorch.int32, dtorch.uint8, dtorch.bool]
)
def test_makers_of_tensors_are_quiet(dtype: Any) -> None:
    values = [INF, NAN, 1e300]
    for make in (
        lambda: dtorch.tensor(values, dtype=dtype),
        lambda: dtorch.tensor(np.array(values), dtype=dtype),
        lambda: dtorch.as_tensor(values, dtype=dtype),
        lambda: dtorch.full((2,), NAN, dtype=dtype),
        lambda: dtorch.full_like(dtorch.ones(2), 1e300, dtype=dtype),
        lambda: dtorch.linspace(0, INF, 3, dtype=dtype),
        lambda: dtorch.logspace(0, 1e39, 3, dtype=dtype),
        lambda: dtorch.arange(0, 1e39, 1e38, dtype=dtype),
        lambda: dtorch.normal(1e39, 1e39, (3,), dtype=dtype),
        lambda: special((14,), dtorch.float64).to(dtype or dtorch.float16),
        lambda: special((14,), dtorch.float64).bernoulli(),
    ):
        quiet(make)


def test_settings_of_the_caller_are_restored_when_a_function_fails() -> None:
    @entry("failing")
    def failing() -> None:
        assert np.geterr()["over"] == "ignore"
        raise KeyError

    before = np.geterr()
    with pytest.raises(KeyError):
        failing()
    assert np.geterr() == before
