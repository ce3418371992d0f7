"""Intel's cards, which dtorch does not use: there are none, and nothing lies on them.

>>> from dtorch import xpu
>>> xpu.is_available(), xpu.device_count(), xpu.memory_allocated()
(False, 0, 0)
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

from dtorch.core.errors import NoDeviceError
from dtorch.core.generator import Generator
from dtorch.core.tensor import Tensor

default_generators: tuple[Generator, ...] = ()


def is_available() -> bool:
    """Whether there is such a card: no."""
    return False


def is_initialized() -> bool:
    """Whether one has been used: no."""
    return False


def is_bf16_supported(including_emulation: bool = True) -> bool:
    """Whether one computes with bfloat16: no."""
    return False


def is_tf32_supported() -> bool:
    """Whether one rounds products of float32: no."""
    return False


def device_count() -> int:
    """Number of such cards: 0."""
    return 0


def manual_seed(seed: int) -> None:
    """Seed what fills tensors there: nothing, but the seed is checked."""
    Generator().manual_seed(seed)


manual_seed_all = manual_seed


def seed() -> None:
    """Seed with a random number: there is nothing to seed."""


seed_all = seed


def get_rng_state_all() -> list[Tensor]:
    """The state for each card: an empty list."""
    return []


def empty_cache() -> None:
    """Give back memory: none is held."""


def memory_allocated(device: Any = None) -> int:
    """Bytes of tensors there: 0."""
    return 0


memory_reserved = memory_allocated
max_memory_allocated = memory_allocated
max_memory_reserved = memory_allocated


def memory_stats(device: Any = None) -> OrderedDict[str, int]:
    """What is counted: nothing."""
    return OrderedDict()


def _without(name: str) -> Callable[..., Any]:
    def function(*args: Any, **kwargs: Any) -> NoReturn:
        raise NoDeviceError(
            f"xpu.{name}: dtorch is not compiled with XPU enabled; its devices are cpu and cuda"
        )

    function.__name__ = function.__qualname__ = name
    function.__doc__ = "Needs such a card: a NoDeviceError."
    return function


current_device = _without("current_device")
current_stream = _without("current_stream")
get_device_capability = _without("get_device_capability")
get_device_name = _without("get_device_name")
get_device_properties = _without("get_device_properties")
get_rng_state = _without("get_rng_state")
init = _without("init")
initial_seed = _without("initial_seed")
mem_get_info = _without("mem_get_info")
set_device = _without("set_device")
set_rng_state = _without("set_rng_state")
set_stream = _without("set_stream")
synchronize = _without("synchronize")


class Stream:
    """A queue of work on such a card.

    Raises:
        NoDeviceError: always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _without(type(self).__name__)()


class Event(Stream):
    """A mark in a `Stream`.

    Raises:
        NoDeviceError: always.
    """
