"""Samplers: in which order a loader asks for samples."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import numpy as np

from dtorch.core.errors import ArgumentError, ArgumentTypeError
from dtorch.core.generator import Generator, default_generator
from dtorch.core.tensor import Tensor

T_co = TypeVar("T_co", covariant=True)


class Sampler(Generic[T_co]):
    """Base of samplers: an iterable of indices, or of lists of them, with a length.

    Args:
        data_source: what is sampled; kept for classic subclasses, not used here.

    Example:
        >>> class Backwards(Sampler):
        ...     def __iter__(self):
        ...         return iter(range(len(self.data_source) - 1, -1, -1))
        >>> list(Backwards("abc"))
        [2, 1, 0]
    """

    def __init__(self, data_source: Sized | None = None) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


class SequentialSampler(Sampler[int]):
    """The indices in order.

    Example:
        >>> list(SequentialSampler("abc"))
        [0, 1, 2]
    """

    data_source: Sized

    def __init__(self, data_source: Sized) -> None:
        super().__init__(data_source)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """The indices in random order, another one each time.

    Args:
        replacement: draw each index independently of those before.
        num_samples: how many to draw; the number of samples if left out. Without replacement,
            one permutation after another.
        generator: where the randomness comes from; the default one if left out.

    Raises:
        ValueError: ``num_samples`` is no int above 0.
        TypeError: ``replacement`` is no bool.

    Example:
        >>> sorted(RandomSampler("abc"))
        [0, 1, 2]
    """

    data_source: Sized

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__(data_source)
        if not isinstance(replacement, bool):
            raise TypeError(f"RandomSampler: replacement is {replacement!r}, expected a bool")
        if num_samples is not None:
            _expect_positive("RandomSampler", "num_samples", num_samples)
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not self.num_samples:
            raise ArgumentError("RandomSampler: num_samples is 0: the dataset is empty")

    @property
    def num_samples(self) -> int:
        """How many indices one iteration gives."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        source = _fork(self.generator)
        size, left = len(self.data_source), self.num_samples
        if not size:
            return
        while left:
            count = min(left, size)
            if self.replacement:
                chosen = source.integers(0, size, count)
            else:
                chosen = source.permutation(size)[:count]
            yield from chosen.tolist()
            left -= count

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Given indices, in random order.

    Args:
        indices: which.
        generator: where the randomness comes from; the default one if left out.

    Example:
        >>> sorted(SubsetRandomSampler([5, 7, 9]))
        [5, 7, 9]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        super().__init__()
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        order = _fork(self.generator).permutation(len(self.indices))
        for i in order.tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices drawn with given probabilities.

    Args:
        weights: one number for each index, 0 or more; they need not sum up to 1.
        num_samples: how many to draw.
        replacement: whether an index may come more than once.

    Raises:
        ValueError: weights as above are not given, ``num_samples`` is no int above 0, or without
            replacement more are asked for than have a weight above 0.
        TypeError: ``replacement`` is no bool.

    Example:
        >>> list(WeightedRandomSampler([0.0, 1.0], 3))
        [1, 1, 1]
    """

    def __init__(
        self, weights: Sequence[float] | Tensor, num_samples: int, replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        _expect_positive("WeightedRandomSampler", "num_samples", num_samples)
        if not isinstance(replacement, bool):
            raise ArgumentTypeError(
                f"WeightedRandomSampler: replacement is {replacement!r}, expected a bool"
            )
        self.weights = np.asarray(weights, np.float64)
        if (
            self.weights.ndim != 1
            or not np.isfinite(self.weights).all()
            or (self.weights < 0).any()
        ):
            raise ArgumentError(
                f"WeightedRandomSampler: weights of shape {self.weights.shape}, expected one "
                "finite number of at least 0 for each index"
            )
        possible = int(np.count_nonzero(self.weights))
        if possible == 0 or (not replacement and num_samples > possible):
            raise ArgumentError(
                f"WeightedRandomSampler: {num_samples} samples of {possible} with a weight above 0"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        source = _fork(self.generator)
        probabilities = self.weights / self.weights.sum()
        chosen = source.choice(
            len(probabilities), self.num_samples, self.replacement, probabilities
        )
        return iter(chosen.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of consecutive indices of another sampler.

    Args:
        sampler: gives the indices.
        batch_size: how many a list has.
        drop_last: leave out a last list that is shorter.
    Example:
        >>> list(BatchSampler(range(5), 2, drop_last=False))
        [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        super().__init__()
        _expect_positive("BatchSampler", "batch_size", batch_size)
        if not isinstance(drop_last, bool):
            raise ArgumentError(f"BatchSampler: drop_last is {drop_last!r}, expected a bool")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(itertools.islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]  # as long as it is asked for
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


def _fork(generator: Generator | None) -> np.random.Generator:
    """A stream of its own, so that the sampler's draws do not mix with those of training."""
    if generator is not None:
        return generator.numpy
    seed = int(default_generator.numpy.integers(1 << 63))
    return Generator().manual_seed(seed).numpy


def _expect_positive(owner: str, name: str, value: Any) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value <= 0:
        raise ArgumentError(f"{owner}: {name} is {value!r}, expected an int above 0")
