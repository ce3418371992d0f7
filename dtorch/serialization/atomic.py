"""Writing a file so that its name always stands for a complete one."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

from dtorch.core.interrupts import undisturbed
from dtorch.serialization.locks import Held, hold

_BUFFER = 1 << 20
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` when the block ends well.

    Until then, and for ever if the block raises or the process dies, ``path`` is what it was; after
    it the contents and the name are on the disc. The new file has the mode and the owner of the
    old one. What a process that was killed has left half written is removed.

    Args:
        path: where the file shall be. A symbolic link is followed; a device or pipe is written
            directly.
    """
    target = os.path.realpath(path)
    old = _status(target)
    if old is not None and not stat.S_ISREG(old.st_mode):
        with open(target, "wb") as file:
            yield file
        return
    _remove_leftovers(target)
    held = None
    try:
        with undisturbed():  # Ctrl-C comes before there is a file, or when it is known
            held = _new_beside(target, old)
        with open(held.fd, "wb", buffering=_BUFFER, closefd=False) as file:
            yield file
            file.flush()
            os.fsync(held.fd)
        os.replace(held.path, target)
    except BaseException:
        if held is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(held.path)
        raise
    finally:
        if held is not None:
            held.close()
    sync_directory(os.path.dirname(target))


def sync_directory(path: str) -> None:
    """Have the names in a directory on the disc, where it may be opened and can do so."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.EROFS):
            raise
    finally:
        os.close(descriptor)


def _status(path: str) -> os.stat_result | None:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(f"cannot write a file at {path}: a directory is there")
    return status


def _new_beside(target: str, old: os.stat_result | None) -> Held:
    """A new file, locked as long as it is being written."""
    mode = 0o666 if old is None else stat.S_IMODE(old.st_mode)
    while True:
        held = hold(f"{target}.{secrets.token_hex(4)}.tmp", _NEW, mode)
        # Somebody who cleans up may have come in between, for as long as it had no lock.
        if held is not None and os.fstat(held.fd).st_nlink:
            break
    if old is not None:
        with contextlib.suppress(PermissionError):  # only root gives files away
            os.fchown(held.fd, old.st_uid, old.st_gid)
        if stat.S_IMODE(os.fstat(held.fd).st_mode) != mode:  # less what is masked for new files
            os.fchmod(held.fd, mode)
    return held


def _remove_leftovers(target: str) -> None:
    """Remove what nobody is writing any more."""
    folder, name = os.path.split(target)
    pattern = re.compile(re.escape(name) + r"\.[0-9a-f]{8}\.tmp")
    with contextlib.suppress(PermissionError):
        for found in os.listdir(folder):
            if pattern.fullmatch(found):
                path = os.path.join(folder, found)
                with contextlib.suppress(OSError):
                    held = hold(path, os.O_RDWR)
                    if held is not None and held.is_locked:
                        os.unlink(path)
