"""Tensors that make_tensor makes."""

from __future__ import annotations

import math
from typing import Any

import pytest

import dtorch
from dtorch.testing import make_tensor

INTEGERS = [dtorch.uint8, dtorch.int8, dtorch.int16, dtorch.int32, dtorch.int64]
FLOATS = [dtorch.float16, dtorch.bfloat16, dtorch.float32, dtorch.float64]
COMPLEX = [dtorch.complex64, dtorch.complex128]
every = pytest.mark.parametrize("dtype", [dtorch.bool, *INTEGERS, *FLOATS, *COMPLEX], ids=str)


@every
def test_numbers_lie_within_the_bounds(dtype: Any) -> None:
    made = make_tensor((50, 40), dtype=dtype, device="cpu")
    assert made.dtype is dtype
    assert made.shape == (50, 40)
    if dtype is dtorch.bool:
        assert 0 < int(made.sum()) < 2000
        return
    parts = made.real if dtype.is_complex else made
    assert -9 <= float(parts.min()) < -5 or dtype is dtorch.uint8
    assert 5 < float(parts.max()) <= 9
    narrow = make_tensor(50, 40, dtype=dtype, device="cpu", low=2, high=5)
    parts = narrow.imag if dtype.is_complex else narrow
    assert 2 <= float(parts.min()) <= float(parts.max()) <= 5


@every
def test_zeros_are_left_out_and_gaps_made_on_demand(dtype: Any) -> None:
    made = make_tensor(50, 4, dtype=dtype, device="cpu", exclude_zero=True, noncontiguous=True)
    assert not (made == 0).any()
    assert not made.is_contiguous()
    assert make_tensor((), dtype=dtype, device="cpu").shape == ()
    assert make_tensor((0, 3), dtype=dtype, device="cpu").shape == (0, 3)


@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX], ids=str)
def test_floating_tensors_take_a_gradient_and_infinite_bounds(dtype: Any) -> None:
    made = make_tensor(3, dtype=dtype, device="cpu", requires_grad=True)
    assert made.is_leaf
    assert made.requires_grad
    wide = make_tensor(100, dtype=dtype, device="cpu", low=-math.inf, high=math.inf)
    assert wide.isfinite().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": dtorch.int64, "requires_grad": True}, "not supported for boolean and integral"),
        ({"dtype": dtorch.float32, "low": 3, "high": 2}, "must be less than"),
        ({"dtype": dtorch.float32, "low": math.nan}, "cannot be NaN"),
        ({"dtype": dtorch.bool, "low": 2, "high": 5}, "only supports"),
        ({"dtype": dtorch.float32, "noncontiguous": True, "memory_format": 1}, "exclusive"),
    ],
    ids=str,
)
def test_what_cannot_be_made_is_refused(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_tensor(2, device="cpu", **options)
