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
    assert default_collate([("a", 1), ("b", 2)])[0] == ("a", "b")
    assert default_collate([[b"a"], [b"b"]]) == [(b"a", b"b")]
    assert default_collate([{"x": "a"}, {"x": "b"}]) == {"x": ["a", "b"]}
    pair = default_collate([Pair(1, "u"), Pair(2, "v")])
    assert type(pair) is Pair
    assert pair.y == ("u", "v")
    mapping = default_collate([OrderedDict(a=1), OrderedDict(a=2)])
    assert type(mapping) is OrderedDict
    assert mapping["a"].tolist() == [1, 2]


def test_gradients_pass_through():
    x = dtorch.ones(2, requires_grad=True)
    default_collate([x, x]).sum().backward()
    assert x.grad.tolist() == [2.0, 2.0]


MIXED = [
    (np.int64, np.float32), (np.float32, np.int64), (np.float32, np.float64), (np.bool_, np.int16),
    (np.uint8, np.int8), (np.float16, np.float32), (np.int32, np.complex64), (np.int8, np.float16),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), MIXED)
def test_samples_of_several_dtypes_become_what_stack_makes_of_them(one, other):
    arrays = [np.ones(2, one), np.zeros(2, other)]
    tensors = [dtorch.from_numpy(a) for a in arrays]
    expected = dtorch.stack(tensors)
    assert expected.dtype is dtorch.promote_types(tensors[0].dtype, tensors[1].dtype)
    for batch in (arrays, tensors, [arrays[0], tensors[1]], [one(1), other(0)]):
        found = default_collate(batch)
        assert found.dtype is expected.dtype
        assert found.tolist() == (expected if batch[0].shape else expected[:, 0]).tolist()
    assert dtorch.tensor([one(1), other(0)]).dtype is expected.dtype
    assert dtorch.cat(tensors).dtype is expected.dtype


def test_texts_of_numpy_stay_texts():
    for batch in ([np.str_("a"), np.str_("b")], [np.bytes_(b"a"), np.bytes_(b"b")]):
        assert list(default_collate(batch)) == batch
        assert default_collate([{"x": t} for t in batch]) == {"x": batch}


def test_arrays_without_dims_are_numbers():
    for dtype in (np.int8, np.float16, np.bool_, np.complex64):
        batch = default_collate([np.array(1, dtype), np.array(0, dtype), dtype(1)])
        assert batch.dtype is dtorch.from_numpy(np.ones(1, dtype)).dtype
        assert batch.tolist() == [1, 0, 1]


def test_unequal_samples_are_named():
    with pytest.raises(RuntimeError, match=r"sample 1 .*\(3,\).*\(2,\)"):
        default_collate([dtorch.ones(2), dtorch.ones(3)])
    with pytest.raises(RuntimeError, match="sample 1 of the batch has 2 parts"):
        default_collate([(1,), (1, 2)])
    with pytest.raises(KeyError, match="sample 1 of the batch has no key 'a'"):
        default_collate([{"a": 1}, {"b": 1}])
    with pytest.raises(ValueError, match="sample 1 of the batch is 1000"):
        default_collate([1, 10**30])


FIRST = [dtorch.ones(2), np.ones(2), np.float32(1), 1, 1.0, {"a": 1}, [1]]


@pytest.mark.parametrize("first", FIRST, ids=[type(f).__name__ for f in FIRST])
@pytest.mark.parametrize("other", [None, "text", {1}])
def test_a_sample_of_another_type_is_named(first, other):
    with pytest.raises((TypeError, RuntimeError), match="default_collate: sample 1 of the batch"):
        default_collate([first, other])


STRANGE = [
    np.array("text"), np.array([None]), np.datetime64("2020-01-01"), np.timedelta64(1, "s"),
    np.array(["2020-01-01"], "M8[D]"), np.ones(1, [("a", int)])[0], np.longdouble(1), np.uint32(1),
]  # fmt: skip


@pytest.mark.parametrize("sample", STRANGE, ids=lambda s: str(s.dtype))
def test_arrays_of_other_things_than_numbers_are_named(sample):
    with pytest.raises(TypeError, match="sample 0 of the batch is an array of"):
        default_collate([sample, sample])


@pytest.mark.parametrize("sample", [None, object(), {1}, 1j, range])
def test_other_types_are_named(sample):
    with pytest.raises(TypeError, match=f"samples contain {type(sample).__name__}"):
        default_collate([sample])
    with pytest.raises(TypeError, match=f"samples contain {type(sample).__name__}"):
        default_collate([(1, sample), (2, sample)])


def test_convert_makes_tensors_of_arrays_only():
    converted = default_convert([np.ones(2), "a", 3, {"x": np.zeros(1)}])
    assert converted[0].tolist() == [1.0, 1.0]
    assert converted[1:3] == ["a", 3]
    assert isinstance(converted[3]["x"], dtorch.Tensor)
