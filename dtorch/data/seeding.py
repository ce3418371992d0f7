"""Random numbers in datasets: the same whatever number of workers draws them.

When an epoch begins, one number is drawn from each generator: dtorch's, that of ``random`` and that
of ``numpy.random``. Before every sample each of them is seeded from its own number and from that of
the sample's *stream*, which is the sample's index with how often it came in this epoch before. So
what is drawn does not depend on which process fetches the sample, what it fetched before, or how
samples are put into batches; and whoever seeds a generator gets its numbers again.
"""

from __future__ import annotations

import contextlib
import operator
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.random import mtrand

from dtorch.core.generator import Generator, default_generator
from dtorch.core.interrupts import at_fork

_MASK = (1 << 63) - 1  # seeds fit into tensors of int64
_ODD = 0x9E37_79B9_7F4A_7C15  # spreads neighbouring numbers (Knuth's multiplicative hash)
_REPEAT_SHIFT = 56
_UNUSUAL = 1 << 55


class Streams:
    """Numbers the streams of an epoch's samples, in the order in which they are to be fetched.

    Args:
        size: length of the dataset, 0 if unknown.
    """

    def __init__(self, size: int) -> None:
        self._came = bytearray(size)
        self._unusual = _UNUSUAL

    def of(self, indices: Any) -> Any:
        """For a list of indices a list of streams, for one index one stream."""
        if isinstance(indices, list):
            return [self.of_one(index) for index in indices]
        return self.of_one(indices)

    def of_one(self, index: Any) -> int:
        """The stream of one index, whatever it is."""
        came = self._came
        try:
            place = operator.index(index)
            before = came[place]
        except (TypeError, IndexError):
            self._unusual += 1  # not a place in the dataset: its place in the epoch must do
            return self._unusual
        came[place] = (before + 1) & 0xFF
        return place % len(came) + (before << _REPEAT_SHIFT)


class Seeds(NamedTuple):
    """Where the numbers of an epoch come from, for each generator by itself.

    Attributes:
        dtorch: None where ``worker_init_fn`` has seeded the generator: it goes on from there.
    """

    dtorch: int | None
    python: int
    numpy: int


def draw_seeds(source: Generator, others: list[int] | None = None) -> Seeds:
    """Seeds for an epoch, from the states of the generators.

    Args:
        source: dtorch's.
        others: those of ``random`` and ``numpy.random``, if they were drawn before.
    """
    own = int(source.numpy.integers(1 << 63))
    if others is None:
        by_numpy = np.random.randint(1 << 63, dtype=np.int64)  # noqa: NPY002 - the one to ask
        others = [random.getrandbits(63), int(by_numpy)]
    return Seeds(own, *others)


_at_fork: list[Any] = []


def _hold_numpy() -> None:
    # Another thread may be drawing, and would hold the lock for ever in the child.
    for lock in {mtrand.get_bit_generator().lock, _engine.lock}:
        lock.acquire()
        _at_fork.append(lock)


def _let_numpy_go() -> None:
    while _at_fork:
        _at_fork.pop().release()


at_fork(before=_hold_numpy, after_in_parent=_let_numpy_go, after_in_child=_let_numpy_go)

# What ``numpy.random`` draws from while samples are fetched: the program's own may be of a kind that
# cannot be seeded, and stays as it is.
_engine = np.random.MT19937(0)


def seed_sample(seeds: Seeds, stream: int) -> None:
    """Begin a sample, within `generators_kept` or in a worker."""
    step = (stream + 1) * _ODD
    if seeds.dtorch is not None:
        default_generator.attach(((seeds.dtorch + step) & _MASK, None))
    random.seed((seeds.python + step) & _MASK)
    np.random.seed((seeds.numpy + step & _MASK) >> 32)  # noqa: NPY002 - datasets use it


def seed_worker(seeds: Seeds, worker_id: int) -> int:
    """Seed all generators of a worker process; returns dtorch's seed."""
    mtrand.set_bit_generator(_engine)
    seed = ((seeds.dtorch or 0) + worker_id) & _MASK
    default_generator.manual_seed(seed)
    random.seed((seeds.python + worker_id) & _MASK)
    np.random.seed(seeds.numpy + worker_id & 0xFFFF_FFFF)  # noqa: NPY002 - datasets use it
    return seed


@contextlib.contextmanager
def generators_kept() -> Iterator[None]:
    """After the block the generators go on as if nothing had been drawn or seeded in it."""
    engine = mtrand.get_bit_generator()
    state = np.random.get_state(legacy=False)  # noqa: NPY002 - the one to ask
    states = default_generator.detach(), random.getstate()
    mtrand.set_bit_generator(_engine)
    try:
        yield
    finally:
        default_generator.attach(states[0])
        random.setstate(states[1])
        mtrand.set_bit_generator(engine)
        # Else nothing has touched it: a loader within a sample has the same engine, and the second
        # half of a pair of normal numbers is forgotten with every change of engines.
        if engine is _engine or state["has_gauss"]:
            np.random.set_state(state)  # noqa: NPY002
