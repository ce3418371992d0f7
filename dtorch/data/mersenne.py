"""Seeding Mersenne twisters in place: those of ``random`` and ``numpy.random``, for every sample.

Their own seeding takes 2 to 4 µs each. Here the 624 words of a twister's state are overwritten
with the numbers of another generator (SplitMix64; Steele et al. 2014, "Fast splittable
pseudorandom number generators"), which takes a tenth of that.
"""

from __future__ import annotations

import ctypes
import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.random import mtrand

from dtorch.core import backend

_WORDS = 624
_NBYTES = 4 * _WORDS
_GOLDEN, _FIRST, _SECOND = 0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9, 0x94D0_49BB_1331_11EB
_STEPS = np.arange(1, _WORDS // 2 + 1, dtype=np.uint64) * np.uint64(_GOLDEN)


def _mix(values: np.ndarray) -> np.ndarray:
    values = (values ^ values >> np.uint64(30)) * np.uint64(_FIRST)
    values = (values ^ values >> np.uint64(27)) * np.uint64(_SECOND)
    mixed: np.ndarray = values ^ values >> np.uint64(31)
    return mixed


def words_of(seed: int) -> np.ndarray:
    """The 624 words for a seed, of type uint32: SplitMix64's numbers, low half first."""
    # Seeds may be apart by what the numbers are apart: unmixed, one's would be the next one's.
    numbers = _mix(_STEPS + _mix(np.array([seed], np.uint64)))
    halves = np.stack([numbers & np.uint64(0xFFFF_FFFF), numbers >> np.uint64(32)], 1)
    return halves.reshape(-1).astype(np.uint32)


class Twister:
    """A twister's state in memory.

    Args:
        words_at: address of its words.
        position_at: address of the int that says how many of them were used.
    Attributes:
        seed: ``seed(number)`` starts the stream of a number below 2**64.
    """

    seed: Callable[[int], None]

    def __init__(self, words_at: int, position_at: int) -> None:
        self._words_at = words_at
        self._words = (ctypes.c_uint32 * _WORDS).from_address(words_at)
        self._position = ctypes.c_int.from_address(position_at)
        self.seed = self._seed_by_numpy
        if backend.native is not None:
            self.seed = functools.partial(backend.native.seed_mersenne, words_at, position_at)

    def _seed_by_numpy(self, seed: int) -> None:
        ctypes.memmove(self._words_at, words_of(seed).tobytes(), _NBYTES)
        self._position.value = _WORDS

    def get(self) -> tuple[bytes, int]:
        """Its state."""
        return bytes(self._words), self._position.value

    def set(self, state: tuple[bytes, int]) -> None:
        """Go on from a state that `get` gave."""
        ctypes.memmove(self._words_at, state[0], _NBYTES)
        self._position.value = state[1]


class PythonTwister:
    """The generator of the module ``random``.

    This class needs no knowledge of the interpreter; see `python_twister`.
    """

    def __init__(self) -> None:
        self._random: Any = random.random.__self__  # type: ignore[attr-defined]

    def seed(self, seed: int) -> None:
        """Start the stream of a seed below 2**64."""
        self._random.setstate((3, (*words_of(seed).tolist(), _WORDS), None))

    def get(self) -> Any:
        """Its state."""
        return self._random.getstate()

    def set(self, state: Any) -> None:
        """Go on from a state that `get` gave."""
        self._random.setstate(state)


class _PythonTwisterInPlace(PythonTwister):
    def __init__(self, words_offset: int) -> None:
        super().__init__()
        words_at = id(self._random) + words_offset
        self._twister = Twister(words_at, words_at - ctypes.sizeof(ctypes.c_int))

    def seed(self, seed: int) -> None:
        self._twister.seed(seed)
        self._random.gauss_next = None

    def get(self) -> Any:
        return self._twister.get(), self._random.gauss_next

    def set(self, state: Any) -> None:
        twister, self._random.gauss_next = state
        self._twister.set(twister)


def _offset_of_words() -> int | None:
    """Where a `random.Random` keeps its words, found by their content; None if it does not."""
    sample = random.Random(0)
    found = set()
    for _ in range(2):  # none of the words used, and one
        *words, position = sample.getstate()[1]
        memory = ctypes.string_at(id(sample), type(sample).__basicsize__)
        at = memory.find(np.array(words, np.uint32).tobytes())
        before = memory[max(at - 4, 0) : max(at, 0)]
        found.add(at if before == np.int32(position).tobytes() else -1)
        sample.random()
    at = found.pop()
    return None if found or at < 0 else at


def python_twister() -> PythonTwister:
    """The generator of the module ``random``, in place where this interpreter lets us."""
    offset = _offset_of_words() if type(random.random.__self__) is random.Random else None  # type: ignore[attr-defined]
    return PythonTwister() if offset is None else _PythonTwisterInPlace(offset)


class NumpyTwister:
    """What ``numpy.random`` draws from while samples are fetched: an engine of ours."""

    def __init__(self) -> None:
        self._engine = np.random.MT19937(0)
        words_at: int = self._engine.ctypes.state_address
        self._twister = Twister(words_at, words_at + _NBYTES)

    def seed(self, seed: int) -> None:
        """Have ``numpy.random`` start the stream of a seed below 2**64."""
        self._twister.seed(seed)
        mtrand.set_bit_generator(self._engine)  # also forgets the second half of a normal pair

    def get(self) -> Any:
        """The state of ``numpy.random``, whatever its engine."""
        return mtrand.get_bit_generator(), mtrand.get_state(legacy=False)

    def set(self, state: Any) -> None:
        """Go on from a state that `get` gave."""
        engine, content = state
        mtrand.set_bit_generator(engine)
        if engine is self._engine or content["has_gauss"]:  # else nothing has touched it
            mtrand.set_state(content)
