"""Locks on open files, which end with the process that holds them, however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
import weakref
from typing import ClassVar

from dtorch.core.interrupts import at_fork, completed

_UNSUPPORTED = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EBADF, errno.EINVAL, errno.ENOSYS)


class Held:
    """A file or folder that is open and locked until it is closed.

    Attributes:
        fd: its descriptor; -1 once it is closed.
        path: where it was opened.
        is_locked: False where the file system has no locks.
    """

    fd = -1  # for `__del__`, should Ctrl-C come before the first line
    # Those that are open, by id. A WeakSet has callbacks, in which Ctrl-C would be lost.
    all: ClassVar[dict[int, weakref.ref[Held]]] = {}

    def __init__(self, fd: int, path: str, is_locked: bool) -> None:
        self.fd = fd
        self.path = path
        self.is_locked = is_locked
        self.all[id(self)] = weakref.ref(self)

    def close(self) -> None:
        """Give the lock up."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            self.all.pop(id(self), None)
            os.close(fd)

    @completed
    def __del__(self) -> None:
        self.close()


def _forget_in_child() -> None:
    # A child shares the lock; it would keep what its parent is thought to hold.
    for reference in list(Held.all.values()):
        held = reference()
        if held is not None:
            held.close()


at_fork(after_in_child=_forget_in_child)


def hold(path: str | os.PathLike[str], flags: int, mode: int = 0o600) -> Held | None:
    """Open and lock; None where another has the lock."""
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    is_locked = True
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            os.close(fd)
            raise
        is_locked = False
    return Held(fd, os.fspath(path), is_locked)


def is_held(path: str | os.PathLike[str]) -> bool:
    """Whether a process has the file locked, or may have where there are no locks.

    Raises:
        FileNotFoundError: there is no such file.
    """
    held = hold(path, os.O_RDWR)
    if held is None:
        return True
    held.close()
    return not held.is_locked
