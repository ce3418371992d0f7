"""Numbers that a compiler does not know when it reads a program: here all are known, and these are
Python's; and conditions that such compilers are told of.

>>> import dtorch
>>> dtorch.sym_max(dtorch.sym_int(2.5), 3), isinstance(3, dtorch.SymInt)
(3, False)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

__all__ = [
    "SymBool", "SymFloat", "SymInt", "sym_float", "sym_int", "sym_ite", "sym_max", "sym_min",
    "sym_not", "sym_sqrt", "sym_sum",
]  # fmt: skip


class SymInt:
    """A whole number that is not known: nothing is an instance."""


class SymFloat:
    """A number that is not known: nothing is an instance."""


class SymBool:
    """A truth that is not known: nothing is an instance."""


def sym_int(a: Any) -> int:
    """A number as an int; what is behind the point is left out."""
    return int(a)


def sym_float(a: Any) -> float:
    """A number as a float."""
    return float(a)


def sym_max(a: Any, b: Any) -> Any:
    """The larger of two numbers."""
    return max(a, b)


def sym_min(a: Any, b: Any) -> Any:
    """The smaller of two numbers."""
    return min(a, b)


def sym_not(a: Any) -> bool:
    """Whether a truth is False."""
    return not a


def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """``t`` if ``b``, else ``f``."""
    return t if b else f


def sym_sum(args: Iterable[Any]) -> Any:
    """The sum of numbers."""
    return sum(args)


def sym_sqrt(a: Any) -> float:
    """The square root of a number."""
    return math.sqrt(a)


def _assert(condition: Any, message: str) -> None:
    """Complain unless a condition holds.

    Raises:
        AssertionError: it does not.
    """
    if not condition:
        raise AssertionError(message)


def _assert_async(condition: Any, message: str = "expected the tensor to be True") -> None:
    """Complain unless the one element of a tensor is True.

    Raises:
        RuntimeError: it is not.
    """
    if not condition:
        raise RuntimeError(message)


def _check_with(error: type[Exception], cond: Any, message: Callable[[], Any] | None) -> None:
    if not cond:
        raise error("expected cond to be True" if message is None else str(message()))


def _check(cond: Any, message: Callable[[], Any] | None = None) -> None:
    """Complain unless a condition holds, by a RuntimeError with the text that ``message()`` gives."""
    _check_with(RuntimeError, cond, message)


def _check_value(cond: Any, message: Callable[[], Any] | None = None) -> None:
    """`_check` by a ValueError."""
    _check_with(ValueError, cond, message)


def _check_type(cond: Any, message: Callable[[], Any] | None = None) -> None:
    """`_check` by a TypeError."""
    _check_with(TypeError, cond, message)


def _check_index(cond: Any, message: Callable[[], Any] | None = None) -> None:
    """`_check` by an IndexError."""
    _check_with(IndexError, cond, message)


def _check_is_size(i: int, message: Callable[[], Any] | None = None, *, max: Any = None) -> None:
    """Complain about a negative number, or one above ``max``, by a RuntimeError."""
    _check_with(RuntimeError, i >= 0 and (max is None or i <= max), message)
