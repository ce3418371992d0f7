"""Random numbers: a counter-based generator (Philox), seeded and restored exactly.

Reference: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from typing import Any

import numpy as np

from dtorch.core.base import TensorBase, wrap
from dtorch.core.dtype import as_dtype, from_numpy_dtype, get_default_dtype, int64
from dtorch.core.errors import ArgumentError, DtypeError
from dtorch.core.inplace import bump, check_inplace
from dtorch.core.op import method
from dtorch.core.shapes import as_sizes
from dtorch.core.tensor import Tensor, as_device_here

_WORDS = 4 + 2 + 4 + 1 + 1 + 1 + 1  # counter, key, buffer, position, cached half, its flag, seed


class Generator:
    """A source of random numbers.

    >>> a, b = Generator().manual_seed(1), Generator().manual_seed(1)
    >>> bool((rand(3, generator=a) == rand(3, generator=b)).all())
    True
    """

    def __init__(self, device: Any = "cpu") -> None:
        as_device_here(device)
        self._philox = np.random.Philox(0)
        self.numpy = np.random.Generator(self._philox)
        self.manual_seed(secrets.randbits(63))

    def manual_seed(self, seed: int) -> Generator:
        """Start the stream that belongs to ``seed``; returns the generator."""
        if not isinstance(seed, (int, np.integer)) or isinstance(seed, bool):
            raise TypeError(f"manual_seed: seed is {type(seed).__name__}, expected an int")
        self._seed = int(seed) & (2**64 - 1)
        self._philox = np.random.Philox(key=self._seed)
        self.numpy = np.random.Generator(self._philox)
        return self

    def seed(self) -> int:
        """Seed with a random number, which is returned."""
        self.manual_seed(secrets.randbits(63))
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
        """Go on from a state that `get_state` gave."""
        array = getattr(new_state, "_array", None)
        if array is None or array.dtype != np.uint8 or array.shape != (_WORDS * 8,):
            raise ArgumentError(
                f"set_state: expected a uint8 tensor of {_WORDS * 8} elements from get_state()"
            )
        words = array.copy().view(np.uint64)
        state: Any = self._philox.state
        state["state"] = {"counter": words[0:4], "key": words[4:6]}
        state["buffer"] = words[6:10]
        state["buffer_pos"], state["uinteger"], state["has_uint32"] = map(int, words[10:13])
        self._philox.state = state
        self._seed = int(words[13])


default_generator = Generator()


def manual_seed(seed: int) -> Generator:
    """Seed the default generator, which is returned."""
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
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


def _source(generator: Generator | None) -> np.random.Generator:
    return (default_generator if generator is None else generator).numpy


def uniform(shape: tuple[int, ...], numpy_dtype: Any, generator: Generator | None) -> np.ndarray:
    """Uniform numbers in [0, 1) of any floating dtype."""
    wide = numpy_dtype if numpy_dtype in (np.float32, np.float64) else np.dtype(np.float32)
    return _source(generator).random(shape, wide).astype(numpy_dtype, copy=False)


def normal(shape: tuple[int, ...], numpy_dtype: Any, generator: Generator | None) -> np.ndarray:
    """Standard normal numbers of any floating or complex dtype."""
    if numpy_dtype.kind == "c":
        half = np.dtype(np.float64 if numpy_dtype.itemsize == 16 else np.float32)
        parts = normal((*shape, 2), half, generator) * half.type(np.sqrt(0.5))
        return parts.view(numpy_dtype)[..., 0]
    wide = numpy_dtype if numpy_dtype in (np.float32, np.float64) else np.dtype(np.float32)
    return _source(generator).standard_normal(shape, wide).astype(numpy_dtype, copy=False)


def _floating(name: str, dtype: Any) -> np.dtype[Any]:
    wanted = get_default_dtype() if dtype is None else as_dtype(dtype)
    if wanted.category < 2:
        raise DtypeError(f"{name}: dtype is {wanted}, expected a floating-point or complex one")
    return wanted.numpy


def _made(array: np.ndarray, out: Any, requires_grad: bool, device: Any) -> Tensor:
    as_device_here(device)
    if out is not None:
        if out._array.shape != array.shape:
            out.resize_(array.shape)
        return out.copy_(wrap(array))  # type: ignore[no-any-return]
    result: Tensor = wrap(array)
    return result.requires_grad_() if requires_grad else result


def rand(
    *size: Any, generator: Generator | None = None, out: Any = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers uniform in [0, 1)."""
    array = uniform(as_sizes("rand", size), _floating("rand", dtype), generator)
    return _made(array, out, requires_grad, device)


def randn(
    *size: Any, generator: Generator | None = None, out: Any = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """Numbers from the standard normal distribution."""
    array = normal(as_sizes("randn", size), _floating("randn", dtype), generator)
    return _made(array, out, requires_grad, device)


def randint(
    low: int, high: Any = None, size: Any = None, *, generator: Generator | None = None,
    out: Any = None, dtype: Any = None, device: Any = None, requires_grad: bool = False,
) -> Tensor:  # fmt: skip
    """Whole numbers from ``low`` (0 if left out) up to, not including, ``high``."""
    if size is None:
        low, high, size = 0, low, high
    if not high > low:
        raise ArgumentError(f"randint: from {low} to {high} there is nothing to draw from")
    numpy_dtype = int64.numpy if dtype is None else as_dtype(dtype).numpy
    array = _source(generator).integers(low, high, as_sizes("randint", (size,)))
    return _made(array.astype(numpy_dtype), out, requires_grad, device)


def randperm(
    n: int, *, generator: Generator | None = None, out: Any = None, dtype: Any = None,
    device: Any = None, requires_grad: bool = False, pin_memory: bool = False,
) -> Tensor:  # fmt: skip
    """The numbers 0 to n - 1 in random order."""
    numpy_dtype = int64.numpy if dtype is None else as_dtype(dtype).numpy
    array = _source(generator).permutation(n).astype(numpy_dtype)
    return _made(array, out, requires_grad, device)


def rand_like(input: Tensor, *, dtype: Any = None, device: Any = None,
              requires_grad: bool = False, memory_format: Any = None) -> Tensor:  # fmt: skip
    """Like `rand`, of the sizes and dtype of ``input``."""
    return rand(*input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def randn_like(input: Tensor, *, dtype: Any = None, device: Any = None,
               requires_grad: bool = False, memory_format: Any = None) -> Tensor:  # fmt: skip
    """Like `randn`, of the sizes and dtype of ``input``."""
    return randn(*input.shape, dtype=dtype or input.dtype, requires_grad=requires_grad)


def bernoulli(
    input: Tensor, p: Any = None, *, generator: Generator | None = None, out: Any = None
) -> Tensor:
    """0 or 1, where 1 has the probability that ``input`` (or ``p``) states."""
    probability = input._array if p is None else np.full(input._array.shape, p, np.float32)
    if probability.size and not ((probability >= 0) & (probability <= 1)).all():
        raise ArgumentError("bernoulli: probabilities must lie between 0 and 1")
    hit = _source(generator).random(probability.shape) < probability
    return _made(np.asarray(hit).astype(input._array.dtype), out, False, None)


# -- filling tensors in place -----------------------------------------------------------------------


def _overwrite(name: str, tensor: Any, array: np.ndarray) -> Any:
    check_inplace(name, tensor, tensor._mode)
    tensor._array[...] = array
    bump(tensor)
    return tensor


def _expect_floating(name: str, tensor: Any) -> None:
    if tensor._array.dtype.kind not in "fcV":
        raise DtypeError(
            f"{name}: the tensor is {from_numpy_dtype(tensor._array.dtype)}, expected a "
            "floating-point dtype"
        )


def uniform_(self: Any, *bounds: Any, generator: Generator | None = None, **named: Any) -> Any:
    """Overwrite with numbers uniform in [from, to), 0 and 1 by default."""
    low = named.pop("from", bounds[0] if bounds else 0.0)
    high = named.pop("to", bounds[1] if len(bounds) > 1 else 1.0)
    if named or len(bounds) > 2:
        raise TypeError(f"uniform_() takes from and to, got {bounds} and {sorted(named)}")
    _expect_floating("uniform_", self)
    if not low <= high:
        raise ArgumentError(f"uniform_: from is {low}, to is {high}; expected from <= to")
    array = self._array
    values = uniform(array.shape, array.dtype, generator)
    return _overwrite(
        "uniform_", self, values * array.dtype.type(high - low) + array.dtype.type(low)
    )


def normal_(
    self: Any, mean: float = 0, std: float = 1, *, generator: Generator | None = None
) -> Any:
    """Overwrite with normal numbers of this mean and standard deviation."""
    _expect_floating("normal_", self)
    if std < 0:
        raise ArgumentError(f"normal_: std is {std}, expected at least 0")
    array = self._array
    values = normal(array.shape, array.dtype, generator)
    return _overwrite("normal_", self, values * array.dtype.type(std) + array.dtype.type(mean))


def bernoulli_(self: Any, p: Any = 0.5, *, generator: Generator | None = None) -> Any:
    """Overwrite with 0 or 1, where 1 has probability ``p``, a number or a tensor."""
    probability = p._array if isinstance(p, TensorBase) else np.asarray(p)
    if probability.size and not ((probability >= 0) & (probability <= 1)).all():
        raise ArgumentError("bernoulli_: probabilities must lie between 0 and 1")
    hit = _source(generator).random(self._array.shape, np.float32) < probability
    return _overwrite("bernoulli_", self, hit)


def random_(self: Any, *bounds: Any, generator: Generator | None = None, **named: Any) -> Any:
    """Overwrite with whole numbers: of the dtype's range, from [0, to), or from [from, to)."""
    array = self._array
    if array.dtype.kind in "iu":
        top = int(np.iinfo(array.dtype).max) + 1
    else:
        top = 2 if array.dtype.kind == "b" else 2 ** (np.finfo(array.dtype).nmant + 1)
    low, high = 0, top
    if len(bounds) == 1 or "to" in named:
        high = named.pop("to", bounds[-1] if bounds else top)
    if len(bounds) == 2:
        low, high = bounds
    low = named.pop("from", low)
    if named or len(bounds) > 2:
        raise TypeError(f"random_() takes from and to, got {bounds} and {sorted(named)}")
    if not high > low:
        raise ArgumentError(f"random_: from {low} to {high} there is nothing to draw from")
    return _overwrite("random_", self, _source(generator).integers(low, high, array.shape))


for _function in (uniform_, normal_, bernoulli_, random_, bernoulli):
    method(_function.__name__, _function)
