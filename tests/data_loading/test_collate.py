"""How samples become a batch."""

from __future__ import annotations

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

import dtorch
from dtorch.data import default_collate, default_convert

Pair = namedtuple("Pair", "x y")


def test_tensors_and_arrays_are_stacked():
    batch = default_collate([dtorch.arange(3), dtorch.arange(3) + 1])
    assert batch.tolist() == [[0, 1, 2], [1, 2, 3]]
    assert default_collate([np.zeros((2, 2), np.float32)] * 3).shape == (3, 2, 2)


def test_numbers_become_a_tensor_of_their_type():
    assert default_collate([1, 2]).dtype is dtorch.int64
    assert default_collate([1.0, 2.0]).dtype is dtorch.float64
    assert default_collate([True, False]).tolist() == [True, False]
    assert default_collate([np.float32(1), np.float32(2)]).dtype is dtorch.float32


def test_containers_are_put_together_by_place():
    assert default_collate([("a", 1), ("b", 2)])[0] == ["a", "b"]
    assert default_collate([[b"a"], [b"b"]]) == [[b"a", b"b"]]
    pair = default_collate([Pair(1, "u"), Pair(2, "v")])
    assert type(pair) is Pair
    assert pair.y == ["u", "v"]
    mapping = default_collate([OrderedDict(a=1), OrderedDict(a=2)])
    assert type(mapping) is OrderedDict
    assert mapping["a"].tolist() == [1, 2]


def test_gradients_pass_through():
    x = dtorch.ones(2, requires_grad=True)
    default_collate([x, x]).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


def test_unequal_samples_are_named():
    with pytest.raises(RuntimeError, match=r"sample 1 .*\(3,\).*\(2,\)"):
        default_collate([dtorch.ones(2), dtorch.ones(3)])
    with pytest.raises(RuntimeError, match="sample 1 of the batch has 2 parts"):
        default_collate([(1,), (1, 2)])


@pytest.mark.parametrize("sample", [object(), np.array("text"), np.array([None])], ids=str)
def test_other_types_are_named(sample):
    name = "object" if type(sample) is object else str(sample.dtype)
    with pytest.raises(TypeError, match=name):
        default_collate([sample])


def test_convert_makes_tensors_of_arrays_only():
    converted = default_convert([np.ones(2), "a", 3, {"x": np.zeros(1)}])
    assert converted[0].tolist() == [1.0, 1.0]
    assert converted[1:3] == ["a", 3]
    assert isinstance(converted[3]["x"], dtorch.Tensor)
