"""The command line, and safetensors where it is installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest

import dtorch
from dtorch.core import dtype as dtypes
from dtorch.serialization import CheckpointError, safetensors
from dtorch.serialization.__main__ import main


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.pt"
    dtorch.save({"model": {"0.weight": dtorch.ones(2, 3)}, "list": [dtorch.zeros(4).long()]}, path)
    return path


def test_inspect_lists_tensors(file, capsys):
    assert main(["inspect", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["model.0.weight", "float32", "(2,", "3)", "24"]
    assert lines[1].split() == ["list.0", "int64", "(4,)", "32"]
    assert lines[2] == "2 tensors, 56 bytes"


def test_the_module_runs(file):
    done = subprocess.run([sys.executable, "-m", "dtorch.serialization", "verify", file],
                          capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[0] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_verify_finds_damage_that_loading_does_not(file, capsys):
    data = bytearray(file.read_bytes())
    data[data.index(b"3\n")] ^= 1  # the version, which nothing reads
    file.write_bytes(data)
    dtorch.load(file)
    assert main(["verify", str(file)]) == 1
    assert "'a/version' does not match its checksum" in capsys.readouterr().err


def test_verify_compares_the_hash_in_the_name_or_of_the_argument(file, capsys):
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    good = file.rename(file.parent / f"net-{digest[:8]}.pth")
    assert main(["verify", str(good)]) == 0
    assert main(["verify", str(good), "--sha256", "abc"]) == 1
    assert f"is {digest}" in capsys.readouterr().err
    wrong = good.rename(file.parent / "net-00000000.pth")
    assert main(["verify", str(wrong)]) == 1


def test_convert_writes_the_old_format(file, tmp_path):
    assert main(["convert", str(file), str(tmp_path / "old.pth"), "--old-format"]) == 0
    assert (tmp_path / "old.pth").read_bytes()[:2] == b"\x80\x02"
    assert dtorch.load(tmp_path / "old.pth")["model"]["0.weight"].sum().item() == 6.0


@pytest.mark.parametrize("kind", ["itself", "twice", "deep", "expanded"])
def test_contents_without_an_end_are_refused_in_one_line(kind, tmp_path, capsys):
    tensor = dtorch.ones(1)
    content: list = [tensor]
    if kind == "itself":
        content.append(content)
    elif kind == "expanded":
        content = [tensor.expand(1 << 40)]
    else:
        for _ in range(40 if kind == "twice" else 5000):
            content = [content, content] if kind == "twice" else [content]
    path = tmp_path / "a.pt"
    sys.setrecursionlimit(100_000)
    try:
        dtorch.save(content, path)
    finally:
        sys.setrecursionlimit(1000)
    assert main(["convert", str(path), str(tmp_path / "b.safetensors")]) == 1
    expected = "larger than its memory" if kind == "expanded" else "without an end"
    assert expected in capsys.readouterr().err
    assert not (tmp_path / "b.safetensors").exists()


def test_a_missing_file_is_one_line(tmp_path, capsys):
    assert main(["inspect", str(tmp_path / "no.pt")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


# -- safetensors -----------------------------------------------------------------------------------


def test_safetensors_there_and_back(tmp_path):
    pytest.importorskip("safetensors", reason="needs the extra safetensors")
    tensors = {
        d.name: (dtorch.arange(6) % 2).view(2, 3).to(d)
        for d in dtypes.ALL
        if d.name != "complex128"
    }
    tensors["scalar"] = dtorch.tensor(2.5)
    tensors["empty"] = dtorch.zeros(0, 2)
    tensors["transposed"] = dtorch.arange(6.0).view(2, 3).t()
    safetensors.save_file(tensors, tmp_path / "a.safetensors", {"made by": "a test"})
    back = safetensors.load_file(tmp_path / "a.safetensors")
    for name, tensor in tensors.items():
        assert back[name].dtype is tensor.dtype
        assert back[name].tolist() == tensor.tolist()


def test_convert_to_safetensors_and_back(file, tmp_path, capsys):
    pytest.importorskip("safetensors", reason="needs the extra safetensors")
    target = str(tmp_path / "b.safetensors")
    assert main(["convert", str(file), target]) == 0
    assert main(["inspect", target]) == 0
    assert "model.0.weight" in capsys.readouterr().out
    assert main(["convert", target, str(tmp_path / "c.pt")]) == 0
    assert dtorch.load(tmp_path / "c.pt")["list.0"].tolist() == [0] * 4


def test_damaged_safetensors_are_refused(tmp_path):
    pytest.importorskip("safetensors", reason="needs the extra safetensors")
    (tmp_path / "a.safetensors").write_bytes(b"\xff" * 100)
    with pytest.raises(CheckpointError, match=r"a\.safetensors"):
        safetensors.load_file(tmp_path / "a.safetensors")
    header = b'{"a":{"dtype":"F32","shape":[%s],"data_offsets":[0,4]}}' % b",".join([b"1"] * 70)
    (tmp_path / "a.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    with pytest.raises(CheckpointError, match=r"safetensors: 'a'.*cannot hold"):
        safetensors.load_file(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="list"):
        safetensors.save_file({"a": [1]}, tmp_path / "b.safetensors")


def test_a_missing_library_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    monkeypatch.setitem(sys.modules, "safetensors.numpy", None)
    with pytest.raises(ModuleNotFoundError, match=r"dtorch\[safetensors\]"):
        safetensors.save_file({}, tmp_path / "a.safetensors")
