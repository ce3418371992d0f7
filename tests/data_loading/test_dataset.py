"""Datasets and their combinations."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.data import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Squares(Dataset):
    def __init__(self, size):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index**2


class Stream(IterableDataset):
    def __init__(self, *items):
        self.items = items

    def __iter__(self):
        return iter(self.items)

    def __len__(self):
        return len(self.items)


def test_tensor_dataset_gives_rows_of_all_tensors_and_of_one_a_tuple():
    x, y = dtorch.arange(6).view(3, 2), dtorch.arange(3)
    both = TensorDataset(x, y)
    assert [part.tolist() for part in both[1]] == [[2, 3], 1]
    assert len(both) == 3
    (row,) = TensorDataset(x)[2]
    assert row.tolist() == [4, 5]


def test_tensor_dataset_takes_its_classic_keywords():
    x, y = dtorch.arange(3), dtorch.arange(3) * 2
    data = TensorDataset(data_tensor=x, target_tensor=y)
    assert data.data_tensor is x
    assert data.target_tensor is y
    assert data.tensors == (x, y)


def test_tensors_of_different_lengths_are_named():
    with pytest.raises(ValueError, match=r"\[3, 2\]"):
        TensorDataset(dtorch.zeros(3), dtorch.zeros(2))


def test_a_sum_of_datasets_is_one_after_the_other():
    data = Squares(3) + Squares(2)
    assert isinstance(data, ConcatDataset)
    assert [data[i] for i in range(len(data))] == [0, 1, 4, 0, 1]
    assert data[-1] == 1
    assert data.cumulative_sizes == [3, 5]
    with pytest.raises(IndexError, match="5"):
        data[5]


def test_concat_refuses_iterable_datasets_and_nothing():
    with pytest.raises(ValueError, match="ChainDataset"):
        ConcatDataset([Stream(1)])
    with pytest.raises(ValueError, match="no dataset"):
        ConcatDataset([])


def test_chains_run_through_their_streams():
    chained = Stream(1, 2) + Stream(3)
    assert isinstance(chained, ChainDataset)
    assert list(chained) == [1, 2, 3]
    assert len(chained) == 3
    with pytest.raises(TypeError, match="Squares"):
        ChainDataset([Squares(1)])


def test_stacks_give_tuples_or_dicts():
    assert StackDataset(Squares(3), "abc")[2] == (4, "c")
    assert StackDataset(x=Squares(3), y="abc")[2] == {"x": 4, "y": "c"}
    with pytest.raises(ValueError, match=r"\[3, 2\]"):
        StackDataset("abc", "ab")


def test_subsets_nest():
    inner = Subset(Squares(10), [9, 8, 7])
    outer = Subset(inner, [2, 0])
    assert [outer[0], outer[1]] == [49, 81]
    assert outer.__getitems__([1, 0]) == [81, 49]


def test_random_split_shares_every_sample_out_once():
    parts = random_split(Squares(10), [7, 3], generator=dtorch.Generator().manual_seed(1))
    assert sorted(parts[0].indices + parts[1].indices) == list(range(10))
    again = random_split(Squares(10), [7, 3], generator=dtorch.Generator().manual_seed(1))
    assert again[0].indices == parts[0].indices


def test_random_split_takes_fractions():
    assert [len(part) for part in random_split(Squares(10), [0.5, 0.25, 0.25])] == [6, 2, 2]
    assert [len(part) for part in random_split(Squares(1), [1])] == [1]


@pytest.mark.parametrize("lengths", [[5, 4], [0.5, 0.4], [1.5, -0.5]])
def test_lengths_that_do_not_sum_up_are_named(lengths):
    with pytest.raises(ValueError, match="random_split"):
        random_split(Squares(10), lengths)
