"""Files from before 0.1.10."""

from __future__ import annotations

import io
import pickle
import tarfile

import pytest

import dtorch
from dtorch.serialization import CheckpointError


def test_a_tar_of_the_first_versions_is_read_exactly(checkpoints, described):
    back = dtorch.load(checkpoints / "tar.pth", weights_only=False)
    described(back, "tar.pth")
    back["weight"][0, 0] = 5.0
    assert back["weight_t"][0, 0].item() == 5.0


def test_a_tar_needs_trust(checkpoints):
    with pytest.raises(pickle.UnpicklingError, match="weights_only=False"):
        dtorch.load(checkpoints / "tar.pth")


def test_a_tar_of_another_program_is_refused():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo("readme"))
    with pytest.raises(CheckpointError, match="storages"):
        dtorch.load(io.BytesIO(file.getvalue()), weights_only=False)


def test_a_member_that_is_a_link_is_refused():
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        link = tarfile.TarInfo("storages")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(CheckpointError, match="storages"):
        dtorch.load(io.BytesIO(file.getvalue()), weights_only=False)


def test_a_tar_cut_off_anywhere_is_refused(checkpoints):
    data = (checkpoints / "tar.pth").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        end = max(member.offset_data + member.size for member in archive)
    for size in range(300, end, 37):
        with pytest.raises(CheckpointError):
            dtorch.load(io.BytesIO(data[:size]), weights_only=False)
