"""The classic constructor."""

from __future__ import annotations

import copy
import pickle

import pytest

import dtorch
from dtorch.autograd import Variable


def test_variable_is_a_fresh_leaf_over_the_same_memory() -> None:
    t = dtorch.ones(2)
    x = Variable(t, requires_grad=True)
    assert x is not t
    assert x.data_ptr() == t.data_ptr()
    assert x.is_leaf
    assert x.requires_grad
    assert not t.requires_grad
    assert Variable(x * 2).is_leaf


def test_every_tensor_is_a_variable_and_variables_are_tensors() -> None:
    assert isinstance(dtorch.ones(1), Variable)
    assert isinstance(Variable(dtorch.ones(1)), dtorch.Tensor)
    assert issubclass(dtorch.Tensor, Variable)
    assert Variable.backward is dtorch.Tensor.backward


@pytest.mark.parametrize("value", [1.0, [1.0]])
def test_other_values_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        Variable(value)


def test_variable_without_data_is_empty() -> None:
    for x in (Variable(), Variable(None, requires_grad=True)):
        assert tuple(x.shape) == (0,)
    assert x.requires_grad


def test_positions_after_the_data() -> None:
    assert Variable(dtorch.ones(1), True).requires_grad
    assert Variable(dtorch.ones(1), False, True).volatile


@pytest.mark.parametrize("flags", [{"requires_grad": True}, {"volatile": True}, {}])
def test_pickled_and_copied_variables_keep_what_they_record(flags: dict[str, bool]) -> None:
    given = Variable(dtorch.ones(1), **flags)
    for again in (pickle.loads(pickle.dumps(given)), copy.deepcopy(given)):
        assert (again.requires_grad, again.volatile) == (given.requires_grad, given.volatile)
    assert pickle.loads(pickle.dumps(given * 2)).requires_grad == given.requires_grad


def test_creator_makes_an_inner_variable() -> None:
    x = Variable(dtorch.ones(1), requires_grad=True)
    y = Variable(dtorch.ones(1), creator=(x * 3).creator)
    y.backward()
    assert x.grad.tolist() == [3.0]
