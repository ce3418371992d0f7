"""Files from before 0.1.10."""

from __future__ import annotations

import io
import pickle
import struct
import tarfile

import pytest

import dtorch
from dtorch.serialization import CheckpointError


@pytest.mark.parametrize("weights_only", [True, False])
def test_a_tar_of_the_first_versions_is_read_exactly(checkpoints, described, weights_only):
    back = dtorch.load(checkpoints / "tar.pth", weights_only=weights_only)
    described(back, "tar.pth")
    back["weight"][0, 0] = 5.0
    assert back["weight_t"][0, 0].item() == 5.0


def tar_of(members) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def members_of(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {m.name: archive.extractfile(m).read() for m in archive if m.isreg()}


def test_a_tar_runs_no_code(checkpoints):
    members = members_of((checkpoints / "tar.pth").read_bytes())
    members["pickle"] = b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."
    with pytest.raises(pickle.UnpicklingError, match=r"os\.system.*weights_only=False"):
        dtorch.load(io.BytesIO(tar_of(members)))


def test_a_tar_is_read_from_where_it_begins_in_a_file_and_from_a_map(checkpoints, described):
    file = io.BytesIO(b"in front" + (checkpoints / "tar.pth").read_bytes())
    file.seek(8)
    described(dtorch.load(file), "tar.pth")
    described(dtorch.load(checkpoints / "tar.pth", mmap=True), "tar.pth")


@pytest.mark.parametrize(
    "numbers",
    [(1, 5, 1, 0), (1, 4, 2, 0), (1, 1, 1, -1), (1, -1, 1, 0), (1, 1 << 62, 1 << 62, 0),
     (2, 4, 1, 0), (-1, 4, 1, 0), (1 << 30, 4, 1, 0)],
    ids=str,
)  # fmt: skip
def test_a_tensor_outside_of_its_storage_is_refused(numbers):
    ndim, *place = numbers
    dump = lambda *objects: b"".join(pickle.dumps(obj, 2) for obj in objects)  # noqa: E731
    name = b"\x80\x02ctorch\nFloatStorage\n"
    tensor_name = name.replace(b"Storage", b"Tensor")
    storages = dump(1) + b"\x80\x02K\x07X\x03\0\0\0cpu" + name[2:] + b"\x87."
    storages += struct.pack("<q4f", 4, 0, 1, 2, 3) + dump([])
    tensors = dump(1) + b"\x80\x02K\x08K\x07" + tensor_name[2:] + b"\x87."
    record = b"\x80\x02X\x01\0\0\x008Q."
    whole = {"storages": storages, "pickle": record}
    good = tensors + struct.pack("<i4x3q", 1, 4, 1, 0)
    assert dtorch.load(io.BytesIO(tar_of({**whole, "tensors": good}))).tolist() == [0, 1, 2, 3]
    bad = tensors + struct.pack("<i4x3q", ndim, *place)
    with pytest.raises(CheckpointError):
        dtorch.load(io.BytesIO(tar_of({**whole, "tensors": bad})))


def test_a_tar_of_another_program_is_refused():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("readme"))
    with pytest.raises(CheckpointError, match="storages"):
        dtorch.load(io.BytesIO(file.getvalue()))


def test_a_member_that_is_a_link_is_refused():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        link = tarfile.TarInfo("storages")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(CheckpointError, match="storages"):
        dtorch.load(io.BytesIO(file.getvalue()))


def test_a_tar_cut_off_anywhere_is_refused(checkpoints):
    data = (checkpoints / "tar.pth").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        end = max(member.offset_data + member.size for member in archive)
    for size in range(300, end, 37):
        with pytest.raises(CheckpointError):
            dtorch.load(io.BytesIO(data[:size]))
