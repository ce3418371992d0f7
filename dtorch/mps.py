"""Apple's graphics processors, which dtorch does not use.

>>> from dtorch import mps
>>> mps.is_available(), mps.device_count()
(False, 0)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from dtorch.core.errors import NoDeviceError
from dtorch.core.generator import Generator


def is_available() -> bool:
    """Whether there is one that tensors can lie on: no."""
    return False


def device_count() -> int:
    """Number of them: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed what fills tensors there: nothing, but the seed is checked."""
    Generator().manual_seed(seed)


def _without(name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> NoReturn:
        raise NoDeviceError(
            f"mps.{name}: cannot be done without MPS backend; the devices of dtorch are cpu and cuda"
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Needs such a processor: a NoDeviceError."
    return function


current_allocated_memory = _without("current_allocated_memory")
driver_allocated_memory = _without("driver_allocated_memory")
empty_cache = _without("empty_cache")
get_rng_state = _without("get_rng_state")
recommended_max_memory = _without("recommended_max_memory")
seed = _without("seed")
set_per_process_memory_fraction = _without("set_per_process_memory_fraction")
set_rng_state = _without("set_rng_state")
synchronize = _without("synchronize")
