"""The worker processes of one loader, seen from the process that iterates."""

from __future__ import annotations

import contextlib
import functools
import multiprocessing
import os
import pickle
import select
import socket
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import cloudpickle

from dtorch.core.interrupts import at_fork, undisturbed
from dtorch.data.channel import Channel, Patience
from dtorch.data.failure import WorkerDied, death_message
from dtorch.data.seeding import Seeds
from dtorch.data.transfer import BatchUnpickler, lend
from dtorch.data.worker import KEY, Task, run_worker
from dtorch.multiprocessing.arena import Block, allocate
from dtorch.multiprocessing.contexts import get_context
from dtorch.multiprocessing.processes import activity, is_stopped

_GRACE_S = 1.0  # for a worker to finish its batch before it is ended by signal

_ends: set[socket.socket] = set()  # open ones of this process


def _close_in_child() -> None:
    # A worker notices our death by the end of its connection, which a child must not hold open.
    while _ends:
        _ends.pop().close()


at_fork(after_in_child=_close_in_child)


class Answer(NamedTuple):
    """What a worker sent.

    Attributes:
        epoch, number: the request it answers.
        kind: "batch", "error" or "end" (its samples are exhausted).
        content: the batch, an `ExceptionWrapper` or None.
        layout: bytes of the arrays in the batch that can use memory lent to the worker.
    """

    worker: Worker
    epoch: int
    number: int
    kind: str
    content: Any
    layout: list[int]


class Worker:
    """One worker process.

    Attributes:
        id: its number.
        pending: requests it has not answered, by epoch and number: indices and memory lent.
    """

    def __init__(self, context: Any, task: Task) -> None:
        forks = context.get_start_method() == "fork"
        argument = task if forks else _Pickled(task)
        (ours, theirs), (our_control, their_control) = socket.socketpair(), socket.socketpair()
        _ends.update((ours, our_control))
        self.id = task.worker_id
        self.channel = Channel(ours)
        self.control = Channel(our_control)
        self.pending: dict[tuple[int, int], tuple[Any, list[Block]]] = {}
        self._arenas: set[int] = set()
        self._is_iterable = task.is_iterable
        in_main_thread = threading.current_thread() is threading.main_thread()
        self.process = context.Process(
            target=run_worker,
            args=(theirs, their_control, argument, in_main_thread),
            name=f"DataLoader worker {task.worker_id}",
            daemon=True,
        )
        with undisturbed() if forks else contextlib.nullcontext(), warnings.catch_warnings():
            # Python warns of any thread. Ours, and the locks they share with us, see to a fork.
            warnings.filterwarnings("ignore", ".*fork.*", DeprecationWarning)
            self.process.start()
        theirs.close()
        their_control.close()
        self.pid: int = self.process.pid

    def request(
        self, epoch: int, number: int, indices: Any, streams: Any, layout: Sequence[int]
    ) -> None:
        """Ask for a batch, lending memory for arrays of the sizes in ``layout``."""
        slots = lend(layout)
        names = [(block.arena.id, block.offset, block.nbytes) for block in slots]
        fresh = {b.arena.id: b.arena.fd for b in slots if b.arena.id not in self._arenas}
        self._arenas.update(fresh)
        self.pending[epoch, number] = indices, slots
        request = ("fetch", epoch, number, indices, streams, names, list(fresh))
        self._post(request, list(fresh.values()))

    def begin(self, seeds: Seeds) -> None:
        """Start an epoch."""
        self._post(("epoch", seeds))

    def flush(self) -> bool:
        """Go on sending requests that found no room; whether all are sent."""
        try:
            return self.channel.flush()
        except ConnectionError:
            return True

    def ask_for_stack(self) -> None:
        """Have it tell where it is, if it can; `stack` has its answer."""
        with contextlib.suppress(ConnectionError):
            self.control.post(b"")

    def stack(self) -> str:
        """Where it told last that it was."""
        text = bytearray(b"it has ended")
        with contextlib.suppress(EOFError, ConnectionError):
            text, *_ = self.control.receive()
            while self.control.has_arrived:
                text, *_ = self.control.receive()
        return text.decode()

    def finish(self) -> None:
        """There are no more requests: it ends when it has answered those it has."""
        with contextlib.suppress(ConnectionError):
            self.channel.post_end()

    def _post(self, request: tuple[Any, ...], fds: Sequence[int] = ()) -> None:
        with contextlib.suppress(ConnectionError):  # reading from it tells what happened
            self.channel.post(pickle.dumps(request), fds)

    def receive(self, patience: Patience) -> Answer:
        """Its next message.

        Args:
            patience: should it say nothing more in the middle.
        Raises:
            WorkerDied: it has ended.
        """
        blocks: list[Block] = []

        def memory(nbytes: int) -> Any:
            blocks.append(allocate(nbytes))
            return blocks[-1].array

        try:
            message, *_ = self.channel.receive(memory, patience)
        except (EOFError, ConnectionError):
            raise self.death() from None
        epoch, number = KEY.unpack_from(message)
        _, slots = self.pending.pop((epoch, number), (None, []))
        unpickler = BatchUnpickler(memoryview(message)[KEY.size :], slots, blocks)
        kind, content = unpickler.load()
        return Answer(self, epoch, number, kind, content, unpickler.layout)

    def close(self) -> None:
        """Have it end after the batch it is at."""
        for channel in (self.control, self.channel):
            _ends.discard(channel.socket)
            channel.close()

    def doing(self, key: tuple[int, int]) -> str:
        """What it does for a request of this epoch and number."""
        wanted = self.pending[key][0]
        if self._is_iterable:
            return "fetching from its stream"
        if isinstance(wanted, list) and len(wanted) > 4:
            wanted = f"[{wanted[0]}, {wanted[1]}, ... {wanted[-1]}]"
        return f"fetching dataset indices {wanted}"

    def death(self) -> WorkerDied:
        """The exception that tells of its death."""
        self.process.join(_GRACE_S)
        task = f", {self.doing(next(iter(self.pending)))}" if self.pending else ""
        code = self.process.exitcode
        return WorkerDied(death_message(self.id, self.pid, code, task), self.id, self.pid, code)


class WorkerPool:
    """Worker processes, stopped when the object goes.

    Attributes:
        workers: by number.
        epoch: number of the epoch they serve; answers of an earlier one are stale.
        layout: sizes of the large arrays of a batch, as seen so far.
        is_torn: whether somebody is between two states of it, or was interrupted there: then what
            was asked and answered is known no more.
    """

    def __init__(self, context: Any) -> None:
        self.workers: list[Worker] = []
        self.epoch = 0
        self.layout: list[int] = []
        self.is_torn = False
        self._context = context
        self._stop = weakref.finalize(self, _stop_workers, self.workers, os.getpid())
        self._poll = select.poll()
        self._by_fd: dict[int, Worker] = {}
        self._is_finishing = False

    def start(self, tasks: Sequence[Task]) -> Iterator[Worker]:
        """Start workers, giving each as soon as it runs: it can work while the next is started."""
        for task in tasks:
            worker = Worker(self._context, task)
            self.workers.append(worker)
            self._watch(worker.channel.socket.fileno(), worker)
            yield worker

    def _watch(self, fd: int, worker: Worker) -> None:
        self._poll.register(fd, select.POLLIN)
        self._by_fd[fd] = worker

    def finish(self) -> None:
        """There are no more requests: each worker may end when it has answered its own."""
        self._is_finishing = True
        for worker in self.workers:
            worker.finish()
            self._let_go(worker)

    def _let_go(self, worker: Worker) -> None:
        """Do not take the end of a worker that is to end for its death."""
        if self._is_finishing and not worker.pending:
            fd = worker.channel.socket.fileno()
            if self._by_fd.pop(fd, None) is not None:
                self._poll.unregister(fd)

    def collect(
        self, timeout_s: float, patience_s: float, complain: Callable[[Worker], object]
    ) -> list[Answer]:
        """The messages that are there, or the first to come within ``timeout_s``.

        Args:
            patience_s, complain: seconds after which ``complain(worker)`` is called if that says
                nothing more in the middle of a message.
        Raises:
            WorkerDied: one of them has ended; the others have been stopped.
        """
        behind = [fd for fd, worker in self._by_fd.items() if not worker.flush()]
        for fd in behind:
            self._poll.modify(fd, select.POLLIN | select.POLLOUT)
        self.is_torn = False  # for as long as nothing else is done
        events = self._poll.poll(timeout_s * 1000)
        self.is_torn = True
        for fd in behind:
            self._poll.modify(fd, select.POLLIN)
        answers: list[Answer] = []
        try:
            for fd, event in events:
                if event != select.POLLOUT:
                    worker = self._by_fd[fd]
                    patience = Patience(patience_s, functools.partial(complain, worker))
                    answers += self._answers_of(worker, patience)
        except WorkerDied:
            self.stop()
            raise
        return answers

    def _answers_of(self, worker: Worker, patience: Patience) -> Iterator[Answer]:
        while True:
            answer = worker.receive(patience)
            if answer.kind == "batch":
                self._learn(answer.layout)
            yield answer
            if not worker.channel.has_arrived:
                break
        self._let_go(worker)

    def _learn(self, layout: list[int]) -> None:
        if len(layout) == len(self.layout):
            self.layout = [max(pair) for pair in zip(layout, self.layout, strict=True)]
        elif layout:
            self.layout = layout

    def stacks(self, timeout_s: float, workers: Sequence[Worker] | None = None) -> str:
        """Where each worker is, or each of ``workers``."""
        waiting, poll, texts = {}, select.poll(), []
        for worker in self.workers if workers is None else workers:
            worker.ask_for_stack()
            waiting[worker.control.socket.fileno()] = worker
            poll.register(worker.control.socket, select.POLLIN)
        deadline = time.monotonic() + timeout_s
        while waiting and (left := deadline - time.monotonic()) > 0:
            for fd, _ in poll.poll(left * 1000):
                poll.unregister(fd)
                worker = waiting.pop(fd)
                texts.append(f"worker {worker.id} (pid {worker.pid}):\n{worker.stack()}")
        texts += [
            f"worker {worker.id} (pid {worker.pid}) does not answer, it is {activity(worker.pid)}"
            for worker in waiting.values()
        ]
        return "\n".join(texts)

    def stop(self) -> None:
        """End the workers: by closing the connection, then by signal."""
        with undisturbed():
            self._stop()

    @property
    def is_stopped(self) -> bool:
        """Whether `stop` was called."""
        return not self._stop.alive


def _stop_workers(workers: list[Worker], owner: int) -> None:
    if os.getpid() != owner:  # a forked child has the object, but not the workers
        return
    for worker in workers:
        worker.close()
        if is_stopped(worker.pid):  # it hears nothing else
            worker.process.kill()
    deadline = time.monotonic() + _GRACE_S
    for worker in workers:
        worker.process.join(max(deadline - time.monotonic(), 0))
    for end in ("terminate", "kill"):
        late = [worker for worker in workers if worker.process.is_alive()]
        for worker in late:
            getattr(worker.process, end)()
        for worker in late:
            worker.process.join(_GRACE_S)
    workers.clear()


class _Pickled:
    """A task for a process that does not inherit our memory."""

    def __init__(self, task: Task) -> None:
        try:
            self._data = cloudpickle.dumps(task)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise TypeError(
                f"DataLoader: {type(task.dataset).__name__} or its collate_fn or worker_init_fn "
                f"cannot be pickled for a worker process: {error}; use num_workers=0, or "
                "multiprocessing_context='fork'"
            ) from error

    def __call__(self) -> Task:
        task: Task = pickle.loads(self._data)
        return task


def default_context() -> Any:
    """How workers are started if the loader was not told.

    As the program has said with `multiprocessing.set_start_method`, else by fork: that is fast,
    needs nothing pickled, and does not run the main script again. Nothing that happens to run at
    the moment changes it. Where there is no safe fork (macOS, Windows) by spawn.
    """
    chosen = multiprocessing.get_start_method(allow_none=True)
    method = chosen or ("fork" if sys.platform == "linux" else "spawn")
    context = get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["dtorch.data.worker"])
    return context
