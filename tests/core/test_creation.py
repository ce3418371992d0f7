"""Making tensors from data, from rules, from memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import ArgumentError, GradError, ShapeError


@pytest.mark.parametrize(("data", "dtype"), [
    (1, "int64"), (1.0, "float32"), (True, "bool"), (1j, "complex64"), ([1, 2.5], "float32"),
    ([True, 2], "int64"), (np.float64(1), "float64"), (np.zeros(2, np.int16), "int16"),
    ([np.float64(1.0)], "float64"), ([], "float32"),
])  # fmt: skip
def test_dtype_follows_from_the_data(data: Any, dtype: str) -> None:
    assert dtorch.tensor(data).dtype.name == dtype


def test_tensor_copies_and_as_tensor_shares() -> None:
    array = np.zeros(2)
    dtorch.tensor(array).fill_(1)
    assert array.tolist() == [0, 0]
    dtorch.as_tensor(array).fill_(1)
    assert array.tolist() == [1, 1]
    x = dtorch.ones(2)
    assert dtorch.as_tensor(x) is x
    assert dtorch.as_tensor(x, dtype=dtorch.int32).dtype is dtorch.int32
    assert dtorch.tensor([x[0], x[1] * 2]).tolist() == [1, 2]


def test_bad_data_is_named() -> None:
    with pytest.raises(ShapeError, match="different lengths"):
        dtorch.tensor([[1], [2, 3]])
    with pytest.raises(TypeError, match="elements"):
        dtorch.tensor("text")
    with pytest.raises(GradError, match="int64"):
        dtorch.tensor([1], requires_grad=True)


@pytest.mark.parametrize(("make", "expected"), [
    (lambda: dtorch.zeros(2), [0, 0]),
    (lambda: dtorch.ones((1, 2)), [[1, 1]]),
    (lambda: dtorch.full((2,), 7), [7, 7]),
    (lambda: dtorch.arange(3), [0, 1, 2]),
    (lambda: dtorch.arange(1, 4), [1, 2, 3]),
    (lambda: dtorch.arange(5, 0, -2), [5, 3, 1]),
    (lambda: dtorch.arange(0, 1, 0.25), [0, 0.25, 0.5, 0.75]),
    (lambda: dtorch.linspace(0, 1, 5), [0, 0.25, 0.5, 0.75, 1]),
    (lambda: dtorch.linspace(3, 3, 1), [3]),
    (lambda: dtorch.eye(2, 3), [[1, 0, 0], [0, 1, 0]]),
    (lambda: dtorch.zeros_like(dtorch.ones(2)), [0, 0]),
    (lambda: dtorch.ones_like(dtorch.zeros(2, dtype=dtorch.int8)), [1, 1]),
    (lambda: dtorch.full_like(dtorch.zeros(2), 3), [3, 3]),
    (lambda: dtorch.ones(1).new_zeros(2), [0, 0]),
    (lambda: dtorch.ones(1).new_tensor([4]), [4]),
    (lambda: dtorch.ones(1).new_full((2,), 5), [5, 5]),
])  # fmt: skip
def test_rules(make: Any, expected: Any) -> None:
    assert make().tolist() == expected


def test_dtypes_of_rules() -> None:
    assert dtorch.full((1,), 7).dtype is dtorch.int64
    assert dtorch.full((1,), True).dtype is dtorch.bool
    assert dtorch.arange(3.0).dtype is dtorch.float32
    assert dtorch.arange(3, dtype=dtorch.float64).dtype is dtorch.float64
    assert dtorch.ones(1, dtype=dtorch.int8).new_ones(1).dtype is dtorch.int8
    assert dtorch.empty(2, 3).shape == (2, 3)
    assert dtorch.empty_like(dtorch.ones(2), dtype=dtorch.int16).dtype is dtorch.int16


def test_out_and_requires_grad() -> None:
    out = dtorch.empty(0)
    assert dtorch.ones(3, out=out) is out
    assert out.tolist() == [1, 1, 1]
    assert dtorch.zeros(1, requires_grad=True).requires_grad


def test_impossible_rules_are_named() -> None:
    with pytest.raises(ArgumentError, match="no way from 0 to 3 in steps of -1"):
        dtorch.arange(0, 3, -1)
    with pytest.raises(ArgumentError, match="steps of 0"):
        dtorch.arange(0, 3, 0)
    with pytest.raises(ArgumentError, match="steps is -1"):
        dtorch.linspace(0, 1, -1)
    with pytest.raises(ArgumentError, match="sizes are -1"):
        dtorch.eye(-1)
    with pytest.raises((ValueError, RuntimeError), match="negative"):
        dtorch.zeros(-1)


def test_sizes_may_come_by_keyword() -> None:
    for make in (dtorch.zeros, dtorch.ones, dtorch.empty, dtorch.rand, dtorch.randn):
        assert make(size=(2, 3)).shape == (2, 3)
        with pytest.raises(TypeError, match="size"):
            make(2, size=(3,))
        with pytest.raises(TypeError, match="size"):
            make(size=2)
    assert dtorch.randint(5, size=(2, 3)).max() < 5
    assert dtorch.ones(1).new_zeros(size=(2,)).tolist() == [0, 0]
    assert dtorch.scalar_tensor(3).dtype is dtorch.float32
    assert dtorch.ones(1).new_empty_strided((2, 3), (1, 2)).stride() == (1, 2)
