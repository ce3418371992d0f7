"""Memory and the tensors that view it."""

from __future__ import annotations

import copy
import gc
import itertools
import math
import pickle
import random
import sys
import weakref
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.core import shared_memory
from dtorch.core.creation import tensor_from_storage
from dtorch.core.errors import DimensionError, GradError, ShapeError, StorageError
from dtorch.core.storage import Storage, checked_place, storage_of


class Block:
    """Stands in for a block of shared memory."""

    is_shared = True

    def __init__(self, nbytes: int) -> None:
        self.array = np.zeros(nbytes, np.uint8)


@pytest.fixture
def allocator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_memory, "_load", lambda: SimpleNamespace(allocate=Block))


# -- who views what ---------------------------------------------------------------------------------


def test_views_share_one_storage_and_see_writes() -> None:
    x = dtorch.arange(6.0)
    row = x.view(2, 3)[1]
    assert row.untyped_storage() is x.untyped_storage()
    assert x.untyped_storage().nbytes() == 24
    assert (row.storage_offset(), row.stride()) == (3, (1,))
    row.fill_(7)
    assert x.tolist() == [0, 1, 2, 7, 7, 7]
    x.untyped_storage().fill_(0)
    assert row.tolist() == [0, 0, 0]


def test_a_fresh_result_has_its_memory_alone() -> None:
    x = dtorch.ones(3)
    assert (x + 1).untyped_storage() is not x.untyped_storage()
    assert x.clone().untyped_storage() is not x.untyped_storage()


def test_storage_knows_the_living_tensors() -> None:
    x = dtorch.zeros(4)
    views = [x[i:] for i in range(3)]
    assert len(storage_of(x).tensors()) == 4
    del views
    assert storage_of(x).tensors() == [x]


def test_many_dead_views_do_not_pile_up() -> None:
    x = dtorch.zeros(4)
    for _ in range(10_000):
        x[1:]
    gc.collect()
    assert len(storage_of(x).tensors()) == 1
    assert len(getattr(storage_of(x), "_tensors", [])) < 1000


def test_storage_does_not_keep_tensors_alive_and_tensors_keep_memory() -> None:
    x = dtorch.arange(3.0)
    other = x.data
    alive = weakref.ref(x)
    del x
    assert alive() is None
    assert other.tolist() == [0.0, 1.0, 2.0]
    assert other.untyped_storage().tensors() == [other]


@pytest.mark.parametrize("make", [
    lambda: np.arange(12.0).reshape(3, 4).T,
    lambda: np.arange(12.0)[::3],
    lambda: np.arange(12.0).reshape(3, 4)[1:, ::2],
    lambda: np.lib.stride_tricks.as_strided(np.arange(6.0), (2, 3), (8, 16)),
    lambda: np.frombuffer(bytearray(32), np.float64),
    lambda: np.arange(3).astype(np.complex64).imag,
], ids=range(6))  # fmt: skip
def test_memory_of_arrays_made_elsewhere(make: Any) -> None:
    array = make()
    x = dtorch.from_numpy(array)
    part = x[1:]
    assert part.tolist() == array[1:].tolist()
    assert x.untyped_storage().nbytes() >= array.itemsize * array.shape[0]
    part.fill_(5)
    assert (array[1:] == 5).all()


# -- moving -------------------------------------------------------------------------------------------


def test_sharing_moves_every_tensor(allocator: None) -> None:
    x = dtorch.arange(6.0)
    table, odd = x.view(2, 3).t(), x[1::2]
    empty = x[:0]
    before = x.numpy()
    assert not x.is_shared()
    assert x.share_memory_() is x
    assert all(t.is_shared() for t in (x, table, odd, empty))
    x[3] = 30.0
    assert table.tolist() == [[0, 30], [1, 4], [2, 5]]
    assert odd.tolist() == [1, 30, 5]
    assert before.tolist() == [0, 1, 2, 3, 4, 5]  # still the old memory
    address = x.data_ptr()
    x.share_memory_()
    assert x.data_ptr() == address


def test_shared_memory_cannot_grow(allocator: None) -> None:
    x = dtorch.zeros(3).share_memory_()
    with pytest.raises(RuntimeError, match=r"Block.*shared"):
        x.resize_(4)
    assert x.resize_(2).tolist() == [0, 0]


def test_memory_that_is_too_small_is_refused() -> None:
    with pytest.raises(StorageError, match="4 bytes cannot hold 12"):
        dtorch.zeros(3).untyped_storage().move_to(np.zeros(4, np.uint8), None)
    with pytest.raises(StorageError, match=r"float64.*uint8"):
        Storage.from_bytes(np.zeros(3))


# -- resizing -----------------------------------------------------------------------------------------


def test_growing_keeps_the_prefix_for_every_tensor() -> None:
    x = dtorch.arange(3.0)
    tail = x[1:]
    assert x.resize_(2, 3) is x
    assert x.shape == (2, 3)
    assert x[0].tolist() == [0, 1, 2]
    x[0, 1] = 10.0
    assert tail.tolist() == [10, 2]
    assert tail.untyped_storage() is x.untyped_storage()


def test_shrinking_keeps_the_memory() -> None:
    x = dtorch.arange(6.0)
    address = x.data_ptr()
    x.resize_(2, 2)
    assert x.tolist() == [[0, 1], [2, 3]]
    assert x.data_ptr() == address
    assert x.resize_(6).tolist() == [0, 1, 2, 3, 4, 5]
    assert x.resize_(0).numel() == 0
    assert x.resize_(3).tolist() == [0, 1, 2]


def test_resized_view_goes_on_from_its_offset() -> None:
    x = dtorch.arange(4.0)
    tail = x[2:]
    tail.resize_(3)
    assert tail[:2].tolist() == [2, 3]
    assert x.untyped_storage().nbytes() == 20


def test_resize_counts_as_a_change_and_refuses_history() -> None:
    x = dtorch.zeros(3)
    x.resize_(2)
    assert x._version == 1
    for change in ("resize_", "set_"):
        with pytest.raises(GradError, match=r"requires grad.*detach"):
            getattr(dtorch.zeros(3, requires_grad=True), change)()
    with pytest.raises(GradError):
        (dtorch.zeros(3, requires_grad=True) * 2).resize_(5)


def test_memory_seen_from_outside_cannot_grow() -> None:
    x = dtorch.arange(3.0)
    array = x.numpy()
    with pytest.raises(StorageError, match=r"numpy\(\).*clone"):
        x.resize_(10)
    assert x.tolist() == [0, 1, 2]
    x.resize_(2)  # needs no other memory
    del array
    x.resize_(10)
    part = x[2:].numpy()
    with pytest.raises(StorageError):
        x.untyped_storage().resize_(400)
    del part
    x.untyped_storage().resize_(400)
    with pytest.raises(StorageError):
        dtorch.from_numpy(outside := np.zeros(2)).resize_(3)
    assert outside.shape == (2,)


def test_storage_cannot_shrink_below_its_tensors() -> None:
    x = dtorch.zeros(4)
    with pytest.raises(StorageError, match=r"shape \(4,\) needs 16 bytes.*8"):
        x.untyped_storage().resize_(8)
    x.resize_(2)
    x.untyped_storage().resize_(8)
    assert x.tolist() == [0, 0]
    with pytest.raises(StorageError, match="-1 bytes"):
        x.untyped_storage().resize_(-1)


def test_classic_resize_is_a_view() -> None:
    x = dtorch.arange(6.0, requires_grad=True)
    assert x.resize(2, 3).shape == (2, 3)
    assert x.resize_as(dtorch.zeros(3, 2)).shape == (3, 2)
    assert dtorch.zeros(2).resize_as_(dtorch.zeros(1, 3)).shape == (1, 3)
    with pytest.raises(ShapeError):
        x.resize(7)


# -- set_ -----------------------------------------------------------------------------------------------


def test_set_views_another_tensor_or_storage() -> None:
    x, y = dtorch.arange(6.0), dtorch.zeros(1)
    y.set_(x[2:])
    assert y.tolist() == [2, 3, 4, 5]
    assert y.is_set_to(x[2:])
    assert not y.is_set_to(x)
    y.set_(x.storage(), 1, (2, 2), (2, 1))
    assert y.tolist() == [[1, 2], [3, 4]]
    y.fill_(0)
    assert x.tolist() == [0, 0, 0, 0, 0, 5]
    y.set_(x.untyped_storage())
    assert y.shape == (6,)
    y.set_()
    assert y.shape == (0,)


def test_set_refuses_what_does_not_fit() -> None:
    y = dtorch.zeros(1)
    with pytest.raises(TypeError, match=r"float64.*float32"):
        y.set_(dtorch.zeros(2, dtype=dtorch.float64))
    with pytest.raises(ShapeError, match="cannot hold"):
        y.set_(dtorch.zeros(4).storage(), 2, (3,))
    with pytest.raises(TypeError, match=r"list.*storage"):
        y.set_([1, 2])
    assert y.shape == (1,)


def test_tensor_over_a_storage_checks_its_bounds() -> None:
    storage = Storage(24)
    x = tensor_from_storage(storage, dtorch.float32, 2, (2, 2))
    assert storage.tensors() == [x]
    for offset, size, stride in (
        (3, (2, 2), None),
        (-1, (1,), None),
        (0, (3,), (3,)),
        (0, (2,), (-1,)),
    ):
        with pytest.raises(ShapeError, match="cannot hold"):
            tensor_from_storage(storage, dtorch.float32, offset, size, stride)


# -- bytes ------------------------------------------------------------------------------------------------


def test_untyped_storage_is_a_sequence_of_bytes() -> None:
    s = dtorch.UntypedStorage([1, 2, 3])
    assert (len(s), s.size(), s.nbytes(), s.element_size(), s.tolist()) == (3, 3, 3, 1, [1, 2, 3])
    assert s[-1] == 3
    s[0] = 9
    part = s[:2]
    part.fill_(5)
    assert list(s) == [5, 5, 3]
    s[1:] = 7
    assert s.tolist() == [5, 7, 7]
    assert dtorch.UntypedStorage(4).size() == 4
    assert dtorch.UntypedStorage().size() == 0
    s.copy_(dtorch.UntypedStorage([1, 1, 1]))
    assert s.clone().tolist() == [1, 1, 1]
    with pytest.raises(DimensionError, match="3 is out of range"):
        s[3]
    with pytest.raises(StorageError, match="2 bytes, expected 3"):
        s.copy_(dtorch.UntypedStorage(2))


# -- copies -----------------------------------------------------------------------------------------------


def test_pickle_and_deepcopy_keep_sharing() -> None:
    x = dtorch.arange(6.0)
    views = {"x": x, "row": x.view(2, 3)[1], "storage": x.storage()}
    for back in (pickle.loads(pickle.dumps(views)), copy.deepcopy(views)):
        assert back["row"].tolist() == [3, 4, 5]
        back["x"][4] = 40.0
        assert back["row"].tolist() == [3, 40, 5]
        assert back["storage"].tolist() == [0, 1, 2, 3, 40, 5]
        assert back["storage"] is back["x"].storage()
    assert x.tolist() == [0, 1, 2, 3, 4, 5]


def test_pickle_keeps_requires_grad_and_attributes() -> None:
    x = dtorch.ones(2, requires_grad=True)
    x.tag = "kept"
    back = pickle.loads(pickle.dumps(x))
    assert back.requires_grad
    assert back.tag == "kept"
    assert pickle.loads(pickle.dumps(x * 2)).requires_grad  # a leaf now
    x.register_hook(print)
    with pytest.warns(UserWarning, match="hooks"):
        pickle.dumps(x)


def test_copy_shares_memory() -> None:
    x = dtorch.zeros(2)
    copy.copy(x).fill_(3)
    assert x.tolist() == [3, 3]


# -- bounds -----------------------------------------------------------------------------------------

NUMBERS = (0, 0, 1, 1, 2, 3, 4, 5, 7, -1, -3, 1 << 30, (1 << 32) + 1, (1 << 62) - 1, 1 << 62, 1 << 63,
           1 << 64, (1 << 64) + 1, -(1 << 63), 10**30)  # fmt: skip


def lies_within(nbytes: int, itemsize: int, offset: int, size: Any, stride: Any) -> bool:
    """By counting addresses where there are few, by their ends where there are many."""
    if offset < 0 or min((*size, *stride), default=0) < 0:
        return False
    if 0 in size:
        return True
    if max(size, default=1) <= 8:
        places = [
            offset + sum(i * step for i, step in zip(index, stride, strict=True))
            for index in itertools.product(*map(range, size))
        ]
    else:
        places = [offset, offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True))]
    return all(0 <= place * itemsize <= nbytes - itemsize for place in places)


def test_a_place_is_accepted_exactly_if_all_its_elements_lie_within_the_memory() -> None:
    source, accepted = random.Random(5), 0
    for _ in range(20_000):
        ndim, itemsize = source.randrange(4), source.choice((1, 2, 4, 8, 16))
        nbytes = source.choice((0, 1, 16, 16, 24, 100))
        size = tuple(source.choice(NUMBERS) for _ in range(ndim))
        stride = tuple(source.choice(NUMBERS) for _ in range(ndim))
        offset = source.choice(NUMBERS)
        try:
            place = checked_place(nbytes, itemsize, offset, size, stride)
        except ShapeError:
            # What would fit may still be more than an array can be.
            count = math.prod(n or 1 for n in size)
            is_huge = max((count, *stride)) * itemsize > sys.maxsize
            assert is_huge or not lies_within(nbytes, itemsize, offset, size, stride)
            continue
        accepted += 1
        assert place == (offset, size, stride)
        assert lies_within(nbytes, itemsize, offset, size, stride)
        tensor = tensor_from_storage(Storage(nbytes), BY_ITEMSIZE[itemsize], offset, size, stride)
        if tensor.numel():
            start = tensor.untyped_storage().data_ptr()
            low, high = np.lib.array_utils.byte_bounds(tensor.numpy())
            assert start <= low <= high <= start + nbytes
    assert accepted > 1000


BY_ITEMSIZE = {1: "uint8", 2: "float16", 4: "float32", 8: "float64", 16: "complex128"}


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [("0", (1,), (1,)), (0, ("1",), (1,)), (0, (1,), (1.0,)), (0, (None,), (1,)), (0, 1, 1)],
)
def test_places_are_ints(offset: Any, size: Any, stride: Any) -> None:
    with pytest.raises(TypeError):
        checked_place(16, 4, offset, size, stride)


@pytest.mark.parametrize(
    ("nbytes", "size", "stride", "offset"),
    [(0, (1000,), (1,), 0), (16, ((1 << 32) + 1,), (1 << 30,), 0), (16, (1,), (1,), 5),
     (16, (1,), (1,), -1), (16, (4,), (-1,), 3), (16, (-4,), (1,), 0), (0, (1 << 40,), (0,), 0),
     (16, (1 << 33, 1 << 33), (0, 0), 0), (16, (1,) * 65, (1,) * 65, 0)],
    ids=str,
)  # fmt: skip
def test_no_tensor_reaches_outside_of_its_storage(
    nbytes: int, size: Any, stride: Any, offset: int
) -> None:
    storage = Storage(nbytes)
    with pytest.raises(ShapeError):
        tensor_from_storage(storage, "float32", offset, size, stride)
    with pytest.raises((ShapeError, ValueError)):
        dtorch.empty(0).set_(dtorch.FloatStorage(storage), offset, size, stride)
    base = dtorch.empty(0).set_(dtorch.FloatStorage(storage))
    with pytest.raises(ShapeError):
        base.as_strided(size, stride, offset)


def test_a_stride_of_nothing_may_be_anything() -> None:
    assert dtorch.arange(4.0).as_strided((0, 3), (5, 1), 100).shape == (0, 3)


def test_storages_have_the_methods_of_the_reference_api(tmp_path) -> None:
    x = dtorch.ones(4)
    untyped, typed = x.untyped_storage(), x.storage()
    for storage in (untyped, typed):
        assert storage.nbytes() == 16
        assert storage.size() == len(storage) == 16 // storage.element_size()
        assert storage.filename is None
        assert storage.resizable()
        assert not any((storage.is_pinned(), storage.is_cuda, storage.is_sparse))
        assert storage.cpu() is storage
        assert len(storage.new()) == 0
    assert typed.complex_float().dtype is dtorch.complex64
    assert typed.complex_double()[0] == 1
    (tmp_path / "numbers").write_bytes(bytes(16))
    mapped = dtorch.FloatStorage.from_file(tmp_path / "numbers")
    assert mapped.filename == mapped.untyped().filename == str(tmp_path / "numbers")
    assert not mapped.resizable()
