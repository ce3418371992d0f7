"""Files from before 1.6."""

from __future__ import annotations

import io
import json
import pickle
import struct
from types import SimpleNamespace

import pytest

import dtorch
from dtorch import nn
from dtorch.serialization import CheckpointError, SourceChangeWarning, source_code, stream_format


def stream(*objects) -> bytes:
    file = io.BytesIO()
    for obj in objects:
        dtorch.save(obj, file, _use_new_zipfile_serialization=False)
    return file.getvalue()


@pytest.mark.parametrize("safe", [True, False])
def test_a_stream_of_the_reference_implementation_is_read_exactly(checkpoints, described, safe):
    described(dtorch.load(checkpoints / "legacy.pth", weights_only=safe), "legacy.pth")
    described(dtorch.load(checkpoints / "legacy.pth", mmap=True), "legacy.pth")


def test_a_stream_we_write_comes_back_with_its_sharing():
    base = dtorch.arange(6.0)
    back = dtorch.load(io.BytesIO(stream({"base": base, "part": base[2:4], "n": [1, None]})))
    back["base"][2] = 9.0
    assert back["part"].tolist() == [9.0, 3.0]
    assert back["n"] == [1, None]


def test_objects_in_one_file_follow_one_another():
    file = io.BytesIO(stream([dtorch.ones(2)], {"a": dtorch.zeros(1)}, "text"))
    assert dtorch.load(file)[0].tolist() == [1.0, 1.0]
    assert dtorch.load(file)["a"].tolist() == [0.0]
    assert dtorch.load(file) == "text"


def test_a_stream_of_a_big_endian_machine_is_read():
    data = stream([dtorch.tensor([1.5, 2.5])])
    raw = struct.pack("<qff", 2, 1.5, 2.5)
    assert data.endswith(raw)
    # Early versions wrote the number as the machine has it, the elements in little-endian order.
    raw_there = struct.pack(">q", 2) + struct.pack("<ff", 1.5, 2.5)
    back = dtorch.load(io.BytesIO(data[: -len(raw)] + raw_there))
    assert back[0].tolist() == [1.5, 2.5]


def test_a_big_endian_machine_reads_and_writes_the_same_streams(monkeypatch):
    # Here the test machine takes the part of the other: what it writes as such is turned.
    monkeypatch.setattr(stream_format, "sys", SimpleNamespace(byteorder="big"))
    obj = [dtorch.tensor([1.5, 2.5]), dtorch.tensor([1 + 2j])]
    data = stream(obj)
    assert struct.pack(">ff", 1.5, 2.5) in data
    assert struct.pack(">dd", 1, 2) in data or struct.pack(">ff", 1, 2) in data
    assert [t.tolist() for t in dtorch.load(io.BytesIO(data))] == [t.tolist() for t in obj]


def test_views_of_storages_are_read():
    # Written by hand: since 0.4 nothing writes them.
    file = io.BytesIO()
    head = stream([]).split(pickle.dumps([], 2))[0]
    body = (
        b"\x80\x02]ctorch._utils\n_rebuild_tensor\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
        b"X\x01\0\0\0aX\x03\0\0\0cpuK\x04(X\x01\0\0\0bK\x01K\x03ttQK\x01(K\x02t(K\x01ttRa."
    )
    file.write(head + body + pickle.dumps(["a"], 2) + struct.pack("<q4f", 4, 0, 1, 2, 3))
    file.seek(0)
    assert dtorch.load(file)[0].tolist() == [2.0, 3.0]


def test_sparse_tensors_are_read_after_their_indices():
    matrix = dtorch.tensor([[0.0, 3.0], [4.0, 0.0]])
    back = dtorch.load(io.BytesIO(stream([dtorch.ones(3), matrix.to_sparse()])))
    assert back[1].to_dense().tolist() == matrix.tolist()
    assert back[1].is_coalesced()


def test_a_place_is_asked_for_with_the_contents():
    seen = []

    def place(storage, tag):
        seen.append((tag, bytes(storage)))
        return storage

    dtorch.load(io.BytesIO(stream([dtorch.tensor([1, 2], dtype=dtorch.uint8)])), map_location=place)
    assert seen == [("cpu", b"\x01\x02")]


def test_a_wrong_protocol_is_named():
    data = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1002, 2)
    with pytest.raises(RuntimeError, match="protocol 1002"):
        dtorch.load(io.BytesIO(data))


def test_a_stream_cut_off_anywhere_is_refused():
    data = stream({"a": dtorch.ones(20)})
    for size in range(1, len(data)):
        with pytest.raises(CheckpointError):
            dtorch.load(io.BytesIO(data[:size]))


def test_storages_larger_than_the_file_are_refused_before_memory_is_taken():
    data = stream([dtorch.ones(20)]).replace(b"cpuq\x06", b"cpuq\x06")
    assert b"K\x14N" in data
    with pytest.raises(CheckpointError, match="damaged or cut off"):
        dtorch.load(io.BytesIO(data.replace(b"K\x14N", b"J\xff\xff\xff\x7fN")))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(dtorch.ones(2))


def test_modules_carry_their_source_and_a_change_is_told(monkeypatch, tmp_path):
    data = stream(Model())
    assert b"super().__init__()" in data
    assert dtorch.load(io.BytesIO(data), weights_only=False).weight.tolist() == [1.0, 1.0]
    monkeypatch.setattr(source_code, "source_of", lambda cls: ("", "class Model: pass"))
    with pytest.warns(SourceChangeWarning, match="Model has changed"):
        dtorch.load(io.BytesIO(data), weights_only=False)
    monkeypatch.setattr(Model, "dump_patches", True, raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.warns(SourceChangeWarning, match=r"Model\.patch"):
        dtorch.load(io.BytesIO(data), weights_only=False)
    assert "+class Model: pass" in (tmp_path / "Model.patch").read_text()


def test_modules_need_trust():
    with pytest.raises(CheckpointError, match="Model"):
        dtorch.load(io.BytesIO(stream(Model())))


READ = """
import json, sys, torch
obj = torch.load(sys.argv[1], weights_only=True)
print(json.dumps([obj["a"].tolist(), obj["b"].data_ptr() - obj["a"].data_ptr(), obj["n"]]))
"""


def test_pytorch_reads_streams_we_write(tmp_path, run_torch):
    a = dtorch.arange(6.0)
    path = tmp_path / "a.pt"
    dtorch.save({"a": a, "b": a[3:], "n": [1]}, path, _use_new_zipfile_serialization=False)
    assert json.loads(run_torch(READ, path)) == [a.tolist(), 12, [1]]
