"""Samplers give ints, each once where they should, and again from a generator."""

from __future__ import annotations

from itertools import chain

import pytest

import dtorch
from dtorch.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def generator(seed=0):
    return dtorch.Generator().manual_seed(seed)


def test_sequential_gives_the_order():
    assert list(SequentialSampler("abc")) == [0, 1, 2]


def test_random_gives_a_new_permutation_each_time():
    sampler = RandomSampler(range(50))
    first, second = list(sampler), list(sampler)
    assert sorted(first) == sorted(second) == list(range(50))
    assert first != second
    assert all(type(index) is int for index in first)


def test_random_repeats_from_a_generator_and_from_manual_seed():
    assert list(RandomSampler(range(9), generator=generator())) == list(
        RandomSampler(range(9), generator=generator())
    )
    dtorch.manual_seed(3)
    first = list(RandomSampler(range(9)))
    dtorch.manual_seed(3)
    assert list(RandomSampler(range(9))) == first


def test_random_draws_as_many_as_asked():
    assert len(list(RandomSampler(range(4), num_samples=10))) == 10
    drawn = list(RandomSampler(range(4), replacement=True, num_samples=100))
    assert set(drawn) == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="num_samples"):
        RandomSampler([])
    with pytest.raises(ValueError, match="num_samples is 0"):
        RandomSampler(range(4), num_samples=0)


def test_subset_random_permutes_its_indices():
    assert sorted(SubsetRandomSampler([3, 7, 5])) == [3, 5, 7]


def test_weighted_follows_the_weights():
    drawn = list(WeightedRandomSampler([0.0, 1.0, 3.0], 400, generator=generator()))
    assert 0 not in drawn
    assert 250 < drawn.count(2) < 350
    assert sorted(WeightedRandomSampler([1, 0, 1], 2, replacement=False)) == [0, 2]


@pytest.mark.parametrize(
    ("weights", "count", "replacement"), [([1, 0], 2, False), ([0, 0], 1, True), ([-1, 2], 1, True)]
)
def test_weights_that_cannot_be_drawn_from_are_refused(weights, count, replacement):
    with pytest.raises(ValueError, match="WeightedRandomSampler"):
        WeightedRandomSampler(weights, count, replacement)


def test_batches_have_their_size_but_the_last():
    assert list(BatchSampler(range(5), 2, False)) == [[0, 1], [2, 3], [4]]
    assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
    assert len(BatchSampler(range(5), 2, False)) == 3
    assert len(BatchSampler(range(5), 2, True)) == 2
    with pytest.raises(ValueError, match="batch_size is 0"):
        BatchSampler(range(5), 0, False)


@pytest.mark.parametrize("size", [1, 7, 8])
@pytest.mark.parametrize("shuffle", [False, True])
def test_distributed_shares_are_even_and_complete(size, shuffle):
    shares = [list(DistributedSampler(range(size), 3, rank, shuffle)) for rank in range(3)]
    assert len({len(share) for share in shares}) == 1
    assert set(chain(*shares)) == set(range(size))
    dropped = [
        list(DistributedSampler(range(size), 3, rank, shuffle, drop_last=True)) for rank in range(3)
    ]
    given = list(chain(*dropped))
    assert len(given) == len(set(given)) == size // 3 * 3


def test_distributed_order_follows_epoch_and_seed():
    sampler = DistributedSampler(range(20), 2, 0)
    first = list(sampler)
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first
    sampler.set_epoch(0)
    assert list(sampler) == first


def test_distributed_asks_the_environment_of_the_job(monkeypatch):
    monkeypatch.setenv("RANK", "2")
    monkeypatch.setenv("WORLD_SIZE", "4")
    sampler = DistributedSampler(range(8), shuffle=False)
    assert list(sampler) == [2, 6]


def test_distributed_without_a_job_tells_the_remedy(monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(RuntimeError, match="init_process_group"):
        DistributedSampler(range(8))
    with pytest.raises(ValueError, match="rank is 3 of 2"):
        DistributedSampler(range(8), 2, 3)
