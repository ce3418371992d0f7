"""Starting several processes with one function, and ending all when one fails."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from typing import Any, cast

from dtorch.core.backend import share_cache
from dtorch.core.errors import ArgumentError, DtorchError
from dtorch.core.interrupts import leave_in_child, undisturbed
from dtorch.multiprocessing.connections import Connection
from dtorch.multiprocessing.contexts import get_context
from dtorch.multiprocessing.parent_death import die_with_parent
from dtorch.multiprocessing.processes import is_stopped, signal_name

_GRACE_S = 5.0  # from SIGTERM to SIGKILL, for the others when one has failed


class ProcessException(DtorchError, RuntimeError):
    """A process that `spawn` started has failed.

    Attributes:
        error_index: which one, as in ``fn(error_index, *args)``.
        error_pid: its pid.
    """

    def __init__(self, message: str, error_index: int, error_pid: int) -> None:
        super().__init__(message)
        self.error_index = error_index
        self.error_pid = error_pid

    def __reduce__(self) -> Any:
        return type(self), (str(self), self.error_index, self.error_pid)


class ProcessRaisedException(ProcessException):
    """It raised an exception; the message has its traceback."""


class ProcessExitedException(ProcessException):
    """It was killed, or exited with a status other than 0.

    Attributes:
        exit_code: the status, negative for a signal.
        signal_name: of the signal, or None.
    """

    def __init__(
        self, message: str, error_index: int, error_pid: int, exit_code: int,
        signal_name: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__(message, error_index, error_pid)
        self.exit_code = exit_code
        self.signal_name = signal_name

    def __reduce__(self) -> Any:
        return type(self), (
            str(self), self.error_index, self.error_pid, self.exit_code, self.signal_name,
        )  # fmt: skip


class ProcessContext:
    """Processes that `spawn` started.

    Attributes:
        processes: the processes, in order.
    """

    def __init__(self, processes: list[BaseProcess], failures: list[Connection]) -> None:
        self.processes = processes
        self._failures = failures
        self._running = {process.sentinel: index for index, process in enumerate(processes)}

    def pids(self) -> list[int | None]:
        """Their pids."""
        return [process.pid for process in self.processes]

    def join(self, timeout: float | None = None, grace_period: float = _GRACE_S) -> bool:
        """Wait until one has failed or all have ended, at most ``timeout`` seconds.

        Returns:
            Whether all have ended.
        Raises:
            ProcessRaisedException, ProcessExitedException: for the first that failed; the others
                have been ended, with SIGKILL after ``grace_period`` seconds.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self._running:
            left = None if end is None else max(end - time.monotonic(), 0)
            ready = connection.wait(list(self._running), left)
            if not ready:
                return False
            for sentinel in ready:
                index = self._running.pop(cast(int, sentinel))
                self.processes[index].join()
                if self.processes[index].exitcode:
                    self._end_others(grace_period)
                    raise self._failure(index)
        return True

    def _end_others(self, grace_period: float) -> None:
        _end([self.processes[index] for index in self._running.values()], grace_period)
        self._running.clear()

    def _failure(self, index: int) -> ProcessException:
        process, failure = self.processes[index], self._failures[index]
        pid, code = process.pid or 0, process.exitcode or 0
        with contextlib.suppress(EOFError):
            text = failure.recv()
            return ProcessRaisedException(
                f"\n\n-- Process {index} terminated with the following error (pid {pid}):\n"
                f"{text.rstrip()}",
                index,
                pid,
            )
        if code < 0:
            name = signal_name(-code)
            message = f"process {index} terminated with signal {name} (pid {pid})"
            return ProcessExitedException(message, index, pid, code, name)
        message = f"process {index} terminated with exit code {code} (pid {pid})"
        return ProcessExitedException(message, index, pid, code)


def _end(processes: list[BaseProcess], grace_period: float) -> None:
    for process in processes:
        if is_stopped(process.pid or 0):  # it hears nothing else
            process.kill()
        else:
            process.terminate()
    end = time.monotonic() + grace_period
    for process in processes:
        process.join(max(end - time.monotonic(), 0))
        if process.is_alive():
            process.kill()
            process.join()


def start_processes(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """`spawn` with any start method."""
    if nprocs < 1:
        raise ArgumentError(f"spawn: nprocs is {nprocs}, expected at least 1")
    context = get_context(start_method)
    in_main_thread = threading.current_thread() is threading.main_thread()
    processes: list[BaseProcess] = []
    failures = []
    try:
        for index in range(nprocs):
            here, there = context.Pipe(duplex=False)
            process = context.Process(
                target=_run, args=(fn, index, nprocs, args, there, in_main_thread), daemon=daemon
            )
            with undisturbed():
                process.start()
                processes.append(process)
            there.close()
            failures.append(here)
        started = ProcessContext(processes, failures)
        if not join:
            return started
        while not started.join():
            pass
    except KeyboardInterrupt:  # which may have come to this process alone
        _end(processes, _GRACE_S)
        raise
    return None


def spawn(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> ProcessContext | None:
    """Run ``fn(i, *args)`` in ``nprocs`` processes, i from 0 on.

    Args:
        fn: a function that can be pickled: defined at the top of a module.
        args: further arguments; tensors among them are shared, not copied.
        nprocs: how many processes.
        join: wait for them.
        daemon: end them when this process exits.
        start_method: "spawn", "fork" or "forkserver".
    Returns:
        None if ``join``, else a `ProcessContext` with ``join(timeout)`` and ``pids()``.
    Raises:
        ProcessRaisedException: the first process that failed raised; has its traceback.
        ProcessExitedException: it was killed or exited with another status than 0.
    """
    return start_processes(fn, args, nprocs, join, daemon, start_method)


def _run(
    fn: Callable[..., Any], index: int, nprocs: int, args: tuple[Any, ...],
    failure: Connection, started_by_main_thread: bool,
) -> None:  # fmt: skip
    die_with_parent(started_by_main_thread)
    share_cache(nprocs)
    try:
        leave_in_child()
        fn(index, *args)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)  # the parent has it too and says so
    except Exception:  # noqa: BLE001 - whatever it is, the parent raises it
        failure.send(traceback.format_exc())
        sys.exit(1)
