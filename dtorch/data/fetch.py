"""Getting the samples of one batch from a dataset."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

Collate = Callable[[Any], Any]


class MapFetcher:
    """Fetches by index.

    Attributes:
        index: the sample that is being fetched, for messages about errors.
    """

    def __init__(self, dataset: Any, collate_fn: Collate) -> None:
        self._dataset = dataset
        self._collate = collate_fn
        self._several = getattr(dataset, "__getitems__", None)
        self.index: Any = None

    def fetch(self, indices: Any) -> Any:
        """The batch of a list of indices; of one index, the sample."""
        self.index = indices
        if not isinstance(indices, list):
            return self._collate(self._dataset[indices])
        if self._several is not None:
            return self._collate(self._several(indices))
        samples, dataset = [], self._dataset
        for index in indices:
            self.index = index
            samples.append(dataset[index])
        self.index = indices
        return self._collate(samples)


class IterableFetcher:
    """Fetches what comes next.

    Args:
        drop_last: leave out a last batch that is shorter.
    Attributes:
        index: number of the sample that is being fetched.
    """

    def __init__(self, dataset: Any, collate_fn: Collate, drop_last: bool) -> None:
        self._samples: Iterator[Any] = iter(dataset)
        self._collate = collate_fn
        self._drop_last = drop_last
        self.index = 0

    def fetch(self, count: int | None) -> Any:
        """The batch of the next ``count`` samples; for None, the next sample.

        Raises:
            StopIteration: there are no more.
        """
        if count is None:
            sample = next(self._samples)
            self.index += 1
            return self._collate(sample)
        batch = []
        for sample in itertools.islice(self._samples, count):
            batch.append(sample)
            self.index += 1
        if not batch or (self._drop_last and len(batch) < count):
            raise StopIteration
        return self._collate(batch)
