"""The default generator of random numbers: seeds and states.

>>> import dtorch
>>> with dtorch.random.fork_rng():
...     a = dtorch.rand(2)
>>> bool((a == dtorch.rand(2)).all())
True
"""

from dtorch.core.generator import (
    Generator,
    default_generator,
    fork_rng,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)

__all__ = [
    "Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed",
    "seed", "set_rng_state",
]  # fmt: skip
