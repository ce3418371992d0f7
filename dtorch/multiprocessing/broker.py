"""Client of the broker, the small process that holds descriptors of arenas.

Because the broker has them, a process may send a tensor and exit before it is received. It is
started by the first process that sends, serves the processes of one user that share an
authentication key (a program and its children), and ends when the last of them has.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import socket
from multiprocessing.spawn import get_executable

from dtorch.core.errors import StorageError
from dtorch.multiprocessing.broker_server import DEPOSIT, FETCH, HAVE, REQUEST
from dtorch.multiprocessing.descriptors import descriptors_counted

_TIMEOUT_S = 10.0
_FOLDER = os.path.dirname(os.path.abspath(__file__))

# The server needs two modules of this package, but neither NumPy nor dtorch/__init__.py, which
# would make it start slowly and grow large.
_BOOT = """
import sys, types
for name, path in (("dtorch", ""), ("dtorch.multiprocessing", sys.argv[1])):
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [path]
from dtorch.multiprocessing.broker_server import main
main(sys.argv[2], [int(pid) for pid in sys.argv[3:]])
"""


def deposit(arena_id: int, fd: int) -> str:
    """Give the broker a descriptor; returns its address, for `fetch` by another process.

    Raises:
        StorageError: no broker can be started here.
    """
    address = _address()
    for _ in range(3):
        try:
            answer, _ = _ask(address, DEPOSIT, arena_id, [fd])
        except ConnectionError:
            _start(address)  # none yet, or it was just about to end
            continue
        if answer == HAVE:
            return address
    raise StorageError("shared memory: the process that passes descriptors on does not answer")


def fetch(address: str, arena_id: int) -> int:
    """A descriptor of an arena that some process deposited.

    Raises:
        StorageError: there is none any more.
    """
    try:
        answer, fds = _ask(address, FETCH, arena_id, [])
    except ConnectionError as error:
        raise StorageError(
            "shared memory: a tensor was received after all processes of its sender's program "
            f"had ended ({error})"
        ) from error
    if answer != HAVE or len(fds) != 1:
        raise StorageError(
            "shared memory: the memory of a received tensor was given up already; a pickled "
            "tensor can be unpickled once"
        )
    return fds[0]


def _address() -> str:
    key = bytes(multiprocessing.current_process().authkey)
    return "dtorch-arenas-" + hashlib.sha256(key + b" arenas").hexdigest()[:32]


def _ask(address: str, kind: bytes, arena_id: int, fds: list[int]) -> tuple[bytes, list[int]]:
    if not hasattr(socket, "SOCK_SEQPACKET") or not hasattr(os, "pidfd_open"):
        raise StorageError("shared memory: passing tensors between processes needs Linux >= 5.3")
    with descriptors_counted(), socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as peer:
        peer.settimeout(_TIMEOUT_S)
        request = REQUEST.pack(kind, arena_id, _parent_pid())
        try:
            peer.connect("\0" + address)
            socket.send_fds(peer, [request], fds)
            answer, received, _, _ = socket.recv_fds(peer, 1, 1, socket.MSG_CMSG_CLOEXEC)
        except (TimeoutError, BlockingIOError) as error:  # the latter: many wait for it already
            raise StorageError(
                "shared memory: the process that passes descriptors on did not answer within "
                f"{_TIMEOUT_S:g} s; was it stopped by a signal?"
            ) from error
    if not answer:
        raise ConnectionResetError("the broker ended")
    return answer, received


def _parent_pid() -> int:
    """The process that will read what this one sends, in all likelihood; 0 if unknown."""
    parent = multiprocessing.parent_process()
    return 0 if parent is None or parent.pid is None else parent.pid


def _start(address: str) -> None:
    pids = [str(pid) for pid in (os.getpid(), _parent_pid()) if pid]
    executable = os.fsdecode(get_executable() or b"")
    command = [executable, "-I", "-S", "-c", _BOOT, _FOLDER, address, *pids]
    null = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in range(3)]
    try:
        child = os.posix_spawn(executable, command, os.environ, file_actions=null)
    except OSError as error:
        raise StorageError(f"shared memory: cannot start {executable!r}: {error}") from error
    # It binds its address, leaves a child of its own behind to serve, and exits.
    _, status = os.waitpid(child, 0)
    if status:
        raise StorageError(
            f"shared memory: the process that passes descriptors on did not start: {executable} "
            f"ended with status {os.waitstatus_to_exitcode(status)}"
        )
