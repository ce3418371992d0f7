"""Recurrent layers: packed and unbatched sequences, states, derivatives, errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn
from dtorch.autograd import grad
from dtorch.nn.utils import rnn as packing

LAYERS = [nn.RNN, nn.LSTM, nn.GRU]


def sequences() -> list[Any]:
    return [dtorch.randn(n, 3) for n in (2, 5, 3)]


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_packed_sequences_equal_each_by_itself(layer: Any, bidirectional: bool) -> None:
    net = layer(3, 4, 2, bidirectional=bidirectional)
    parts = sequences()
    out, last = net(packing.pack_sequence(parts, enforce_sorted=False))
    padded, lengths = packing.pad_packed_sequence(out)
    assert lengths.tolist() == [2, 5, 3]
    hidden = last[0] if layer is nn.LSTM else last
    for i, part in enumerate(parts):
        alone, ends = net(part)
        np.testing.assert_allclose(
            padded[: len(part), i].detach().numpy(), alone.detach().numpy(), atol=1e-6
        )
        end = ends[0] if layer is nn.LSTM else ends
        np.testing.assert_allclose(hidden[:, i].detach().numpy(), end.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_given_state_goes_with_its_sequence(layer: Any) -> None:
    net = layer(3, 4)
    parts = sequences()
    h = dtorch.randn(1, 3, 4)
    hx = (h, h * 2) if layer is nn.LSTM else h
    out, _ = net(packing.pack_sequence(parts, enforce_sorted=False), hx)
    padded, _ = packing.pad_packed_sequence(out)
    one = (h[:, 1], h[:, 1] * 2) if layer is nn.LSTM else h[:, 1]
    alone, _ = net(parts[1], one)
    np.testing.assert_allclose(padded[:5, 1].detach().numpy(), alone.detach().numpy(), atol=1e-6)


@pytest.mark.parametrize("layer", LAYERS)
def test_cell_equals_one_step_of_the_layer(layer: Any) -> None:
    net = layer(3, 4)
    cell = getattr(nn, f"{layer.__name__}Cell")(3, 4)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in net.state_dict().items()})
    x = dtorch.randn(2, 3)
    out, _ = net(x.unsqueeze(0))
    new = cell(x)
    new = new[0] if layer is nn.LSTM else new
    np.testing.assert_allclose(out[0].detach().numpy(), new.detach().numpy(), atol=1e-6)


def flat_gradients(net: Any, x: Any, create_graph: bool) -> list[Any]:
    out, last = net(x)
    ends = last if isinstance(last, tuple) else (last,)
    total = (out * out).sum() + sum((e**3).sum() for e in ends)
    return list(grad(total, [x, *net.parameters()], create_graph=create_graph))


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.RNN(2, 3, nonlinearity="tanh"),
        lambda: nn.LSTM(2, 3, bidirectional=True),
        lambda: nn.LSTM(2, 3, proj_size=2),
        lambda: nn.GRU(2, 3),
    ],
)
def test_recorded_gradients_equal_the_fused_ones_and_can_be_differentiated(make: Any) -> None:
    net = make().double()
    x = dtorch.randn(3, 2, 2, dtype=dtorch.float64).requires_grad_()
    fused = flat_gradients(net, x, False)
    recorded = flat_gradients(net, x, True)
    for a, b in zip(fused, recorded, strict=True):
        np.testing.assert_allclose(a.numpy(), b.detach().numpy(), atol=1e-10)
    (second,) = grad(sum((g * g).sum() for g in recorded), [x])
    eps, place = 1e-6, (1, 0, 1)

    def slope() -> float:
        return float(sum((g * g).sum() for g in flat_gradients(net, x, False)))

    x.data[place] += eps
    up = slope()
    x.data[place] -= 2 * eps
    down = slope()
    x.data[place] += eps
    assert float(second[place]) == pytest.approx((up - down) / (2 * eps), rel=1e-4)


@pytest.mark.parametrize(
    "make", [lambda: nn.LSTM(2, 3), lambda: nn.GRU(2, 3), lambda: nn.RNN(2, 3)]
)
def test_gradients_equal_finite_differences(make: Any) -> None:
    net = make().double()
    x = dtorch.randn(3, 2, 2, dtype=dtorch.float64)

    def total() -> Any:
        return (net(x)[0] ** 2).sum()

    total().backward()
    for p in net.parameters():
        place = tuple(n - 1 for n in p.shape)
        eps = 1e-6
        p.data[place] += eps
        up = float(total())
        p.data[place] -= 2 * eps
        down = float(total())
        p.data[place] += eps
        assert float(p.grad[place]) == pytest.approx((up - down) / (2 * eps), rel=1e-5, abs=1e-8)


def test_wrong_sizes_are_runtime_errors() -> None:
    net = nn.LSTM(3, 4)
    with pytest.raises(RuntimeError, match="input_size 3"):
        net(dtorch.zeros(5, 2, 2))
    with pytest.raises(RuntimeError, match=r"\(1, 2, 4\)"):
        net(dtorch.zeros(5, 2, 3), (dtorch.zeros(1, 3, 4), dtorch.zeros(1, 3, 4)))
    with pytest.raises(ValueError, match="proj_size"):
        nn.LSTM(3, 4, proj_size=4)
    with pytest.warns(UserWarning, match="dropout"):
        nn.GRU(3, 4, dropout=0.5)


def test_dropout_acts_between_layers_only() -> None:
    net = nn.GRU(3, 4, 2, dropout=1.0)
    out, _ = net(dtorch.randn(5, 2, 3))
    assert out.any()  # the second layer sees zeros, its output is not dropped


def test_packing_needs_lengths_in_order() -> None:
    padded = dtorch.zeros(5, 2, 1)
    with pytest.raises(ValueError, match="enforce_sorted=False"):
        packing.pack_padded_sequence(padded, [3, 5])
    with pytest.raises(ValueError, match="at least 1"):
        packing.pack_padded_sequence(padded, [5, 0])
    with pytest.raises(RuntimeError, match="lengths"):
        packing.pack_padded_sequence(padded, [5])


def test_padding_and_packing_undo_each_other() -> None:
    parts = sequences()
    padded = packing.pad_sequence(parts, batch_first=True, padding_value=-1.0)
    assert tuple(padded.shape) == (3, 5, 3)
    assert (padded[0, 2:] == -1).all()
    packed = packing.pack_padded_sequence(padded, [2, 5, 3], batch_first=True, enforce_sorted=False)
    assert packed.batch_sizes.tolist() == [3, 3, 2, 1, 1]
    again, lengths = packing.pad_packed_sequence(packed, batch_first=True, padding_value=-1.0)
    assert (again == padded).all()
    for a, b in zip(packing.unpad_sequence(again, lengths, batch_first=True), parts, strict=True):
        assert (a == b).all()
    left = packing.pad_sequence(parts, padding_side="left")
    assert (left[-1, 0] == parts[0][-1]).all()


def test_packed_sequences_convert_as_tensors_do() -> None:
    packed = packing.pack_sequence([dtorch.ones(3), dtorch.ones(2)])
    for name in ("float", "double", "half", "long", "int", "short", "char", "byte"):
        assert getattr(packed, name)().data.dtype is getattr(dtorch.ones(1), name)().dtype
    assert packed.is_pinned() is False
    assert (
        packing.PackedSequence((packed.data, packed.batch_sizes)).batch_sizes is packed.batch_sizes
    )
    with pytest.raises(RuntimeError, match="empty"):
        packing.pack_padded_sequence(dtorch.empty(0, 0), [])
