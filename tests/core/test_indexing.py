"""Indexing against NumPy: reading, writing, gradients, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as npst

import dtorch
from dtorch.core.errors import ArgumentError, DimensionError, DtypeError

shapes = npst.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)


@st.composite
def basic_index(draw: Any, shape: tuple[int, ...]) -> Any:
    """Ints, slices with positive steps, None and an ellipsis."""
    return draw(
        npst.basic_indices(shape, allow_newaxis=True).filter(
            lambda index: (
                not any(
                    isinstance(part, slice) and (part.step or 1) < 0
                    for part in (index if isinstance(index, tuple) else (index,))
                )
            )
        )
    )


@st.composite
def mixed_index(draw: Any, shape: tuple[int, ...]) -> Any:
    """A tuple with at least one array or mask among ints and slices."""
    parts: list[Any] = []
    dim = 0
    broadcast = draw(st.sampled_from([(), (1,), (2,), (2, 3)]))
    while dim < len(shape):
        size = shape[dim]
        kinds = ["slice", "end"] + (["int", "array", "list"] if size else []) + ["mask"]
        kind = draw(st.sampled_from(kinds))
        if kind == "end":
            break
        if kind == "slice":
            parts.append(slice(draw(st.integers(0, size)), None, draw(st.integers(1, 2))))
        elif kind == "int":
            parts.append(draw(st.integers(-size, size - 1)))
        elif kind == "mask":
            mask = draw(npst.arrays(bool, (size,)))
            if any(isinstance(p, np.ndarray) for p in parts):
                continue  # would have to broadcast with the others
            parts.append(mask)
            broadcast = (int(mask.sum()),)
        elif kind == "list":
            parts.append(draw(st.lists(st.integers(-size, size - 1), min_size=1, max_size=1)))
        else:
            side = draw(st.sampled_from([broadcast, broadcast and (1,)]))
            parts.append(draw(npst.arrays(np.int64, side, elements=st.integers(-size, size - 1))))
        dim += 1
    return tuple(parts)


def as_torch_like(index: Any) -> Any:
    """Arrays in an index as tensors."""
    if isinstance(index, tuple):
        return tuple(as_torch_like(part) for part in index)
    return dtorch.from_numpy(index) if isinstance(index, np.ndarray) else index


def ints_first(array: np.ndarray, index: tuple[Any, ...]) -> tuple[np.ndarray, tuple[Any, ...]]:
    """A view with the ints of a mixed index chosen, and what is left of the index: NumPy would move
    dims for an int that is apart from the arrays, PyTorch does not."""
    is_int = [np.ndim(part) == 0 and not isinstance(part, slice) for part in index]
    chosen = tuple(
        int(part) if one else slice(None) for part, one in zip(index, is_int, strict=True)
    )
    rest = tuple(part for part, one in zip(index, is_int, strict=True) if not one)
    return array[(*chosen, ...)], rest


def numbers(shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(np.prod(shape, dtype=int), dtype=np.float64).reshape(shape)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_basic_indices_read_views_and_write(data: Any) -> None:
    shape = data.draw(shapes)
    index = data.draw(basic_index(shape))
    array = numbers(shape)
    x = dtorch.from_numpy(array.copy())
    part = x[index]
    expected = array[index]
    assert tuple(part.shape) == np.shape(expected)
    np.testing.assert_array_equal(part.numpy(), expected)
    assert part.untyped_storage() is x.untyped_storage()
    x[index] = -1.0
    array[index] = -1.0
    np.testing.assert_array_equal(x.numpy(), array)
    if part.numel():
        assert (part == -1).all()


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_arrays_and_masks_read_copies_and_write(data: Any) -> None:
    shape = data.draw(npst.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=4))
    index = data.draw(mixed_index(shape))
    array = numbers(shape)
    x = dtorch.from_numpy(array.copy())
    selected, rest = ints_first(array, index)
    try:
        expected = selected[rest]
    except IndexError:
        with pytest.raises((IndexError, ValueError, RuntimeError)):
            x[as_torch_like(index)]
        return
    part = x[as_torch_like(index)]
    np.testing.assert_array_equal(part.numpy(), expected)
    assert tuple(part.shape) == expected.shape
    x[as_torch_like(index)] = -1.0
    selected[rest] = -1.0
    np.testing.assert_array_equal(x.numpy(), array)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_gradient_goes_back_to_where_elements_came_from(data: Any) -> None:
    shape = data.draw(npst.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    is_mixed = data.draw(st.booleans())
    index = data.draw(mixed_index(shape) if is_mixed else basic_index(shape))
    expected = np.zeros(shape)
    selected, rest = ints_first(expected, index) if is_mixed else (expected, index)
    try:
        picked = selected[rest]
    except IndexError:
        return
    weights = np.random.default_rng(0).normal(size=np.shape(picked))
    np.add.at(selected, rest, weights)
    x = dtorch.from_numpy(numbers(shape)).requires_grad_()
    (x[as_torch_like(index)] * dtorch.from_numpy(np.asarray(weights))).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), expected)


def test_kinds_of_indices() -> None:
    x = dtorch.arange(12).view(3, 4)
    assert x[1].tolist() == [4, 5, 6, 7]
    assert x[-1, -1].tolist() == 11
    assert x[..., 0].tolist() == [0, 4, 8]
    assert x[:, None].shape == (3, 1, 4)
    assert x[True].shape == (1, 3, 4)
    assert x[False].shape == (0, 3, 4)
    assert x[dtorch.tensor(1)].tolist() == [4, 5, 6, 7]
    assert x[np.int64(1), np.array(2)].tolist() == 6
    assert x[[0, 2]].tolist() == [[0, 1, 2, 3], [8, 9, 10, 11]]
    assert x[[0, 2], [1, 3]].tolist() == [1, 11]
    assert x[range(2)].shape == (2, 4)
    assert x[[]].shape == (0, 4)
    assert x[x > 9].tolist() == [10, 11]
    assert x[dtorch.tensor([True, False, True])].shape == (2, 4)
    assert x[dtorch.tensor([0, 0, 1], dtype=dtorch.uint8)].tolist() == [[8, 9, 10, 11]]
    assert x[dtorch.tensor([2, 0], dtype=dtorch.int32)].shape == (2, 4)
    assert x.view(2, 2, 3)[[0], :, [1]].shape == (1, 2)  # apart: their dim comes first


@pytest.mark.parametrize("step", [3, 2**31, 2**62, 2**63 - 1])
@pytest.mark.parametrize("start", [None, 0, 1, 4, 5, 2**63 - 1, -1, -(2**63)])
def test_steps_of_any_size_take_the_first_element(start: int | None, step: int) -> None:
    x, part = dtorch.arange(5), slice(start, None, step)
    expected = list(range(5))[part]
    assert x[part].tolist() == expected
    assert x[None, part].tolist() == [expected]
    assert x[..., part].tolist() == expected
    x[part] = 7
    assert x.tolist() == [7 if i in expected else i for i in range(5)]
    y = dtorch.arange(5.0, requires_grad=True)
    y[part].sum().backward()
    assert y.grad.tolist() == [float(i in expected) for i in range(5)]


def test_zero_dim_tensors() -> None:
    x = dtorch.tensor(3.0)
    assert x[()].item() == 3
    assert x[...].item() == 3
    assert x[None].shape == (1,)
    x[...] = 4
    x[()] += 1
    assert x.item() == 5
    with pytest.raises(IndexError, match=r"0 dimensions; item\(\)"):
        x[0]


@pytest.mark.parametrize(("index", "error", "message"), [
    (3, IndexError, r"3 is out of range.*size 3"),
    (-4, IndexError, r"-4 is out of range"),
    ((0, 4), IndexError, r"dimension 1 of size 4"),
    ((0, 0, 0), IndexError, r"3 indices.*2 dimensions"),
    (slice(None, None, -1), ValueError, r"step.*-1.*at least 1"),
    (slice(None, None, 0), ValueError, r"step"),
    (1.5, TypeError, r"float.*1.5.*integers"),
    (1.5, IndexError, r"float"),
    ({}, IndexError, r"dict"),
    ("a", TypeError, r"str"),
    ([0, 3], IndexError, r"size 3.*from 0 to 3"),
    ([0.5], IndexError, r"float64"),
    (slice(1.5, None), TypeError, r"slice indices must be.*float"),
])  # fmt: skip
def test_bad_indices_are_named(index: Any, error: type, message: str) -> None:
    x = dtorch.zeros(3, 4)
    with pytest.raises(error, match=message):
        x[index]
    with pytest.raises(error, match=message):
        x[index] = 1.0
    assert x._version == 0
    assert not x.numpy().any()


def test_bad_masks_and_index_tensors_are_named() -> None:
    x = dtorch.zeros(3, 4)
    with pytest.raises(DimensionError, match=r"mask of shape \(2,\).*\(3,\)"):
        x[dtorch.tensor([True, False])]
    with pytest.raises(DimensionError, match="float32"):
        x[dtorch.ones(2)]
    with pytest.raises((IndexError, ValueError), match=r"broadcast|shape"):
        x[dtorch.tensor([0, 1]), dtorch.tensor([0, 1, 2])]


def test_values_broadcast_and_convert() -> None:
    x = dtorch.zeros(2, 3, dtype=dtorch.int64)
    x[0] = dtorch.tensor([1.9, 2.9, 3.9])
    x[1] = 7
    assert x.tolist() == [[1, 2, 3], [7, 7, 7]]
    x[:, 1] = dtorch.tensor([5])
    x[x > 6] = dtorch.tensor(0)
    assert x.tolist() == [[1, 5, 3], [0, 5, 0]]
    x[0] = dtorch.ones(1, 1, 3)  # leading dims of size 1 are dropped
    x[1] = [4, 5, 6]
    x[[0, 1], [0, 0]] = np.array([8, 9])
    assert x.tolist() == [[8, 1, 1], [9, 5, 6]]


def test_repeated_places_keep_the_last_value() -> None:
    x = dtorch.zeros(3)
    x[[1, 1, 1]] = dtorch.tensor([1.0, 2.0, 3.0])
    assert x.tolist() == [0, 3, 0]


def test_value_of_a_wrong_shape_changes_nothing() -> None:
    x = dtorch.zeros(2, 3)
    for index in (0, slice(None), [0, 1], x == 0):
        with pytest.raises((ValueError, RuntimeError), match=r"shape|broadcast|input values"):
            x[index] = dtorch.ones(4)
    assert not x.numpy().any()
    assert x._version == 0


def test_an_int_beside_arrays_selects_first_and_moves_no_dim() -> None:
    x = dtorch.arange(24).reshape(2, 3, 4)
    columns = dtorch.tensor([0, 3])
    assert dtorch.equal(x[1, :, columns], x[1][:, columns])
    assert dtorch.equal(x[columns[:1], :, 2], x[:, :, 2][columns[:1]])
    mask = dtorch.tensor([True, False, True])
    assert dtorch.equal(x[1, mask, 1:], x[1][mask][:, 1:])
    assert x[0, None, :, columns].shape == (1, 3, 2)
    x[0, :, columns] = dtorch.tensor([[-1, -2], [-3, -4], [-5, -6]])
    assert x[0].tolist() == [[-1, 1, 2, -2], [-3, 5, 6, -4], [-5, 9, 10, -6]]
    y = dtorch.ones(2, 3, 4, requires_grad=True)
    y[0, :, columns].sum().backward()
    assert y.grad.sum((0, 1)).tolist() == [3, 0, 0, 3]


@pytest.mark.parametrize(
    "index", [0, slice(0, 2), [0, 1], dtorch.tensor([True, False, True])], ids=str
)
@pytest.mark.parametrize("value", ["a", None, [1, "b"]])
def test_only_numbers_can_be_assigned(value: object, index: Any) -> None:
    x = dtorch.zeros(3)
    with pytest.raises(TypeError, match=r"index assignment: .* cannot be elements of a tensor"):
        x[index] = value
    assert x.tolist() == [0, 0, 0]


@pytest.mark.parametrize("index", [slice(0, 1), [0], dtorch.tensor([True, False, False])], ids=str)
@pytest.mark.parametrize("kind", [list, np.array], ids=["list", "array"])
def test_numbers_that_the_dtype_does_not_hold_are_not_assigned(kind: Any, index: Any) -> None:
    x = dtorch.zeros(3, dtype=dtorch.uint8)
    with pytest.raises(
        ArgumentError, match=r"index assignment: 300 does not fit into dtorch\.uint8"
    ):
        x[index] = kind([300])
    with pytest.raises(DtypeError, match="index assignment: numbers are complex"):
        x[index] = kind([1 + 2j])
    x[index] = kind([7.5])
    assert x.tolist() == [7, 0, 0]
    truth = dtorch.zeros(3, dtype=dtorch.bool)
    truth[index] = kind([1j])
    assert truth.tolist() == [True, False, False]


def test_a_list_of_indices_is_taken_as_a_tuple_and_one_of_numbers_as_an_index() -> None:
    x = dtorch.arange(12).reshape(3, 4)
    rows, columns = dtorch.tensor([0, 1]), dtorch.tensor([1, 0])
    for index in ([[0, 1], [1, 0]], [rows, columns], [rows, [1, 0]]):
        assert x[index].tolist() == [1, 4]  # type: ignore[index]
    assert x[[slice(None), 1]].tolist() == [1, 5, 9]  # type: ignore[index]
    assert x[[2, 0]].tolist() == x.tolist()[2::-2]


def test_where_of_a_condition_alone_gives_places() -> None:
    rows, columns = dtorch.where(dtorch.tensor([[True, False], [True, True]]))
    assert (rows.tolist(), columns.tolist()) == ([0, 1, 1], [0, 0, 1])
    with pytest.raises(TypeError, match="other is missing"):
        dtorch.where(dtorch.tensor([True]), 1)


@pytest.mark.parametrize("join", [dtorch.cat, dtorch.stack])
def test_joining_needs_several_tensors(join: Any) -> None:
    with pytest.raises(TypeError, match="expected a list or tuple of them"):
        join(dtorch.ones(2, 2))
