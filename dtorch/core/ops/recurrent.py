"""Recurrent layers over whole sequences, as one operation for each layer and direction.

Sequences lie one step after another in a flat array ``(sum of batch sizes, features)``; the batch
size of a step is the number of sequences that reach it, the longest first. A rectangular batch is
the case of equal sizes. Products with the input weights are formed for all steps at once; what
depends on the step before is done in a loop, backward in the opposite order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import TensorBase
from dtorch.core.composites import composite
from dtorch.core.op import structured
from dtorch.core.ops.activation import sigmoid
from dtorch.core.ops.composed import recorded_gradients
from dtorch.core.ops.joining import cat
from dtorch.core.ops.linalg import matmul, product_and_row_sums
from dtorch.core.ops.rectifiers import relu
from dtorch.core.ops.trigonometric import tanh
from dtorch.core.ops.view import permute
from dtorch.core.shapes import sum_dims
from dtorch.core.tensor import Tensor

Sizes = tuple[int, ...]


def _steps(sizes: Sizes, reverse: bool) -> list[tuple[int, slice]]:
    """Batch size and rows of each step, in the order in which they are computed."""
    steps, start = [], 0
    for size in sizes:
        steps.append((size, slice(start, start + size)))
        start += size
    return steps[::-1] if reverse else steps


def _projected(input: Any, weight: Any, *biases: Any) -> Any:
    out = matmul(input, weight.T)
    for bias in biases:
        if bias is not None:
            out += bias
    return out


def _projected_gradients(delta: Any, input: Any, of_weight: bool, of_bias: bool) -> tuple[Any, Any]:
    """Gradients of the weight and the bias of `_projected`, of those that are wanted."""
    if of_weight and of_bias:
        return product_and_row_sums(delta.T, input)
    return (
        matmul(delta.T, input) if of_weight else None,
        sum_dims(delta, (0,)) if of_bias else None,
    )


def _halves(width: int, kind: Any) -> tuple[Any, Any]:
    """Factor and summand that make sigmoids of the tangents of gates i, f and o, and leave g."""
    half, rest = np.full(4 * width, 0.5, kind), np.full(4 * width, 0.5, kind)
    half[2 * width : 3 * width], rest[2 * width : 3 * width] = 1, 0
    return half, rest


def _sigmoid(x: Any) -> None:
    """In place; by the hyperbolic tangent, which does not overflow."""
    x *= 0.5
    np.tanh(x, out=x)
    x += 1
    x *= 0.5


def _linear(input: Any, weight: Any, bias: Any) -> Any:
    out = matmul(input, permute(weight, (1, 0)))
    return out if bias is None else out + bias


class _Walk:
    """The state of a recorded walk over the steps: rows that have ended stay as they are."""

    def __init__(self, state: Any) -> None:
        self.state = state

    def rows(self, size: int) -> Any:
        return self.state[:size]

    def set(self, size: int, rows: Any) -> None:
        rest = self.state[size:]
        self.state = cat([rows, rest], 0) if rest.shape[0] else rows


def _in_order(parts: list[Any], reverse: bool) -> Any:
    return cat(parts[::-1] if reverse else parts, 0)


# -- long short-term memory ---------------------------------------------------------------------


@structured(
    tensors=("input", "hidden", "cell", "w_ih", "w_hh", "b_ih", "b_hh", "w_hr"),
    outputs=("out", "h_n", "c_n", "gates", "squashed", "hiddens", "cells"), returns=3,
    public=False, wide=True, takes="f",
)  # fmt: skip
def lstm(
    xp: ArrayModule, input: Array, hidden: Array, cell: Array, w_ih: Array, w_hh: Array, b_ih:
    Array, b_hh: Array, w_hr: Array, sizes: Sizes, reverse: bool,
) -> Any:  # fmt: skip
    """Long short-term memory: gates i, f, g, o; ``c' = f c + i g``, ``h' = o tanh(c')``.

    Args:
        hidden, cell: ``(N, H)``, state before the first step.
        w_hr: projection of the hidden state, or None.
    Returns: outputs of all steps, last hidden and cell state; for the gradient, the gates, the
        squashed cells, and hidden and cell state before each step.

    Reference: Hochreiter and Schmidhuber 1997; Sak et al. 2014, arXiv:1402.1128 (projection).
    """
    gates = _projected(input, w_ih, b_ih, b_hh)
    width = w_hh.shape[0] // 4
    total, kind = input.shape[0], input.dtype
    out = xp.empty((total, hidden.shape[1]), kind)
    squashed, cells = xp.empty((total, width), kind), xp.empty((total, width), kind)
    hiddens = xp.empty_like(out)
    h, c = hidden.copy(), cell.copy()
    # sigmoid(x) = tanh(x / 2) / 2 + 1/2: with i, f and o halved beforehand one tanh serves all.
    half, rest = _halves(width, kind)
    gates *= half
    backward = xp.ascontiguousarray(w_hh.T) * half
    for size, rows in _steps(sizes, reverse):
        g = gates[rows]
        hiddens[rows], cells[rows] = h[:size], c[:size]
        g += backend.matmul(h[:size], backward)
        xp.tanh(g, out=g)
        g *= half
        g += rest
        state = c[:size]
        state *= g[:, width : 2 * width]
        state += g[:, :width] * g[:, 2 * width : 3 * width]
        s = squashed[rows]
        xp.tanh(state, out=s)
        new = g[:, 3 * width :] * s
        h[:size] = new if w_hr is None else backend.matmul(new, w_hr.T)
        out[rows] = h[:size]
    return out, h, c, gates, squashed, hiddens, cells


@lstm.gradient("input", "hidden", "cell", "w_ih", "w_hh", "b_ih", "b_hh", "w_hr")
def _(
    grads, input, hidden, cell, w_ih, w_hh, b_ih, b_hh, w_hr, gates, squashed, hiddens, cells,
    sizes, reverse, needs,
):  # fmt: skip
    if isinstance(grads[0], TensorBase):
        return recorded_gradients(
            lambda *args: _lstm_composed(*args, sizes, reverse),  # type: ignore[call-arg]  # as many as there are
            (input, hidden, cell, w_ih, w_hh, b_ih, b_hh, w_hr),
            grads,
        )
    delta, dh, dc, dw_hr = lstm_deltas(*grads, w_hh, w_hr, gates, squashed, cells, sizes, reverse)
    dw_ih, bias = _projected_gradients(delta, input, needs[3], needs[5] or needs[6])
    return [
        matmul(delta, w_ih) if needs[0] else None, dh, dc, dw_ih,
        matmul(delta.T, hiddens) if needs[4] else None,
        bias, None if bias is None else bias.copy(), dw_hr,
    ]  # fmt: skip


@composite(
    tensors=("input", "hidden", "cell", "w_ih", "w_hh", "b_ih", "b_hh"), public=False, takes="f"
)
def lstm_cell(
    input: Tensor,
    hidden: Tensor,
    cell: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
) -> tuple[Tensor, Tensor]:
    """One step of `lstm`: hidden and cell state after it."""
    _, h, c = lstm(input, hidden, cell, w_ih, w_hh, b_ih, b_hh, None, (input.shape[0],), False)
    return h, c


@structured(
    tensors=("d_out", "d_hidden", "d_cell", "w_hh", "w_hr", "gates", "squashed", "cells"),
    outputs=("delta", "d_first_hidden", "d_first_cell", "d_w_hr"), public=False,
)  # fmt: skip
def lstm_deltas(
    xp: ArrayModule, d_out: Array, d_hidden: Array, d_cell: Array, w_hh: Array, w_hr: Array, gates:
    Array, squashed: Array, cells: Array, sizes: Sizes, reverse: bool,
) -> Any:  # fmt: skip
    """Gradients of the gates before their functions, of both states and of the projection."""
    width = gates.shape[1] // 4
    delta = np.empty_like(gates)
    dh, dc = d_hidden.copy(), d_cell.copy()
    dw_hr = None if w_hr is None else np.zeros_like(w_hr)
    for size, rows in reversed(_steps(sizes, reverse)):
        g, s, d = gates[rows], squashed[rows], delta[rows]
        i, f, u, o = (g[:, k * width : (k + 1) * width] for k in range(4))
        dy = dh[:size] + d_out[rows]
        if w_hr is not None:
            dw_hr += backend.matmul(dy.T, o * s)
            dy = backend.matmul(dy, w_hr)
        state = dc[:size]
        state += dy * o * (1 - s * s)
        d[:, :width] = state * u * i * (1 - i)
        d[:, width : 2 * width] = state * cells[rows] * f * (1 - f)
        d[:, 2 * width : 3 * width] = state * i * (1 - u * u)
        d[:, 3 * width :] = dy * s * o * (1 - o)
        state *= f
        dh[:size] = backend.matmul(d, w_hh)
    return delta, dh, dc, dw_hr


def _batch_sizes(make):
    """Sequences, width, and how many sequences reach each step."""
    n = make.size(3, 40)
    return n, make.size(2, 64), (n, n, n - 1, *(n // 2,) * make.size(1, 10))


@lstm.samples
def _(make):
    n, width, sizes = _batch_sizes(make)
    for reverse in (False, True):
        biases = (None, None) if reverse else (make(4 * width), make(4 * width))
        yield (
            make(sum(sizes), 3), make(n, width), make(n, width), make(4 * width, 3),
            make(4 * width, width), *biases, None, sizes, reverse,
        ), {}  # fmt: skip


@lstm_deltas.samples
def _(make):
    n, width, sizes = _batch_sizes(make)
    total = sum(sizes)
    for reverse in (False, True):
        yield (
            make(total, width), make(n, width), make(n, width), make(4 * width, width), None,
            make(total, 4 * width, low=0.1, high=0.9), make(total, width), make(total, width),
            sizes, reverse,
        ), {}  # fmt: skip


def _lstm_composed(
    input: Any, hidden: Any, cell: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, w_hr: Any,
    sizes: Sizes, reverse: bool,
) -> Any:  # fmt: skip
    projected = _linear(input, w_ih, b_ih)
    width = w_hh.shape[0] // 4
    h, c, outs = _Walk(hidden), _Walk(cell), []
    for size, rows in _steps(sizes, reverse):
        g = projected[rows] + _linear(h.rows(size), w_hh, b_hh)
        i, f, u, o = (g[:, k * width : (k + 1) * width] for k in range(4))
        state = sigmoid(f) * c.rows(size) + sigmoid(i) * tanh(u)
        new = sigmoid(o) * tanh(state)
        new = new if w_hr is None else _linear(new, w_hr, None)
        c.set(size, state)
        h.set(size, new)
        outs.append(new)
    return _in_order(outs, reverse), h.state, c.state


# -- gated recurrent unit -----------------------------------------------------------------------


@structured(
    tensors=("input", "hidden", "w_ih", "w_hh", "b_ih", "b_hh"),
    outputs=("out", "h_n", "gates", "inner", "hiddens"), returns=2, public=False, wide=True, takes="f",
)  # fmt: skip
def gru(
    xp: ArrayModule, input: Array, hidden: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh:
    Array, sizes: Sizes, reverse: bool,
) -> Any:  # fmt: skip
    """Gated recurrent unit: ``n = tanh(W x + b + r (U h + b'))``, ``h' = n + z (h - n)``.

    Returns: outputs of all steps, last hidden state; for the gradient, the gates r, z, n, the inner
        ``U h + b'`` and the hidden state before each step.

    Reference: Cho et al. 2014, arXiv:1406.1078.
    """
    gates = _projected(input, w_ih, b_ih)
    width = w_hh.shape[0] // 3
    total, kind = input.shape[0], input.dtype
    out = xp.empty((total, width), kind)
    inner, hiddens = xp.empty_like(out), xp.empty_like(out)
    h = hidden.copy()
    backward = xp.ascontiguousarray(w_hh.T)
    for size, rows in _steps(sizes, reverse):
        g = gates[rows]
        hiddens[rows] = h[:size]
        through = backend.matmul(h[:size], backward)
        if b_hh is not None:
            through += b_hh
        g[:, : 2 * width] += through[:, : 2 * width]
        _sigmoid(g[:, : 2 * width])
        inner[rows] = through[:, 2 * width :]
        n = g[:, 2 * width :]
        n += g[:, :width] * inner[rows]
        xp.tanh(n, out=n)
        state = h[:size]
        state -= n
        state *= g[:, width : 2 * width]
        state += n
        out[rows] = state
    return out, h, gates, inner, hiddens


@gru.gradient("input", "hidden", "w_ih", "w_hh", "b_ih", "b_hh")
def _(
    grads, input, hidden, w_ih, w_hh, b_ih, b_hh, gates, inner, hiddens, sizes, reverse, needs
):  # fmt: skip
    if isinstance(grads[0], TensorBase):
        return recorded_gradients(
            lambda *args: _gru_composed(*args, sizes, reverse),  # type: ignore[call-arg]  # as many as there are
            (input, hidden, w_ih, w_hh, b_ih, b_hh),
            grads,
        )
    width = gates.shape[1] // 3
    delta, delta_h = np.empty_like(gates), np.empty_like(gates)
    dh = grads[1].copy()
    for size, rows in reversed(_steps(sizes, reverse)):
        g, d = gates[rows], delta[rows]
        r, z, n = (g[:, k * width : (k + 1) * width] for k in range(3))
        dy = dh[:size] + grads[0][rows]
        dn = dy * (1 - z) * (1 - n * n)
        d[:, :width] = dn * inner[rows] * r * (1 - r)
        d[:, width : 2 * width] = dy * (hiddens[rows] - n) * z * (1 - z)
        d[:, 2 * width :] = dn
        e = delta_h[rows]
        e[:, : 2 * width] = d[:, : 2 * width]
        e[:, 2 * width :] = dn * r
        dh[:size] = dy * z + backend.matmul(e, w_hh)
    dw_ih, db_ih = _projected_gradients(delta, input, needs[2], needs[4])
    dw_hh, db_hh = _projected_gradients(delta_h, hiddens, needs[3], needs[5])
    return [matmul(delta, w_ih) if needs[0] else None, dh, dw_ih, dw_hh, db_ih, db_hh]


def _gru_composed(
    input: Any, hidden: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, sizes: Sizes,
    reverse: bool,
) -> Any:  # fmt: skip
    projected = _linear(input, w_ih, b_ih)
    width = w_hh.shape[0] // 3
    h, outs = _Walk(hidden), []
    for size, rows in _steps(sizes, reverse):
        a, b = projected[rows], _linear(h.rows(size), w_hh, b_hh)
        r = sigmoid(a[:, :width] + b[:, :width])
        z = sigmoid(a[:, width : 2 * width] + b[:, width : 2 * width])
        n = tanh(a[:, 2 * width :] + r * b[:, 2 * width :])
        new = n + z * (h.rows(size) - n)
        h.set(size, new)
        outs.append(new)
    return _in_order(outs, reverse), h.state


# -- plain --------------------------------------------------------------------------------------


@structured(
    tensors=("input", "hidden", "w_ih", "w_hh", "b_ih", "b_hh"),
    outputs=("out", "h_n", "hiddens"), returns=2, public=False, wide=True, takes="f",
)  # fmt: skip
def rnn(
    xp: ArrayModule, input: Array, hidden: Array, w_ih: Array, w_hh: Array, b_ih: Array, b_hh:
    Array, sizes: Sizes, reverse: bool, nonlinearity: str,
) -> Any:  # fmt: skip
    """Plain recurrent network: ``h' = f(W x + b + U h + b')``, f being tanh or relu.

    Returns: outputs of all steps, last hidden state; for the gradient, the hidden state before
        each step.

    Reference: Elman 1990, "Finding structure in time".
    """
    out = _projected(input, w_ih, b_ih, b_hh)
    hiddens = xp.empty_like(out)
    h = hidden.copy()
    backward = xp.ascontiguousarray(w_hh.T)
    for size, rows in _steps(sizes, reverse):
        state = out[rows]
        hiddens[rows] = h[:size]
        state += backend.matmul(h[:size], backward)
        if nonlinearity == "tanh":
            xp.tanh(state, out=state)
        else:
            xp.maximum(state, 0, out=state)
        h[:size] = state
    return out, h, hiddens


@rnn.gradient("input", "hidden", "w_ih", "w_hh", "b_ih", "b_hh")
def _(
    grads, input, hidden, w_ih, w_hh, b_ih, b_hh, out, hiddens, sizes, reverse, nonlinearity, needs
):  # fmt: skip
    if isinstance(grads[0], TensorBase):
        return recorded_gradients(
            lambda *args: _rnn_composed(*args, sizes, reverse, nonlinearity),  # type: ignore[call-arg]  # as many as there are
            (input, hidden, w_ih, w_hh, b_ih, b_hh),
            grads,
        )
    delta = np.empty_like(out)
    dh = grads[1].copy()
    for size, rows in reversed(_steps(sizes, reverse)):
        y, d = out[rows], delta[rows]
        np.add(dh[:size], grads[0][rows], out=d)
        if nonlinearity == "tanh":
            d *= 1 - y * y
        else:
            d[y <= 0] = 0
        dh[:size] = backend.matmul(d, w_hh)
    dw_ih, bias = _projected_gradients(delta, input, needs[2], needs[4] or needs[5])
    return [
        matmul(delta, w_ih) if needs[0] else None, dh, dw_ih,
        matmul(delta.T, hiddens) if needs[3] else None,
        bias, None if bias is None else bias.copy(),
    ]  # fmt: skip


def _rnn_composed(
    input: Any, hidden: Any, w_ih: Any, w_hh: Any, b_ih: Any, b_hh: Any, sizes: Sizes,
    reverse: bool, nonlinearity: str,
) -> Any:  # fmt: skip
    projected = _linear(input, w_ih, b_ih)
    function = tanh if nonlinearity == "tanh" else relu
    h, outs = _Walk(hidden), []
    for size, rows in _steps(sizes, reverse):
        new = function(projected[rows] + _linear(h.rows(size), w_hh, b_hh))
        h.set(size, new)
        outs.append(new)
    return _in_order(outs, reverse), h.state
