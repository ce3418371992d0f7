"""Steps of long short-term memory, in single precision and without projection."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.backend import native
from dtorch.core.kernels.linalg import plus_row
from dtorch.core.ops.recurrent import lstm, lstm_deltas

Sizes = tuple[int, ...]


def _known(w_hr: Any, *arrays: Any) -> bool:
    return w_hr is None and all(a is None or (a.dtype == np.float32 and a.size) for a in arrays)


def _steps(sizes: Sizes, reverse: bool) -> tuple[Any, Any]:
    """First row and number of rows of each step, in the order in which they are computed."""
    counts = np.array(sizes, np.int64)
    starts = np.cumsum(counts) - counts
    return (starts[::-1].copy(), counts[::-1].copy()) if reverse else (starts, counts)


@lstm.kernel("cpu")
def _(input, hidden, cell, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse):
    if not _known(w_hr, input, hidden, cell, w_ih, w_hh, b_ih, b_hh):
        return None
    gates = native.matmul(input, w_ih.T) if b_ih is None else plus_row(input, w_ih.T, b_ih + b_hh)
    rows = (input.shape[0], hidden.shape[1])
    out, squashed, hiddens, cells = (np.empty(rows, np.float32) for _ in range(4))
    h, c = hidden.copy(order="C"), cell.copy(order="C")
    weight = np.ascontiguousarray(w_hh)
    native.lstm_forward(gates, weight, *_steps(sizes, reverse), h, c, out, squashed, hiddens, cells)
    return out, h, c, gates, squashed, hiddens, cells


@lstm_deltas.kernel("cpu")
def _(d_out, d_hidden, d_cell, w_hh, w_hr, gates, squashed, cells, sizes, reverse):
    if not _known(w_hr, d_out, d_hidden, d_cell, w_hh, gates, squashed, cells):
        return None
    delta = np.empty(gates.shape, gates.dtype)
    dh, dc = d_hidden.copy(order="C"), d_cell.copy(order="C")
    known = map(np.ascontiguousarray, (d_out, gates, squashed, cells, w_hh))
    native.lstm_backward(*known, *_steps(sizes, reverse), dh, dc, delta)
    return delta, dh, dc, None
