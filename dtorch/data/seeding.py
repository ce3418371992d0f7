"""Random numbers in datasets: the same whatever number of workers draws them.

While batch ``i`` of an epoch is fetched, the generators of dtorch, of ``random`` and of
``numpy.random`` run from a seed made of the epoch's base seed and ``i``. So they do not depend on
which process fetches the batch, or on what it fetched before.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np
from numpy.random import mtrand

from dtorch.core.random import default_generator

_MASK = (1 << 64) - 1
_ODD = 0x9E37_79B9_7F4A_7C15  # spreads neighbouring numbers (Knuth's multiplicative hash)


def batch_seed(base_seed: int, number: int) -> int:
    """The seed for one batch of an epoch."""
    return (base_seed + (number + 1) * _ODD) & _MASK


def seed_everything(seed: int) -> None:
    """Seed all three generators of this process."""
    default_generator.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed & 0xFFFF_FFFF)  # noqa: NPY002 - datasets use it, so it has to be seeded


# Made once, on first use: swapping NumPy's engine takes a hundredth of copying its state.
_engines: list[np.random.MT19937] = []


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block from a seed; afterwards the generators go on as if nothing had happened."""
    if not _engines:
        _engines.append(np.random.MT19937())
    own, python = default_generator.get_state(), random.getstate()
    numpy = mtrand.get_bit_generator()
    mtrand.set_bit_generator(_engines[0])
    seed_everything(seed)
    try:
        yield
    finally:
        default_generator.set_state(own)
        random.setstate(python)
        mtrand.set_bit_generator(numpy)
