"""The trainer: starts the workers, watches them, gathers what they say, keeps checkpoints."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing import connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.distributed.hogwild.board import Board
from dtorch.distributed.hogwild.progress import Progress
from dtorch.distributed.hogwild.worker import (
    DONE,
    FAILED,
    METRICS,
    READY,
    Inbox,
    Task,
    run_worker,
)
from dtorch.multiprocessing.connections import Connection
from dtorch.multiprocessing.contexts import get_context
from dtorch.multiprocessing.processes import activity, is_stopped, named, signal_name
from dtorch.multiprocessing.spawn import (
    ProcessException,
    ProcessExitedException,
    ProcessRaisedException,
)
from dtorch.serialization.saving import save

_TICK_S = 0.2
_STALLED_S = 60.0
_BEGIN_S = 60.0  # that workers may take to begin, if the whole run has a time limit
_START_METHODS = ("spawn", "fork")
_POLICIES = ("fail", "replace")
WORKERS_VARIABLE = "DTORCH_HOGWILD_WORKERS"  # set by dtorch-launch --mode hogwild


@dataclass(frozen=True)
class Crash:
    """A worker that failed.

    Attributes:
        rank, pid: which one.
        reason: its traceback, or by which signal or status it ended.
        steps: how many it had done.
    """

    rank: int
    pid: int
    reason: str
    steps: int


@dataclass
class Result:
    """How a run went.

    Attributes:
        steps: of all workers together.
        steps_by_worker: by rank.
        seconds: from the moment all workers began.
        metrics: what each worker reported last, by rank.
        values: what each worker's training function returned, by rank.
        crashes: the workers that were replaced.
        stopped: whether `stop`, a signal or the time limit ended it.
    """

    steps: int = 0
    steps_by_worker: list[int] = field(default_factory=list)
    seconds: float = 0.0
    metrics: list[dict[str, float]] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)
    crashes: list[Crash] = field(default_factory=list)
    stopped: bool = False


class _Running:
    """One worker process, seen from here."""

    def __init__(self, process: BaseProcess, pipe: Connection, life: int) -> None:
        self.process = process
        self.inbox = Inbox(pipe)
        self.life = life
        self.is_ready = False
        self.failure: str | None = None
        self.steps = 0
        self.steps_since = time.monotonic()  # when it had done as many first
        self.was_reported = False

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def close(self) -> None:
        """After its end."""
        self.process.join()
        self.inbox.connection.close()


class Hogwild:
    """Trains one shared model with several processes that do not wait for each other.

    Every worker computes gradients of its own, from the parameters as they are at the moment, and
    its optimizer writes to them without any lock. That is right where steps touch few parameters
    or are small; the result differs from run to run.

    Args:
        train: ``train(worker, *args)``, run in every worker process; see `Worker`. With
            ``start_method="spawn"`` the script that makes a Hogwild must be guarded by
            ``if __name__ == "__main__":``.
        model: moved to shared memory here; gradients are forgotten, they belong to a worker.
        optimizer: its state is shared too, so that workers have one momentum; None if workers make
            their own.
        args: passed on to ``train``.
        nprocs: workers; None: what ``dtorch-launch --mode hogwild --nproc-per-node`` says, or one
            for each core.
        seed: from it, the rank, and how often it was replaced, follows the seed of a worker.
        on_crash: "fail": a crashed worker ends the run; "replace": another one goes on at its step.
        max_replacements: crashes after which "replace" gives up.
        checkpoint: file for ``{"steps", "model", "optimizer"}``, also written when the run ends.
        checkpoint_every: seconds between checkpoints.
        on_metrics: ``on_metrics(rank, metrics)`` is called here with what workers report.
        progress: show steps, speed and metrics on standard error.
        grace: seconds that workers get to finish their step when the run is stopped.
        start_method: "spawn" or "fork".

    Example:
        >>> import dtorch
        >>> def train(worker):
        ...     optimizer = dtorch.optim.SGD(worker.model.parameters(), lr=0.1)
        ...     for step in worker.steps(20):
        ...         optimizer.zero_grad()
        ...         loss = (worker.model(dtorch.ones(1, 1)) - 3).pow(2).sum()
        ...         loss.backward()
        ...         optimizer.step()
        >>> model = dtorch.nn.Linear(1, 1)
        >>> run = Hogwild(train, model, nprocs=2, progress=False, start_method="fork").run()
        >>> run.steps, round(model(dtorch.ones(1, 1)).item(), 2)
        (40, 3.0)
    """

    def __init__(
        self, train: Callable[..., Any], model: Any, optimizer: Any = None, *,
        args: tuple[Any, ...] = (), nprocs: int | None = None, seed: int = 0,
        on_crash: str = "fail", max_replacements: int = 3,
        checkpoint: str | os.PathLike[str] | None = None, checkpoint_every: float = 60.0,
        on_metrics: Callable[[int, Mapping[str, float]], None] | None = None,
        progress: bool = True, grace: float = 30.0, start_method: str = "spawn",
    ) -> None:  # fmt: skip
        if on_crash not in _POLICIES:
            raise ArgumentError(f"Hogwild: on_crash is {on_crash!r}, expected one of {_POLICIES}")
        if start_method not in _START_METHODS:
            raise ArgumentError(
                f"Hogwild: start_method is {start_method!r}, expected one of {_START_METHODS}"
            )
        self.nprocs = _default_workers() if nprocs is None else nprocs
        if self.nprocs < 1:
            raise ArgumentError(f"Hogwild: nprocs is {nprocs}, expected at least 1")
        for name, value in {"seed": seed, "max_replacements": max_replacements,
                            "checkpoint_every": checkpoint_every, "grace": grace}.items():  # fmt: skip
            if value < 0:
                raise ArgumentError(f"Hogwild: {name} is {value}, expected at least 0")
        self.model = model
        self.optimizer = optimizer
        self._train = train
        self._args = args
        self._seed = seed
        self._replaces = on_crash == "replace"
        self._max_replacements = max_replacements
        self._checkpoint = None if checkpoint is None else Path(checkpoint)
        self._checkpoint_every = checkpoint_every
        self._on_metrics = on_metrics
        self._shows_progress = progress
        self._grace = grace
        self._context: Any = get_context(start_method)
        self._board = Board.create(self.nprocs)
        self._share()

    def _share(self) -> None:
        self.model.share_memory()
        for parameter in self.model.parameters():
            parameter.grad = None
        if self.optimizer is not None:
            self.optimizer.share_memory()

    def stop(self) -> None:
        """End the run after the steps that workers are in; for other threads and `on_metrics`."""
        self._board.stop()

    def run(self, timeout: float | None = None) -> Result:
        """Train until every worker has returned; another run goes on with the same parameters.

        Ctrl-C and SIGTERM stop the run in order, with a last checkpoint.

        Args:
            timeout: seconds after which the run is stopped.
        Raises:
            ProcessRaisedException, ProcessExitedException: a worker crashed, by the policy; the
                others were stopped before.
            KeyboardInterrupt: after Ctrl-C, when everything has ended.
        """
        self._board.reset()
        return _Run(self, timeout).to_end()


class _Run:
    """One call of `Hogwild.run`."""

    def __init__(self, trainer: Hogwild, timeout: float | None) -> None:
        self._trainer = trainer
        self._board = trainer._board
        nprocs = trainer.nprocs
        self._result = Result(metrics=[{} for _ in range(nprocs)], values=[None] * nprocs)
        self._workers: dict[int, _Running] = {}  # those that have not ended, by rank
        self._progress = Progress(trainer._shows_progress)
        self._started = time.monotonic()
        self._began: float | None = None
        self._late_error: ProcessException | None = None  # of a worker that was asked to stop
        self._signals: list[int] = []  # to stop, that came
        self._timeout = timeout
        self._next_checkpoint = time.monotonic() + trainer._checkpoint_every

    def to_end(self) -> Result:
        with _signals_noted(self._signals):
            try:
                self._train()
            except BaseException as error:
                try:
                    self._conclude()
                except OSError as problem:
                    error.add_note(f"the last checkpoint was not written: {problem}")
                raise
            self._conclude()
        if signal.SIGINT in self._signals:
            raise KeyboardInterrupt
        return self._result

    def _train(self) -> None:
        try:
            for rank in range(self._trainer.nprocs):
                self._start(rank, life=0)
            while self._workers and not self._is_to_stop():
                self._tick()
            self._stop_in_order()
            if self._late_error is not None:
                raise self._late_error
        except BaseException:
            self._stop_in_order()
            raise
        finally:
            self._end_all()
            self._progress.end()

    def _start(self, rank: int, life: int) -> None:
        trainer = self._trainer
        here, there = trainer._context.Pipe(duplex=False)
        task = Task(
            trainer._train, trainer._args, trainer.model, trainer.optimizer, self._board.words,
            rank, trainer.nprocs, trainer._seed, life, _threads(trainer.nprocs),
            threading.current_thread() is threading.main_thread(),
        )  # fmt: skip
        process = trainer._context.Process(
            target=run_worker, args=(task, there), name=f"Hogwild worker {rank}"
        )
        process.start()
        there.close()
        self._workers[rank] = _Running(process, here, life)

    def _tick(self) -> None:
        """Wait for the next thing to happen, and deal with it."""
        for rank, worker in self._ended_workers(_TICK_S):
            self._take_end(rank, worker)
        if self._began is None and all(worker.is_ready for worker in self._workers.values()):
            self._began = time.monotonic()
            self._board.open_gate()
        self._save_if_due()
        self._report_stalls()
        self._progress.update(self._steps(), len(self._workers), self._mean_metrics())

    def _ended_workers(self, seconds: float) -> list[tuple[int, _Running]]:
        """Those that have ended, once something has happened; all they have sent was read."""
        waiting: list[Any] = [worker.process.sentinel for worker in self._workers.values()]
        pipes = [worker.inbox.connection for worker in self._workers.values()]
        waiting += [pipe for pipe in pipes if not pipe.closed]
        connection.wait(waiting, seconds)
        ended = []
        for rank, worker in list(self._workers.items()):
            if not worker.process.is_alive():  # seen before its pipe is read to the end
                ended.append((rank, worker))
            for kind, content in worker.inbox.messages():
                self._take_message(rank, worker, kind, content)
        return ended

    def _take_message(self, rank: int, worker: _Running, kind: str, content: Any) -> None:
        if kind == READY:
            worker.is_ready = True
        elif kind == METRICS:
            self._result.metrics[rank] = content
            if self._trainer._on_metrics is not None:
                self._trainer._on_metrics(rank, content)
        elif kind == FAILED:
            worker.failure = content
        elif kind == DONE:
            self._result.values[rank] = content

    def _take_end(self, rank: int, worker: _Running) -> None:
        if self._signals:  # which may have gone to the whole group of processes
            self._take_late_end(rank, worker)
            return
        del self._workers[rank]
        worker.close()
        if worker.process.exitcode == 0:
            return
        error = _exception(rank, worker)
        crash = Crash(rank, error.error_pid, str(error), self._board.steps(rank))
        crashes = self._result.crashes
        if not self._trainer._replaces:
            raise error
        if len(crashes) >= self._trainer._max_replacements:
            error.add_note(f"{len(crashes)} workers had been replaced before")
            raise error
        crashes.append(crash)
        self._progress.say(
            f"hogwild: {crash.reason}\nhogwild: another worker {rank} goes on at step "
            f"{crash.steps:,} (replacement {len(crashes)} of {self._trainer._max_replacements})"
        )
        self._start(rank, worker.life + 1)

    def _report_stalls(self) -> None:
        """Name workers that do not begin, or have counted steps and do no more, or are stopped."""
        now = time.monotonic()
        for rank, worker in self._workers.items():
            steps = self._board.steps(rank)
            if steps != worker.steps:
                worker.steps, worker.steps_since, worker.was_reported = steps, now, False
            elif not worker.was_reported and now - worker.steps_since >= _STALLED_S:
                worker.was_reported = True
                what = f"is in step {steps:,}" if worker.is_ready else "has not begun"
                if steps or not worker.is_ready or is_stopped(worker.pid):
                    self._progress.say(
                        f"hogwild: worker {rank} (pid {worker.pid}) {what} for "
                        f"{now - worker.steps_since:.0f} s; it is {activity(worker.pid)}"
                    )

    def _is_to_stop(self) -> bool:
        is_over_time = self._timeout is not None and (
            time.monotonic() - self._began >= self._timeout
            if self._began is not None
            else time.monotonic() - self._started >= max(self._timeout, _BEGIN_S)
        )
        self._result.stopped = bool(self._signals) or is_over_time or self._board.is_stopping()
        return self._result.stopped

    def _stop_in_order(self) -> None:
        """Let workers finish their step; what remains after the grace is to be killed. That are at
        once those that are stopped by a signal, and all after a second Ctrl-C."""
        if not self._workers:
            return
        self._board.stop()
        end = time.monotonic() + self._trainer._grace
        while self._workers and (left := end - time.monotonic()) > 0:
            for rank, worker in self._ended_workers(min(left, _TICK_S)):
                self._take_late_end(rank, worker)
            is_urgent = self._signals.count(signal.SIGINT) > 1
            if is_urgent or all(is_stopped(worker.pid) for worker in self._workers.values()):
                break

    def _take_late_end(self, rank: int, worker: _Running) -> None:
        del self._workers[rank]
        worker.close()
        if worker.failure is not None and self._late_error is None:
            self._late_error = _exception(rank, worker)

    def _end_all(self) -> None:
        for rank, worker in self._workers.items():
            if worker.process.is_alive():
                self._progress.say(
                    f"hogwild: killed worker {rank} ({named(worker.pid)}), which did not end "
                    "its step"
                )
            worker.process.kill()  # also one that is stopped by SIGSTOP
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()

    def _conclude(self) -> None:
        result, began = self._result, self._began
        result.seconds = 0.0 if began is None else time.monotonic() - began
        result.steps_by_worker = [self._board.steps(r) for r in range(self._trainer.nprocs)]
        result.steps = self._steps()
        if self._trainer._checkpoint is not None:
            self._save(self._trainer._checkpoint)

    def _save_if_due(self) -> None:
        path = self._trainer._checkpoint
        if path is not None and time.monotonic() >= self._next_checkpoint:
            self._save(path)
            self._next_checkpoint = time.monotonic() + self._trainer._checkpoint_every

    def _save(self, path: Path) -> None:
        # Workers go on meanwhile; a Hogwild model has no other moment in which nobody writes.
        optimizer = self._trainer.optimizer
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "steps": self._steps(),
            "model": self._trainer.model.state_dict(),
            "optimizer": None if optimizer is None else optimizer.state_dict(),
        }
        save(state, path)

    def _steps(self) -> int:
        return sum(self._board.steps(rank) for rank in range(self._trainer.nprocs))

    def _mean_metrics(self) -> dict[str, float]:
        names = dict.fromkeys(name for metrics in self._result.metrics for name in metrics)
        means = {}
        for name in names:
            values = [metrics[name] for metrics in self._result.metrics if name in metrics]
            means[name] = sum(values) / len(values)
        return means


def _exception(rank: int, worker: _Running) -> ProcessException:
    pid, code = worker.process.pid or 0, worker.process.exitcode or 0
    if worker.failure is not None:
        return ProcessRaisedException(
            f"worker {rank} (pid {pid}) raised:\n{worker.failure.rstrip()}", rank, pid
        )
    if code < 0:
        name = signal_name(-code)
        message = f"worker {rank} (pid {pid}) was ended by {name}"
        return ProcessExitedException(message, rank, pid, code, name)
    return ProcessExitedException(
        f"worker {rank} (pid {pid}) exited with status {code}", rank, pid, code
    )


@contextlib.contextmanager
def _signals_noted(received: list[int]) -> Iterator[None]:
    """Append the signals to stop that come meanwhile, instead of what they do otherwise."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may have handlers
        return
    previous = {
        number: signal.signal(number, lambda number, _: received.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def _default_workers() -> int:
    text = os.environ.get(WORKERS_VARIABLE)
    if text is None:
        return _cores()
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentError(f"{WORKERS_VARIABLE} is {text!r}, expected a number from 1 on")
    return int(text)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads(nprocs: int) -> int:
    """Threads for each worker's kernels."""
    text = os.environ.get("OMP_NUM_THREADS", "")
    return int(text) if text.isdecimal() and int(text) else max(1, _cores() // nprocs)
