"""Arrays that cannot be: refused in one way, whichever function asked for one.

NumPy and the allocator notice what is too large, or negative, when the array is made; so a function
costs nothing more until one of them complains.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from dtorch.core import backend
from dtorch.core.errors import DtorchError, OutOfMemoryError, ShapeError

Function = TypeVar("Function", bound=Callable[..., Any])

# What NumPy says of sizes that no array can have.
_IMPOSSIBLE = (
    "too big", "too large", "maximum allowed", "maximum supported dimension", "negative dimension",
    "cannot convert float infinity", "maximum size",
)  # fmt: skip
REFUSALS = (MemoryError, ValueError, OverflowError)


def refusal(name: str, error: Exception) -> Exception | None:
    """What to raise for one of the `REFUSALS` of a function; None where it is of something else."""
    if isinstance(error, DtorchError):
        return None
    if isinstance(error, MemoryError):
        return OutOfMemoryError(f"{name}: out of memory: {_asked(error)}; {_available()}")
    if any(text in str(error).lower() for text in _IMPOSSIBLE):
        return ShapeError(
            f"{name}: no tensor can be that large: expected at most 64 sizes of at least 0, whose "
            "product is the number of elements and fits, in bytes, into 63 bits"
        )
    return None


def refusing(name: str) -> Callable[[Function], Function]:
    """Decorates a function of that name that makes arrays, where it is no operation."""

    def decorate(function: Function) -> Function:
        @wraps(function)
        def refuses(*args: Any, **kwargs: Any) -> Any:
            try:
                return function(*args, **kwargs)
            except REFUSALS as error:
                refused = refusal(name, error)
                if refused is None:
                    raise
                raise refused from None

        return refuses  # type: ignore[return-value]  # it takes and gives what the function does

    return decorate


def _asked(error: Exception) -> str:
    shape, kind = getattr(error, "shape", None), getattr(error, "dtype", None)
    if shape is None or kind is None:
        return "more was asked for than there is"
    nbytes = math.prod(shape) * kind.itemsize
    return f"asked for {_readable(nbytes)} ({nbytes} bytes) for sizes {tuple(shape)} of {kind}"


def _available() -> str:
    free = _free()
    if backend.native is None:
        return (
            "how much is available is not known"
            if free is None
            else f"{_readable(free)} are available"
        )
    most = backend.native.largest_allocation()
    free = most if free is None else min(free, most)
    return f"{_readable(free)} of {_readable(most)} are available"


def _free() -> int | None:
    try:
        with open("/proc/meminfo") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # not Linux
        pass
    return None


def _readable(nbytes: int) -> str:
    power = max(0, min(5, (nbytes.bit_length() - 1) // 10))
    unit = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")[power]
    return f"{nbytes / 1024**power:.1f} {unit}" if power else f"{nbytes} bytes"
