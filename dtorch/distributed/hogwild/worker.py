"""One worker of a Hogwild run, in its own process."""

from __future__ import annotations

import contextlib
import pickle
import random
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from dtorch.core.backend import set_num_threads, share_cache
from dtorch.core.generator import manual_seed
from dtorch.core.tensor import Tensor
from dtorch.distributed.hogwild.board import Board
from dtorch.multiprocessing.connections import Connection
from dtorch.multiprocessing.parent_death import die_with_parent
from dtorch.multiprocessing.pickling import pickled

REPORT_EVERY_S = 0.1

# What a worker sends: (READY, None), (METRICS, dict), (FAILED, traceback), (DONE, value)
READY, METRICS, FAILED, DONE = "ready", "metrics", "failed", "done"

# A pipe takes so much at once or not at all, so nobody who reads ever waits for the rest of a piece,
# whatever happens to who writes.
_PIECE = 4000


def send(connection: Connection, message: tuple[str, Any]) -> None:
    """Send a message in pieces; the first byte of each tells whether it is the last."""
    data, tickets = pickled(message)
    connection.announce(tickets)
    for start in range(0, len(data), _PIECE):
        is_last = start + _PIECE >= len(data)
        connection.send_bytes(bytes([is_last]) + data[start : start + _PIECE])


class Inbox:
    """The messages that come through a pipe. Never waits for one."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._pieces = bytearray()

    def messages(self) -> Iterator[tuple[str, Any]]:
        """Those that are complete; closes the pipe at its end."""
        try:
            while not self.connection.closed and self.connection.poll():
                piece = self.connection.recv_bytes()
                self._pieces += piece[1:]
                if piece[0]:
                    data, self._pieces = self._pieces, bytearray()
                    yield pickle.loads(data)
        except (EOFError, OSError):
            self.connection.close()


class Task(NamedTuple):
    """What a worker is told when it is started.

    Attributes:
        life: how many workers have had its rank before.
        threads: for its kernels.
        started_by_main_thread: of the trainer's process.
    """

    train: Callable[..., Any]
    args: tuple[Any, ...]
    model: Any
    optimizer: Any
    words: Tensor
    rank: int
    nprocs: int
    seed: int
    life: int
    threads: int
    started_by_main_thread: bool


class Worker:
    """What the training function is given.

    Attributes:
        rank: number of the worker, from 0.
        nprocs: how many there are.
        model: the shared model; its parameters change under the hands of every worker.
        optimizer: the shared optimizer that the trainer was given, or None.
        seed: what the generators of this process were seeded with.
    """

    def __init__(self, task: Task, seed: int, connection: Connection) -> None:
        self.rank = task.rank
        self.nprocs = task.nprocs
        self.model = task.model
        self.optimizer = task.optimizer
        self.seed = seed
        self._board = Board(task.words)
        self._connection = connection
        self._sums: dict[str, float] = {}
        self._counts: dict[str, int] = {}
        self._reported = time.monotonic()

    @property
    def should_stop(self) -> bool:
        """Whether the run is to end; look at it in every step unless `steps` does."""
        return self._board.is_stopping()

    def steps(self, count: int | None = None) -> Iterator[int]:
        """Numbers of this worker's steps, until ``count`` are done or the run is to end.

        A worker that replaces a crashed one goes on where that one was.

        Args:
            count: how many this worker is to do; None: until the run is stopped.
        """
        done = self._board.steps(self.rank)
        while (count is None or done < count) and not self._board.is_stopping():
            yield done
            done += 1
            self._board.set_steps(self.rank, done)

    def report(self, **metrics: float) -> None:
        """Tell the trainer numbers such as a loss; it gets their means, some times a second.

        Numbers come from this worker alone; 0-dim tensors are fine.
        """
        for name, value in metrics.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)
            self._counts[name] = self._counts.get(name, 0) + 1
        if time.monotonic() - self._reported >= REPORT_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Tell now what `report` has kept back."""
        if self._sums:
            means = {name: total / self._counts[name] for name, total in self._sums.items()}
            self._sums, self._counts = {}, {}
            send(self._connection, (METRICS, means))
        self._reported = time.monotonic()


def run_worker(task: Task, connection: Connection) -> None:
    """The process of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trainer has it too, and stops us in order
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not the trainer's handler, after a fork
    die_with_parent(task.started_by_main_thread)
    set_num_threads(task.threads)
    share_cache(task.nprocs)
    seed = _seed_everything(task)
    worker = Worker(task, seed, connection)
    try:
        send(connection, (READY, None))
        Board(task.words).wait_at_gate()
        value = task.train(worker, *task.args)
        worker.flush()
        send(connection, (DONE, value))
    except Exception:  # noqa: BLE001 - whatever it is, the trainer tells it
        with contextlib.suppress(BrokenPipeError):
            send(connection, (FAILED, traceback.format_exc()))
        sys.exit(1)


def _seed_everything(task: Task) -> int:
    # A replacement draws other numbers: the old ones may be what made its predecessor crash.
    sequence = np.random.SeedSequence([task.seed, task.rank, task.life])
    seed = int(sequence.generate_state(1)[0])
    manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - what training functions written with NumPy use
    return seed
