"""What goes wrong in workers, as the process that iterates sees it."""

from __future__ import annotations

import pickle
import signal
import traceback
from types import TracebackType
from typing import Any, NoReturn

from dtorch.core.errors import DtorchError
from dtorch.multiprocessing.budget import oom_kills

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class WorkerDied(DtorchError, RuntimeError):
    """A worker process ended by itself.

    Attributes:
        worker_id: its number.
        pid: its process id.
        exitcode: as of `multiprocessing.Process`: negative for a signal.

    Example:
        >>> WorkerDied("worker 1 died", worker_id=1, pid=99, exitcode=-9).exitcode
        -9
    """

    def __init__(self, message: str, worker_id: int, pid: int, exitcode: int | None) -> None:
        super().__init__(message)
        self.worker_id = worker_id
        self.pid = pid
        self.exitcode = exitcode


class _TextAsIs(str):
    """A text whose repr is itself, for KeyError, which prints the repr."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class ExceptionWrapper:
    """An exception on its way to another process, where `reraise` raises it again.

    Args:
        exc_info: what ``sys.exc_info()`` gives.
        where: who was doing what, for the text.
    Attributes:
        exc_type: its class, or the nearest base that can be pickled.
        exc_msg: where it happened, and its traceback.
    """

    def __init__(self, exc_info: ExcInfo, where: str = "in a background process") -> None:
        kind, error, trace = exc_info
        self.exc_type: type[BaseException] = _picklable(kind)
        text = "".join(traceback.format_exception(kind, error, trace))
        self.exc_msg = f"{kind.__name__} {where}.\nThere it was:\n{text}"

    def reraise(self) -> NoReturn:
        """Raise an exception of the same class, with the original traceback in its text.

        A class that cannot be made of one text becomes a RuntimeError, and so does StopIteration,
        which would end the iteration as if all was well.
        """
        message = _TextAsIs(self.exc_msg) if issubclass(self.exc_type, KeyError) else self.exc_msg
        if issubclass(self.exc_type, StopIteration):
            raise RuntimeError(message)
        try:
            error = self.exc_type(message)
        except Exception:  # noqa: BLE001 - whatever its class expects, it is not one text
            raise RuntimeError(message) from None
        raise error


def _picklable(kind: type[BaseException]) -> Any:
    for base in kind.__mro__:
        try:
            pickle.dumps(base)
        except (pickle.PicklingError, AttributeError):
            continue
        return base
    return RuntimeError


def death_message(worker_id: int, pid: int, exitcode: int | None, task: str) -> str:
    """Tell how a worker ended, and why that may be."""
    if exitcode is None:
        how = "closed its connection"
    elif exitcode < 0:
        how = f"is killed by signal: {_signal_name(-exitcode)}"
    else:
        how = f"exited unexpectedly, with code {exitcode}"
    hint = ""
    if exitcode == -signal.SIGKILL:
        hint = (
            "; nobody but the user or the system (out of memory?) sends this signal" + _oom_kills()
        )
    elif exitcode in (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGABRT):
        hint = "; a library in the dataset crashed, num_workers=0 shows where"
    return f"DataLoader worker (pid {pid}) {how}; it was worker {worker_id}{task}{hint}"


def _signal_name(number: int) -> str:
    try:
        return f"{signal.strsignal(number)} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)


def _oom_kills() -> str:
    count = oom_kills()
    return (
        f"; the kernel has killed {count} in its control group for want of memory" if count else ""
    )
