"""What stands between users and the functions that make arrays.

They compute without NumPy's warnings. Arrays that cannot be are refused in one way, whichever
function asked for one: NumPy and the allocator notice what is too large, or negative, when the array
is made, so a function costs nothing more until one of them complains. And errors that say what is
wrong come from the function that was called: the calls below it are left out of the traceback,
unless ``DTORCH_TRACEBACK`` is ``full``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import update_wrapper
from inspect import Signature
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np

from dtorch.core.backend import compiled, tell
from dtorch.core.errors import (
    ArgumentError,
    ArgumentTypeError,
    DimensionError,
    DtorchError,
    DtypeError,
    OutOfMemoryError,
    ShapeError,
)
from dtorch.core.quiet import quietly
from dtorch.core.signature import MISSING

Function = TypeVar("Function", bound=Callable[..., Any])

# What NumPy says of sizes that no array can have.
_IMPOSSIBLE = (
    "too big", "too large", "maximum allowed", "maximum supported dimension", "negative dimension",
    "cannot convert float infinity", "maximum size",
)  # fmt: skip
REFUSALS = (MemoryError, ValueError, OverflowError)
# Of which `told` may have more to say.
ERRORS = (*REFUSALS, TypeError, AttributeError, LookupError, DtorchError)

# What NumPy raises of operands that do not go together, and what it is here.
_FAMILIAR: dict[type[Exception], type[DtorchError]] = {
    ValueError: ArgumentError,
    IndexError: DimensionError,
    np.exceptions.AxisError: DimensionError,
    TypeError: DtypeError,
    AttributeError: ArgumentTypeError,
}

SHOWS_ALL_CALLS = os.environ.get("DTORCH_TRACEBACK") == "full"


def told(name: str, error: Exception) -> Exception | None:
    """How the function of that name raises one of the `ERRORS` met in it; None to leave it alone."""
    if isinstance(error, DtorchError) or (
        isinstance(error, TypeError) and str(error).startswith(name)
    ):
        return None if SHOWS_ALL_CALLS else error.with_traceback(None)
    if isinstance(error, MemoryError):
        return OutOfMemoryError(f"{name}: out of memory: {_asked(error)}; {_available()}")
    if any(text in str(error).lower() for text in _IMPOSSIBLE):
        return ShapeError(
            f"{name}: no tensor can be that large: expected at most 64 sizes of at least 0, whose "
            "product is the number of elements and fits, in bytes, into 63 bits"
        )
    kind = _FAMILIAR.get(type(error))
    return None if kind is None else kind(f"{name}: {error}")


def entry(name: str, *, computes: bool = True) -> Callable[[Function], Function]:
    """Decorates a function of that name that makes arrays, where it is no operation.

    Args:
        computes: whether it does what NumPy could warn about, with the numbers it is given.
    """

    def decorate(function: Function) -> Function:
        def tell_name(error: Exception, args: Any, kwargs: Any) -> Exception | None:
            return told(name, error)

        made = made_entry(function, tell_name, computes)
        return update_wrapper(made, function)  # type: ignore[return-value]  # it gives the same

    return decorate


@compiled
def made_entry(
    function: Callable[..., Any],
    told: Callable[
        [Exception, tuple[Any, ...], dict[str, Any]], Exception | Callable[[], Any] | None
    ],
    computes: bool = True,
    run: Callable[[list[Any]], Any] | None = None,
    defaults: Sequence[Any] = (),
    index: Mapping[str, int] = MappingProxyType({}),
    most: int = -1,
) -> Callable[..., Any]:
    """``function``, as users call it: quietly, and in words of our own about what is wrong.

    Args:
        told: says what a call with these arguments does about one of the `ERRORS` met in it: raise
            another, or call something else instead; None to leave it alone.
        run, defaults, index, most: of an operation what its calls end in, given the values of all
            parameters; their defaults, their places by their names, and how many are positional.
    """

    def enter(*args: Any, **kwargs: Any) -> Any:
        try:
            return quietly(function, *args, **kwargs) if computes else function(*args, **kwargs)
        except ERRORS as error:
            seen = told(error, args, kwargs)
            if seen is None:
                raise
            if isinstance(seen, Exception):
                raise seen from seen.__cause__
        return quietly(seen)

    return enter


tell("set_told", ERRORS, MISSING)


@compiled
def set_signature(function: Any, make: Callable[[], Signature]) -> None:
    """Have `inspect.signature` show what ``make`` gives, which compiled functions ask for when they
    are asked."""
    function.__signature__ = make()


def _asked(error: Exception) -> str:
    shape, kind = getattr(error, "shape", None), getattr(error, "dtype", None)
    if shape is None or kind is None:
        return "more was asked for than there is"
    nbytes = math.prod(shape) * kind.itemsize
    return f"asked for {_readable(nbytes)} ({nbytes} bytes) for sizes {tuple(shape)} of {kind}"


@compiled
def largest_allocation() -> int | None:
    """Bytes that a process can have; None where that is not known."""
    return None


def _available() -> str:
    free, most = _free(), largest_allocation()
    known = [nbytes for nbytes in (free, most) if nbytes is not None]
    if not known:
        return "how much is available is not known"
    of = "" if most is None else f" of {_readable(most)}"
    return f"{_readable(min(known))}{of} are available"


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
