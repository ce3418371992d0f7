"""Numbers beside integers that cannot hold them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import ArgumentError

INTEGERS = ["uint8", "int8", "int16", "int32", "int64"]
COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]
NUMBERS = [-19, -1, 0, 128, 256, 300, -129, 2**31, -(2**31) - 1, 2**63, -(2**63) - 1, 10**30]


def extremes(dtype: str) -> Any:
    limits = np.iinfo(dtype)
    return np.array([limits.min, 0, 1, 44, limits.max], dtype)


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("dtype", INTEGERS)
def test_comparison_with_a_number_is_that_of_the_numbers(dtype: str, comparison: str) -> None:
    array = extremes(dtype)
    x = dtorch.tensor(array)
    compare = getattr(operator, comparison)
    for number in NUMBERS:
        expected = [compare(element, number) for element in array.tolist()]
        assert compare(x, number).tolist() == expected
        assert getattr(dtorch, comparison)(x, number).tolist() == expected
        assert getattr(x, comparison)(number).tolist() == expected
        assert [compare(element, number).item() for element in x] == expected
        assert compare(number, x).tolist() == [compare(number, e) for e in array.tolist()]
        assert getattr(x.clone(), comparison + "_")(number).tolist() == [int(e) for e in expected]
        if abs(number) < 2**63:
            assert compare(x, dtorch.tensor(number)).tolist() == expected
            assert compare(x, dtorch.tensor([number])).tolist() == expected


@pytest.mark.parametrize("dtype", INTEGERS)
def test_no_number_beyond_its_dtype_is_in_a_tensor(dtype: str) -> None:
    x = dtorch.tensor(extremes(dtype))
    limits = np.iinfo(dtype)
    assert limits.max in x
    assert limits.max + 1 not in x
    assert limits.min - 1 not in x


def test_bool_is_compared_as_a_number() -> None:
    x = dtorch.tensor([False, True])
    assert (x == 2).tolist() == [False, False]
    assert (x < 2).tolist() == [True, True]
    assert (x >= -1).tolist() == [True, True]
    assert (x == dtorch.tensor(2)).tolist() == [False, False]


def test_integers_are_compared_with_fractions() -> None:
    x = dtorch.tensor([0, 1, 255], dtype=dtorch.uint8)
    assert (x < 255.5).tolist() == [True, True, True]
    assert (x > -0.5).tolist() == [True, True, True]
    assert (x == 0.5).tolist() == [False, False, False]
    assert (x < float("inf")).tolist() == [True, True, True]


@pytest.mark.parametrize("dtype", INTEGERS)
def test_bounds_that_every_element_keeps_change_nothing(dtype: str) -> None:
    x = dtorch.tensor(extremes(dtype))
    limits = np.iinfo(dtype)
    low, high = limits.min - 19, limits.max + 1
    for same in (
        x.clamp(min=low),
        x.clamp(max=high),
        x.clamp(low, high),
        x.clone().clamp_(low, high),
    ):
        assert same.dtype == x.dtype
        assert same.tolist() == x.tolist()
    if dtype != "int64":
        assert dtorch.maximum(x, dtorch.tensor(low)).tolist() == x.tolist()
        assert dtorch.minimum(x, dtorch.tensor(high)).tolist() == x.tolist()
        assert dtorch.fmax(x, dtorch.tensor(low)).tolist() == x.tolist()
        assert dtorch.fmin(x, dtorch.tensor(high)).tolist() == x.tolist()


@pytest.mark.parametrize(
    "write",
    [
        lambda x, number: x.clamp(min=number),
        lambda x, number: dtorch.maximum(x, dtorch.tensor(number)),
        lambda x, number: dtorch.where(x > 0, x, number),
        lambda x, number: dtorch.where(x > 0, number, x),
        lambda x, number: x.masked_fill(x > 0, number),
        lambda x, number: x.clone().fill_(number),
        lambda x, number: x.index_fill(0, dtorch.tensor([0]), number),
        lambda x, number: x.scatter(0, dtorch.tensor([0]), number),
        lambda x, number: operator.setitem(x, 0, number),
        lambda x, number: operator.setitem(x, x > 0, number),
        lambda x, number: operator.setitem(x, [0, 1], [number, 0]),
        lambda x, number: dtorch.nn.functional.pad(x, (1, 0), value=number),
        lambda x, number: dtorch.full((2,), number, dtype=x.dtype),
        lambda x, number: dtorch.full_like(x, number),
        lambda x, number: x.new_full((2,), number),
        lambda x, number: dtorch.tensor([1, number], dtype=x.dtype),
    ],
)
@pytest.mark.parametrize(("dtype", "number"), [("uint8", 300), ("int8", 128), ("int16", 2**31)])
def test_writing_a_number_that_does_not_fit_is_refused(write: Any, dtype: str, number: int) -> None:
    x = dtorch.tensor(extremes(dtype))
    with pytest.raises(ArgumentError, match=rf"{number}.*{dtype}"):
        write(x, number)
    assert x.tolist() == extremes(dtype).tolist()


@pytest.mark.parametrize("number", [float("inf"), float("nan"), 1e10])
def test_writing_a_fraction_that_does_not_fit_is_refused(number: float) -> None:
    x = dtorch.zeros(2, dtype=dtorch.uint8)
    with pytest.raises(ArgumentError, match=r"fill_.*uint8"):
        x.fill_(number)
    with pytest.raises(ArgumentError, match=r"tensor.*uint8"):
        dtorch.tensor([number], dtype=dtorch.uint8)


def test_negative_numbers_count_from_the_end_of_unsigned_ones() -> None:
    x = dtorch.zeros(1, dtype=dtorch.uint8)
    assert x.fill_(-1).tolist() == [255]
    assert dtorch.full((1,), -19, dtype=dtorch.uint8).tolist() == [237]
    assert dtorch.tensor([-1], dtype=dtorch.uint8).tolist() == [255]
    assert dtorch.full_like(x, 2.9).tolist() == [2]


def test_arithmetic_wraps_as_in_numpy_and_pytorch() -> None:
    x = dtorch.tensor([1, 255], dtype=dtorch.uint8)
    assert (x + 1).tolist() == [2, 0]
    assert (x + 256).tolist() == [1, 255]
    assert (x * -1).tolist() == [255, 1]


def test_negative_powers_of_integers_are_refused_whatever_their_dtype() -> None:
    for dtype in INTEGERS:
        with pytest.raises(ArgumentError, match="negative integer power -1"):
            dtorch.tensor(extremes(dtype)) ** -1
    assert (2 ** dtorch.tensor([0, 3], dtype=dtorch.uint8)).tolist() == [1, 8]
