"""Files that take the place of others."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time

import pytest

import dtorch
from dtorch.serialization import atomic, locks
from dtorch.serialization.atomic import replacing

SAVING = """
import sys, time, dtorch
from dtorch.serialization.atomic import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def saving():
    """Starts a process that is in the middle of writing a file."""
    started = []

    def start(path):
        process = subprocess.Popen([sys.executable, "-c", SAVING, path], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"writing\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_what_a_killed_save_has_left_is_removed_by_the_next_and_a_living_one_is_left(
    saving, tmp_path
):
    path = tmp_path / "a.pt"
    dtorch.save([1], path)
    process = saving(path)
    (left,) = set(os.listdir(tmp_path)) - {"a.pt"}
    dtorch.save([2], path)
    assert set(os.listdir(tmp_path)) == {"a.pt", left}  # it is still being written
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert dtorch.load(path) == [2]
    (tmp_path / "a.pt.0123.tmp").touch()
    (tmp_path / "b.pt.01234567.tmp").touch()
    dtorch.save([3], path)
    assert set(os.listdir(tmp_path)) == {"a.pt", "a.pt.0123.tmp", "b.pt.01234567.tmp"}
    assert dtorch.load(path) == [3]


def test_a_child_does_not_keep_the_lock_of_its_parent(tmp_path):
    held = locks.hold(tmp_path / "lock", os.O_RDWR | os.O_CREAT)
    pid = os.fork()
    if pid == 0:
        time.sleep(100)
        os._exit(1)
    try:
        assert locks.is_held(tmp_path / "lock")
        held.close()
        while locks.is_held(tmp_path / "lock"):
            assert os.waitpid(pid, os.WNOHANG) == (0, 0)
            time.sleep(0.01)  # the child has it until it begins to run
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o666, 0o777])
def test_the_mode_of_the_old_file_is_kept_from_the_first_byte_on(tmp_path, mode):
    path = tmp_path / "a.pt"
    dtorch.save([1], path)
    path.chmod(mode)
    with replacing(path) as file:
        (new,) = set(os.listdir(tmp_path)) - {"a.pt"}
        assert stat.S_IMODE((tmp_path / new).stat().st_mode) == mode
        file.write(b"content")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"content"


def test_a_new_file_has_the_mode_that_new_files_have(tmp_path):
    before = os.umask(0o027)
    try:
        dtorch.save([1], tmp_path / "a.pt")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.pt").stat().st_mode) == 0o640


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_the_owner_of_the_old_file_is_kept(tmp_path):
    path = tmp_path / "a.pt"
    dtorch.save([1], path)
    path.chmod(0o640)
    os.chown(path, 12345, 23456)
    dtorch.save([2], path)
    status = path.stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (12345, 23456, 0o640)


def test_links_are_written_through_as_open_does(tmp_path):
    (tmp_path / "folder").mkdir()
    link, dangling = tmp_path / "link.pt", tmp_path / "dangling.pt"
    link.symlink_to("folder/real.pt")
    dangling.symlink_to("link.pt")
    dtorch.save([1], dangling)
    assert link.is_symlink()
    assert dangling.is_symlink()
    assert os.listdir(tmp_path / "folder") == ["real.pt"]
    assert dtorch.load(tmp_path / "folder" / "real.pt") == [1]


def test_contents_are_on_the_disc_before_the_name_and_the_name_before_the_end(
    tmp_path, monkeypatch
):
    done, sync, replace = [], os.fsync, os.replace

    def fsync(fd):
        done.append("folder" if stat.S_ISDIR(os.fstat(fd).st_mode) else "file")
        sync(fd)

    def rename(source, target):
        done.append("name")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    dtorch.save([1], tmp_path / "a.pt")
    assert done == ["file", "name", "folder"]


def test_a_file_system_without_locks_is_written_to_and_never_cleaned(tmp_path, monkeypatch):
    def flock(fd, operation):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(locks.fcntl, "flock", flock)
    (tmp_path / "a.pt.01234567.tmp").touch()
    dtorch.save([1], tmp_path / "a.pt")
    assert set(os.listdir(tmp_path)) == {"a.pt", "a.pt.01234567.tmp"}
    assert dtorch.load(tmp_path / "a.pt") == [1]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path, monkeypatch):
    def refuse(fd):
        raise OSError(errno.EINVAL, "not here")

    monkeypatch.setattr(os, "fsync", refuse)
    atomic.sync_directory(str(tmp_path))
