"""Archives that ask for more than they hold, or lead out of their place."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import signal
import stat
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest

from dtorch.core.errors import ArgumentError
from dtorch.vision.datasets import archives
from dtorch.vision.datasets.archives import extract_archive


@pytest.fixture(autouse=True)
def low_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "AT_LEAST", 1 << 20)


def tar_of(*members: tarfile.TarInfo, mode: str = "w:gz") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as tar:
        for member in members:
            tar.addfile(member, io.BytesIO(bytes(member.size)))
    return file.getvalue()


def a_file(name: str = "d/a.txt", size: int = 3) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def a_link(kind: bytes, name: str = "a", to: str = "/etc/passwd") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, to
    return member


def zip_of(*members: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def changed(content: bytes, at: int) -> bytes:
    return content[:at] + bytes((content[at] ^ 1,)) + content[at + 1 :]


def zip_link() -> zipfile.ZipInfo:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def unpack(tmp_path: Path, name: str, content: bytes) -> Path:
    (tmp_path / name).write_bytes(content)
    extract_archive(tmp_path / name, tmp_path / "out")
    return tmp_path / "out"


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", ""])
def test_tars_are_unpacked_however_they_are_compressed(tmp_path: Path, kind: str) -> None:
    folder = tarfile.TarInfo("folder")
    folder.type = tarfile.DIRTYPE
    content = tar_of(a_file(), folder, a_file("./b", 0), mode=f"w:{kind}")
    out = unpack(tmp_path, "a.tar", content)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*")) == [
        "b", "d", "d/a.txt", "folder",
    ]  # fmt: skip
    assert (out / "d" / "a.txt").read_bytes() == bytes(3)


@pytest.mark.parametrize(
    ("suffix", "pack"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_single_files_are_unpacked(tmp_path: Path, suffix: str, pack: object) -> None:
    out = unpack(tmp_path, f"a.bin{suffix}", pack(b"content"))  # type: ignore[operator]
    assert (out / "a.bin").read_bytes() == b"content"


def test_what_was_there_is_kept_and_replaced_by_name(tmp_path: Path) -> None:
    (tmp_path / "out" / "d").mkdir(parents=True)
    (tmp_path / "out" / "d" / "old.txt").write_text("old")
    (tmp_path / "out" / "d" / "a.txt").write_text("old")
    out = unpack(tmp_path, "a.tar.gz", tar_of(a_file()))
    assert (out / "d" / "old.txt").read_text() == "old"
    assert (out / "d" / "a.txt").read_bytes() == bytes(3)


HOSTILE = {
    "a.tar.gz": {
        "leads out": tar_of(a_file(), a_file("../a")),
        "leads out by a root": tar_of(a_file(), a_file("/tmp/a")),
        "symbolic link": tar_of(a_file(), a_link(tarfile.SYMTYPE)),
        "hard link": tar_of(a_file(), a_link(tarfile.LNKTYPE, to="d/a.txt")),
        "device": tar_of(a_file(), a_link(tarfile.CHRTYPE)),
        "pipe": tar_of(a_file(), a_link(tarfile.FIFOTYPE)),
        "bomb": tar_of(a_file(), a_file("b", 1 << 24)),
        "twice": tar_of(a_file(), a_file()),
        "a file as a folder": tar_of(a_file("d", 1), a_file("d", 1)),
        "cut off": tar_of(a_file("a", 100_000), mode="w:gz")[:-20],
        "long name": tar_of(a_file("x" * 2_000_000, 0)),
    },
    "a.tar": {
        "cut off": tar_of(a_file("a", 100_000), mode="w:")[:50_000],
        "more than there is": tar_of(a_file("a", 100), mode="w:").replace(
            b"00000000144\0", b"77777777777\0"
        ),
    },
    "a.zip": {
        "leads out": zip_of(("a", b"1"), ("../b", b"1")),
        "leads out the other way": zip_of(("a", b"1"), ("..\\b", b"1")),
        "link": zip_of(("a", b"1"), (zip_link(), b"/etc/passwd")),
        "bomb": zip_of(("a", b"1"), ("b", bytes(1 << 24))),
        "damaged": changed(zip_of(("a", b"1"), ("b", bytes(range(256)))), 200),
    },
    "a.gz": {"bomb": gzip.compress(bytes(1 << 24)), "cut off": gzip.compress(bytes(9999))[:-9],
             "damaged": gzip.compress(os.urandom(99))[:-20] + bytes(20)},
    "a.bz2": {"bomb": bz2.compress(bytes(1 << 24)), "damaged": b"BZh9" + bytes(99)},
    "a.xz": {"bomb": lzma.compress(bytes(1 << 24)), "damaged": b"\xfd7zXZ\0" + bytes(99)},
    "a.txt": {"something else": b"text", "nothing": b""},
}  # fmt: skip
CASES = [(name, kind) for name, kinds in HOSTILE.items() for kind in kinds]


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_hostile_archive_is_refused_by_name_and_leaves_nothing(
    tmp_path: Path, name: str, kind: str
) -> None:
    content = HOSTILE[name][kind]
    tracemalloc.start()
    try:
        with pytest.raises(ArgumentError, match=f"{name}"):
            unpack(tmp_path, name, content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 32 << 20
    assert sorted(os.listdir(tmp_path)) == sorted({name, "out"})
    assert os.listdir(tmp_path / "out") == []


def test_what_a_killed_process_has_left_is_removed_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "a.tar.gz").write_bytes(tar_of(a_file("a", 10)))
    script = (
        "import sys, time\n"
        "from dtorch.vision.datasets import archives\n"
        "def stop(*args): print('unpacking', flush=True); time.sleep(600)\n"
        "archives._move_into = stop\n"
        "archives.extract_archive(sys.argv[1])\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "a.tar.gz")], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"unpacking\n"
        (left,) = set(os.listdir(tmp_path)) - {"a.tar.gz"}
        extract_archive(tmp_path / "a.tar.gz")
        assert set(os.listdir(tmp_path)) == {"a.tar.gz", "a", left}  # that one is at work
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate()
    extract_archive(tmp_path / "a.tar.gz")
    assert set(os.listdir(tmp_path)) == {"a.tar.gz", "a"}
