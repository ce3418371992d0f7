"""What a tensor is and how it turns into other things."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import DtypeError, GradError, ShapeError


def test_attributes() -> None:
    x = dtorch.zeros(2, 3, dtype=dtorch.float64)
    assert (x.ndim, x.dim(), x.ndimension()) == (2, 2, 2)
    assert (x.numel(), x.nelement(), x.nbytes, x.itemsize, x.element_size()) == (6, 6, 48, 8, 8)
    assert (x.size(), x.size(0), x.size(-1)) == ((2, 3), 2, 3)
    assert (x.stride(), x.stride(1), x.t().stride()) == ((3, 1), 1, (1, 3))
    assert x.is_contiguous()
    assert not x.t().is_contiguous()
    assert x.is_floating_point()
    assert not x.is_complex()
    assert x.is_signed()
    assert x.is_same_size(dtorch.ones(2, 3))
    with pytest.raises(IndexError, match=r"size: dim 2.*-2 to 1"):
        x.size(2)
    with pytest.raises(IndexError):
        dtorch.tensor(1.0).size(0)


# -- numbers ------------------------------------------------------------------------------------------


def test_one_element_is_a_number() -> None:
    x = dtorch.tensor([2.5])
    assert (x.item(), float(x), int(x), complex(x), bool(x)) == (2.5, 2.5, 2, 2.5 + 0j, True)
    assert [10, 20, 30][dtorch.tensor(1)] == 20
    assert dtorch.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert dtorch.tensor(1.5, dtype=dtorch.bfloat16).item() == 1.5
    assert dtorch.tensor([1.5], dtype=dtorch.bfloat16).tolist() == [1.5]


@pytest.mark.parametrize("use", [float, int, bool, lambda t: t.item()])
def test_several_elements_are_no_number(use: Any) -> None:
    for x in (dtorch.zeros(2), dtorch.zeros(0)):
        with pytest.raises(RuntimeError, match=r"\((2|0),\)"):
            use(x)


def test_only_whole_numbers_index() -> None:
    with pytest.raises(TypeError, match="integer"):
        [1, 2][dtorch.tensor(1.0)]


def test_sequence_protocol() -> None:
    x = dtorch.arange(6).view(3, 2)
    assert len(x) == 3
    assert [row.tolist() for row in x] == [[0, 1], [2, 3], [4, 5]]
    assert 5 in x
    assert 7 not in x
    assert dtorch.tensor(3) in x
    for use in (len, iter):
        with pytest.raises(TypeError, match="0-dim"):
            use(dtorch.tensor(1))


def test_tensors_are_hashed_by_identity_and_compared_by_element() -> None:
    x, y = dtorch.ones(2), dtorch.ones(2)
    assert len({x, y, x}) == 2
    assert (x == y).tolist() == [True, True]
    assert (x != y).tolist() == [False, False]


# -- NumPy --------------------------------------------------------------------------------------------------


def test_numpy_shares_memory_both_ways() -> None:
    array = np.zeros(3)
    x = dtorch.from_numpy(array)
    x.add_(1)
    array[0] = 5
    assert array.tolist() == x.tolist() == [5, 1, 1]
    assert np.shares_memory(x.numpy(), array)
    assert np.asarray(x) is not None
    assert np.array(x, dtype=np.float32).dtype == np.float32


def test_numpy_of_a_tensor_with_history_must_be_asked_for() -> None:
    x = dtorch.ones(2, requires_grad=True)
    with pytest.raises(GradError, match=r"detach\(\)\.numpy\(\)"):
        x.numpy()
    assert x.numpy(force=True).tolist() == [1, 1]


def test_arrays_that_cannot_be_tensors_are_named() -> None:
    with pytest.raises(ValueError, match="negative strides"):
        dtorch.from_numpy(np.arange(3)[::-1])
    with pytest.raises(ValueError, match="byte order"):
        dtorch.from_numpy(np.arange(3, dtype=">i4"))
    with pytest.raises(TypeError, match="list"):
        dtorch.from_numpy([1, 2])
    with pytest.raises(TypeError, match="U1"):
        dtorch.from_numpy(np.array(["a"]))


def test_operators_with_arrays_give_tensors() -> None:
    x = dtorch.ones(2, dtype=dtorch.float64)
    for result in (x * np.full(2, 3.0), np.full(2, 3.0) * x, np.float64(3.0) * x):
        assert isinstance(result, dtorch.Tensor)
        assert result.tolist() == [3, 3]


# -- autograd fields -------------------------------------------------------------------------------------------


def test_data_is_plain_and_unnoticed() -> None:
    x = dtorch.ones(2, requires_grad=True)
    plain = x.data
    assert not plain.requires_grad
    assert plain.data_ptr() == x.data_ptr()
    plain.mul_(3)
    assert x.tolist() == [3, 3]
    assert x._version == 0


def test_data_can_be_replaced() -> None:
    x = dtorch.ones(2, requires_grad=True)
    calls: list[Any] = []
    x.register_hook(calls.append)
    x.grad = dtorch.zeros(2)
    other = dtorch.full((2,), 5.0)
    x.data = other
    assert x.tolist() == [5, 5]
    assert x.data_ptr() == other.data_ptr()
    assert x.requires_grad
    assert x.grad is not None
    other.fill_(6)
    assert x.tolist() == [6, 6]
    (x * 2).sum().backward()
    assert len(calls) == 1
    with pytest.raises(TypeError, match="list"):
        x.data = [1, 2]


def test_grad_must_fit() -> None:
    x = dtorch.ones(2, requires_grad=True)
    with pytest.raises(ShapeError, match=r"\(3,\).*\(2,\)"):
        x.grad = dtorch.ones(3)
    with pytest.raises(DtypeError, match=r"float64.*float32"):
        x.grad = dtorch.ones(2, dtype=dtorch.float64)
    with pytest.raises(TypeError, match="float"):
        x.grad = 1.0
    x.grad = dtorch.ones(2)
    x.grad = None
    assert x.grad is None


# -- copies -------------------------------------------------------------------------------------------------------


def test_deepcopy_copies_memory_grad_and_attributes() -> None:
    x = dtorch.ones(2, requires_grad=True)
    x.grad = dtorch.full((2,), 3.0)
    x.tag = ["a"]
    twin = copy.deepcopy(x)
    assert twin.requires_grad
    assert twin.grad.tolist() == [3, 3]
    assert twin.tag == ["a"]
    assert twin.tag is not x.tag
    with dtorch.no_grad():
        twin.fill_(0)
        twin.grad.fill_(0)
    assert x.tolist() == [1, 1]
    assert x.grad.tolist() == [3, 3]
    pair = [x, x]
    first, second = copy.deepcopy(pair)
    assert first is second


def test_deepcopy_of_an_inner_tensor_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"leaf.*detach"):
        copy.deepcopy(dtorch.ones(1, requires_grad=True) * 2)


# -- conversion ---------------------------------------------------------------------------------------------------


def test_to_converts_and_keeps_what_needs_nothing() -> None:
    x = dtorch.ones(2)
    assert x.to(dtorch.float32) is x
    assert x.to("cpu") is x
    assert x.to(dtorch.float32, copy=True) is not x
    assert x.to(dtorch.ones(1, dtype=dtorch.int8)).dtype is dtorch.int8
    assert x.to("cpu", dtorch.float64, True).dtype is dtorch.float64
    assert x.to(device="cpu", dtype=dtorch.int32).dtype is dtorch.int32
    with pytest.raises(TypeError, match="colour"):
        x.to(colour=1)


def test_conversion_is_recorded() -> None:
    x = dtorch.ones(2, requires_grad=True)
    (x.double() * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]
    assert x.grad.dtype is dtorch.float32


def test_classic_constructor() -> None:
    assert dtorch.Tensor(2, 3).shape == (2, 3)
    assert dtorch.Tensor([1, 2]).tolist() == [1, 2]
    with pytest.raises(ShapeError, match="different lengths"):
        dtorch.Tensor([[1], [2, 3]])
    with pytest.raises(TypeError, match="elements"):
        dtorch.Tensor(["a"])
