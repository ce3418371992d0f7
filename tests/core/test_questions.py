"""Questions about tensors and dtypes."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.core.errors import ShapeError


def test_tensors_and_storages_are_told_apart() -> None:
    x = dtorch.ones(2)
    assert dtorch.is_tensor(x)
    assert not dtorch.is_tensor(x.storage())
    assert dtorch.is_storage(x.storage())
    assert dtorch.is_storage(x.untyped_storage())
    assert not dtorch.is_storage(x.numpy())


def test_one_element_is_zero_or_not_and_more_are_neither() -> None:
    assert dtorch.is_nonzero(dtorch.tensor([2.0]))
    assert not dtorch.is_nonzero(dtorch.tensor(0))
    with pytest.raises(ShapeError, match="expected one element"):
        dtorch.is_nonzero(dtorch.ones(2))


def test_numbers_and_tensors_without_dims_count_for_less_than_those_with_dims() -> None:
    assert dtorch.result_type(dtorch.ones(2), 1.5) is dtorch.float32
    assert dtorch.result_type(dtorch.ones(2), dtorch.tensor(1.0, dtype=dtorch.float64)) is (
        dtorch.float32
    )
    assert dtorch.result_type(dtorch.ones(2, dtype=dtorch.int64), 1.5) is dtorch.float32


def test_a_dtype_is_not_written_into_a_lower_category() -> None:
    assert dtorch.can_cast(dtorch.float64, dtorch.float32)
    assert not dtorch.can_cast(dtorch.float32, dtorch.int64)


def test_elements_of_a_tensor_alone_are_counted() -> None:
    assert dtorch.numel(dtorch.ones(2, 3)) == 6
    with pytest.raises(TypeError, match="numel: got list"):
        dtorch.numel([1, 2])


def test_nothing_is_left_to_be_done_to_a_tensor() -> None:
    x = dtorch.ones(2, 3, dtype=dtorch.complex64)
    assert not any((dtorch.is_conj(x.conj()), dtorch.is_neg(-x), x.is_distributed()))
    assert x.resolve_conj() is dtorch.resolve_neg(x) is x
    assert x.dim_order() == (0, 1)
    assert x.t().dim_order() == (1, 0)


def test_an_assertion_may_be_a_call() -> None:
    dtorch._assert(True, "fine")
    with pytest.raises(AssertionError, match="width 3"):
        dtorch._assert(False, "width 3")


def test_a_subclass_shares_the_memory() -> None:
    class Own(dtorch.Tensor):
        pass

    x = dtorch.zeros(2)
    own = x.as_subclass(Own)
    own.fill_(1)
    assert isinstance(own, Own)
    assert x.tolist() == [1, 1]


def test_dims_are_added_at_the_ends() -> None:
    x = dtorch.ones(3)
    assert dtorch.atleast_1d(dtorch.tensor(1.0)).shape == (1,)
    assert dtorch.atleast_2d(x).shape == (1, 3)
    assert dtorch.atleast_3d(x).shape == (1, 3, 1)
    assert [tuple(t.shape) for t in dtorch.atleast_3d([x, dtorch.ones(2, 3)])] == [
        (1, 3, 1),
        (2, 3, 1),
    ]
    with pytest.raises(TypeError, match="expected tensors"):
        dtorch.atleast_1d(1)


def test_flat_places_are_places_in_all_dims() -> None:
    found = dtorch.unravel_index(dtorch.tensor([0, 5]), (2, 3))
    assert [part.tolist() for part in found] == [[0, 1], [0, 2]]
    with pytest.raises(ValueError, match="unravel_index"):
        dtorch.unravel_index(dtorch.tensor([6]), (2, 3))
