"""Which pipes and sockets messages go into, and whether anybody can still read from them.

Runs on the standard library alone, as the broker uses it too. Where ``/proc`` or the kernel does
not tell, a channel is 0, unknown, and counts as open.
"""

from __future__ import annotations

import os
import re
import socket
import stat
import struct
from collections.abc import Collection

from dtorch.multiprocessing import layout
from dtorch.multiprocessing.processes import start_time

UNKNOWN = layout.NO_CHANNEL

_LINK = re.compile(r"(pipe|socket):\[(\d+)\]")
_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_UDIAG_SHOW_PEER = 4
_UNIX_DIAG_PEER = 2
_REQUEST = struct.Struct("=IHHIIBBHIIIII")
_MESSAGE_HEAD = 16 + 16  # netlink header and unix_diag_msg, before the attributes


def channel_of(fd: int) -> int:
    """The reading end of what is written to ``fd``, as a number that no other has."""
    try:
        status = os.fstat(fd)
    except OSError:
        return UNKNOWN
    if stat.S_ISFIFO(status.st_mode):
        return status.st_ino << 1
    if stat.S_ISSOCK(status.st_mode):
        peer = _peer(status.st_ino)
        return peer << 1 | 1 if peer else UNKNOWN
    return UNKNOWN


def _peer(inode: int) -> int:
    """The inode of the UNIX socket that is connected to this one; 0 if unknown."""
    if not hasattr(socket, "AF_NETLINK"):
        return 0
    request = _REQUEST.pack(
        _REQUEST.size, _SOCK_DIAG_BY_FAMILY, 1, 0, 0,  # netlink header: NLM_F_REQUEST
        socket.AF_UNIX, 0, 0, 0xFFFF_FFFF, inode, _UDIAG_SHOW_PEER, 0xFFFF_FFFF, 0xFFFF_FFFF,
    )  # fmt: skip
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, _NETLINK_SOCK_DIAG) as kernel:
            kernel.settimeout(1)
            kernel.send(request)
            answer = kernel.recv(4096)
    except OSError:
        return 0
    if len(answer) < _MESSAGE_HEAD or struct.unpack_from("=H", answer, 4)[0] != 20:
        return 0
    at = _MESSAGE_HEAD
    while at + 4 <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == _UNIX_DIAG_PEER:
            return int(struct.unpack_from("=I", answer, at + 4)[0])
        if length < 4:
            break
        at += (length + 3) & ~3
    return 0


def open_channels(family: Collection[int]) -> set[int] | None:
    """All channels that a process of this user can read from; None if that cannot be known.

    The system may hide what some processes have open. That matters if they are of the ``family``
    (pids) or have started after the first of it; others cannot have our descriptors.
    """
    found = set()
    since = min((start_time(pid) or 0 for pid in family), default=0)
    try:
        pids = [name for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return None
    for pid in pids:
        try:
            found.update(_channels_of(f"/proc/{pid}/fd"))
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        except PermissionError:
            if _may_be_ours(int(pid), family, since):
                return None
    return found


def _channels_of(folder: str) -> set[int]:
    found = set()
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        try:
            link = _LINK.fullmatch(os.readlink(path))
            # The link of a descriptor has the rights that the descriptor was opened with.
            if link and os.lstat(path).st_mode & stat.S_IRUSR:
                found.add(int(link[2]) << 1 | (link[1] == "socket"))
        except FileNotFoundError:
            continue  # closed meanwhile
    return found


def _may_be_ours(pid: int, family: Collection[int], since: int) -> bool:
    try:
        if os.stat(f"/proc/{pid}").st_uid != os.getuid():
            return False
    except (FileNotFoundError, ProcessLookupError):
        return False
    started = start_time(pid)  # None: it is just ending, and cannot be read for that reason
    return started is not None and (pid in family or started >= since)
