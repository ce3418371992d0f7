"""DataLoader: batches of a dataset, fetched here or by worker processes."""

from __future__ import annotations

import importlib.util
import itertools
import multiprocessing
import os
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, fields
from typing import Any

from dtorch.core.base import TensorBase
from dtorch.core.errors import ArgumentError
from dtorch.core.generator import Generator, default_generator
from dtorch.data.collate import default_collate, default_convert
from dtorch.data.dataset import IterableDataset
from dtorch.data.failure import ExceptionWrapper, WorkerDied
from dtorch.data.fetch import MapFetcher
from dtorch.data.iterators import BatchIterator, InProcessIterator, Progress, WorkerIterator
from dtorch.data.pool import WorkerPool, default_context
from dtorch.data.sampler import BatchSampler, RandomSampler, SequentialSampler
from dtorch.data.seeding import Seeds, Streams, draw_seeds, generators_kept
from dtorch.data.worker import Task
from dtorch.multiprocessing import contexts

__all__ = [
    "DataLoader",
    "DataLoaderIter",
    "ExceptionWrapper",
    "WorkerDied",
    "default_collate",
    "pin_memory_batch",
]

_WORTH_WORKERS_S = 1e-3  # a batch that takes less is not worth being passed between processes


# Seconds. PyTorch looks that often whether its workers live; here their end is noticed at once.
MP_STATUS_CHECK_INTERVAL = 5.0
# What other parts of a loader are made from.
_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader:
    """Iterates over a dataset in batches.

    Args:
        dataset: gives samples by index, or is an `IterableDataset`.
        batch_size: samples in a batch; None to give samples out one by one.
        shuffle: random order, another one in each epoch.
        sampler: gives the indices, instead of ``shuffle``.
        batch_sampler: gives lists of indices, instead of ``batch_size``, ``shuffle``, ``sampler``
            and ``drop_last``.
        num_workers: processes that fetch; 0 to fetch in this one. ``"auto"`` times the first batch
            and takes as many as there are processors, or none if it took less than 1 ms.
        collate_fn: makes a batch of a list of samples; `default_collate` if left out.
        pin_memory: put batches where a CUDA device copies them from fast; without CUDA, nothing.
        drop_last: leave out a last batch that is shorter.
        timeout: seconds to wait for a batch, after which an error names the worker and tells where
            it is; 0 waits on, and warns with the workers' stacks after 30 s.
        worker_init_fn: ``worker_init_fn(worker_id)`` runs first in every worker.
        multiprocessing_context: how workers are started: a name or a context. By default what
            `multiprocessing.set_start_method` has set, else ``fork`` on Linux, whatever threads
            run, and ``spawn`` elsewhere. With ``spawn`` and ``forkserver`` the script needs
            ``if __name__ == "__main__":``, and workers may use CUDA.
        generator: where the order, and the seeds of dtorch's generator, come from; the default
            generator if left out. Those of ``random`` and ``numpy.random`` come from themselves.
        prefetch_factor: batches each worker fetches ahead; 2 by default.
        persistent_workers: keep the processes from one epoch to the next. They keep the dataset as
            it was when they started.
        pin_memory_device: ignored.

    Batches come in the sampler's order whatever ``num_workers`` is, and with the same random
    numbers: when an epoch begins, one number is drawn from each of the generators of dtorch,
    ``random`` and ``numpy.random``; before each sample each is seeded from that number, the sample's
    index, and how often it came in this epoch already. What samples draw depends neither on the
    number of workers nor on the size of the batches, seeding a generator brings its numbers back,
    and the program's own numbers go on as if the samples had drawn none. A stream that gives worker ``w`` of ``n``
    every ``n``-th sample, beginning with the ``w``-th, draws the same for each, too.

    An exception in a worker is raised at its batch's place, with the worker's traceback, the
    dataset's index, the worker's number and pid; iteration can go on after it.

    Raises:
        ArgumentError: arguments that exclude each other.
    Example:
        >>> [batch.tolist() for batch in DataLoader(range(5), batch_size=2)]
        [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self, dataset: Any, batch_size: int | None = 1, shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None, batch_sampler: Iterable[list[Any]] | None = None,
        num_workers: int | str = 0, collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False, drop_last: bool = False, timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None, multiprocessing_context: Any = None,
        generator: Generator | None = None, *, prefetch_factor: int | None = None,
        persistent_workers: bool = False, pin_memory_device: str = "",
    ) -> None:  # fmt: skip
        self.dataset = dataset
        self.num_workers = num_workers
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.pin_memory = pin_memory and _can_pin()
        self.is_iterable = isinstance(dataset, IterableDataset)
        if not (self.is_iterable or hasattr(dataset, "__getitem__")):
            remedy = "; derive from IterableDataset" if hasattr(dataset, "__iter__") else ""
            raise TypeError(
                f"DataLoader: dataset is {type(dataset).__name__}, expected a Dataset, a list, or "
                f"what else has __getitem__ and __len__{remedy}"
            )
        if collate_fn is not None and not callable(collate_fn):
            raise TypeError(
                f"DataLoader: collate_fn is {type(collate_fn).__name__}, expected a function"
            )
        self._check_workers(prefetch_factor)
        self.prefetch_factor = prefetch_factor
        self._ahead = 2 if prefetch_factor is None else prefetch_factor
        self._choose_sampler(batch_size, shuffle, sampler, batch_sampler, drop_last)
        if collate_fn is None:
            batched = self.batch_size is not None or batch_sampler is not None
            collate_fn = default_collate if batched else default_convert
        self.collate_fn = collate_fn
        self._idle_pool: WorkerPool | None = None
        self._layout: list[int] = []
        self._progress: Progress | None = None  # of the newest iteration, until it is complete
        self._resume: Progress | None = None
        self._is_made = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and self.__dict__.get("_is_made"):
            raise ArgumentError(
                f"DataLoader: {name} attribute should not be set after DataLoader is initialized, it "
                "would change nothing; make another one"
            )
        super().__setattr__(name, value)

    def _check_workers(self, prefetch_factor: int | None) -> None:
        workers = self.num_workers
        is_count = isinstance(workers, int) and not isinstance(workers, bool) and workers >= 0
        if not is_count and workers != "auto":
            raise ArgumentError(
                f"DataLoader: num_workers is {workers!r}, expected an int of at least 0, or 'auto'"
            )
        if self.timeout < 0:
            raise ArgumentError(f"DataLoader: timeout is {self.timeout} s, expected at least 0")
        if workers == 0:
            needless = {"prefetch_factor": prefetch_factor is not None,
                        "persistent_workers": self.persistent_workers,
                        "multiprocessing_context": self.multiprocessing_context is not None,
                        "timeout": self.timeout > 0}  # fmt: skip
            for name, is_given in needless.items():
                if is_given:
                    raise ArgumentError(f"DataLoader: {name} needs num_workers above 0")
        if prefetch_factor is not None and prefetch_factor < 1:
            raise ArgumentError(
                f"DataLoader: prefetch_factor is {prefetch_factor}, expected at least 1"
            )
        context = self.multiprocessing_context
        if isinstance(context, str):
            methods = multiprocessing.get_all_start_methods()
            if context not in methods:
                raise ArgumentError(
                    f"DataLoader: multiprocessing_context is {context!r}, expected one of {methods}"
                )
            context = contexts.get_context(context)
        self.multiprocessing_context = contexts.own(context)

    def _choose_sampler(
        self, batch_size: int | None, shuffle: bool | None, sampler: Any, batch_sampler: Any,
        drop_last: bool,
    ) -> None:  # fmt: skip
        if self.is_iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ArgumentError(
                "DataLoader: an IterableDataset decides on its order; leave out shuffle, sampler "
                "and batch_sampler"
            )
        if shuffle and sampler is not None:
            raise ArgumentError("DataLoader: shuffle and sampler exclude each other")
        if batch_sampler is not None:
            if batch_size != 1 or shuffle or sampler is not None or drop_last:
                raise ArgumentError(
                    "DataLoader: batch_sampler excludes batch_size, shuffle, sampler and drop_last"
                )
            batch_size = None
        elif batch_size is None and drop_last:
            raise ArgumentError("DataLoader: drop_last needs a batch_size")
        elif batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
            raise ArgumentError(
                f"DataLoader: batch_size is {batch_size!r}, expected an int above 0, or None"
            )
        if sampler is None and not self.is_iterable:
            sampler = (
                RandomSampler(self.dataset, generator=self.generator)
                if shuffle
                else SequentialSampler(self.dataset)
            )
        if batch_size is not None and not self.is_iterable:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler

    def __len__(self) -> int:
        """Number of batches.

        Raises:
            TypeError: the dataset or sampler has no length.
        """
        if not self.is_iterable:
            chosen: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
            return len(chosen)
        count = len(self.dataset)
        if self.batch_size is None:
            return count
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == "auto":
            self.num_workers = self._measured_workers()
        seeds, indices, self._progress = self._begin_epoch()
        kind = WorkerIterator if self.num_workers else InProcessIterator
        iterator: BatchIterator = kind(self, seeds, indices, self._progress)
        return _Pinning(iterator) if self.pin_memory else iterator

    # -- epochs and where they stand -----------------------------------------------------------

    def _begin_epoch(self) -> tuple[Seeds, Iterator[tuple[Any, Any]], Progress]:
        """Seeds, what to fetch with which random streams, and from where on."""
        source = self._source()
        resume, self._resume = self._resume, None
        if resume is None:
            progress = Progress(source.get_state(), self._sampler_epoch(), 0, None)
            seeds = draw_seeds(source)
            progress.seeds = [seeds.python, seeds.numpy]
            return seeds, self._index_iterator(), progress
        before = source.get_state()
        source.set_state(resume.generator)
        if resume.sampler_epoch is not None:
            self.sampler.set_epoch(resume.sampler_epoch)
        seeds, indices = draw_seeds(source, resume.seeds), self._index_iterator()
        resume.seeds = [seeds.python, seeds.numpy]
        if not self.is_iterable:
            for _ in range(resume.batches):
                next(indices, None)
            # A sampler draws at its first index. Have that now: the generator goes back.
            indices = _started(indices)
        if self.generator is None:
            source.set_state(before)
        return seeds, indices, resume

    def _source(self) -> Generator:
        return default_generator if self.generator is None else self.generator

    def _sampler_epoch(self) -> int | None:
        return self.sampler.epoch if hasattr(self.sampler, "set_epoch") else None

    def _index_iterator(self) -> Iterator[tuple[Any, Any]]:
        if self.is_iterable:
            return itertools.repeat((self.batch_size, None))
        chosen: Any = self.sampler if self.batch_sampler is None else self.batch_sampler
        streams = Streams(self._dataset_size())
        number = streams.of_one if self.batch_sampler is None else streams.of
        return ((indices, number(indices)) for indices in chosen)

    def _dataset_size(self) -> int:
        try:
            return len(self.dataset)
        except (TypeError, NotImplementedError):
            return 0

    def _finished(self, progress: Progress) -> None:
        if self._progress is progress:
            self._progress = None

    def state_dict(self) -> dict[str, Any]:
        """Where the newest iteration stands, to go on from there with `load_state_dict`.

        Batches that were given out are done; those that workers have fetched ahead are not.
        """
        progress = self._progress
        if progress is None:
            progress = Progress(self._source().get_state(), self._sampler_epoch(), 0, None)
        return asdict(progress)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next iteration go on where `state_dict` was taken, in the same order.

        Samples already seen are not fetched again, but those of an `IterableDataset` are, and left
        out.

        Raises:
            ArgumentError: it is no state of a loader.
        """
        names = {field.name for field in fields(Progress)}
        if set(state_dict) != names:
            raise ArgumentError(
                f"DataLoader: the state has {sorted(state_dict)}, expected {sorted(names)}"
            )
        self._resume = Progress(**state_dict)

    # -- workers ---------------------------------------------------------------------------------

    def _take_pool(self) -> WorkerPool:
        """Workers that wait for an epoch, or a pool that is still empty."""
        pool, self._idle_pool = self._idle_pool, None
        if pool is None or pool.is_stopped:
            pool = WorkerPool(self.multiprocessing_context or default_context())
            pool.layout = self._layout
        return pool

    def _tasks(self) -> list[Task]:
        count = int(self.num_workers)
        return [
            Task(self.dataset, self.collate_fn, self.is_iterable, self.drop_last,
                 self.worker_init_fn, worker_id, count)
            for worker_id in range(count)
        ]  # fmt: skip

    def _give_pool_back(self, pool: WorkerPool) -> None:
        self._layout = pool.layout
        if self.persistent_workers and self._idle_pool is None and not pool.is_torn:
            self._idle_pool = pool
        else:
            pool.stop()

    def _measured_workers(self) -> int:
        if self.is_iterable:
            return 0
        source = self._source()
        before = source.get_state()
        wanted = next(self._index_iterator(), None)
        source.set_state(before)
        if wanted is None:
            return 0
        fetcher = MapFetcher(self.dataset, self.collate_fn, Seeds(0, 0, 0))
        with generators_kept():
            begin = time.perf_counter()
            fetcher.fetch(*wanted)
            took = time.perf_counter() - begin
        return len(os.sched_getaffinity(0)) if took >= _WORTH_WORKERS_S else 0


class DataLoaderIter:
    """An iterator over a loader: ``DataLoaderIter(loader)`` is ``iter(loader)``."""

    def __new__(cls, loader: DataLoader) -> Any:
        return iter(loader)


# Programs ask whether something is one of these; all iterators of loaders are.
_BaseDataLoaderIter = BatchIterator


class _Pinning:
    """Pins the batches of an iterator."""

    def __init__(self, batches: BatchIterator) -> None:
        self._batches = batches

    def __iter__(self) -> _Pinning:
        return self

    def __len__(self) -> int:
        return len(self._batches)

    def __next__(self) -> Any:
        return pin_memory_batch(next(self._batches))


def pin_memory_batch(batch: Any) -> Any:
    """The batch with its tensors, and whatever else has ``pin_memory()``, in pinned memory."""
    if isinstance(batch, dict):
        return {key: pin_memory_batch(value) for key, value in batch.items()}
    if isinstance(batch, tuple) and hasattr(batch, "_fields"):
        return type(batch)(*map(pin_memory_batch, batch))
    if isinstance(batch, (tuple, list)):
        return type(batch)(map(pin_memory_batch, batch))
    if isinstance(batch, TensorBase) and not _has_cuda():
        return batch
    return batch.pin_memory() if hasattr(batch, "pin_memory") else batch


def _has_cuda() -> bool:
    return importlib.util.find_spec("cupy") is not None


def _can_pin() -> bool:
    if _has_cuda():
        return True
    warnings.warn("DataLoader: pin_memory=True without CUDA does nothing", stacklevel=3)
    return False


def _started(iterator: Iterator[Any]) -> Iterator[Any]:
    """The same iterator, with its first item drawn already."""
    first = list(itertools.islice(iterator, 1))
    return itertools.chain(first, iterator)
