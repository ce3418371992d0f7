"""Starts a job's workers, watches them, passes signals on, and ends everything when one fails."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from .engines import Engine, Exit, Handle, StartError
from .failure import Failure, cause_first, is_interrupt
from .job import Job, oom_kills
from .logs import LogPlan, Stream
from .output import Output
from .signals import SignalRelay
from .worker import Worker

# Consequences of the first failure that are listed; of a hundred ranks the rest adds nothing.
LISTED_CONSEQUENCES = 8

# Seconds that a worker which others blame for their failure gets to tell its own.
TIME_TO_TELL = 5.0

CANNOT_START_CODE = 126  # what shells return for a program that cannot be executed


@dataclass(frozen=True)
class Policy:
    """How patient the supervisor is.

    Attributes:
        max_restarts: how often all workers are started again after a failure.
        grace: seconds between asking workers to stop, which may mean "save and leave", and
            killing them.
        exit_timeout: seconds for which a worker whose program has ended may do nothing before it
            counts as hanging; 0: for ever, as long as nothing has failed.
        monitor_interval: seconds between looks at the workers where the system does not tell of
            their end by itself.
    """

    max_restarts: int = 0
    grace: float = 30.0
    exit_timeout: float = 0.0
    monitor_interval: float = 0.1


class Console:
    """The launcher's outputs, and its own voice on them."""

    def __init__(self, stdout: Output, stderr: Output) -> None:
        self.stdout = stdout
        self.stderr = stderr
        self.outputs = [stdout] if stdout is stderr else [stdout, stderr]

    def say(self, message: str) -> None:
        self.write(f"dtorch-launch: {message}\n")

    def write(self, lines: str) -> None:
        self.stderr.write_lines(lines.encode("utf-8", "backslashreplace"))

    def flush(self) -> None:
        for output in self.outputs:
            output.flush()

    def drain(self) -> None:
        for output in self.outputs:
            output.drain()


@dataclass(frozen=True)
class Outcome:
    """How one start of all workers went.

    Attributes:
        failures: the first one first; empty if every worker succeeded or was told to stop.
        stopped_by: the signal that told the launcher to stop, or None.
        exits: how each worker ended.
        where: for workers interrupted by Ctrl-C, where they were.
    """

    failures: list[Failure]
    stopped_by: int | None
    exits: list[Exit]
    where: dict[int, str]


def supervise(job: Job, engine: Engine, policy: Policy, plan: LogPlan, console: Console) -> int:
    """Runs ``job`` to its end.

    Returns:
        The exit code for the launcher: 0 if every worker succeeded; else the first failing
        worker's own, with 128 + number for a signal.
    """
    restart = 0
    with SignalRelay() as signals:
        while True:
            attempt = Attempt(engine, policy, plan, console, signals)
            try:
                outcome = attempt.run(job, restart)
            except StartError as error:
                console.say(str(error))
                return CANNOT_START_CODE
            if not outcome.failures:
                return _tell_end(outcome, console)
            _tell_failures(outcome.failures, job, console)
            if restart == policy.max_restarts or outcome.stopped_by is not None:
                return outcome.failures[0].exit_code
            restart += 1
            console.say(f"restarting all workers (restart {restart} of {policy.max_restarts})")


def _tell_end(outcome: Outcome, console: Console) -> int:
    if outcome.stopped_by is None:
        return 0
    for rank, place in outcome.where.items():
        console.say(f"rank {rank} was interrupted at {place}")
    if outcome.stopped_by != signal.SIGPIPE:
        console.say(f"stopped by {signal.Signals(outcome.stopped_by).name}")
    if all(exit.code == 0 for exit in outcome.exits):
        return 0
    # 1 is what Python makes of any exception, on the way out too.
    own_codes = [exit.code for exit in outcome.exits if exit.code > 1]
    return own_codes[0] if own_codes else 128 + outcome.stopped_by


def _tell_failures(failures: list[Failure], job: Job, console: Console) -> None:
    """Prints the consequences first and the cause last, where it is looked for."""
    first, *others = failures
    others.sort(key=lambda failure: failure.rank)
    for failure in others[:LISTED_CONSEQUENCES]:
        console.say(failure.consequence())
    if len(others) > LISTED_CONSEQUENCES:
        console.say(f"and {len(others) - LISTED_CONSEQUENCES} more ranks after that")
    console.say(first.summary(job.program, job.nproc))
    console.write(first.details())


class Attempt:
    """One start of all workers, until nothing of them is left."""

    def __init__(
        self,
        engine: Engine,
        policy: Policy,
        plan: LogPlan,
        console: Console,
        signals: SignalRelay,
    ) -> None:
        self._engine = engine
        self._policy = policy
        self._plan = plan
        self._console = console
        self._signals = signals
        self._selector = selectors.DefaultSelector()
        self._workers: list[Worker] = []
        self._streams: set[Stream] = set()
        self._reading_paused = False
        self._blocked_outputs: set[Output] = set()
        self._stopped_by: int | None = None
        self._failed_at: float | None = None
        self._blamed: set[int | None] = set()  # processes, by those that have failed
        self._quiet_since = time.time()
        self._oom_kills_before = oom_kills()

    def run(self, job: Job, restart: int) -> Outcome:
        self._watch(self._signals.fd, self._take_signals)
        try:
            for spec in job.workers(restart):
                with contextlib.suppress(OSError):  # of an earlier job; it has another pid
                    spec.error_file.unlink()
                self._adopt(self._engine.start(spec), appending_logs=restart > 0)
            while not all(worker.is_gone for worker in self._workers):
                self._step()
            return self._outcome()
        finally:
            self._end()

    def _adopt(self, handle: Handle, appending_logs: bool) -> None:
        streams = self._plan.streams(handle.spec.rank, handle.output_fds, appending_logs)
        worker = Worker(handle, streams, self._policy.exit_timeout, self._policy.grace)
        self._workers.append(worker)
        self._watch(handle.control_fd, partial(self._take_control_message, worker))
        if handle.exit_fd is not None:
            self._watch(handle.exit_fd, partial(self._take_exit, worker))
        for stream in streams.values():
            self._streams.add(stream)
            self._watch(stream.fd, partial(self._read, stream))

    def _watch(self, fd: int, callback: Callable[[], object]) -> None:
        self._selector.register(fd, selectors.EVENT_READ, callback)

    def _step(self) -> None:
        """Waits for the next thing to happen and does what it asks for."""
        events = self._selector.select(self._time_to_wait())
        for key, _ in events:
            key.data()
        for worker in self._workers:
            if worker.is_running and worker.handle.exit_fd is None:
                self._take_exit(worker)
            message = worker.act()
            if message is not None:
                self._console.say(message)
        # What is noticed from here on cannot have happened before.
        self._quiet_since = time.time()
        self._stop_after_failure()
        self._console.flush()
        self._heed_readers()

    def _time_to_wait(self) -> float | None:
        deadlines = [worker.deadline for worker in self._workers]
        if any(worker.is_running and worker.handle.exit_fd is None for worker in self._workers):
            deadlines.append(time.monotonic() + self._policy.monitor_interval)
        if self._failed_at is not None and any(not worker.is_to_end for worker in self._workers):
            deadlines.append(self._failed_at + TIME_TO_TELL)
        next_deadline = min((at for at in deadlines if at is not None), default=None)
        return None if next_deadline is None else max(0.0, next_deadline - time.monotonic())

    def _take_control_message(self, worker: Worker) -> None:
        if not worker.take_control_message():
            self._selector.unregister(worker.handle.control_fd)

    def _take_exit(self, worker: Worker) -> None:
        worker.take_exit(not_before=self._quiet_since)
        if not worker.is_running and worker.handle.exit_fd is not None:
            self._selector.unregister(worker.handle.exit_fd)

    def _read(self, stream: Stream) -> None:
        if not stream.read():
            stream.read_rest()
            self._streams.discard(stream)
            self._selector.unregister(stream.fd)

    def _take_signals(self) -> None:
        for signum in self._signals.read():
            if signum == signal.SIGTSTP:
                self._suspend()
            elif signum in (signal.SIGUSR1, signal.SIGUSR2):
                for worker in self._running():
                    worker.handle.signal(signum)
            elif signum == signal.SIGINT and self._stopped_by is not None:
                for worker in self._workers:
                    worker.kill_all()
            else:
                self._stop(signum)

    def _suspend(self) -> None:
        for worker in self._running():
            worker.handle.suspend()
        self._console.flush()
        os.kill(os.getpid(), signal.SIGSTOP)  # goes on here when the shell continues the job
        for worker in self._running():
            worker.handle.resume()

    def _running(self) -> list[Worker]:
        return [worker for worker in self._workers if worker.is_running]

    def _stop(self, signum: int) -> None:
        if self._stopped_by is None:
            self._stopped_by = signum
        forwarded = signal.SIGTERM if signum == signal.SIGPIPE else signum
        for worker in self._workers:
            worker.ask_to_stop(forwarded)

    def _stop_after_failure(self) -> None:
        failed = [worker for worker in self._workers if worker.has_failed]
        if not failed:
            return
        now = time.monotonic()
        if self._failed_at is None:
            self._failed_at = now
        records = [worker.record() for worker in failed if not worker.is_to_end]
        self._blamed.update(record.blames for record in records if record is not None)
        for worker in self._workers:
            if worker.has_failed:
                worker.have_end()
            elif not worker.is_to_end and not (
                worker.is_running
                and worker.handle.pid in self._blamed
                and now < self._failed_at + TIME_TO_TELL
            ):
                worker.ask_to_stop(signal.SIGTERM)

    def _heed_readers(self) -> None:
        """Waits for slow readers of the launcher's output; leaves when stdout's reader has left."""
        for output in self._console.outputs:
            if output.is_blocked and output not in self._blocked_outputs:
                self._selector.register(output.fd, selectors.EVENT_WRITE, output.flush)
                self._blocked_outputs.add(output)
            elif not output.is_blocked and output in self._blocked_outputs:
                self._selector.unregister(output.fd)
                self._blocked_outputs.discard(output)
        full = any(output.is_full for output in self._console.outputs)
        if full != self._reading_paused:
            self._reading_paused = full
            for stream in self._streams:
                if full:
                    self._selector.unregister(stream.fd)
                else:
                    self._watch(stream.fd, partial(self._read, stream))
        if self._console.stdout.reader_gone and self._stopped_by is None:
            self._stop(signal.SIGPIPE)

    def _end(self) -> None:
        """Leaves nothing behind, however the attempt went."""
        for worker in self._workers:
            worker.kill_all()  # does nothing to what has ended
        while not all(worker.is_gone for worker in self._workers):
            self._step()
        self._selector.close()
        for worker in self._workers:
            worker.close()

    def _outcome(self) -> Outcome:
        stopped = self._stopped_by is not None
        kills = oom_kills() - self._oom_kills_before
        failures = [failure for worker in self._workers if (failure := worker.failure(kills))]
        if stopped and self._failed_at is None:
            failures = []  # what happens on the way out after a signal is not a failure
        failures = cause_first(failures)
        exits = [worker.exit for worker in self._workers if worker.exit is not None]
        where = {}
        for worker in self._workers:
            record = worker.record()
            if worker.exit is not None and is_interrupt(worker.exit) and record and record.where:
                where[worker.rank] = record.where
        return Outcome(failures, self._stopped_by, exits, where)
