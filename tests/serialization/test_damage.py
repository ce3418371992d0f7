"""Files with random damage: an error that says so, or an object; never a crash, a hang, or memory
far beyond the size of the file."""

from __future__ import annotations

import io
import random
import resource
import zipfile

import pytest

import dtorch
from dtorch.serialization import CheckpointError

_ROUNDS = 10_000


def a_file(kind: str) -> bytes:
    base = dtorch.arange(12.0).reshape(3, 4)
    obj = {"base": base, "row": base[1], "n": [1, 2.5, None, (True, "text")], "d": dtorch.float32,
           "size": base.shape, "b": b"bytes"}  # fmt: skip
    file = io.BytesIO()
    dtorch.save(obj, file, _use_new_zipfile_serialization=kind != "stream")
    return file.getvalue()


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


def damaged_pickle(data: bytes, source: random.Random) -> bytes:
    """The file with damage in its pickle only, which the container does not notice."""
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, damaged(content, source) if name.endswith(".pkl") else content)
    return changed.getvalue()


@pytest.mark.parametrize("kind", ["zip", "pickle", "stream"])
def test_random_damage_is_survived(kind):
    data, source = a_file(kind), random.Random(1)
    damage = damaged_pickle if kind == "pickle" else damaged
    rounds = _ROUNDS // 5 if kind == "pickle" else _ROUNDS
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes = {"read": 0, "refused": 0}
    for _ in range(rounds):
        try:
            dtorch.load(io.BytesIO(damage(data, source)))
        except CheckpointError:
            outcomes["refused"] += 1
        except RuntimeError as error:
            if "map_location" not in str(error):  # a damaged place
                raise
            outcomes["refused"] += 1
        else:
            outcomes["read"] += 1
    assert outcomes["refused"] > rounds // 10
    assert outcomes["read"] > 0
    assert dtorch.float32.itemsize == 4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20 << 10  # KiB
