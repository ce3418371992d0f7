"""Seeds of the numbers that CUDA tensors are filled with: those of the default generator."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dtorch.core.generator import Generator, default_generator
from dtorch.core.tensor import Tensor
from dtorch.cuda.device import device_count, init, is_available


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


def initial_seed() -> int:
    """The number last seeded with.

    Raises:
        NoDeviceError: there is no card.
    """
    init()
    return default_generator.initial_seed()


def get_rng_state(device: Any = "cuda") -> Tensor:
    """The state of what fills CUDA tensors.

    Raises:
        NoDeviceError: there is no card.
    """
    init()
    return default_generator.get_state()


def set_rng_state(new_state: Tensor, device: Any = "cuda") -> None:
    """Go on from a state; without a card there is nothing that could."""
    if is_available():
        default_generator.set_state(new_state)


def get_rng_state_all() -> list[Tensor]:
    """The state for each card; they are filled from one generator."""
    return [default_generator.get_state() for _ in range(device_count())]


def set_rng_state_all(new_states: Iterable[Tensor]) -> None:
    """Go on from states, one for each card."""
    for state in new_states:
        set_rng_state(state)
