"""One look at the operands of a call, compiled, which is enough for the commonest calls."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from dtorch.core.backend import compiled, tell

MAY_BE_NONE, MAY_BE_NUMBER, IS_PROMOTED = 1, 2, 4  # bits of a rule
tell("set_rules", MAY_BE_NONE, MAY_BE_NUMBER, IS_PROMOTED)

_OTHER = 31  # the bit of all dtypes that are not NumPy's own, such as bfloat16
_CODES = {"b": "?", "i": np.typecodes["AllInteger"], "f": "efdg", "c": "FDG"}


@cache
def type_bits(kinds: str) -> int:
    """The dtypes of these kinds (see `refuse_dtypes`), a bit for each."""
    numbers = {np.dtype(code).num for kind in kinds for code in _CODES[kind]}
    return sum(1 << number for number in (numbers | {_OTHER} if "f" in kinds else numbers))


HALVES = 1 << np.dtype(np.float16).num | 1 << _OTHER
FLOATING = type_bits("fc")


@compiled
def settled(
    values: list[Any], indices: tuple[int, ...], rules: bytes, unsettled: int
) -> tuple[list[Any], int, int] | None:
    """What `Op.take` gives where nothing stands in the way: the operands are tensors on the CPU of
    dtypes that are none of the ``unsettled`` ones, and those that are promoted have one dtype, beside
    numbers that it holds. None elsewhere.

    Args:
        indices, rules: of the values that are operands, and what each may be.
    """
    return None


@compiled
def types_of(values: list[Any]) -> int:
    """Bits of the dtypes of the arrays among values, or of all that matter."""
    return HALVES
