"""Datasets: samples by index, or one after another."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from dtorch.core.errors import ArgumentError, IndicesError, SettingError, ShapeError
from dtorch.core.generator import Generator
from dtorch.core.random import randperm
from dtorch.core.tensor import Tensor

T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Samples that can be asked for by index.

    A subclass defines ``__getitem__(index)``, and ``__len__()`` for all samplers but those that
    are told a number. Where samples can be had together for less, it may define
    ``__getitems__(indices)``, which gives a list of them.

    Example:
        >>> class Squares(Dataset):
        ...     def __len__(self):
        ...         return 4
        ...
        ...     def __getitem__(self, index):
        ...         return index**2
        >>> (Squares() + Squares())[5]
        1
    """

    def __getitem__(self, index: Any) -> T_co:
        """The sample with this index."""
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __len__(self) -> int:
        """Number of samples.

        Raises:
            TypeError: the dataset does not say.
        """
        raise TypeError(f"{type(self).__name__} has no length, it does not define __len__")

    def __add__(self, other: Dataset[T_co]) -> ConcatDataset[T_co]:
        """This dataset followed by another."""
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co], Iterable[T_co]):
    """Samples that come one after another, such as those of a stream.

    A subclass defines ``__iter__()``. Every worker process iterates over a copy of its own, so
    ``__iter__`` gives each its share according to `get_worker_info`; otherwise samples come once
    for every worker.

    Example:
        >>> class Countdown(IterableDataset):
        ...     def __iter__(self):
        ...         return iter([3, 2, 1])
        >>> list(Countdown())
        [3, 2, 1]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")

    def __add__(self, other: Any) -> Any:
        """This dataset followed by another iterable one."""
        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Samples that are the rows of tensors, taken together.

    Args:
        tensors: tensors of one length; a sample is the tuple of their elements at an index.
        data_tensor, target_tensor: classic names of the first two.
    Raises:
        ShapeError: the lengths differ.
    Example:
        >>> import dtorch
        >>> TensorDataset(dtorch.eye(2), dtorch.tensor([7, 8]))[1]
        (tensor([0., 1.]), tensor(8))
    """

    tensors: tuple[Tensor, ...]

    def __init__(
        self, *tensors: Tensor, data_tensor: Tensor | None = None,
        target_tensor: Tensor | None = None,
    ) -> None:  # fmt: skip
        named = tuple(t for t in (data_tensor, target_tensor) if t is not None)
        self.tensors = (*tensors, *named)
        if not self.tensors:
            raise SettingError("TensorDataset: no tensor given")
        lengths = [len(tensor) for tensor in self.tensors]
        if len(set(lengths)) > 1:
            raise SettingError(f"TensorDataset: tensors of lengths {lengths}, expected one length")

    @property
    def data_tensor(self) -> Tensor:
        """The first tensor."""
        return self.tensors[0]

    @property
    def target_tensor(self) -> Tensor:
        """The second tensor."""
        return self.tensors[1]

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset[T_co]):
    """Some samples of a dataset.

    Args:
        dataset: where they come from; may be a subset itself.
        indices: which, in order.

    Example:
        >>> list(Subset([10, 20, 30], [2, 0]))
        [30, 10]
    """

    def __init__(self, dataset: Dataset[T_co], indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> list[T_co]:
        chosen = [self.indices[i] for i in indices]
        several = getattr(self.dataset, "__getitems__", None)
        return several(chosen) if several else [self.dataset[i] for i in chosen]

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T_co]):
    """Several datasets one after another.

    Raises:
        ArgumentError: there is none, or one of them is iterable and has no indices.

    Example:
        >>> ConcatDataset([[1, 2], [3]])[2]
        3
    """

    datasets: list[Dataset[T_co]]
    cumulative_sizes: list[int]

    def __init__(self, datasets: Iterable[Dataset[T_co]]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise SettingError("ConcatDataset: no dataset given")
        for dataset in self.datasets:
            if isinstance(dataset, IterableDataset):
                raise ArgumentError(
                    f"ConcatDataset: {type(dataset).__name__} is iterable and has no indices; "
                    "use ChainDataset"
                )
        sizes = (len(dataset) for dataset in self.datasets)
        self.cumulative_sizes = list(itertools.accumulate(sizes))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> T_co:
        wanted = index + len(self) if index < 0 else index
        if not 0 <= wanted < len(self):
            raise IndicesError(f"ConcatDataset: index {index} in a dataset of {len(self)}")
        which = bisect.bisect_right(self.cumulative_sizes, wanted)
        start = self.cumulative_sizes[which - 1] if which else 0
        return self.datasets[which][wanted - start]

    @property
    def cummulative_sizes(self) -> list[int]:
        """Classic spelling of ``cumulative_sizes``."""
        return self.cumulative_sizes


class ChainDataset(IterableDataset[T_co]):
    """Several iterable datasets one after another.

    Raises:
        TypeError: one of them is not iterable.

    Example:
        >>> class Numbers(IterableDataset):
        ...     def __iter__(self):
        ...         return iter([1, 2])
        >>> list(ChainDataset([Numbers(), Numbers()]))
        [1, 2, 1, 2]
    """

    def __init__(self, datasets: Iterable[IterableDataset[T_co]]) -> None:
        self.datasets = list(datasets)
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                raise TypeError(
                    f"ChainDataset: got {type(dataset).__name__}, expected an IterableDataset"
                )

    def __iter__(self) -> Iterator[T_co]:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


class StackDataset(Dataset[Any]):
    """Datasets side by side: a sample is the tuple, or the dict, of theirs.

    Example:
        >>> StackDataset(image=[10, 20], label=["a", "b"])[1]
        {'image': 20, 'label': 'b'}
    """

    datasets: tuple[Any, ...] | dict[str, Any]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ArgumentError("StackDataset: expected datasets by position, or all by name")
        self.datasets = args or kwargs
        parts = args or tuple(kwargs.values())
        lengths = [len(part) for part in parts]
        if len(set(lengths)) > 1:
            raise ShapeError(f"StackDataset: datasets of lengths {lengths}, expected one length")
        self._length = lengths[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __len__(self) -> int:
        return self._length


def random_split(
    dataset: Dataset[T_co], lengths: Sequence[float], generator: Generator | None = None
) -> list[Subset[T_co]]:
    """Split a dataset at random into parts without a common sample.

    Args:
        lengths: sizes that sum up to that of the dataset; or fractions that sum up to 1, where
            samples left over by rounding go to the first parts, one each.
        generator: where the random order comes from; the default one if left out.
    Raises:
        ArgumentError: the sizes do not sum up.
    Example:
        >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
        [8, 2]
    """
    total = len(dataset)
    sizes = _split_sizes(lengths, total)
    order = randperm(total, generator=generator).tolist()
    ends = itertools.accumulate(sizes)
    return [Subset(dataset, order[end - size : end]) for size, end in zip(sizes, ends, strict=True)]


def _split_sizes(lengths: Sequence[float], total: int) -> list[int]:
    whole = all(isinstance(n, int) for n in lengths)
    if not whole or (math.isclose(sum(lengths), 1) and total != sum(lengths)):
        if any(not 0 <= n <= 1 for n in lengths) or not math.isclose(sum(lengths), 1):
            raise ArgumentError(
                f"random_split: fractions {list(lengths)}, expected numbers between 0 and 1 that "
                "sum up to 1"
            )
        sizes = [math.floor(total * n) for n in lengths]
        for extra in range(total - sum(sizes)):
            sizes[extra % len(sizes)] += 1
        return sizes
    if sum(lengths) != total:
        raise ArgumentError(
            f"random_split: lengths {list(lengths)} sum up to {sum(lengths)}, the dataset has {total}"
        )
    return [int(n) for n in lengths]
