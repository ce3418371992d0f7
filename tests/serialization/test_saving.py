"""What comes back of what was saved; what becomes of files when saving goes wrong."""

from __future__ import annotations

import io
import os
import pickle
import resource
import stat
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest

import dtorch
from dtorch.core import dtype as dtypes
from dtorch.serialization import archive


def round_trip(obj, **options):
    file = io.BytesIO()
    dtorch.save(obj, file)
    file.seek(0)
    return dtorch.load(file, **options)


@pytest.mark.parametrize("d", dtypes.ALL, ids=lambda d: d.name)
def test_every_dtype_comes_back_bit_by_bit(d):
    tensor = (dtorch.arange(24) % 2).reshape(2, 3, 4).to(d)
    back = round_trip(tensor)
    assert back.dtype is d
    assert back._array.tobytes() == tensor._array.tobytes()
    assert back.shape == tensor.shape


def test_tensors_over_one_storage_come_back_over_one_storage():
    base = dtorch.arange(12.0).reshape(3, 4)
    back = round_trip({"base": base, "row": base[1], "transposed": base.t(), "again": base})
    back["base"][1, 2] = 100.0
    assert back["row"][2].item() == 100.0
    assert back["transposed"][2, 1].item() == 100.0
    assert back["again"] is back["base"]
    assert back["row"].storage_offset() == 4


def test_a_storage_is_written_once_and_whole(tmp_path):
    big = dtorch.zeros(1000)
    dtorch.save([big[:1], big[500:], big], tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as file:
        sizes = [i.file_size for i in file.infolist() if "/data/" in i.filename]
    assert sizes == [4000]


def test_a_view_saved_alone_keeps_its_offset_and_strides():
    back = round_trip(dtorch.arange(24.0).reshape(4, 6)[1:3, ::2])
    assert (back.storage_offset(), back.stride()) == (6, (6, 2))
    assert back.tolist() == [[6.0, 8.0, 10.0], [12.0, 14.0, 16.0]]


def test_tensors_over_foreign_arrays_come_back_with_their_values():
    array = np.arange(10.0)
    gaps = dtorch.from_numpy(array[::3])
    expanded = dtorch.ones(1).expand(5)
    back = round_trip([gaps, expanded, dtorch.from_numpy(array)[2:4]])
    assert back[0].tolist() == [0.0, 3.0, 6.0, 9.0]
    assert back[1].tolist() == [1.0] * 5
    assert back[2].tolist() == [2.0, 3.0]


def test_empty_and_zero_dim_tensors_come_back():
    back = round_trip([dtorch.zeros(0, 3), dtorch.tensor(2.5), dtorch.zeros(2, 0)])
    assert [tuple(t.shape) for t in back] == [(0, 3), (), (2, 0)]
    assert back[1].item() == 2.5


def test_requires_grad_is_kept_and_gradients_are_not():
    leaf = dtorch.ones(2, requires_grad=True)
    (leaf * 2).sum().backward()
    back = round_trip([leaf, leaf * 2])
    assert back[0].requires_grad
    assert back[0].grad is None
    assert back[1].is_leaf


def test_parameters_come_back_as_parameters():
    parameter_module = pytest.importorskip("dtorch.nn.parameter")
    weight = parameter_module.Parameter(dtorch.ones(2))
    frozen = parameter_module.Parameter(dtorch.ones(2), requires_grad=False)
    back = round_trip({"weight": weight, "tied": weight, "frozen": frozen})
    assert all(type(p) is parameter_module.Parameter for p in back.values())
    assert back["tied"] is back["weight"]
    assert [p.requires_grad for p in back.values()] == [True, True, False]


def test_attributes_of_tensors_come_back():
    tensor = dtorch.ones(2)
    tensor.note = {"made by": "a test"}
    assert round_trip([tensor])[0].note == {"made by": "a test"}


def test_plain_python_values_come_back():
    obj = {
        "numbers": [0, -1, 255, 256, 65536, -(2**31), 2**40, 2**100, 1.5, 2 + 3j, True, None],
        "texts": ["", "a", "é" * 300, b"\x00\xff", bytearray(b"abc")],
        "containers": ((), (1, 2, 3, 4), {1, 2}, Counter("aab"), OrderedDict(a=1)),
        ("a", 1): dtorch.float32,
        "size": dtorch.Size([2, 3]),
        "device": dtorch.device("cpu"),
    }
    back = round_trip(obj)
    assert back == obj
    assert type(back["size"]) is dtorch.Size


def test_attributes_of_ordered_dicts_come_back():
    state = OrderedDict(weight=dtorch.ones(1))
    state._metadata = OrderedDict({"": {"version": 1}})
    assert round_trip(state)._metadata == {"": {"version": 1}}


def test_a_storage_saved_by_itself_comes_back_shared_with_its_tensors():
    tensor = dtorch.arange(3.0)
    back = round_trip({"tensor": tensor, "storage": [tensor.storage()]})
    assert back["storage"][0] is back["tensor"].storage()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_protocol_can_be_read(protocol):
    file = io.BytesIO()
    many = {f"name {i}": dtorch.full((2,), float(i)) for i in range(300)}
    dtorch.save(many, file, pickle_protocol=protocol)
    back = dtorch.load(io.BytesIO(file.getvalue()))
    assert all(back[name].tolist() == many[name].tolist() for name in many)


def test_entries_start_at_multiples_of_64(tmp_path):
    dtorch.save([dtorch.ones(n) for n in range(1, 20)], tmp_path / "a.pt")
    raw = (tmp_path / "a.pt").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.pt") as file:
        assert file.testzip() is None
        for info in file.infolist():
            header = raw[info.header_offset : info.header_offset + 30]
            lengths = (
                int.from_bytes(header[26:28], "little"),
                int.from_bytes(header[28:30], "little"),
            )
            assert (info.header_offset + 30 + sum(lengths)) % 64 == 0


def test_equal_contents_make_equal_files():
    first, second = io.BytesIO(), io.BytesIO()
    dtorch.save({"a": dtorch.ones(3)}, first)
    dtorch.save({"a": dtorch.ones(3)}, second)
    assert first.getvalue() == second.getvalue()


def test_checksums_of_large_entries_are_right(tmp_path):
    tensors = [dtorch.arange(400_000) + i for i in range(3)]
    dtorch.save(tensors, tmp_path / "a.pt")
    with zipfile.ZipFile(tmp_path / "a.pt") as file:
        assert file.testzip() is None
    assert dtorch.load(tmp_path / "a.pt")[2][5].item() == 7


def test_sizes_beyond_32_bits_take_their_wide_form(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "LIMIT_32", 1000)
    monkeypatch.setattr(archive, "LIMIT_16", 8)
    dtorch.save([dtorch.arange(1000), dtorch.ones(2), dtorch.ones(300)], tmp_path / "a.pt")
    back = dtorch.load(tmp_path / "a.pt")
    assert back[0].tolist() == list(range(1000))
    assert back[2].sum().item() == 300.0


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.pt"
    dtorch.save([1], path)
    with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
        dtorch.save([dtorch.ones(3), lambda: None], path)
    assert dtorch.load(path) == [1]
    assert os.listdir(tmp_path) == ["a.pt"]


def test_a_full_disc_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.pt"
    dtorch.save([1], path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError, match="large"):
            dtorch.save(dtorch.zeros(1 << 20), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert dtorch.load(path) == [1]
    assert os.listdir(tmp_path) == ["a.pt"]


def test_links_are_followed_and_modes_kept(tmp_path):
    real, link = tmp_path / "real.pt", tmp_path / "link.pt"
    dtorch.save([1], real)
    real.chmod(0o600)
    link.symlink_to(real)
    dtorch.save([2], link)
    assert link.is_symlink()
    assert dtorch.load(real) == [2]
    assert stat.S_IMODE(real.stat().st_mode) == 0o600


def test_unbuffered_files_and_plain_writers_are_written(tmp_path):
    with open(tmp_path / "a.pt", "wb", buffering=0) as file:
        dtorch.save([dtorch.ones(10)], file)
    assert dtorch.load(tmp_path / "a.pt")[0].sum().item() == 10.0


def test_something_else_than_a_file_is_refused():
    with pytest.raises(TypeError, match=r"f is int.*path"):
        dtorch.save([1], 3)  # type: ignore[arg-type]
