"""Lists of tensors are treated one by one."""

from __future__ import annotations

import pytest

import dtorch


def lists(result) -> list:
    return [tensor.tolist() for tensor in result]


@pytest.fixture
def pair():
    return [dtorch.tensor([1.0, 4.0]), dtorch.tensor([9.0])]


def test_one_operand_or_one_for_each(pair) -> None:
    assert lists(dtorch._foreach_add(pair, 1)) == [[2, 5], [10]]
    assert lists(dtorch._foreach_mul(pair, [2, 3])) == [[2, 8], [27]]
    assert lists(dtorch._foreach_sub(pair, pair, alpha=2)) == [[-1, -4], [-9]]
    assert lists(dtorch._foreach_sqrt(pair)) == [[1, 2], [3]]
    assert lists(dtorch._foreach_maximum(pair, 3)) == [[3, 4], [9]]
    assert lists(dtorch._foreach_pow(2, [dtorch.tensor([3.0])])) == [[8]]
    assert lists(dtorch._foreach_addcmul(pair, pair, pair, [1, 0.5])) == [[2, 20], [49.5]]
    assert lists(dtorch._foreach_addcdiv(pair, pair, pair, 2)) == [[3, 6], [11]]
    assert lists(dtorch._foreach_lerp(pair, pair, 0.5)) == [[1, 4], [9]]
    assert lists(dtorch._foreach_norm(pair, 1)) == [5, 9]
    assert lists(dtorch._foreach_max(pair)) == [4, 9]


def test_lists_are_changed_in_place(pair) -> None:
    first = pair[0]
    assert dtorch._foreach_add_(pair, pair) is pair
    dtorch._foreach_neg_(pair)
    dtorch._foreach_addcmul_(pair, pair, pair, 0)
    dtorch._foreach_clamp_min_(pair, -8)
    assert pair[0] is first
    assert lists(pair) == [[-2, -8], [-8]]
    dtorch._foreach_copy_(pair, [dtorch.ones(2), dtorch.ones(1)])
    dtorch._foreach_zero_(pair[1:])
    assert lists(pair) == [[1, 1], [0]]


def test_lists_of_different_lengths_are_refused(pair) -> None:
    with pytest.raises(ValueError, match="expected as many"):
        dtorch._foreach_add(pair, [1])
    with pytest.raises(ValueError, match="list of tensors"):
        dtorch._foreach_sqrt(pair[0])
    assert lists(pair) == [[1, 4], [9]]
