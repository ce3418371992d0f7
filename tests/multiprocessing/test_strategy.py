"""Sharing strategies: names that scripts set."""

import multiprocessing as standard

import pytest

import dtorch.multiprocessing as multiprocessing
from dtorch.core.errors import ArgumentError


def test_classic_names_are_accepted_and_others_refused():
    before = multiprocessing.get_sharing_strategy()
    for name in multiprocessing.get_all_sharing_strategies():
        multiprocessing.set_sharing_strategy(name)
        assert multiprocessing.get_sharing_strategy() == name
    multiprocessing.set_sharing_strategy(before)
    with pytest.raises(ArgumentError, match=r"'magic'.*file_descriptor"):
        multiprocessing.set_sharing_strategy("magic")


def test_everything_of_the_standard_library_is_there():
    assert set(standard.__all__) <= set(multiprocessing.__all__)
    assert [name for name in multiprocessing.__all__ if not hasattr(multiprocessing, name)] == []
