"""Seeding of Mersenne twisters in place."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, strategies as st

from dtorch.core import backend
from dtorch.data import mersenne
from dtorch.data.seeding import generators_kept

seeds = st.integers(0, 2**64 - 1)


@pytest.fixture(autouse=True)
def _untouched():
    with generators_kept():
        yield


def mix(value):
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ value >> 27) * 0x94D049BB133111EB % 2**64
    return value ^ value >> 31


@given(seeds)
def test_words_are_those_of_splitmix64_from_the_mixed_seed(seed):
    numbers = [mix((mix(seed) + k * 0x9E3779B97F4A7C15) % 2**64) for k in (1, 2, 3)]
    halves = [half for number in numbers for half in (number % 2**32, number >> 32)]
    assert mersenne.words_of(seed)[:6].tolist() == halves


@given(seeds, st.integers(1, 5))
def test_seeds_that_are_apart_by_a_step_share_no_words(seed, steps):
    other = (seed + steps * 0x9E3779B97F4A7C15) % 2**64
    assert len({*mersenne.words_of(seed).tolist(), *mersenne.words_of(other).tolist()}) > 1240


@pytest.mark.skipif(backend.native is None, reason="no native module")
@given(seeds)
def test_the_native_module_gives_the_same_words_all_used(seed):
    words, position = np.zeros(624, np.uint32), np.zeros(1, np.int32)
    backend.native.seed_mersenne(words.ctypes.data, position.ctypes.data, seed)
    assert (words == mersenne.words_of(seed)).all()
    assert position[0] == 624


@given(seeds)
def test_python_draws_the_same_in_place_and_by_its_own_means(seed):
    drawn = []
    for twister in (mersenne.python_twister(), mersenne.PythonTwister()):
        random.gauss(0, 1)  # leaves half of a pair behind
        twister.seed(seed)
        drawn.append([random.gauss(0, 1), random.random(), random.getrandbits(90)])
    assert drawn[0] == drawn[1]


@given(seeds)
def test_numpy_starts_anew_with_the_words_of_a_seed(seed):
    own = np.random.RandomState()
    own.set_state(("MT19937", mersenne.words_of(seed), 624))
    np.random.randn()  # noqa: NPY002 - leaves half of a pair behind
    mersenne.NumpyTwister().seed(seed)
    assert np.random.randn() == own.randn()  # noqa: NPY002
    assert np.random.randint(1 << 30) == own.randint(1 << 30)  # noqa: NPY002


@pytest.mark.parametrize(
    "make", [mersenne.python_twister, mersenne.PythonTwister, mersenne.NumpyTwister]
)
def test_a_state_brings_back_what_was_to_come_next(make):
    def draw():
        return (random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn())  # noqa: NPY002

    twister = make()
    twister.seed(1)
    random.gauss(0, 1)
    np.random.randn()  # noqa: NPY002
    state = twister.get()
    expected = draw()
    twister.seed(2)
    twister.set(state)
    again = draw()
    assert again[2:] == expected[2:] if make is mersenne.NumpyTwister else again[:2] == expected[:2]


def test_this_interpreter_is_seeded_in_place():
    # Should it fail on another one, nothing is wrong but speed: see `_offset_of_words`.
    assert type(mersenne.python_twister()) is not mersenne.PythonTwister


def test_an_unknown_layout_is_left_alone(monkeypatch):
    monkeypatch.setattr(mersenne.ctypes, "string_at", lambda at, nbytes: bytes(nbytes))
    assert type(mersenne.python_twister()) is mersenne.PythonTwister
