"""The sampler that gives every process of a job its share."""

from __future__ import annotations

from collections.abc import Iterator, Sized

from dtorch.core.errors import ArgumentError
from dtorch.core.generator import Generator
from dtorch.data.sampler import Sampler


class DistributedSampler(Sampler[int]):
    """The share of one process of the indices of a dataset.

    All shares are of one length, so that all processes do the same number of steps: some indices
    come twice, or with ``drop_last`` some never.

    Args:
        dataset: what is sampled; only its length matters.
        num_replicas: number of processes; that of the process group, or of the job's environment
            (``WORLD_SIZE``), if left out.
        rank: number of this process; likewise (``RANK``).
        shuffle: random order, another one for each epoch that `set_epoch` names.
        seed: where the order comes from; the same in all processes.
        drop_last: leave out what cannot be shared evenly.
    Example:
        >>> list(DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False))
        [1, 3, 0]
    """

    def __init__(
        self, dataset: Sized, num_replicas: int | None = None, rank: int | None = None,
        shuffle: bool = True, seed: int = 0, drop_last: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(dataset)
        self.num_replicas = _of_job("world_size") if num_replicas is None \
            else num_replicas  # fmt: skip
        self.rank = _of_job("rank") if rank is None else rank
        if not 0 <= self.rank < self.num_replicas:
            raise ArgumentError(
                f"DistributedSampler: rank is {self.rank} of {self.num_replicas}, expected 0 to "
                f"{self.num_replicas - 1}"
            )
        self.dataset = dataset
        self.epoch = 0
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        count = len(dataset)
        even = count // self.num_replicas
        self.num_samples = even if drop_last else -(-count // self.num_replicas)
        self.total_size = self.num_samples * self.num_replicas

    def __iter__(self) -> Iterator[int]:
        indices = list(range(len(self.dataset)))
        if self.shuffle:
            source = Generator().manual_seed(self.seed + self.epoch).numpy
            indices = source.permutation(len(indices)).tolist()
        if not self.drop_last and indices:
            copies = -(-self.total_size // len(indices))
            indices = indices * copies
        return iter(indices[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Choose the order; to be called with the same number in all processes before an epoch."""
        self.epoch = epoch


def _of_job(field: str) -> int:
    from dtorch.distributed import environment, membership  # noqa: PLC0415 - one process does not need it

    if membership.is_initialized():
        return membership.get_rank() if field == "rank" else membership.get_world_size()
    found = environment.detect()
    if found.launcher == environment.PLAIN:
        raise RuntimeError(
            "DistributedSampler: there is no process group; call "
            "dtorch.distributed.init_process_group() first, or pass num_replicas and rank"
        )
    return found.rank if field == "rank" else found.world_size
