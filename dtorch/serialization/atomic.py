"""Writing a file so that its name always stands for a complete one."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from typing import BinaryIO

_BUFFER = 1 << 20


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str], durable: bool = False) -> Iterator[BinaryIO]:
    """A file to write, which takes the place of ``path`` when the block ends well.

    Until then, and for ever if the block raises or the process dies, ``path`` is what it was.

    Args:
        path: where the file shall be. A symbolic link is followed; a device or pipe is written
            directly.
        durable: have the contents and the name on the disc before returning, so that they survive
            a power failure too.
    """
    target = os.path.realpath(path)
    if _is_special(target):
        with open(target, "wb") as file:
            yield file
        return
    temporary = f"{target}.{secrets.token_hex(4)}.tmp"
    try:
        with open(temporary, "xb", buffering=_BUFFER) as file:
            yield file
            file.flush()
            _copy_mode(target, file.fileno())
            if durable:
                os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if durable:
        sync_directory(os.path.dirname(target))


def sync_directory(path: str) -> None:
    """Have the names in a directory on the disc."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _is_special(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return False
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"cannot write a file at {path}: a directory is there")
    return not stat.S_ISREG(mode)


def _copy_mode(target: str, descriptor: int) -> None:
    with contextlib.suppress(FileNotFoundError):
        mode = stat.S_IMODE(os.stat(target).st_mode)
        if mode != stat.S_IMODE(os.fstat(descriptor).st_mode):
            os.fchmod(descriptor, mode)
