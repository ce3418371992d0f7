"""Ending with the process that started this one, whatever way that ends."""

from __future__ import annotations

import ctypes
import fcntl
import multiprocessing
import os
import select
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1


def die_with_parent(started_by_main_thread: bool) -> None:
    """Have this process killed as soon as the one that started it has ended.

    The kernel does it, so it takes no time, and nothing that runs here can delay it. It sees the
    end of the parent by the pipe that `multiprocessing` keeps open to it for every child, by
    whatever method that was started.

    Args:
        started_by_main_thread: whether the parent's main thread started this process. Then the
            kernel is asked for a second sign, which comes with the end of that thread: a process
            that the parent forked later, and that lives on, holds the pipe open.

    Raises:
        RuntimeError: `multiprocessing` did not start this process.

    Example:
        >>> from multiprocessing import get_context
        >>> process = get_context("fork").Process(target=die_with_parent, args=(False,))
        >>> process.start()
        >>> process.join()
        >>> process.exitcode
        0
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        raise RuntimeError("die_with_parent: this process was not started by multiprocessing")
    _die_at_end_of(parent.sentinel)
    if started_by_main_thread and sys.platform == "linux" and os.getppid() == parent.pid:
        # Not SIGTERM: a forked child has its parent's handler of that, which may do anything.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent.pid:
            os.kill(os.getpid(), signal.SIGKILL)  # it was gone before the line above


def _die_at_end_of(pipe: int) -> None:
    if not hasattr(fcntl, "F_SETSIG"):  # the kernel can do it on Linux only
        threading.Thread(target=_wait_and_die, args=(pipe,), daemon=True).start()
        return
    # A SIGKILL in place of the SIGIO that tells of a change at the pipe. Nothing is ever written
    # to it, so the only change is its end.
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETSIG, signal.SIGKILL)
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    ended = select.poll()
    ended.register(pipe, select.POLLIN)
    if ended.poll(0):
        os.kill(os.getpid(), signal.SIGKILL)  # it came before the kernel was asked


def _wait_and_die(pipe: int) -> None:
    select.select([pipe], [], [])
    os.kill(os.getpid(), signal.SIGKILL)
