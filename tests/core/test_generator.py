"""Generators: seeds, states, independence."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pytest

import dtorch
from dtorch.core.errors import ArgumentError


def test_a_seed_gives_a_stream() -> None:
    assert dtorch.manual_seed(3) is dtorch.default_generator
    first = [dtorch.rand(3).tolist(), dtorch.randn(2).tolist(), dtorch.randperm(5).tolist()]
    dtorch.manual_seed(3)
    assert first == [dtorch.rand(3).tolist(), dtorch.randn(2).tolist(), dtorch.randperm(5).tolist()]
    dtorch.manual_seed(4)
    assert first[0] != dtorch.rand(3).tolist()
    assert dtorch.initial_seed() == 4


@pytest.mark.parametrize("draw", [
    lambda: dtorch.rand(3), lambda: dtorch.randn(3), lambda: dtorch.randint(0, 100, (3,)),
    lambda: dtorch.randn(3, dtype=dtorch.float64), lambda: dtorch.rand(1, dtype=dtorch.float16),
])  # fmt: skip
def test_state_goes_on_exactly_where_it_was(draw: Any) -> None:
    draw()
    state = dtorch.get_rng_state()
    assert state.dtype is dtorch.uint8
    expected = [draw().tolist() for _ in range(3)]
    dtorch.set_rng_state(state)
    assert [draw().tolist() for _ in range(3)] == expected


def test_a_state_that_is_none_is_refused_and_changes_nothing() -> None:
    generator = dtorch.Generator().manual_seed(1)
    state = generator.get_state()
    for byte in range(80, 104):  # numbers used of a block, and half a number that waits
        bad = state.clone()
        bad[byte] = 255
        if byte not in range(88, 92):  # the half number may be any
            with pytest.raises(ArgumentError, match="holds no state"):
                generator.set_state(bad)
    with pytest.raises(ArgumentError, match="holds no state"):
        generator.set_state(dtorch.full_like(state, 255))
    assert generator.get_state().tolist() == state.tolist()


def test_generators_do_not_disturb_each_other() -> None:
    mine = dtorch.Generator().manual_seed(1)
    before = dtorch.get_rng_state().tolist()
    first = dtorch.rand(2, generator=mine).tolist()
    assert dtorch.get_rng_state().tolist() == before
    assert dtorch.rand(2, generator=dtorch.Generator().manual_seed(1)).tolist() == first
    twin = dtorch.Generator()
    twin.set_state(mine.get_state())
    assert dtorch.rand(2, generator=twin).tolist() == dtorch.rand(2, generator=mine).tolist()
    assert twin.initial_seed() == 1
    assert dtorch.Generator().initial_seed() != dtorch.Generator().initial_seed()


def test_fork_rng_gives_the_state_back() -> None:
    before = dtorch.get_rng_state().tolist()
    with dtorch.random.fork_rng():
        dtorch.rand(5)
    assert dtorch.get_rng_state().tolist() == before
    with dtorch.random.fork_rng(enabled=False):
        dtorch.rand(5)
    assert dtorch.get_rng_state().tolist() != before


def test_forked_process_has_the_same_stream() -> None:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=lambda: queue.put(dtorch.rand(3).tolist()))
    process.start()
    found = queue.get()
    process.join()
    assert found == dtorch.rand(3).tolist()


def test_impossible_seeds_and_states_are_named() -> None:
    with pytest.raises(TypeError, match=r"float.*int"):
        dtorch.manual_seed(1.5)
    for seed in (2**64, -(2**63) - 1, 2**70):
        for act in (dtorch.manual_seed, dtorch.Generator().manual_seed):
            with pytest.raises(ArgumentError, match=f"seed is {seed}"):
                act(seed)
    with pytest.raises(ArgumentError, match="get_state"):
        dtorch.set_rng_state(dtorch.zeros(3))


def test_every_seed_of_64_bits_has_a_stream_and_negative_ones_are_the_upper_half() -> None:
    for seed in (0, 2**63, 2**64 - 1):
        assert dtorch.manual_seed(seed).initial_seed() == dtorch.initial_seed() == seed
    assert dtorch.Generator().manual_seed(-1).initial_seed() == 2**64 - 1
    assert dtorch.Generator().manual_seed(-(2**63)).initial_seed() == 2**63
    assert 0 <= dtorch.Generator().seed() < 2**64
