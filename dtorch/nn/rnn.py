"""Recurrent layers and cells."""

from __future__ import annotations

import math
import warnings
from typing import Any

from dtorch.core.creation import empty
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.functions import cat, dropout, index_select, stack
from dtorch.core.ops.recurrent import gru, lstm, lstm_cell, rnn
from dtorch.core.parameter import Parameter
from dtorch.core.tensor import Tensor
from dtorch.nn.init import uniform_
from dtorch.nn.module import Module
from dtorch.nn.utils.rnn import PackedSequence

__all__ = ["GRU", "LSTM", "RNN", "GRUCell", "LSTMCell", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class RNNBase(Module):
    """What recurrent layers share: weights, states, packed and unbatched input.

    Attributes:
        weight_ih_l{k}: ``(gates * hidden_size, input size)``, for the input of layer k; with
            ``_reverse`` for the backward direction.
        weight_hh_l{k}: ``(gates * hidden_size, hidden_size)``, for the state.
        bias_ih_l{k}, bias_hh_l{k}: ``(gates * hidden_size,)``.
        weight_hr_l{k}: ``(proj_size, hidden_size)``, if there is a projection.

    All are uniform in ±1/sqrt(hidden_size).

    Example:
        >>> layer = RNNBase("GRU", 4, 3)
        >>> tuple(layer.weight_ih_l0.shape), tuple(layer.weight_hh_l0.shape)
        ((9, 4), (9, 3))
    """

    proj_size = 0  # in files of before 1.8

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        name = type(self).__name__
        if mode not in _GATES:
            raise ArgumentError(f"{name}: mode is {mode!r}, expected one of {', '.join(_GATES)}")
        if not isinstance(hidden_size, int):
            raise TypeError(f"{name}: hidden_size is {hidden_size!r}, expected an int")
        if hidden_size < 1 or num_layers < 1:
            raise ArgumentError(
                f"{name}: hidden_size is {hidden_size}, num_layers {num_layers}; expected ints of "
                "at least 1"
            )
        if isinstance(dropout, bool) or not 0 <= dropout <= 1:
            raise ArgumentError(f"{name}: dropout is {dropout}, expected a probability")
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                f"{name}: dropout acts between layers, and there is one layer only", stacklevel=3
            )
        if proj_size and (mode != "LSTM" or not 0 < proj_size < hidden_size):
            raise ArgumentError(
                f"{name}: proj_size is {proj_size}, expected 0, or for an LSTM a number below "
                f"hidden_size {hidden_size}"
            )
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._all_weights: list[list[str]] = []
        self._make_weights({"device": device, "dtype": dtype})
        self.reset_parameters()

    def _make_weights(self, made: dict[str, Any]) -> None:
        rows = _GATES[self.mode] * self.hidden_size
        state = self.proj_size or self.hidden_size
        directions = ("", "_reverse") if self.bidirectional else ("",)
        for layer in range(self.num_layers):
            width = self.input_size if layer == 0 else state * len(directions)
            for suffix in directions:
                shapes: dict[str, tuple[int, ...]] = {
                    "weight_ih": (rows, width),
                    "weight_hh": (rows, state),
                }
                if self.bias:
                    shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
                if self.proj_size:
                    shapes["weight_hr"] = (self.proj_size, self.hidden_size)
                names = []
                for kind, shape in shapes.items():
                    names.append(f"{kind}_l{layer}{suffix}")
                    self.register_parameter(names[-1], Parameter(empty(shape, **made)))
                self._all_weights.append(names)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        bound = 1 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            uniform_(parameter, -bound, bound)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [weight for weights in self.all_weights for weight in weights]

    def flatten_parameters(self) -> None:
        """Nothing to do; there for scripts that call it."""

    # -- forward --------------------------------------------------------------------------------

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Outputs of all steps, and the last state.

        Args:
            input: ``(T, N, input_size)``, with ``batch_first`` ``(N, T, input_size)``; without
                batch ``(T, input_size)``; or a PackedSequence.
            hx: state before the first step, ``(num_layers * directions, N, hidden_size)``; a pair
                of them for an LSTM. Default: zeros.
        Returns: outputs, as the input but with ``directions * hidden_size`` features (packed if the
            input is), and the state after the last step.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        shape = tuple(input.shape)
        if len(shape) not in (2, 3) or shape[-1] != self.input_size:
            raise ShapeError(
                f"{type(self).__name__}: input has shape {shape}, expected 3 dimensions, or 2 "
                f"without batch, the last of input_size {self.input_size}"
            )
        batched = len(shape) == 3
        if not batched:
            input = input.unsqueeze(1)
        elif self.batch_first:
            input = input.transpose(0, 1)
        steps, n, width = input.shape
        if not steps:
            raise ShapeError(f"{type(self).__name__}: input has shape {shape}, expected some steps")
        states = self._states(hx, n, batched, input)
        flat, last = self._run(input.reshape((steps * n, width)), states, (n,) * steps)
        out = flat.reshape((steps, n, flat.shape[1]))
        if not batched:
            return out.squeeze(1), _for_each(last, lambda h: h.squeeze(1))
        return (out.transpose(0, 1) if self.batch_first else out), last

    def _forward_packed(self, input: PackedSequence, hx: Any) -> Any:
        data, batch_sizes, order, back = input
        if data.ndim != 2 or data.shape[1] != self.input_size:
            raise ShapeError(
                f"{type(self).__name__}: packed data have shape {tuple(data.shape)}, expected "
                f"(elements, {self.input_size})"
            )
        sizes = tuple(batch_sizes.array.tolist())
        states = self._states(hx, sizes[0], True, data)
        if order is not None and hx is not None:
            states = [index_select(h, 1, order) for h in states]
        flat, last = self._run(data, states, sizes)
        if back is not None:
            last = _for_each(last, lambda h: index_select(h, 1, back))
        return PackedSequence(flat, batch_sizes, order, back), last

    def _states(self, hx: Any, n: int, batched: bool, input: Tensor) -> list[Any]:
        """The states before the first step, checked, with a batch dimension."""
        name = type(self).__name__
        layers = self.num_layers * (2 if self.bidirectional else 1)
        shapes = [(layers, n, self.proj_size or self.hidden_size)]
        if self.mode == "LSTM":
            shapes.append((layers, n, self.hidden_size))
        if hx is None:
            return [input.new_zeros(shape) for shape in shapes]
        given = list(hx) if self.mode == "LSTM" and isinstance(hx, (tuple, list)) else [hx]
        if len(given) != len(shapes):
            raise ShapeError(f"{name}: hx are {len(given)} tensors, expected {len(shapes)}")
        found = []
        for h, shape in zip(given, shapes, strict=True):
            expected = shape if batched else (shape[0], shape[2])
            if tuple(h.shape) != expected:
                raise ShapeError(
                    f"{name}: the state has shape {tuple(h.shape)}, expected {expected}"
                )
            found.append(h if batched else h.unsqueeze(1))
        return found

    def _run(self, flat: Any, states: list[Any], sizes: tuple[int, ...]) -> tuple[Any, Any]:
        # By attribute: weight norm and the like put something else in a parameter's place.
        weights = [[getattr(self, name) for name in names] for names in self._all_weights]
        return run_layers(
            self.mode, flat, states, weights, sizes, 2 if self.bidirectional else 1,
            self.dropout if self.training else 0.0,
        )  # fmt: skip

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if not self.bias:
            text += ", bias=False"
        if self.batch_first:
            text += ", batch_first=True"
        if self.dropout:
            text += f", dropout={self.dropout}"
        if self.bidirectional:
            text += ", bidirectional=True"
        return text


def run_layers(
    mode: str, flat: Any, states: list[Any], weights: list[list[Any]], sizes: tuple[int, ...],
    directions: int, dropped: float,
) -> tuple[Any, Any]:  # fmt: skip
    """The outputs of a network of given weights, and its last states.

    Args:
        mode: kind of the network, as of `RNNBase`.
        flat: the elements of all steps, ``(sum of sizes, features)``.
        states: before the first step, ``(num_layers * directions, N, hidden_size)`` each.
        weights: of each layer and direction, in the order of `RNNBase`.
        sizes: elements of each step.
        dropped: probability of dropout between layers.
    """
    last: list[list[Any]] = [[] for _ in states]
    for layer in range(len(weights) // directions):
        outs = []
        for direction in range(directions):
            k = layer * directions + direction
            out, *ends = _layer(
                mode, flat, [s[k] for s in states], weights[k], sizes, direction == 1
            )
            outs.append(out)
            for collected, end in zip(last, ends, strict=True):
                collected.append(end)
        flat = outs[0] if directions == 1 else cat(outs, 1)
        if dropped and k + 1 < len(weights):
            flat = dropout(flat, dropped)
    stacked = [stack(ends, 0) for ends in last]
    return flat, tuple(stacked) if mode == "LSTM" else stacked[0]


def _layer(
    mode: str, flat: Any, states: list[Any], weights: list[Any], sizes: tuple[int, ...],
    reverse: bool,
) -> Any:  # fmt: skip
    w_ih, w_hh = weights[:2]
    b_ih, b_hh = weights[2:4] if len(weights) > 3 else (None, None)
    if mode == "LSTM":
        w_hr = weights[-1] if len(weights) % 2 else None
        return lstm(flat, *states, w_ih, w_hh, b_ih, b_hh, w_hr, sizes, reverse)
    if mode == "GRU":
        return gru(flat, *states, w_ih, w_hh, b_ih, b_hh, sizes, reverse)
    kind = "tanh" if mode == "RNN_TANH" else "relu"
    return rnn(flat, *states, w_ih, w_hh, b_ih, b_hh, sizes, reverse, kind)


def _for_each(states: Any, change: Any) -> Any:
    return tuple(map(change, states)) if isinstance(states, tuple) else change(states)


class RNN(RNNBase):
    """Plain recurrent network: ``h' = f(W x + b + U h + b')``.

    Args:
        input_size, hidden_size: features of input and state.
        num_layers: layers, each fed with the outputs of the one before.
        nonlinearity: f, ``"tanh"`` or ``"relu"``.
        bias: whether there are biases.
        batch_first: input and output are ``(N, T, features)``.
        dropout: probability of `Dropout` between layers.
        bidirectional: a second network runs from the end to the beginning.

    Shape: input ``(T, N, input_size)``, packed, or ``(T, input_size)``; output ``(T, N, directions *
    hidden_size)``; states ``(num_layers * directions, N, hidden_size)``.

    Raises:
        ValueError: an unknown ``nonlinearity``, a size below 1, or ``dropout`` outside 0 to 1.

    Example:
        >>> import dtorch
        >>> out, h = RNN(4, 3)(dtorch.ones(5, 2, 4))
        >>> tuple(out.shape), tuple(h.shape)
        ((5, 2, 3), (1, 2, 3))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, nonlinearity: str = "tanh",
        bias: bool = True, batch_first: bool = False, dropout: float = 0.0,
        bidirectional: bool = False, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(f"RNN: nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'")
        super().__init__(
            f"RNN_{nonlinearity.upper()}", input_size, hidden_size, num_layers, bias, batch_first,
            dropout, bidirectional, 0, device, dtype,
        )  # fmt: skip
        self.nonlinearity = nonlinearity


class LSTM(RNNBase):
    """Long short-term memory; gates in the order i, f, g, o. Arguments as `RNN`.

    Args:
        proj_size: size to which the hidden state is projected; 0 for no projection.

    Reference: Hochreiter and Schmidhuber 1997, "Long short-term memory"; Sak et al. 2014,
    arXiv:1402.1128 (projection).

    Example:
        >>> import dtorch
        >>> out, (h, c) = LSTM(4, 3, num_layers=2, batch_first=True)(dtorch.ones(2, 5, 4))
        >>> tuple(out.shape), tuple(h.shape), tuple(c.shape)
        ((2, 5, 3), (2, 2, 3), (2, 2, 3))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        proj_size: int = 0, device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "LSTM", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            proj_size, device, dtype,
        )  # fmt: skip


class GRU(RNNBase):
    """Gated recurrent units; gates in the order r, z, n. Arguments as `RNN`.

    Reference: Cho et al. 2014, arXiv:1406.1078.

    Example:
        >>> import dtorch
        >>> out, h = GRU(4, 3, bidirectional=True)(dtorch.ones(5, 2, 4))
        >>> tuple(out.shape), tuple(h.shape)
        ((5, 2, 6), (2, 2, 3))
    """

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(
            "GRU", input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional,
            0, device, dtype,
        )  # fmt: skip


class RNNCellBase(Module):
    """What the cells share: the weights of one step."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool, num_chunks: int, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        made = {"device": device, "dtype": dtype}
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(empty(rows, input_size, **made))
        self.weight_hh = Parameter(empty(rows, hidden_size, **made))
        self.register_parameter("bias_ih", Parameter(empty(rows, **made)) if bias else None)
        self.register_parameter("bias_hh", Parameter(empty(rows, **made)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size else 0.0
        for parameter in self.parameters():
            uniform_(parameter, -bound, bound)

    def _prepared(self, input: Any, states: list[Any]) -> tuple[Any, list[Any], bool]:
        """Input and states as ``(N, features)``, and whether they came so."""
        name, shape = type(self).__name__, tuple(input.shape)
        if len(shape) not in (1, 2) or shape[-1] != self.input_size:
            raise ShapeError(
                f"{name}: input has shape {shape}, expected (N, {self.input_size}) or "
                f"({self.input_size},)"
            )
        batched = len(shape) == 2
        expected = (*shape[:-1], self.hidden_size)
        found = []
        for h in states:
            if h is None:
                h = input.new_zeros(expected)
            elif tuple(h.shape) != expected:
                raise ShapeError(
                    f"{name}: the state has shape {tuple(h.shape)}, expected {expected}"
                )
            found.append(h if batched else h.unsqueeze(0))
        return input if batched else input.unsqueeze(0), found, batched

    def _weights(self) -> tuple[Any, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += ", bias=False"
        return text


class RNNCell(RNNCellBase):
    """One step of an `RNN`: ``(N, input_size)`` and state ``(N, hidden_size)`` to a new state.

    Shape: input ``(N, input_size)`` or ``(input_size,)``; state and output likewise.

    Example:
        >>> import dtorch
        >>> tuple(RNNCell(4, 3)(dtorch.ones(2, 4)).shape)
        (2, 3)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if nonlinearity not in ("tanh", "relu"):
            raise ArgumentError(
                f"RNNCell: nonlinearity is {nonlinearity!r}, expected 'tanh' or 'relu'"
            )
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Any:
        x, states, batched = self._prepared(input, [hx])
        _, h = rnn(
            x, *states, *self._weights(), (x.shape[0],), False, self.nonlinearity
        )  # fmt: skip
        return h if batched else h.squeeze(0)

    def extra_repr(self) -> str:
        text = super().extra_repr()
        return text if self.nonlinearity == "tanh" else f"{text}, nonlinearity={self.nonlinearity}"


class LSTMCell(RNNCellBase):
    """One step of an `LSTM`; the state is a pair of hidden and cell state.

    Shape: as `RNNCell`; the state is a pair.

    Example:
        >>> import dtorch
        >>> h, c = LSTMCell(4, 3)(dtorch.ones(2, 4))
        >>> tuple(h.shape), tuple(c.shape)
        ((2, 3), (2, 3))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        x, states, batched = self._prepared(input, [None, None] if hx is None else list(hx))
        h, c = lstm_cell(x, *states, *self._weights())
        return (h, c) if batched else (h.squeeze(0), c.squeeze(0))


class GRUCell(RNNCellBase):
    """One step of a `GRU`.

    Shape: as `RNNCell`.

    Example:
        >>> import dtorch
        >>> tuple(GRUCell(4, 3)(dtorch.ones(2, 4)).shape)
        (2, 3)
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None,
        dtype: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Any:
        x, states, batched = self._prepared(input, [hx])
        _, h = gru(x, *states, *self._weights(), (x.shape[0],), False)
        return h if batched else h.squeeze(0)
