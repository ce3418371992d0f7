"""Functions over tables of tensors."""

from __future__ import annotations

from typing import Any

import pytest

import dtorch
from dtorch.legacy.nn import utils


def table() -> Any:
    return [dtorch.ones(2), [dtorch.ones(3)]]


def test_tables_are_filled_added_copied_and_resized():
    filled = utils.recursiveFill(table(), 3)
    assert [filled[0].tolist(), filled[1][0].tolist()] == [[3, 3], [3, 3, 3]]
    total, _ = utils.recursiveAdd(table(), 2, filled)
    assert total[1][0].tolist() == [7, 7, 7]
    total, _ = utils.recursiveAdd(total, table())
    assert total[0].tolist() == [8, 8]
    copied, _ = utils.recursiveCopy([], total)
    assert copied[1][0].tolist() == [8, 8, 8]
    assert copied[1][0] is not total[1][0]
    sized, _ = utils.recursiveResizeAs(dtorch.ones(5), table())
    assert [sized[0].shape, sized[1][0].shape] == [(2,), (3,)]


def test_tables_are_converted_with_what_they_share():
    base = dtorch.arange(4.0)
    found = utils.recursiveType({"a": [base[1:]], "b": base}, dtorch.DoubleTensor)
    found["b"].fill_(9)
    assert found["a"][0].tolist() == [9, 9, 9]
    assert utils.recursiveType(base, "torch.FloatTensor") is base
    assert utils.recursiveType(dtorch.ones(1).long(), dtorch.FloatTensor).dtype is dtorch.float32


def test_views_are_made_in_a_tensor_or_a_new_one():
    base = dtorch.arange(6.0).view(2, 3)
    assert utils.addSingletondimension(base, 1).shape == (2, 1, 3)
    view = dtorch.Tensor()
    assert utils.addSingletondimension(view, base, 0) is view
    assert view.data_ptr() == base.data_ptr()
    assert utils.contiguousView(view, base.t(), 6).tolist() == [0, 3, 1, 4, 2, 5]
    assert utils.contiguousView(None, base, -1).data_ptr() == base.data_ptr()


def test_attributes_are_cleared():
    class Owner:
        pass

    owner: Any = Owner()
    owner.tensor, owner.list, owner.number = dtorch.ones(2), [1], 3
    assert utils.clear(owner, "tensor", "list", "number", "absent") is owner
    assert owner.tensor.numel() == 0
    assert (owner.list, owner.number) == ([], None)


def test_what_is_no_table_is_refused():
    with pytest.raises(TypeError, match="got str"):
        utils.recursiveFill("text", 1)
    with pytest.raises(TypeError, match="got int"):
        utils.recursiveResizeAs(dtorch.ones(1), 3)
    with pytest.raises(ValueError, match="same length"):
        utils.recursiveAdd(table(), 1, [dtorch.ones(2)])
