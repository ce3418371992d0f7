"""Operations on numbers of other kinds than floating point: the value they have, or an error that
names the operation; never zeros, parts cut off, or an error of NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from op_samples import every_sample, map_tensors, samples_of

from dtorch.core.creation import from_numpy
from dtorch.core.errors import ArgumentError
from dtorch.core.op import Op
from dtorch.core.ops.selection import SelectionOp

INTEGERS = ("bool", "uint8", "int8", "int16", "int32", "int64")

# What is written into integers, or limits them, becomes an integer, and so does a mean of elements
# that are scattered; interpolated bytes are rounded.
HOLDS_INTEGERS = {
    "hardtanh", "index_fill", "index_reduce", "interpolate", "masked_fill", "pad", "scatter", "scatter_reduce",
}  # fmt: skip
# Differences of bytes that are negative overflow, before they are used.
OVERFLOWS = {"l1_loss", "margin_ranking_loss", "pairwise_distance", "triplet_margin_loss"}
# Powers of integers to negative integers are rounded, and a difference of bool is their "xor".
DIFFERS = {("pow", 1), ("diff", 1)}


def numbers(array: Any, dtype: str) -> Any:
    """Small numbers of ``dtype`` in place of the float64 ones of a sample."""
    whole = np.round(np.nan_to_num(3 * array, posinf=9, neginf=-9))
    if dtype == "bool":
        return whole > 0
    if dtype == "uint8":
        return np.abs(whole)
    return whole + 1j * np.roll(whole, 1) if dtype.startswith("complex") else whole


def sample_of(op: Op, number: int, dtype: str, held_as: str) -> Any:
    """Sample ``number`` with numbers of ``dtype``, held in another dtype."""

    def convert(tensor: Any) -> Any:
        array = tensor.numpy()
        if array.dtype != np.float64:
            return tensor
        return from_numpy(np.asarray(numbers(array, dtype)).astype(dtype).astype(held_as))

    return map_tensors(convert, samples_of(op)[number])


def result_of(op: Op, sample: Any) -> list[np.ndarray]:
    args, kwargs = sample
    result = op.function(*args, **kwargs)
    found: list[np.ndarray] = []
    collected = tuple(result) if isinstance(result, tuple) else (result,)
    map_tensors(lambda tensor: found.append(tensor.numpy()), collected)
    return found


def equal(op: Op, got: np.ndarray, floats: np.ndarray) -> bool:
    if got.dtype == bool:
        floats = floats != 0
    elif got.dtype.kind in "iu" and floats.dtype.kind == "f":
        if (floats % 1 != 0).any() and op.name not in HOLDS_INTEGERS:
            return False
        low, high = (floats - 1, floats + 1) if op.name in HOLDS_INTEGERS else (floats, floats)
        wrapped = floats.astype(np.int64).astype(got.dtype)  # as integers overflow
        return bool(((got == wrapped) | (low <= got) & (got <= high)).all())
    return got.shape == floats.shape and np.allclose(got, floats, 2e-3, 2e-3, equal_nan=True)


def complaint_of(op: Op, sample: Any) -> str:
    try:
        result_of(op, sample)
    except Exception as error:  # noqa: BLE001 - each kind that is raised is looked at
        return str(error)
    return ""


def fault(op: Op, number: int, dtype: str) -> str:
    """What is wrong with the operation on numbers of ``dtype``, or nothing."""
    sample = sample_of(op, number, dtype, held_as=dtype)
    complaint = complaint_of(op, sample)
    if complaint:
        return "" if complaint.startswith(op.name) else complaint
    found = result_of(op, sample)
    try:
        expected = result_of(op, sample_of(op, number, dtype, held_as="float64"))
    except TypeError:
        return ""  # an operation on integers
    if isinstance(op, SelectionOp) or op.name == "median":
        found, expected = found[:1], expected[:1]  # of equal elements, any is found
    for got, floats in zip(found, expected, strict=True):
        if not equal(op, got, floats):
            return f"{got.dtype}: {got.ravel()[:6]}, expected {floats.ravel()[:6]}"
    return ""


def known(op: Op, number: int, dtype: str) -> bool:
    return (op.name in OVERFLOWS and dtype == "uint8") or (op.name, number) in DIFFERS


@every_sample()
def test_integers_give_the_value_of_floats_or_an_error_naming_the_operation(
    op: Op, number: int
) -> None:
    faults = {d: fault(op, number, d) for d in INTEGERS if not known(op, number, d)}
    assert not any(faults.values()), faults


@every_sample()
def test_complex_numbers_give_a_value_or_an_error_naming_the_operation(op: Op, number: int) -> None:
    complaint = complaint_of(op, sample_of(op, number, "complex128", held_as="complex128"))
    assert not complaint or complaint.startswith((op.name, "cholesky: the matrix is not positive"))


def test_a_factor_that_integers_cannot_hold_is_refused() -> None:
    ones = from_numpy(np.ones(3, np.int64))
    for call in (
        lambda: ones.add(ones, alpha=0.5),
        lambda: ones.sub_(ones, alpha=1.5),
        lambda: ones.addcmul(ones, ones, value=0.5),
        lambda: ones.index_add(0, ones, ones, alpha=0.5),
    ):
        with pytest.raises(ArgumentError, match="expected an int beside"):
            call()
    assert ones.tolist() == [1, 1, 1]
