"""Views: what they share, what they refuse."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dtorch
from dtorch.core.errors import ArgumentError, ShapeError

VIEWS: list[Any] = [
    lambda x: x.view(3, 4),
    lambda x: x.reshape(4, 3),
    lambda x: x.view(2, 6).t(),
    lambda x: x.view(2, 2, 3).permute(2, 0, 1),
    lambda x: x.view(2, 6).transpose(0, 1),
    lambda x: x.unsqueeze(0),
    lambda x: x.view(1, 12, 1).squeeze(),
    lambda x: x.view(1, 12).squeeze(0),
    lambda x: x.narrow(0, 2, 5),
    lambda x: x.view(3, 4).select(1, 2),
    lambda x: x.view(3, 4).diagonal(),
    lambda x: x.expand(2, 12),
    lambda x: x[2:9:3],
    lambda x: x.split(5)[1],
    lambda x: x.chunk(3)[2],
    lambda x: x.view(3, 4).unbind(1)[1],
    lambda x: x.flatten(),
    lambda x: x.view_as(dtorch.zeros(6, 2)),
    lambda x: x.expand_as(dtorch.zeros(3, 12)),
    lambda x: x.view(3, 4).T,
]


@pytest.mark.parametrize("take", VIEWS, ids=range(len(VIEWS)))
def test_view_shares_memory_counter_and_history(take: Any) -> None:
    leaf = dtorch.arange(12.0, requires_grad=True)
    x = leaf * 1
    view = take(x)
    assert view.untyped_storage() is x.untyped_storage()
    assert view._is_view()
    assert view._base is x
    assert view.requires_grad
    x.mul_(2)
    assert view._version == x._version == 1
    expected = np.arange(12.0) * 2
    assert set(view.detach().numpy().ravel().tolist()) <= set(expected.tolist())
    view.sum().backward()
    counts = np.zeros(12)
    for value in view.detach().numpy().ravel():
        counts[int(value) // 2] += 2
    np.testing.assert_array_equal(leaf.grad.numpy(), counts)


@pytest.mark.parametrize("take", VIEWS, ids=range(len(VIEWS)))
def test_view_under_no_grad_cannot_be_changed_with_history(take: Any) -> None:
    x = dtorch.arange(12.0, requires_grad=True) * 1
    with dtorch.no_grad():
        view = take(x)
    if 0 in view.stride():
        return
    with pytest.raises(RuntimeError, match=r"no_grad|several views"):
        view.mul_(2)
    assert x._version == 0


def test_view_needs_compatible_strides() -> None:
    x = dtorch.arange(6).view(2, 3).t()
    with pytest.raises(RuntimeError, match=r"strides \(1, 3\).*\(6,\).*reshape\(\)"):
        x.view(6)
    assert x.reshape(6).tolist() == [0, 3, 1, 4, 2, 5]
    assert not x.reshape(6)._is_view() or x.reshape(6)._base is not x
    assert x.contiguous().view(6).tolist() == [0, 3, 1, 4, 2, 5]


@settings(max_examples=100, deadline=None)
@given(
    st.permutations(range(3)), st.sampled_from([(24,), (2, 12), (4, 6), (2, 2, 6), (3, 8), (1, 24)])
)
def test_reshape_is_numpys(order: list[int], shape: tuple[int, ...]) -> None:
    array = np.arange(24).reshape(2, 3, 4).transpose(order)
    x = dtorch.arange(24).view(2, 3, 4).permute(*order)
    np.testing.assert_array_equal(x.reshape(shape).numpy(), array.reshape(shape))
    copied = not np.shares_memory(array.reshape(shape), array)
    if copied:
        with pytest.raises(ShapeError):
            x.view(shape)
    else:
        assert x.view(shape).tolist() == array.reshape(shape).tolist()


def test_shapes_and_dims_that_do_not_fit_are_named() -> None:
    x = dtorch.zeros(2, 3)
    for use, error, message in (
        (lambda: x.view(4), ShapeError, "6 elements"),
        (lambda: x.expand(3, 3), ShapeError, r"2 cannot become 3"),
        (lambda: x.expand(3), ShapeError, r"\(3,\).*\(2, 3\)"),
        (lambda: x.permute(0, 0), ArgumentError, "each of 2 dims once"),
        (lambda: x.narrow(0, 1, 2), IndexError, "within the 2"),
        (lambda: x.select(1, 3), IndexError, "3 is out of range"),
        (lambda: x.unsqueeze(4), IndexError, "-3 to 2"),
        (lambda: x.split([1, 2]), ShapeError, "add up to 2"),
        (lambda: x.chunk(0), ArgumentError, "at least 1"),
        (lambda: dtorch.zeros(1, 1, 1).t(), ShapeError, "at most 2"),
    ):
        with pytest.raises(error, match=message):
            use()


def test_pieces() -> None:
    x = dtorch.arange(7)
    assert [p.tolist() for p in x.split(3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [p.tolist() for p in x.split([2, 5])] == [[0, 1], [2, 3, 4, 5, 6]]
    assert [len(p) for p in x.chunk(4)] == [2, 2, 2, 1]
    assert [len(p) for p in x.chunk(5)] == [2, 2, 2, 1]
    assert dtorch.zeros(0).chunk(2)[0].shape == (0,)


def test_view_reads_the_same_memory_as_another_dtype() -> None:
    x = dtorch.tensor([1.0, -2.0])
    bits = x.view(dtorch.int32)
    assert bits.tolist() == [0x3F800000, -0x40000000]
    bits[0] = 0x40400000
    assert x[0] == 3.0
    assert x.view(dtorch.uint8).shape == (8,)
    assert x.view(dtorch.float64).shape == (1,)
    with pytest.raises(ShapeError, match="cannot be read as"):
        dtorch.ones(3).view(dtorch.float64)


def test_elements_of_a_view_begin_where_their_dtype_can_begin() -> None:
    x = dtorch.arange(18.0)
    assert x[2:4].view(dtorch.float64).storage_offset() == 1
    for part in (x[1:3], x[1:5].view(2, 2), x.view(2, 9)[:, :8]):
        with pytest.raises(ShapeError, match=r"view: .* cannot be read as dtorch\.float64"):
            part.view(dtorch.float64)
    with pytest.raises(ShapeError, match="cannot be read as"):
        x.double()[1:3].view(dtorch.complex128)
    assert x[1:2].view(dtorch.int16).shape == (2,)
