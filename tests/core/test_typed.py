"""Tensor types as constructors and isinstance targets."""

from __future__ import annotations

import numpy as np
import pytest

import dtorch
from dtorch.core.errors import DtypeError

NAMES = {
    "Float": "float32", "Double": "float64", "Half": "float16", "BFloat16": "bfloat16",
    "Byte": "uint8", "Char": "int8", "Short": "int16", "Int": "int32", "Long": "int64",
    "Bool": "bool",
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_types_make_tensors_and_recognise_them(name: str) -> None:
    cls = getattr(dtorch, name + "Tensor")
    t = cls([0, 1])
    assert t.dtype.name == NAMES[name]
    assert t.tolist() == [0, 1]
    assert type(t) is dtorch.Tensor
    assert t.type() == f"dtorch.{name}Tensor"
    for other in NAMES:
        assert isinstance(t, getattr(dtorch, other + "Tensor")) is (other == name)
    assert not isinstance([0, 1], cls)
    assert dtorch.ones(1).type(cls).dtype is t.dtype
    assert dtorch.ones(1).type(f"torch.{name}Tensor").dtype is t.dtype


def test_arguments_of_constructors() -> None:
    assert dtorch.FloatTensor().shape == (0,)
    assert dtorch.FloatTensor(3).shape == (3,)
    assert dtorch.FloatTensor(2, 3).shape == (2, 3)
    assert dtorch.FloatTensor(dtorch.Size([2, 1])).shape == (2, 1)
    assert dtorch.FloatTensor([2, 3]).tolist() == [2, 3]
    assert dtorch.FloatTensor((2, 3)).tolist() == [2, 3]
    assert dtorch.LongTensor([[1], [2]]).shape == (2, 1)
    assert dtorch.Tensor(2).dtype is dtorch.float32


def test_memory_of_arguments_is_shared_where_the_dtype_agrees() -> None:
    t = dtorch.zeros(3)
    dtorch.FloatTensor(t).fill_(1)
    dtorch.FloatTensor(t.storage())[0] = 2
    dtorch.FloatTensor(t.untyped_storage())[1] = 3
    assert t.tolist() == [2, 3, 1]
    assert dtorch.FloatTensor(t).untyped_storage() is t.untyped_storage()
    array = np.zeros(2, np.float32)
    dtorch.FloatTensor(array).fill_(1)
    assert array.tolist() == [1, 1]
    assert dtorch.FloatTensor(np.arange(2)).tolist() == [0, 1]
    for wrong in (dtorch.zeros(1, dtype=dtorch.int32), dtorch.IntStorage(2)):
        with pytest.raises(TypeError, match=r"int32.*float32"):
            dtorch.FloatTensor(wrong)


def test_new_follows_the_rules_of_the_type() -> None:
    t = dtorch.LongTensor([1])
    assert t.new(2, 3).shape == (2, 3)
    assert t.new([4, 5]).tolist() == [4, 5]
    assert t.new().dtype is dtorch.int64


def test_default_tensor_type() -> None:
    try:
        for value in (dtorch.DoubleTensor, "dtorch.DoubleTensor", "torch.DoubleTensor"):
            dtorch.set_default_tensor_type(dtorch.FloatTensor)
            dtorch.set_default_tensor_type(value)
            assert dtorch.ones(1).dtype is dtorch.float64
            assert isinstance(dtorch.Tensor(1), dtorch.DoubleTensor)
        with pytest.raises(DtypeError, match="floating-point"):
            dtorch.set_default_tensor_type(dtorch.LongTensor)
        with pytest.raises(TypeError):
            dtorch.set_default_tensor_type("dtorch.NoTensor")
    finally:
        dtorch.set_default_tensor_type(dtorch.FloatTensor)


def test_conversion_to_the_own_type_is_the_tensor_itself() -> None:
    t = dtorch.ones(1)
    assert t.type(dtorch.FloatTensor) is t
    assert t.float() is t
    assert t.type_as(dtorch.zeros(1)) is t
    assert t.cpu() is t


def test_typename() -> None:
    assert dtorch.typename(dtorch.ones(1).double()) == "dtorch.DoubleTensor"
    assert dtorch.typename(3) == "int"
