"""Storages as sequences of numbers."""

from __future__ import annotations

import copy
import pickle
import struct
from pathlib import Path

import pytest

import dtorch
from dtorch.core.errors import ArgumentError, DeviceError, StorageError
from dtorch.core.typed_storage import STORAGE_TYPES


@pytest.mark.parametrize("cls", STORAGE_TYPES.values(), ids=lambda c: c.__name__)
def test_every_type_holds_its_numbers(cls: type) -> None:
    s = cls([0, 1, 1])
    assert s.tolist() == [0, 1, 1]
    assert s.element_size() == cls.dtype.itemsize
    assert (len(s), s.size(), s.nbytes()) == (3, 3, 3 * cls.dtype.itemsize)
    assert s.type() == f"dtorch.{cls.__name__}"
    assert pickle.loads(pickle.dumps(s)).tolist() == [0, 1, 1]
    assert cls(4).size() == 4
    assert cls().size() == 0
    assert s.new().size() == 0


def test_the_default_type_is_that_of_floats() -> None:
    assert dtorch.Storage is dtorch.FloatStorage
    assert dtorch.is_storage(dtorch.Storage(1))
    assert dtorch.is_storage(dtorch.UntypedStorage(1))
    assert not dtorch.is_storage(dtorch.ones(1))


def test_storage_of_a_tensor_sees_its_writes_and_back() -> None:
    t = dtorch.arange(4.0)
    s = t[1:].storage()
    assert s == t.storage()
    assert s is t.storage()
    assert hash(s) == hash(t.storage())
    assert s.data_ptr() == t.data_ptr()
    assert len(s) == 4
    t[0] = 10
    s[1] = 20
    assert (s.tolist(), t.tolist()) == ([10, 20, 2, 3], [10, 20, 2, 3])
    assert t.storage_type() is dtorch.FloatStorage
    assert dtorch.ones(1).storage() != dtorch.ones(1).storage()


def test_slices_and_parts_share_memory() -> None:
    s = dtorch.IntStorage([1, 2, 3, 4])
    part = s[1:3]
    part.fill_(9)
    assert s.tolist() == [1, 9, 9, 4]
    assert dtorch.IntStorage(s, 2, 2).tolist() == [9, 4]
    assert s[-1] == 4
    s[:2] = 0
    s[2:] = dtorch.IntStorage([7, 8])
    assert list(s) == [0, 0, 7, 8]
    assert part.data_ptr() == s.data_ptr() + 4
    with pytest.raises(StorageError, match="step 1"):
        s[::2]
    with pytest.raises(IndexError, match="4 is out of range"):
        s[4]
    with pytest.raises(StorageError, match="3 elements from 2"):
        dtorch.IntStorage(s, 2, 3)
    with pytest.raises(StorageError, match="part"):
        part.resize_(7)


def test_resize_keeps_contents() -> None:
    s = dtorch.LongStorage([1, 2])
    assert s.resize_(4)[:2].tolist() == [1, 2]
    assert s.resize_(1).tolist() == [1]


def test_copy_converts_and_checks_sizes() -> None:
    s = dtorch.FloatStorage([1.5, 2.5])
    assert dtorch.IntStorage(2).copy_(s).tolist() == [1, 2]
    with pytest.raises(StorageError, match="2 elements, expected 3"):
        dtorch.FloatStorage(3).copy_(s)
    with pytest.raises(TypeError, match="list"):
        s.copy_([1, 2])


def test_conversions() -> None:
    s = dtorch.FloatStorage([1.5, 0])
    assert s.float() is s
    assert s.cpu() is s
    assert s.type("dtorch.DoubleStorage").type() == "dtorch.DoubleStorage"
    assert s.type(dtorch.LongStorage).tolist() == [1, 0]
    assert s.type(dtorch.int8).type() == "dtorch.CharStorage"
    for name, cls in (("byte", "Byte"), ("char", "Char"), ("short", "Short"), ("int", "Int"),
                      ("long", "Long"), ("half", "Half"), ("double", "Double"), ("bool", "Bool"),
                      ("bfloat16", "BFloat16")):  # fmt: skip
        assert getattr(s, name)().type() == f"dtorch.{cls}Storage"


def test_copies_are_apart() -> None:
    s = dtorch.FloatStorage([1, 2])
    for other in (s.clone(), copy.copy(s), copy.deepcopy(s)):
        other.fill_(0)
    assert s.tolist() == [1, 2]


def test_from_buffer() -> None:
    data = struct.pack(">3i", 1, 2, 3)
    assert dtorch.IntStorage.from_buffer(data, "big").tolist() == [1, 2, 3]
    assert dtorch.IntStorage.from_buffer(data, "big", 1, 4).tolist() == [2]
    assert dtorch.IntStorage.from_buffer(data, "little").tolist() == [1 << 24, 2 << 24, 3 << 24]
    assert dtorch.ByteStorage.from_buffer(bytearray(b"ab")).tolist() == [97, 98]
    with pytest.raises(ArgumentError, match="byte_order is needed"):
        dtorch.IntStorage.from_buffer(data)
    with pytest.raises(ArgumentError, match="'middle'"):
        dtorch.IntStorage.from_buffer(data, "middle")
    with pytest.raises(ValueError, match="4 elements of 4 bytes do not fit into 12"):
        dtorch.IntStorage.from_buffer(data, "native", 4)
    with pytest.raises(ValueError, match="no whole number"):
        dtorch.IntStorage.from_buffer(data, "native", -1, 1)


def test_from_file_shared_writes_to_it(tmp_path: Path) -> None:
    path = tmp_path / "numbers"
    s = dtorch.FloatStorage.from_file(path, shared=True, size=3)
    s.fill_(1.5)
    s[0] = 7
    assert struct.unpack("3f", path.read_bytes()) == (7, 1.5, 1.5)
    private = dtorch.FloatStorage.from_file(str(path))
    assert private.tolist() == [7, 1.5, 1.5]
    private.fill_(0)
    assert struct.unpack("3f", path.read_bytes()) == (7, 1.5, 1.5)
    with pytest.raises(RuntimeError, match="mapped"):
        s.resize_(9)
    with pytest.raises(StorageError, match="12 bytes, expected 16"):
        dtorch.FloatStorage.from_file(path, size=4)
    t = dtorch.FloatTensor(s)
    t[1] = 2
    assert struct.unpack("3f", path.read_bytes()) == (7, 2, 1.5)


def test_what_needs_a_card_says_so() -> None:
    s = dtorch.FloatStorage(1)
    assert not s.is_cuda
    assert not s.is_pinned()
    assert not s.is_sparse
    with pytest.raises(DeviceError, match="CPU"):
        s.get_device()


def test_it_prints_its_numbers() -> None:
    assert repr(dtorch.IntStorage([1, 2])) == " 1\n 2\n[dtorch.IntStorage of size 2]"


@pytest.mark.parametrize("size", [-1, 1 << 62, 1 << 70])
@pytest.mark.parametrize("shared", [False, True])
def test_a_file_is_not_mapped_with_a_size_that_none_has(
    size: int, shared: bool, tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(16))
    with pytest.raises(ArgumentError, match=f"size is {size}"):
        dtorch.FloatStorage.from_file(path, shared, size)
    assert path.stat().st_size == 16
