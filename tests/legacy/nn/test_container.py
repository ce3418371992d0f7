"""What is particular to containers."""

from __future__ import annotations

import pytest

import dtorch
from dtorch.legacy import nn


def test_layers_are_inserted_and_removed():
    net = nn.Sequential(nn.Abs()).add(nn.Square())
    net.insert(nn.Exp(), 1)
    assert [type(m) for m in net.modules] == [nn.Abs, nn.Exp, nn.Square]
    net.remove()
    net.remove(0)
    assert len(net) == net.size() == 1
    assert bool(nn.Sequential())
    with pytest.raises(IndexError, match="index is 3"):
        net.insert(nn.Exp(), 3)
    with pytest.raises(IndexError, match="index is 1"):
        net.remove(1)


def test_parts_without_a_layer_are_refused():
    both = nn.ParallelTable().add(nn.Identity())
    with pytest.raises(ValueError, match="table of 2, expected a list of 1"):
        both.forward([dtorch.ones(1)] * 2)
    with pytest.raises(ValueError, match="table of Tensor"):
        both.forward(dtorch.ones(1))
    with pytest.raises(ValueError, match="3 slices along dim 1"):
        nn.Parallel(1, 0).add(nn.Identity()).forward(dtorch.ones(2, 3))
    with pytest.raises(ValueError, match="2 layers, expected 1"):
        nn.Sequential(nn.Mul()).share(nn.Sequential(nn.Mul(), nn.Mul()), "weight")


def test_parameters_of_all_layers_are_reset_shared_and_updated():
    first, second = (nn.Concat(0).add(nn.Mul()).add(nn.Add(1)) for _ in range(2))
    second.share(first, "weight", "bias")
    first.reset(2)
    one = dtorch.ones(1)
    assert second.forward(one).equal(first.forward(one))
    first.zeroGradParameters()
    first.backward(one, dtorch.ones(2))
    before = second.forward(one)
    first.updateParameters(0.5)
    assert (before - second.forward(one)).tolist() == pytest.approx([0.5, 0.5])
    first.backwardUpdate(one, dtorch.ones(2), 0.5)
    assert (before - second.forward(one)).tolist() == pytest.approx([1, 1])
    nested = nn.Sequential(first)
    nested.forward(one)
    nested.backwardUpdate(one, dtorch.ones(2), -1)
    assert second.forward(one).tolist() == pytest.approx(before.tolist())
    assert nn.Sequential(nn.Abs()).parameters() is None


def test_a_branch_without_a_gradient_of_its_input_counts_as_zero():
    both, one = nn.ConcatTable().add(nn.Mul()).add(nn.Square()), dtorch.ones(1)
    both.get(0).gradInput = None
    both.forward(one)
    assert both.backward(one, [one, one]).tolist() == [2]


def test_trees_are_shown():
    net = nn.Sequential(nn.Linear(2, 3), nn.Concat(0).add(nn.Linear(3, 1, False)))
    assert repr(net) == (
        "nn.Sequential {\n"
        "  [input -> (0) -> (1) -> output]\n"
        "  (0): nn.Linear(2 -> 3)\n"
        "  (1): nn.Concat {\n"
        "    (0): nn.Linear(3 -> 1) without bias\n"
        "  }\n"
        "}"
    )
    assert [repr(layer) for layer in (
        nn.SpatialConvolution(1, 2, 3, 4), nn.TemporalConvolution(1, 2, 3), nn.View(2, -1),
        nn.Reshape(2, 3), nn.Dropout(0.25), nn.Tanh(),
    )] == [
        "nn.SpatialConvolution(1 -> 2, 3x4)", "nn.TemporalConvolution(1 -> 2, 3)", "nn.View(2, -1)",
        "nn.Reshape(2, 3)", "nn.Dropout(0.2500)", "nn.Tanh",
    ]  # fmt: skip
