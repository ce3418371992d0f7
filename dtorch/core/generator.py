"""Sources of random numbers: counter-based generators (Philox), seeded and restored exactly.

Reference: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.device import as_device
from dtorch.core.elements import require_cpu
from dtorch.core.errors import ArgumentError, ArgumentTypeError
from dtorch.core.interrupts import at_fork, completed
from dtorch.core.tensor import Tensor

__all__ = [
    "Generator", "default_generator", "fork_rng", "get_rng_state", "initial_seed", "manual_seed",
    "seed", "set_rng_state",
]  # fmt: skip

_WORDS = 4 + 2 + 4 + 1 + 1 + 1 + 1  # counter, key, buffer, position, cached half, its flag, seed


def _random_seed() -> int:
    return int.from_bytes(os.urandom(8)) >> 1  # 63 bits


class Generator:
    """A source of random numbers; a process forked from this one goes on with a copy of it.

    >>> import dtorch
    >>> a, b = Generator().manual_seed(1), Generator().manual_seed(1)
    >>> bool((dtorch.rand(3, generator=a) == dtorch.rand(3, generator=b)).all())
    True
    """

    numpy: np.random.Generator

    # By id. A WeakSet has callbacks, in which Ctrl-C would be lost.
    _all: ClassVar[dict[int, weakref.ref[Generator]]] = {}

    def __init__(self, device: Any = "cpu") -> None:
        require_cpu("Generator", device)
        self.device = as_device(device)
        self.manual_seed(_random_seed())
        self._all[id(self)] = weakref.ref(self)

    @completed
    def __del__(self) -> None:
        self._all.pop(id(self), None)

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream that belongs to ``seed``; returns the generator.

        Args:
            seed: 64 bits; a negative one stands for ``2**64 + seed``.
        Raises:
            ArgumentError: a seed that does not fit.
        """
        if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
            raise ArgumentTypeError(f"manual_seed: seed is {type(seed).__name__}, expected an int")
        if not -(2**63) <= seed < 2**64:
            raise ArgumentError(f"manual_seed: seed is {seed}, expected -2**63 to 2**64 - 1")
        self._seed = int(seed) & (2**64 - 1)
        vars(self).pop("numpy", None)
        return self

    def __getattr__(self, name: str) -> Any:
        # Only called where there is no such attribute yet. Loaders seed before every sample, and
        # few samples draw: the engine is made when it is first needed.
        if name != "numpy":
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}", obj=self)
        engine = np.random.Generator(np.random.Philox(key=self._seed))
        return vars(self).setdefault("numpy", engine)

    @property
    def _philox(self) -> Any:
        return self.numpy.bit_generator

    def seed(self) -> int:
        """Seed with a random number, which is returned."""
        self.manual_seed(_random_seed())
        return self._seed

    def initial_seed(self) -> int:
        """The number last seeded with."""
        return self._seed

    def get_state(self) -> Tensor:
        """The whole state, as a uint8 tensor."""
        state: Any = self._philox.state
        words = np.zeros(_WORDS, np.uint64)
        words[0:4] = state["state"]["counter"]
        words[4:6] = state["state"]["key"]
        words[6:10] = state["buffer"]
        words[10:14] = [state["buffer_pos"], state["uinteger"], state["has_uint32"], self._seed]
        return wrap(words.view(np.uint8))  # type: ignore[no-any-return]

    def set_state(self, new_state: Tensor) -> None:
        """Go on from a state that `get_state` gave.

        Raises:
            ArgumentError: it is none.
        """
        array = getattr(new_state, "_array", None)
        if array is None or array.dtype != np.uint8 or array.shape != (_WORDS * 8,):
            raise ArgumentTypeError(
                f"set_state: expected a uint8 tensor of {_WORDS * 8} elements from get_state()"
            )
        words = array.copy().view(np.uint64)
        used, number, waits = map(int, words[10:13])
        if not (used <= 4 and number < 2**32 and waits <= 1):
            raise ArgumentError("set_state: the tensor holds no state that get_state() gives")
        state: Any = self._philox.state
        state["state"] = {"counter": words[0:4], "key": words[4:6]}
        state["buffer"] = words[6:10]
        state["buffer_pos"], state["uinteger"], state["has_uint32"] = used, number, waits
        self._philox.state = state
        self._seed = int(words[13])

    def detach(self) -> tuple[int, np.random.Generator | None]:
        """The engine itself, for `attach`; the generator starts its seed's stream anew."""
        return self._seed, vars(self).pop("numpy", None)

    def attach(self, engine: tuple[int, np.random.Generator | None]) -> None:
        """Go on with an engine that `detach` gave."""
        self._seed, numpy = engine
        vars(self).pop("numpy", None)
        if numpy is not None:
            self.numpy = numpy

    def clone_state(self) -> Generator:
        """Another generator that goes on where this one stands."""
        twin = Generator(self.device)
        twin.set_state(self.get_state())
        return twin

    def _keep_state(self) -> None:
        """Before a fork: NumPy may lock the generator to read its state, so the child cannot."""
        self._at_fork = self._philox.state if "numpy" in vars(self) else None

    def _renew(self) -> None:
        """In a forked process another thread may have held the lock, and never release it here."""
        if self._at_fork is not None:
            philox = np.random.Philox(key=0)
            philox.state = self._at_fork
            self.numpy = np.random.Generator(philox)


def _living() -> list[Generator]:
    found = (reference() for reference in list(Generator._all.values()))
    return [generator for generator in found if generator is not None]


def _keep_states() -> None:
    for generator in _living():
        generator._keep_state()


def _renew_generators() -> None:
    for generator in _living():
        generator._renew()


at_fork(before=_keep_states, after_in_child=_renew_generators)

default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, which is returned; see `Generator.manual_seed`."""
    return default_generator.manual_seed(seed)


def seed() -> int:
    """Seed the default generator with a random number, which is returned."""
    return default_generator.seed()


def initial_seed() -> int:
    """The number the default generator was last seeded with."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator, as a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Set the state of the default generator."""
    default_generator.set_state(new_state)


@contextlib.contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Iterator[None]:
    """Give the state of the default generator back at the end of the block."""
    if not enabled:
        yield
        return
    state = get_rng_state()
    try:
        yield
    finally:
        set_rng_state(state)


def source_of(generator: Generator | None) -> np.random.Generator:
    """NumPy's generator behind one, or the default one."""
    return (default_generator if generator is None else generator).numpy


def draw_seed(generator: Generator | None = None) -> int:
    """64 random bits, for streams of their own."""
    return int(source_of(generator).integers(2**64, dtype=np.uint64, endpoint=False))
