"""In-place changes of sizes and order of dims, and views by strides."""

from __future__ import annotations

from typing import Any

import pytest

import dtorch
from dtorch.core.errors import ArgumentError, GradError, ShapeError


@pytest.mark.parametrize(
    ("name", "args", "shape"),
    [
        ("unsqueeze_", (0,), (1, 2, 1, 3)),
        ("squeeze_", (), (2, 3)),
        ("squeeze_", (1,), (2, 3)),
        ("transpose_", (0, 2), (3, 1, 2)),
        ("swapaxes_", (0, 1), (1, 2, 3)),
    ],
)
def test_tensor_itself_changes_and_shares_its_memory(name: str, args: Any, shape: Any) -> None:
    x = dtorch.arange(6.0).reshape(2, 1, 3)
    start = x.data_ptr()
    assert getattr(x, name)(*args) is x
    assert tuple(x.shape) == shape
    assert x.data_ptr() == start


def test_transpose_in_place_keeps_the_history() -> None:
    x = dtorch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x * 2
    y.t_()
    (y * dtorch.tensor([[1.0, 10.0], [100.0, 1000.0]])).sum().backward()
    assert x.grad.tolist() == [[2, 200], [20, 2000]]


def test_views_taken_before_still_follow_changes_of_the_tensor() -> None:
    x = dtorch.ones(2, 2, requires_grad=True)
    y = x * 1
    row = y[0]
    y.t_()
    y.mul_(3)
    assert row.tolist() == [3, 3]
    row.sum().backward()
    assert x.grad.tolist() == [[3, 3], [0, 0]]


def test_changes_through_the_tensor_reach_its_former_self() -> None:
    y = dtorch.ones(2, 2, requires_grad=True) * 1
    y.unsqueeze_(0)
    y[0, 0, 0] = 5
    y.sum().backward()
    assert y.tolist() == [[[5, 1], [1, 1]]]


def test_leaf_that_requires_grad_is_refused() -> None:
    with pytest.raises(GradError, match=r"unsqueeze_.*leaf"):
        dtorch.ones(2, requires_grad=True).unsqueeze_(0)
    with pytest.raises(ShapeError, match="at most 2"):
        dtorch.ones(1, 2, 3).t_()


def test_unfold_views_all_windows() -> None:
    x = dtorch.arange(7.0)
    windows = x.unfold(0, 3, 2)
    assert windows.tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    x[2] = 9
    assert windows[1, 0] == 9
    assert dtorch.tensor(3.0).unfold(0, 1, 1).tolist() == [3]
    with pytest.raises(ArgumentError, match="windows of 9 in steps of 1"):
        x.unfold(0, 9, 1)


def test_as_strided_reaches_all_of_the_storage_but_no_further() -> None:
    x = dtorch.arange(6.0).reshape(2, 3)
    assert x[1].as_strided((2,), (1,), 0).tolist() == [0, 1]
    assert x[1].as_strided((2,), (1,)).tolist() == [3, 4]
    x.as_strided((3,), (2,)).fill_(7)
    assert x.tolist() == [[7, 1, 7], [3, 7, 5]]
    with pytest.raises(ShapeError, match="storage of 24 bytes"):
        x.as_strided((4,), (2,))


def test_gradient_of_overlapping_strides_adds_up() -> None:
    x = dtorch.arange(4.0, requires_grad=True)
    x.as_strided((3, 2), (1, 1)).sum().backward()
    assert x.grad.tolist() == [1, 2, 2, 1]


def test_diagonal_is_a_view() -> None:
    x = dtorch.zeros(2, 3)
    x.diagonal(1).fill_(4)
    assert x.tolist() == [[0, 4, 0], [0, 0, 4]]
    x.fill_diagonal_(1)
    assert x.tolist() == [[1, 4, 0], [0, 1, 4]]
    assert dtorch.zeros(3, 1).fill_diagonal_(2, wrap=True).tolist() == [[2], [0], [2]]
