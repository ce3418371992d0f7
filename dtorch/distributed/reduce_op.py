"""How a reduction combines the ranks' values."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core.errors import DtypeError


class ReduceOp(enum.Enum):
    """Operations of `all_reduce`, `reduce` and `reduce_scatter`.

    AVG is the sum divided by the number of ranks, for floating-point and complex tensors.
    """

    SUM = "sum"
    PRODUCT = "product"
    MIN = "min"
    MAX = "max"
    AVG = "avg"


_COMBINE: dict[ReduceOp, Callable[..., Any]] = {
    ReduceOp.SUM: np.add,
    ReduceOp.PRODUCT: np.multiply,
    ReduceOp.MIN: np.minimum,
    ReduceOp.MAX: np.maximum,
    ReduceOp.AVG: np.add,
}


def reduce_into(out: np.ndarray, parts: list[np.ndarray], op: ReduceOp) -> None:
    """Combine the parts in their order, which is the ranks', into ``out``.

    ``out`` may be the first or the last of two parts, or other memory.
    """
    combine = _COMBINE[op]
    if len(parts) == 1:
        if out is not parts[0]:
            out[...] = parts[0]
    else:
        combine(parts[0], parts[1], out=out)
        for part in parts[2:]:
            combine(out, part, out=out)
    if op is ReduceOp.AVG:
        count = len(parts)
        if out.dtype.kind == "f" and count & (count - 1) == 0:
            np.multiply(out, 1 / count, out=out)  # the same bits, in half the time
        else:
            np.divide(out, count, out=out)


def check_reducible(dtype: np.dtype[Any], op: ReduceOp) -> None:
    """Refuse what has no meaning: the mean of integers, an order of complex numbers.

    Raises:
        DtypeError: naming the dtype and what to do.
    """
    if op is ReduceOp.AVG and dtype.kind in "biu":
        raise DtypeError(
            f"ReduceOp.AVG: got {dtype.name}, expected a floating-point or complex dtype; "
            "use ReduceOp.SUM and divide"
        )
    if op in (ReduceOp.MIN, ReduceOp.MAX) and dtype.kind == "c":
        raise DtypeError(f"ReduceOp.{op.name}: {dtype.name} has no order; expected a real dtype")
