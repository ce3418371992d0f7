"""Shared memory without a name: made, sealed, mapped. Nothing of it outlives its last user."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import sys
import tempfile
from typing import Any

import numpy as np

from dtorch.core.errors import StorageError
from dtorch.core.interrupts import completed

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long,
]  # fmt: skip
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_MADV_POPULATE_READ = 22
_MAP_FAILED = ctypes.c_void_p(-1).value


def create_memory(nbytes: int) -> int:
    """A descriptor of ``nbytes`` of zeroed shared memory, which cannot be resized any more.

    Pages cost nothing until they are first written.
    """
    if not hasattr(os, "memfd_create"):
        return _create_unlinked(nbytes)
    fd = os.memfd_create("dtorch", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.ftruncate(fd, nbytes)
        # A peer that could shrink the memory could kill us with SIGBUS.
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
                    | fcntl.F_SEAL_SEAL)  # fmt: skip
    except BaseException:
        os.close(fd)
        raise
    return fd


def _create_unlinked(nbytes: int) -> int:
    # Where there is no memory without a name, it has one for as long as these two lines take.
    fd, path = tempfile.mkstemp(
        prefix="dtorch-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
    )
    os.unlink(path)
    os.ftruncate(fd, nbytes)
    return fd


def check_sealed(fd: int) -> None:
    """Refuse memory that its sender could still shrink under us."""
    if not (hasattr(os, "memfd_create") and hasattr(fcntl, "F_GET_SEALS")):
        return  # such memory knows no seals
    wanted = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
    if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & wanted != wanted:
        raise StorageError("shared memory: received a descriptor that is not sealed; refused")


class Mapping:
    """The memory behind a descriptor, mapped until the last array over it is gone.

    The standard library's ``mmap`` is not used because it keeps a second descriptor.
    """

    address = 0  # for `__del__`, should Ctrl-C come before the first line

    def __init__(self, fd: int, nbytes: int) -> None:
        protection = mmap.PROT_READ | mmap.PROT_WRITE
        self.address = _libc.mmap(None, nbytes, protection, mmap.MAP_SHARED, fd, 0)
        self.nbytes = nbytes
        if self.address == _MAP_FAILED:
            number = ctypes.get_errno()
            self.address = 0
            raise OSError(number, f"cannot map {nbytes} bytes: {os.strerror(number)}")

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return byte_interface(self.address, self.nbytes)

    @property
    def array(self) -> np.ndarray:
        """All bytes, as an array that keeps the mapping."""
        return np.asarray(self)

    def map_pages(self, start: int, nbytes: int) -> None:
        """Map pages that exist already at once: a fault for each takes three times as long.

        Where the system cannot (Linux can from 5.14 on), the faults come.
        """
        skipped = start % mmap.PAGESIZE
        if sys.platform == "linux":
            _libc.madvise(self.address + start - skipped, nbytes + skipped, _MADV_POPULATE_READ)

    def drop_pages(self, start: int, nbytes: int) -> None:
        """Give the memory of some whole pages back to the system; they read as zeros after."""
        if hasattr(mmap, "MADV_REMOVE"):
            _libc.madvise(self.address + start, nbytes, mmap.MADV_REMOVE)

    @completed
    def __del__(self, munmap: Any = _libc.munmap) -> None:
        address, self.address = self.address, 0
        if address:
            munmap(address, self.nbytes)


def byte_interface(address: int, nbytes: int) -> dict[str, Any]:
    """NumPy's array interface of a piece of memory."""
    return {"shape": (nbytes,), "typestr": "|u1", "data": (address, False), "version": 3}


def populate(fd: int, start: int, nbytes: int) -> None:
    """Have the system provide the pages now, which is faster than one fault for each.

    Raises:
        MemoryError: there are not that many.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(fd, start, nbytes)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.ENOMEM):
            raise
        raise MemoryError(f"shared memory: the system has no {nbytes} bytes left") from error
