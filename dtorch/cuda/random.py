"""Seeds of the numbers that CUDA tensors are filled with: those of the default generator."""

from __future__ import annotations

from dtorch.core.generator import Generator, default_generator
from dtorch.cuda.device import is_available


def manual_seed(seed: int) -> None:
    """Seed what fills CUDA tensors; without a card there is nothing to seed.

    Raises:
        ArgumentError: as `dtorch.Generator.manual_seed`.
    """
    wanted = Generator().manual_seed(seed).initial_seed()
    if is_available():
        default_generator.manual_seed(wanted)


def manual_seed_all(seed: int) -> None:
    """The same as `manual_seed`: all cards are filled from one generator."""
    manual_seed(seed)


def seed() -> None:
    """Seed with a random number."""
    manual_seed(Generator().initial_seed())


def seed_all() -> None:
    """The same as `seed`."""
    seed()
