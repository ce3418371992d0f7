from __future__ import annotations

import copy
import gzip
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from dtorch.core.errors import ArgumentError
from dtorch.model_zoo import HashMismatch
from dtorch.vision.datasets.utils import (
    check_integrity,
    download_url,
    extract_archive,
    list_dir,
    list_files,
)

MD5 = hashlib.md5(b"content").hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source" / "file.bin"
    path.parent.mkdir()
    path.write_bytes(b"content")
    return path


def test_integrity_is_existence_and_checksum(source: Path) -> None:
    assert check_integrity(source)
    assert check_integrity(source, MD5)
    assert not check_integrity(source, "0" * 32)
    assert not check_integrity(source.with_name("other"))


def test_a_damaged_file_is_downloaded_again(source: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.bin").write_bytes(b"damaged")
    download_url(source.as_uri(), tmp_path, "mine.bin", MD5)
    assert (tmp_path / "mine.bin").read_bytes() == b"content"


def test_a_fine_file_is_left_alone(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file.bin").write_bytes(b"content")
    download_url("https://nowhere.invalid/file.bin", tmp_path, md5=MD5)


def test_a_wrong_checksum_stores_nothing(source: Path, tmp_path: Path) -> None:
    with pytest.raises(HashMismatch):
        download_url(source.as_uri(), tmp_path, md5="0" * 32)
    assert not (tmp_path / "file.bin").exists()


def tar_of(path: Path, name: str) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 3
        tar.addfile(entry, io.BytesIO(b"abc"))
    return path


def test_archives_are_unpacked(tmp_path: Path) -> None:
    extract_archive(tar_of(tmp_path / "a.tar.gz", "d/a.txt"), tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("d/b.txt", "abc")
    extract_archive(tmp_path / "b.zip", tmp_path / "out")
    (tmp_path / "c.txt.gz").write_bytes(gzip.compress(b"abc"))
    extract_archive(tmp_path / "c.txt.gz", tmp_path / "out")
    for name in ("d/a.txt", "d/b.txt", "c.txt"):
        assert (tmp_path / "out" / name).read_bytes() == b"abc"


def test_archives_that_lead_out_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="not unpacked"):
        extract_archive(tar_of(tmp_path / "a.tar.gz", "../a.txt"), tmp_path / "out")
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("../b.txt", "abc")
    with pytest.raises(ArgumentError, match="leads out of the directory"):
        extract_archive(tmp_path / "b.zip", tmp_path / "out")
    (tmp_path / "c.txt").write_text("abc")
    with pytest.raises(ArgumentError, match="no tar, zip or gz file"):
        extract_archive(tmp_path / "c.txt")
    assert not (tmp_path / "a.txt").exists()
    assert not (tmp_path / "b.txt").exists()


def test_archives_whose_entries_overlap_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("kernel", bytes(1 << 20))
        first = archive.filelist[0]
        for number in range(50):  # each stands for the same compressed bytes
            entry = copy.copy(first)
            entry.filename = f"copy{number}"
            archive.filelist.append(entry)
    with pytest.raises(ArgumentError, match="entries overlap"):
        extract_archive(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_lists_are_sorted(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / name).mkdir()
        (tmp_path / f"{name}.txt").touch()
    assert list_dir(tmp_path) == ["a", "b"]
    assert list_dir(tmp_path, prefix=True) == [f"{tmp_path}/a", f"{tmp_path}/b"]
    assert list_files(tmp_path, ".txt") == ["a.txt", "b.txt"]
    assert list_files(tmp_path, (".txt", ".png"), prefix=True)[0] == f"{tmp_path}/a.txt"
