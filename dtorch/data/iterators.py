"""Iterators over a loader: in this process, or with workers."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from dtorch.core.interrupts import completed, undisturbed
from dtorch.data.fetch import IterableFetcher, MapFetcher
from dtorch.data.pool import Answer, Worker, WorkerPool
from dtorch.data.seeding import Seeds, generators_kept
from dtorch.multiprocessing.processes import is_stopped, named

if TYPE_CHECKING:
    from dtorch.data.dataloader import DataLoader

_STALLED_S = 30.0
_STACK_S = 1.0


@dataclass
class Progress:
    """Where an epoch stands; outlives the iterator, for `DataLoader.state_dict`.

    Attributes:
        generator: state of the generator when the epoch began.
        sampler_epoch: the epoch that the sampler was told, if it wants to know.
        batches: how many were given out, those before a resumed start included.
        seeds: for ``random`` and ``numpy.random``, drawn from them when the epoch began; None
            before.
    """

    generator: Any
    sampler_epoch: int | None
    batches: int
    seeds: list[int] | None


class BatchIterator:
    """One pass over a loader's batches.

    Args:
        indices: what to fetch and the random streams for it, beginning with the first batch that
            ``progress`` does not count.
    """

    def __init__(
        self, loader: DataLoader, indices: Iterator[tuple[Any, Any]], progress: Progress
    ) -> None:
        self._loader = loader
        self._indices = indices
        self._progress = progress

    def __iter__(self) -> BatchIterator:
        return self

    def __len__(self) -> int:
        return len(self._loader)

    def __next__(self) -> Any:
        raise NotImplementedError

    def next(self) -> Any:
        """The classic spelling of ``next(iterator)``."""
        return next(self)

    def __reduce__(self) -> NoReturn:
        raise TypeError("an iterator over a DataLoader cannot be pickled; pickle the loader")


class InProcessIterator(BatchIterator):
    """Fetches in this process."""

    def __init__(
        self, loader: DataLoader, seeds: Seeds, indices: Iterator[tuple[Any, Any]],
        progress: Progress,
    ) -> None:  # fmt: skip
        super().__init__(loader, indices, progress)
        self._fetcher: MapFetcher | IterableFetcher
        if not loader.is_iterable:
            self._fetcher = MapFetcher(loader.dataset, loader.collate_fn, seeds)
            return
        with generators_kept():
            self._fetcher = IterableFetcher(
                loader.dataset, loader.collate_fn, loader.drop_last, seeds
            )
            for _ in range(progress.batches):
                self._fetcher.fetch(loader.batch_size)

    def __next__(self) -> Any:
        progress, fetcher = self._progress, self._fetcher
        try:
            indices, streams = next(self._indices)
            with generators_kept():
                if isinstance(fetcher, IterableFetcher):
                    batch = fetcher.fetch(indices)
                    progress.batches += 1
                    return batch
        except StopIteration:
            self._loader._finished(progress)
            raise
        progress.batches += 1
        with generators_kept():
            return fetcher.fetch(indices, streams)


class WorkerIterator(BatchIterator):
    """Has worker processes fetch, some batches ahead, and gives their batches out in order."""

    def __init__(
        self, loader: DataLoader, seeds: Seeds, indices: Iterator[tuple[Any, Any]],
        progress: Progress,
    ) -> None:  # fmt: skip
        super().__init__(loader, indices, progress)
        self._released = False
        self._pool: WorkerPool = loader._take_pool()
        self._pool.is_torn = True
        self._pool.epoch += 1
        self._epoch = self._pool.epoch
        self._ready: dict[int, Answer] = {}
        self._exhausted: set[int] = set()  # workers without more samples
        # A stream starts from its beginning in every worker.
        seen = progress.batches
        self._position = self._requested = 0 if loader.is_iterable else seen
        self._more = True
        self._count = len(self._pool.workers) or int(loader.num_workers)
        for worker in self._pool.workers or self._pool.start(loader._tasks()):
            worker.begin(seeds)
            self._request(at_most=1)
        self._request()
        self._pool.is_torn = False
        for _ in range(seen if loader.is_iterable else 0):
            self._take()

    def __next__(self) -> Any:
        batch = self._take()
        self._progress.batches += 1
        return batch

    def _take(self) -> Any:
        if self._position < self._requested:
            self._check_pool()
            self._pool.is_torn = True
        while self._position < self._requested:
            answer = self._wait_for(self._position)
            self._position += 1
            if answer.kind == "end":
                self._exhausted.add(answer.worker.id)
            self._request()
            if answer.kind == "end":
                continue
            self._pool.is_torn = False
            if answer.kind == "batch":
                return answer.content
            self._progress.batches += 1
            answer.content.reraise()
        self._pool.is_torn = False
        self._end()
        raise StopIteration

    def _check_pool(self) -> None:
        if self._pool.is_torn:
            self._pool.stop()
        if self._pool.is_stopped:
            raise RuntimeError(
                "DataLoader: a worker died in this epoch, or it was interrupted; begin a new one"
            )

    def _wait_for(self, number: int) -> Answer:
        self._collect(0)
        timeout, begin = self._loader.timeout, time.monotonic()
        stalled = math.inf if timeout else _STALLED_S
        while number not in self._ready:
            waited = time.monotonic() - begin
            if timeout and waited >= timeout:
                where = self._where(number)
                self._pool.stop()
                raise RuntimeError(
                    f"DataLoader timed out after {timeout} seconds: no batch {number} within "
                    f"timeout={timeout} s of waiting for {where}"
                )
            if waited >= stalled:
                self._report_stall(number, waited)
                stalled = waited + _STALLED_S
            self._collect((timeout or stalled) - waited)
        return self._ready.pop(number)

    def _where(self, number: int) -> str:
        """Which worker has the batch, and what it is doing."""
        key = self._epoch, number
        worker = next(worker for worker in self._pool.workers if key in worker.pending)
        text = f"worker {worker.id} ({named(worker.pid)}), {worker.doing(key)}"
        if is_stopped(worker.pid):
            return text
        return f"{text}; {self._pool.stacks(_STACK_S, [worker])}"

    def _report_stall(self, number: int, waited: float) -> None:
        warnings.warn(
            f"DataLoader: waiting for batch {number} for {waited:.0f} s; pass timeout= to make this "
            f"an error. The workers:\n{self._pool.stacks(_STACK_S)}",
            stacklevel=4,
        )

    def _collect(self, seconds: float) -> None:
        patience = self._loader.timeout or _STALLED_S
        for answer in self._pool.collect(seconds, patience, self._report_silence):
            if answer.epoch == self._epoch:
                self._ready[answer.number] = answer

    def _report_silence(self, worker: Worker) -> None:
        timeout = self._loader.timeout
        text = (
            f"DataLoader: worker {worker.id} ({named(worker.pid)}) said nothing for "
            f"{timeout or _STALLED_S} s in the middle of a batch"
        )
        if timeout:
            self._pool.stop()
            raise RuntimeError(text)
        warnings.warn(f"{text}; pass timeout= to make this an error", stacklevel=2)

    def _request(self, at_most: int | None = None) -> None:
        workers, layout = self._pool.workers, self._pool.layout
        end = self._position + self._loader._ahead * self._count
        if at_most is not None:
            end = self._requested + at_most
        while self._more and self._requested < end:
            worker = self._next_worker(workers)
            wanted = next(self._indices, None) if worker is not None else None
            if worker is None or wanted is None:
                self._more = False
                if not self._loader.persistent_workers:
                    self._pool.finish()
                return
            worker.request(self._epoch, self._requested, *wanted, layout)
            self._requested += 1

    def _next_worker(self, workers: list[Worker]) -> Worker | None:
        if not self._loader.is_iterable:
            return min(workers, key=lambda worker: len(worker.pending))
        # A stream's batches come in the order of workers, or the order would be one of chance.
        for offset in range(len(workers)):
            worker = workers[(self._requested + offset) % len(workers)]
            if worker.id not in self._exhausted:
                return worker
        return None

    def _end(self) -> None:
        self._release()
        self._loader._finished(self._progress)

    def _release(self) -> None:
        with undisturbed():
            if not self._released:
                self._released = True
                self._loader._give_pool_back(self._pool)

    @completed
    def __del__(self) -> None:
        with undisturbed():
            if "_pool" in self.__dict__:  # else it failed while it was made
                self._release()
            self.__dict__.clear()  # what ends with it does so undisturbed, too
