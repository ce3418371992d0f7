"""How exactly, and how repeatably, is computed.

dtorch's kernels give the same bits for the same input and number of threads, and products of
float32 are formed in float32 or more. What programs ask for here is therefore granted already; it is
remembered, so that it can be asked for again.
"""

from __future__ import annotations

from dtorch.core.errors import ArgumentError

__all__ = [
    "are_deterministic_algorithms_enabled", "get_deterministic_debug_mode",
    "get_float32_matmul_precision", "is_deterministic_algorithms_warn_only_enabled",
    "set_deterministic_debug_mode", "set_float32_matmul_precision", "set_flush_denormal",
    "use_deterministic_algorithms",
]  # fmt: skip

_MODES = ("default", "warn", "error")
_PRECISIONS = ("highest", "high", "medium")
_mode = 0
_precision = "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for the same bits from the same input, in every run; that is so in any case.

    Example:
        >>> use_deterministic_algorithms(True)
        >>> are_deterministic_algorithms_enabled()
        True
        >>> use_deterministic_algorithms(False)
    """
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms: mode is {mode!r}, expected True or False")
    set_deterministic_debug_mode((1 if warn_only else 2) if mode else 0)


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` was asked for."""
    return _mode > 0


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it was asked for with ``warn_only``."""
    return _mode == 1


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """The same by name: "default", "warn" or "error", or their numbers 0, 1, 2."""
    global _mode
    if debug_mode in _MODES:
        _mode = _MODES.index(str(debug_mode))
    elif debug_mode in (0, 1, 2):
        _mode = int(debug_mode)
    else:
        raise ArgumentError(
            f"set_deterministic_debug_mode: got {debug_mode!r}, expected one of {_MODES} or 0, 1, 2"
        )


def get_deterministic_debug_mode() -> int:
    """What `set_deterministic_debug_mode` set, as a number."""
    return _mode


def set_float32_matmul_precision(precision: str) -> None:
    """Allow products of float32 to be less precise: "highest", "high" or "medium".

    They stay as precise as they are.

    Raises:
        ArgumentError: another word.
    """
    global _precision
    if precision not in _PRECISIONS:
        raise ArgumentError(
            f"set_float32_matmul_precision: got {precision!r}, expected one of {_PRECISIONS}"
        )
    _precision = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` allowed."""
    return _precision


def set_flush_denormal(mode: bool) -> bool:
    """Ask for the smallest numbers to be taken for 0; returns whether it is done: no."""
    return False
