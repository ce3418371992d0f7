"""Files with random damage: an error that says so, or an object; never a crash, a hang, code that
runs, or memory far beyond the size of the file.

DTORCH_TEST_FUZZ_ROUNDS sets how many damaged files of each kind are read.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import random
import resource
import signal
import sys
import zipfile

import pytest

import dtorch
from dtorch.serialization import CheckpointError
from dtorch.serialization.safetensors import load_file

ROUNDS = int(os.environ.get("DTORCH_TEST_FUZZ_ROUNDS", "500"))
ROOM = 64 << 20  # beyond what the process has already
SECONDS = 30 + ROUNDS // 20
RUNS_CODE = ("exec", "compile", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen",
             "ctypes.dlopen")  # fmt: skip


def a_file(kind: str, folder) -> bytes:
    if kind in ("tar", "script", "quantised"):
        names = {"tar": "tar.pth", "script": "script.pt", "quantised": "quantised.pth"}
        return (folder / names[kind]).read_bytes()
    base = dtorch.arange(12.0).reshape(3, 4)
    if kind == "safetensors":
        return safetensors_file({"base": base, "n": dtorch.arange(3)})
    obj = {"base": base, "row": base[1], "n": [1, 2.5, None, (True, "text")], "d": dtorch.float32,
           "size": base.shape, "b": b"bytes", "s": dtorch.eye(2).to_sparse()}  # fmt: skip
    file = io.BytesIO()
    dtorch.save(obj, file, _use_new_zipfile_serialization=kind != "stream")
    return file.getvalue()


def safetensors_file(tensors) -> bytes:
    # By hand, so that the header can be damaged and the whole still be made here.
    header, data = {}, b""
    for name, tensor in tensors.items():
        raw = tensor.numpy().tobytes()
        kind = {"float32": "F32", "int64": "I64"}[tensor.dtype.name]
        header[name] = {"dtype": kind, "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}  # fmt: skip
        data += raw
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def damaged(data: bytes, source: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(source.choice((1, 1, 1, 2, 5))):
        at = source.randrange(len(changed))
        kind = source.randrange(5)
        if kind == 0:
            changed[at] ^= 1 << source.randrange(8)
        elif kind == 1:
            changed[at] = source.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif kind == 2:
            del changed[at : at + source.randrange(1, 9)]
        elif kind == 3:
            changed[at:at] = source.randbytes(source.randrange(1, 9))
        else:
            end = source.randrange(len(changed))
            changed[at : at + 8] = changed[end : end + 8]
        if not changed:
            return b""
    return bytes(changed)


def damaged_members(data: bytes, source: random.Random) -> bytes:
    """The archive with damage in its pickles only, which the container does not notice."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, damaged(content, source) if name.endswith(".pkl") else content)
    return changed.getvalue()


def damaged_tar(data: bytes, source: random.Random) -> bytes:
    """The tar archive with damage in its contents, or rarely in its headers."""
    end = 8192  # beyond it there are zeros only
    head, rest = data[:end], data[end:]
    return damaged(head, source) + rest


@contextlib.contextmanager
def watched():
    """No code is run, no more memory taken than there is room for, and an end is reached."""
    seen, active = [], True

    def watch(event, args):
        if active and event in RUNS_CODE:
            seen.append((event, str(args)[:100]))

    def too_long(*_):
        raise AssertionError(f"not done after {SECONDS} s")

    sys.addaudithook(watch)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    before = signal.signal(signal.SIGALRM, too_long)
    signal.alarm(SECONDS)
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, limits[1]))
    try:
        yield
    finally:
        active = False
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    assert seen == []


DAMAGE = {"zip": damaged, "pickle": damaged_members, "script": damaged_members, "tar": damaged_tar,
          "quantised": damaged_members, "stream": damaged, "safetensors": damaged}  # fmt: skip


def read(kind: str, data: bytes, path) -> None:
    if kind == "safetensors":
        path.write_bytes(data)
        load_file(path)
    else:
        dtorch.load(io.BytesIO(data))


@pytest.mark.parametrize("kind", DAMAGE)
def test_random_damage_is_survived(kind, checkpoints, tmp_path):
    if kind == "safetensors" and importlib.util.find_spec("safetensors") is None:
        pytest.skip("needs the extra safetensors")
    data, source = a_file(kind, checkpoints), random.Random(1)
    # Once beforehand, so that nothing has to be imported any more.
    DAMAGE[kind](data, random.Random(0))
    read(kind, data, tmp_path / "whole")
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = {"read": 0, "refused": 0}
    with watched():
        for _ in range(ROUNDS):
            try:
                read(kind, DAMAGE[kind](data, source), tmp_path / "damaged")
            except CheckpointError:
                outcomes["refused"] += 1
            except RuntimeError as error:
                if "map_location" not in str(error):  # a damaged place
                    raise
                outcomes["refused"] += 1
            else:
                outcomes["read"] += 1
    assert outcomes["refused"] > ROUNDS // 10
    assert outcomes["read"] > 0
    assert dtorch.float32.itemsize == 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - largest < 20 << 10  # KiB
