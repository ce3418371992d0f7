"""Getting the samples of one batch from a dataset, each with random numbers of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dtorch.data.seeding import Seeds, seed_sample

Collate = Callable[[Any], Any]


class MapFetcher:
    """Fetches by index.

    Args:
        seeds: of the epoch.
    Attributes:
        index: the sample that is being fetched, for messages about errors.
    """

    def __init__(self, dataset: Any, collate_fn: Collate, seeds: Seeds) -> None:
        self._dataset = dataset
        self._seeds = seeds
        self._collate = collate_fn
        self._several = getattr(dataset, "__getitems__", None)
        self.index: Any = None

    def fetch(self, indices: Any, streams: Any) -> Any:
        """The batch of a list of indices; of one index, whatever it is, the sample.

        Args:
            streams: list of the random stream's number of every sample of a batch; a dataset that
                fetches several at once has that of the first. A number for one index.
        """
        try:
            return self._fetch(indices, streams)
        except StopIteration as error:
            raise _misplaced(f"at dataset index {self.index!r}") from error

    def _fetch(self, indices: Any, streams: Any) -> Any:
        self.index = indices
        seeds = self._seeds
        if not isinstance(streams, list):
            seed_sample(seeds, streams)
            return self._collate(self._dataset[indices])
        if self._several is not None:
            seed_sample(seeds, streams[0] if streams else 0)
            return self._collate(self._several(indices))
        samples, dataset = [], self._dataset
        for index, stream in zip(indices, streams, strict=True):
            self.index = index
            seed_sample(seeds, stream)
            samples.append(dataset[index])
        self.index = indices
        return self._collate(samples)


class IterableFetcher:
    """Fetches what comes next.

    The stream of sample ``n`` of worker ``w`` of ``c`` is ``w + n * c``. So a dataset that gives
    every ``c``-th sample to each worker draws the same for each whatever ``c`` is.

    Args:
        drop_last: leave out a last batch that is shorter.
        seeds: of the epoch.
        worker_id, num_workers: which of how many processes this is; 0 of 1 if there is one.
    Attributes:
        index: number of the sample that is being fetched.
    """

    def __init__(
        self, dataset: Any, collate_fn: Collate, drop_last: bool, seeds: Seeds,
        worker_id: int = 0, num_workers: int = 1,
    ) -> None:  # fmt: skip
        self._seeds = seeds
        self._worker_id = worker_id
        self._num_workers = num_workers
        self._collate = collate_fn
        self._drop_last = drop_last
        self.index = 0
        self._seed()
        self._samples: Iterator[Any] = iter(dataset)

    def fetch(self, count: int | None) -> Any:
        """The batch of the next ``count`` samples; for None, the next sample.

        Raises:
            StopIteration: there are no more.
        """
        if count is None:
            self._seed()
            sample = next(self._samples)
            self.index += 1
            return self._collated(sample)
        batch: list[Any] = []
        while len(batch) < count:
            self._seed()
            try:
                batch.append(next(self._samples))
            except StopIteration:
                break
            self.index += 1
        if not batch or (self._drop_last and len(batch) < count):
            raise StopIteration
        return self._collated(batch)

    def _collated(self, samples: Any) -> Any:
        try:
            return self._collate(samples)
        except StopIteration as error:
            raise _misplaced(f"in collate_fn after {self.index} samples") from error

    def _seed(self) -> None:
        seed_sample(self._seeds, self._worker_id + self.index * self._num_workers)


def _misplaced(where: str) -> RuntimeError:
    return RuntimeError(
        f"DataLoader: StopIteration was raised {where}; it would end the epoch without a word. "
        "Call next() with a default, or catch it"
    )
