"""What runs in a worker process of a loader."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dtorch.core import backend
from dtorch.core.generator import default_generator
from dtorch.core.interrupts import leave_in_child
from dtorch.data.channel import Channel
from dtorch.data.collate import collate_into
from dtorch.data.failure import ExceptionWrapper
from dtorch.data.fetch import Collate, IterableFetcher, MapFetcher
from dtorch.data.seeding import Seeds, seed_worker
from dtorch.data.transfer import SlotMap, encode
from dtorch.multiprocessing.parent_death import die_with_parent

KEY = struct.Struct("<QQ")  # epoch and number of the batch, before the pickle of an answer


@dataclass
class WorkerInfo:
    """What a worker knows of itself.

    Attributes:
        id: its number, from 0.
        num_workers: how many there are.
        seed: what dtorch's generator was seeded with at first.
        dataset: its copy of the dataset.

    Example:
        >>> WorkerInfo(id=0, num_workers=2, seed=7, dataset=[1, 2]).num_workers
        2
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


@dataclass
class Task:
    """What a worker is told when it starts."""

    dataset: Any
    collate_fn: Collate
    is_iterable: bool
    drop_last: bool
    init_fn: Callable[[int], Any] | None
    worker_id: int
    num_workers: int


class _State:
    info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker: its number, how many there are, its seed, its dataset. Elsewhere None.

    Example:
        >>> get_worker_info() is None
        True
    """
    return _State.info


def run_worker(
    requests: socket.socket, control: socket.socket, task: Any, started_by_main_thread: bool
) -> None:
    """Serve a loader until it wants no more.

    Args:
        requests: brings them, and takes the answers. Its end comes after the last request.
        control: brings questions where this process is. Its end means that nobody waits any more.
        task: a `Task`, or a function that gives it.
        started_by_main_thread: of the loader's process; see `die_with_parent`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the loader decides what Ctrl-C means
    leave_in_child()
    die_with_parent(started_by_main_thread)
    backend.set_num_threads(1)
    task = task if isinstance(task, Task) else task()
    backend.share_cache(task.num_workers)
    _Worker(Channel(requests), Channel(control), task).serve()


class _Worker:
    def __init__(self, channel: Channel, control: Channel, task: Task) -> None:
        self._channel = channel
        self._control = control
        self._task = task
        self._slots = SlotMap()
        self._fetcher: MapFetcher | IterableFetcher | None = None
        self._failed: ExceptionWrapper | None = None  # before there was a batch to blame
        self._is_wanted = True
        self._seeds_itself = False  # whether worker_init_fn has seeded dtorch's generator
        collate_into(self._slots.allocate)

    def serve(self) -> None:
        threading.Thread(target=self._watch, args=(threading.get_ident(),), daemon=True).start()
        with contextlib.suppress(EOFError, ConnectionError):
            while self._is_wanted:
                message, _, fds = self._channel.receive()
                kind, *rest = pickle.loads(message)
                if kind == "epoch":
                    self._begin(*rest)
                else:
                    self._answer(fds, *rest)

    def _watch(self, main_thread: int) -> None:
        """Tell where we are, and notice that nobody waits any more."""
        with contextlib.suppress(EOFError, ConnectionError):
            while True:
                self._control.receive()
                self._control.send(_stack_of(main_thread).encode())
        self._is_wanted = False

    def _begin(self, seeds: Seeds) -> None:
        """Start an epoch."""
        task = self._task
        first = _State.info is None
        seed = seed_worker(seeds, task.worker_id)
        _State.info = WorkerInfo(task.worker_id, task.num_workers, seed, task.dataset)
        self._failed = None
        try:
            if first and task.init_fn is not None:
                task.init_fn(task.worker_id)
                if default_generator.initial_seed() != seed:
                    self._seeds_itself = True
            if self._seeds_itself:
                seeds = seeds._replace(dtorch=None)
            if task.is_iterable:
                self._fetcher = IterableFetcher(
                    task.dataset, task.collate_fn, task.drop_last, seeds, task.worker_id,
                    task.num_workers,
                )  # fmt: skip
            else:
                self._fetcher = MapFetcher(task.dataset, task.collate_fn, seeds)
        except Exception:  # noqa: BLE001 - it is raised again in the loader
            self._failed = self._wrapped("while it started")

    def _answer(self, fds: list[int], epoch: int, number: int, indices: Any, streams: Any,
                slots: Any, arenas: Any) -> None:  # fmt: skip
        self._slots.attach(arenas, fds)
        self._slots.lend(slots)
        answer = self._result(indices, streams)
        try:
            message, buffers = encode(answer, self._slots)
        except Exception:  # noqa: BLE001 - a batch that cannot be pickled; raised in the loader
            message, buffers = encode(("error", self._wrapped("sending the batch")), self._slots)
        self._channel.send(KEY.pack(epoch, number) + message, buffers)
        self._slots.lend(())

    def _result(self, indices: Any, streams: Any) -> tuple[str, Any]:
        if self._failed is not None or self._fetcher is None:
            return "error", self._failed
        try:
            if isinstance(self._fetcher, IterableFetcher):
                return "batch", self._fetcher.fetch(indices)
            return "batch", self._fetcher.fetch(indices, streams)
        except StopIteration:
            if self._task.is_iterable:
                return "end", None
            return "error", self._wrapped(self._doing(indices))
        except Exception:  # noqa: BLE001 - it is raised again in the loader
            return "error", self._wrapped(self._doing(indices))

    def _doing(self, indices: Any) -> str:
        index = getattr(self._fetcher, "index", None)
        if self._task.is_iterable:
            return f"after {index} samples"
        if index is indices and isinstance(indices, list):
            return f"putting together the batch of dataset indices {_shortened(indices)}"
        return f"at dataset index {index!r}"

    def _wrapped(self, doing: str) -> ExceptionWrapper:
        who = f"in DataLoader worker {self._task.worker_id} (pid {os.getpid()})"
        kind, error, trace = sys.exc_info()
        if kind is None or error is None:
            raise RuntimeError("no exception is being handled")
        return ExceptionWrapper((kind, error, trace), f"{who}, {doing}")


def _shortened(indices: list[Any]) -> str:
    if len(indices) <= 8:
        return str(indices)
    return f"[{indices[0]!r}, {indices[1]!r}, ..., {indices[-1]!r}]"


def _stack_of(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    return "".join(traceback.format_stack(frame)) if frame else ""
