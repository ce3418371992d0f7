"""Compiled steps of long short-term memory, in single precision and without projection.

Each function returns None for what it does not know.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.ops.linalg import matmul, plus_row

Sizes = tuple[int, ...]


def _known(w_hr: Any, *arrays: Any) -> bool:
    return (
        backend.native is not None
        and w_hr is None
        and all(a is None or (a.dtype == np.float32 and a.size) for a in arrays)
    )


def _steps(sizes: Sizes, reverse: bool) -> tuple[Any, Any]:
    """First row and number of rows of each step, in the order in which they are computed."""
    counts = np.array(sizes, np.int64)
    starts = np.cumsum(counts) - counts
    return (starts[::-1].copy(), counts[::-1].copy()) if reverse else (starts, counts)


def lstm(
    input: Any, hidden: Any, cell: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any,
    sizes: Sizes, reverse: bool,
) -> Any:  # fmt: skip
    if not _known(w_hr, input, hidden, cell, w_ih, w_hh, b_ih, b_hh):
        return None
    gates = matmul(input, w_ih.T) if b_ih is None else plus_row(input, w_ih.T, b_ih + b_hh)
    rows = (input.shape[0], hidden.shape[1])
    out, squashed, hiddens, cells = (np.empty(rows, np.float32) for _ in range(4))
    h, c = hidden.copy(order="C"), cell.copy(order="C")
    weight = np.ascontiguousarray(w_hh)
    backend.native.lstm_forward(
        gates, weight, *_steps(sizes, reverse), h, c, out, squashed, hiddens, cells
    )
    return out, h, c, gates, squashed, hiddens, cells


def lstm_deltas(
    grads: Any, w_hh: Any, w_hr: Any, gates: Any, squashed: Any, cells: Any, sizes: Sizes,
    reverse: bool,
) -> Any:  # fmt: skip
    if not _known(w_hr, w_hh, gates, *grads[:3]):
        return None
    delta = np.empty_like(gates)
    dh, dc = grads[1].copy(order="C"), grads[2].copy(order="C")
    grad, weight = np.ascontiguousarray(grads[0]), np.ascontiguousarray(w_hh)
    backend.native.lstm_backward(
        grad, gates, squashed, cells, weight, *_steps(sizes, reverse), dh, dc, delta
    )
    return delta, dh, dc, None
