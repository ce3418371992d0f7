"""Workers as child processes of the launcher, each leading a session of its own."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial

from ..activity import Activity, session_activity, session_is_alive
from ..bootstrap import STACKS_SIGNAL
from ..job import WorkerSpec
from .engine import Exit, Handle, StartError, register

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


@dataclass
class LocalHandle:
    """A worker that is a child process; see `Handle`."""

    spec: WorkerSpec
    process: subprocess.Popen[bytes]
    exit_fd: int | None
    control_fd: int
    stacks_fd: int  # unnamed file into which the worker's fault handler writes
    held: contextlib.ExitStack

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def output_fds(self) -> dict[str, int]:
        pipes = {"stdout": self.process.stdout, "stderr": self.process.stderr}
        return {name: pipe.fileno() for name, pipe in pipes.items() if pipe is not None}

    def poll(self) -> Exit | None:
        code = self.process.poll()
        return None if code is None else Exit(code)

    def signal(self, signum: int) -> None:
        self.process.send_signal(signum)

    def kill(self) -> None:
        self._signal_group(signal.SIGKILL)

    def stop_rest(self) -> None:
        # Not SIGKILL: the resource tracker of multiprocessing, which removes what a dead process
        # left in shared memory, is one of them; it ignores SIGTERM and ends when its work is done.
        self._signal_group(signal.SIGTERM)

    def has_rest(self) -> bool:
        # A group of zombies can be signalled, for as long as their new parent leaves them so.
        probe = 0
        return self._signal_group(probe) and session_is_alive(self.pid)

    def suspend(self) -> None:
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal_group(signal.SIGCONT)

    def activity(self) -> Activity | None:
        return session_activity(self.pid)

    def request_stacks(self) -> None:
        if STACKS_SIGNAL is not None:
            self.process.send_signal(STACKS_SIGNAL)

    def stacks(self) -> str:
        size = os.fstat(self.stacks_fd).st_size
        return os.pread(self.stacks_fd, size, 0).decode("utf-8", "replace")

    def close(self) -> None:
        self.held.close()

    def _signal_group(self, signum: int) -> bool:
        """False when no process of the group is left."""
        try:
            os.killpg(self.pid, signum)
        except (ProcessLookupError, PermissionError):  # the latter: macOS, when all are zombies
            return False
        return True


@register("local")
class LocalEngine:
    """Starts workers on this machine.

    A worker's end is seen through a pidfd (Linux 5.3); elsewhere the supervisor asks at intervals.
    When the launcher dies, however it dies, the kernel kills every worker with its whole process
    group: the bootstrap asks for it.
    """

    def start(self, spec: WorkerSpec) -> Handle:
        """Starts one worker; see `Engine.start`."""
        try:
            with contextlib.ExitStack() as held:
                return _start(spec, held)
        except OSError as error:
            reason = error.strerror or str(error)
            message = f"cannot start rank {spec.rank} ({spec.command[0]}): {reason}"
            raise StartError(message) from error


def _start(spec: WorkerSpec, held: contextlib.ExitStack) -> LocalHandle:
    control, worker_control = _socket_pair()
    held.enter_context(control)
    with worker_control:
        lifeline, launcher_lifeline = os.pipe()
        held.callback(os.close, launcher_lifeline)
        try:
            stacks_fd = _unnamed_file()
            held.callback(os.close, stacks_fd)
            process = _spawn(spec, worker_control.fileno(), lifeline, stacks_fd)
            held.callback(_abandon, process)
        finally:
            os.close(lifeline)
    for pipe in (process.stdout, process.stderr):
        if pipe is not None:
            held.enter_context(pipe)
            os.set_blocking(pipe.fileno(), False)
    exit_fd = None
    if hasattr(os, "pidfd_open"):
        exit_fd = os.pidfd_open(process.pid)
        held.callback(os.close, exit_fd)
    return LocalHandle(spec, process, exit_fd, control.fileno(), stacks_fd, held.pop_all())


def _spawn(spec: WorkerSpec, control: int, lifeline: int, stacks: int) -> subprocess.Popen[bytes]:
    descriptors = {
        "DTORCH_CONTROL_FD": control,
        "DTORCH_LIFELINE_FD": lifeline,
        "DTORCH_STACKS_FD": stacks,
    }
    output = subprocess.PIPE if spec.captured else None
    return subprocess.Popen(
        spec.command,
        env={**spec.environment, **{name: str(fd) for name, fd in descriptors.items()}},
        pass_fds=descriptors.values(),
        stdin=subprocess.DEVNULL if spec.captured else None,
        stdout=output,
        stderr=output,
        bufsize=0,
        start_new_session=True,
        preexec_fn=partial(_die_with, os.getpid()) if sys.platform == "linux" else None,
    )


def _die_with(launcher: int) -> None:
    """A second sign, for the worker alone: its program may close the lifeline with all it knows not."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != launcher:
        os.kill(os.getpid(), signal.SIGKILL)  # it was gone before the line above


def _abandon(process: subprocess.Popen[bytes]) -> None:
    """Ends a process that could not become a worker; does nothing at a worker's regular close."""
    if process.poll() is None:
        process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # stuck inside the kernel
            process.wait(timeout=1)


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    # SEQPACKET keeps messages apart and carries descriptors; macOS has only streams.
    kind = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM
    return socket.socketpair(socket.AF_UNIX, kind)


def _unnamed_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("dtorch-stacks")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
