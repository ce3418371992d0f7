"""Dtypes, their names, and how they combine."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core.dtype import ALL, as_dtype, from_numpy_dtype, promote_types
from dtorch.core.errors import DtypeError

# Result dtypes read off the reference implementation; "error" where the call raises.
TABLE = json.loads((Path(__file__).parent.parent / "data" / "promotion.json").read_text())
BINARY = {
    "add": dtorch.add, "div": dtorch.div, "eq": dtorch.eq, "pow": dtorch.pow,
    "floor_divide": dtorch.floor_divide, "fmod": dtorch.fmod,
}  # fmt: skip
NUMBERS = {"bool": True, "int": 2, "float": 2.0, "complex": 2j}
ARITHMETIC = {"add": dtorch.add, "mul": dtorch.mul, "div": dtorch.div}


def ones(name: str, dims: str = "dim") -> dtorch.Tensor:
    return dtorch.ones(*((2,) if dims == "dim" else ()), dtype=as_dtype(name))


def with_complex32(expected: dict[str, str], found: dict[str, str]) -> dict[str, str]:
    """The reference has a complex type of half precision, without most operations; here results
    are complex64."""
    half = {case for case, name in expected.items() if name == "complex32"}
    if not half:
        return expected
    ranks = {case.partition(" ")[2] for case in half}
    return {
        case: "complex64"
        if case.partition(" ")[2] in ranks and found[case] == "complex64"
        else name
        for case, name in expected.items()
    }


def outcome(call: Callable[[], Any]) -> str:
    """Name of the result's dtype, or "error"."""
    try:
        return str(call().dtype.name)
    except (TypeError, RuntimeError, ValueError, NotImplementedError):
        return "error"


@pytest.mark.parametrize("pair", TABLE["binary"])
def test_result_of_two_tensors(pair: str) -> None:
    a, b = pair.split(",")
    expected = TABLE["binary"][pair]
    found = {}
    for case in expected:
        name, _, dims = case.partition(" ")
        left, right = dims.split(",")
        found[case] = outcome(lambda: BINARY[name](ones(a, left), ones(b, right)))  # noqa: B023
    assert found == with_complex32(expected, found)


@pytest.mark.parametrize("dtype", TABLE["scalar_and_unary"])
def test_result_with_a_number_or_alone(dtype: str) -> None:
    expected = TABLE["scalar_and_unary"][dtype]
    found = {}
    for case in expected:
        name, _, number = case.partition(" ")
        if number:
            found[case] = outcome(lambda: ARITHMETIC[name](ones(dtype), NUMBERS[number]))  # noqa: B023
        else:
            found[case] = outcome(lambda: getattr(dtorch, name)(ones(dtype)))  # noqa: B023
    assert found == with_complex32(expected, found)


@pytest.mark.parametrize("case", TABLE["inplace_add"])
def test_in_place_result_must_be_castable(case: str) -> None:
    a, b = case.split("+=")
    target = ones(a)

    def change() -> Any:
        target.add_(ones(b))
        return target

    found = outcome(change)
    assert found == (a if TABLE["inplace_add"][case] == "ok" else "error")
    assert target._version == (0 if found == "error" else 1)


def test_names_and_attributes() -> None:
    assert repr(dtorch.float32) == "dtorch.float32"
    assert dtorch.float32.itemsize == 4
    assert dtorch.bfloat16.is_floating_point
    assert dtorch.complex64.is_complex
    assert not dtorch.complex64.is_floating_point
    assert [d.name for d in ALL if not d.is_signed] == ["uint8", "bool"]
    assert dtorch.half is dtorch.float16
    assert dtorch.long is dtorch.int64


@pytest.mark.parametrize("d", ALL, ids=lambda d: d.name)
def test_every_dtype_survives_pickle_copy_and_numpy(d: dtorch.dtype) -> None:
    assert pickle.loads(pickle.dumps(d)) is d
    assert copy.deepcopy(d) is d
    assert from_numpy_dtype(d.numpy) is d
    assert as_dtype(d.name) is d
    assert as_dtype("torch." + d.name) is d
    assert dtorch.zeros(1, dtype=d).dtype is d
    assert dtorch.zeros(1, dtype=d).element_size() == d.itemsize


def test_python_types_name_dtypes() -> None:
    assert [as_dtype(t) for t in (bool, int, float, complex)] == [
        dtorch.bool, dtorch.int64, dtorch.float64, dtorch.complex128
    ]  # fmt: skip
    assert as_dtype(np.float64) is dtorch.float64
    assert as_dtype(np.dtype("int16")) is dtorch.int16


@pytest.mark.parametrize("value", ["float31", object(), np.dtype("U1"), 3])
def test_unknown_dtypes_are_named(value: object) -> None:
    with pytest.raises(DtypeError, match="dtype"):
        as_dtype(value)


def test_promotion_is_commutative_and_idempotent() -> None:
    for a in ALL:
        assert promote_types(a, a) is a
        for b in ALL:
            assert promote_types(a, b) is promote_types(b, a)


def test_default_dtype_is_that_of_floats() -> None:
    try:
        dtorch.set_default_dtype(dtorch.float64)
        assert dtorch.get_default_dtype() is dtorch.float64
        assert dtorch.tensor(1.5).dtype is dtorch.float64
        assert dtorch.tensor(1j).dtype is dtorch.complex128
        assert dtorch.ones(1).dtype is dtorch.float64
        assert (dtorch.tensor([1]) / 2).dtype is dtorch.float64
        with pytest.raises(DtypeError, match=r"int64.*floating"):
            dtorch.set_default_dtype(dtorch.int64)
    finally:
        dtorch.set_default_dtype(dtorch.float32)


def test_conversions_truncate_toward_zero_and_wrap() -> None:
    assert dtorch.tensor([1.9, -1.9]).to(dtorch.int32).tolist() == [1, -1]
    assert dtorch.tensor([257]).to(dtorch.uint8).tolist() == [1]
    assert (dtorch.tensor([250], dtype=dtorch.uint8) + 10).tolist() == [4]
    assert dtorch.tensor([0.5, 0.0]).bool().tolist() == [True, False]
