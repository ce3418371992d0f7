"""Layers and criteria as Torch7's files have them: attributes of Lua's, places from 1."""

from __future__ import annotations

from typing import Any

import pytest

import dtorch
from dtorch.legacy import nn
from dtorch.nn import functional as F  # noqa: N812 - everybody calls it so
from dtorch.utils.serialization.lua_modules import module_of


def x(*size: int) -> Any:
    return dtorch.randn(*size)


def sizes(*values: int) -> Any:
    return dtorch.LongStorage(list(values))


def test_a_network_computes_and_trains():
    weight, bias, filters = x(2, 8), x(2), x(1, 9)
    net = module_of("nn.Sequential", {"modules": [
        module_of("nn.SpatialConvolutionMM", {
            "weight": filters, "bias": dtorch.zeros(1), "gradWeight": filters * 0,
            "gradBias": dtorch.zeros(1), "kW": 3, "kH": 3, "dW": 1, "dH": 1, "padW": 0, "padH": 0,
            "nInputPlane": 1, "nOutputPlane": 1, "_type": "torch.CudaTensor"}),
        module_of("cudnn.ReLU", {"inplace": True, "mode": "CUDNN_ACTIVATION_RELU"}),
        module_of("nn.View", {"size": sizes(8), "numElements": 8}),
        module_of("nn.Dropout", {"p": 0.25, "train": False, "v2": False, "noise": x(0)}),
        module_of("nn.Linear", {"weight": weight, "bias": bias, "gradWeight": weight * 0,
                                "gradBias": bias * 0, "gradInput": x(0), "output": x(0)}),
    ], "train": False})  # fmt: skip
    given = x(5, 1, 4, 6)
    hidden = F.conv2d(given, filters.view(1, 1, 3, 3)).relu().view(5, 8) * 0.75
    assert dtorch.allclose(net.forward(given), hidden @ weight.t() + bias, atol=1e-5)
    assert type(net.get(0)) is nn.SpatialConvolution
    assert net.get(0).type() == "dtorch.FloatTensor"
    net.backward(given, dtorch.ones(5, 2))
    assert net.get(4).gradBias.tolist() == [5, 5]
    assert net.double().forward(given.double()).dtype is dtorch.float64


@pytest.mark.parametrize(
    ("name", "attributes", "given", "expected"),
    [
        ("nn.JoinTable", {"dimension": 1, "nInputDims": 2}, lambda: [x(4, 2, 3), x(4, 5, 3)],
         lambda i: dtorch.cat(i, 1)),
        ("nn.SplitTable", {"dimension": 2}, lambda: x(4, 2), lambda i: [i[:, 0], i[:, 1]]),
        ("nn.Select", {"dimension": 2, "index": 1}, lambda: x(4, 2), lambda i: i[:, 0]),
        ("nn.Select", {"dimension": 2, "index": -1}, lambda: x(4, 2), lambda i: i[:, 1]),
        ("nn.Narrow", {"dimension": 1, "index": 2, "length": -1}, lambda: x(4), lambda i: i[1:]),
        ("nn.SelectTable", {"index": 2}, lambda: [x(1), x(2)], lambda i: i[1]),
        ("nn.NarrowTable", {"offset": 2, "length": 1}, lambda: [x(1), x(2)], lambda i: i[1:]),
        ("nn.Padding", {"dim": 1, "pad": -1, "value": 0, "index": 1, "nInputDim": 1},
         lambda: x(2, 3), lambda i: F.pad(i, (1, 0))),
        ("nn.Transpose", {"permutations": [[1, 2]], "numInputDims": 2}, lambda: x(4, 2, 3),
         lambda i: i.mT),
        ("nn.Reshape", {"size": sizes(6), "batchsize": sizes(1, 6), "nelement": 6},
         lambda: x(4, 2, 3), lambda i: i.view(4, 6)),
        ("nn.View", {"size": sizes(-1), "numElements": 1, "numInputDims": 3},
         lambda: x(4, 2, 3, 2), lambda i: i.view(4, 12)),
        ("nn.Max", {"dimension": 1, "nInputDims": 1}, lambda: x(4, 2), lambda i: i.amax(1)),
        ("nn.Mean", {"dimension": 2}, lambda: x(4, 2), lambda i: i.mean(1)),
        ("nn.Replicate", {"nfeatures": 3, "dim": 1}, lambda: x(2), lambda i: i.expand(3, 2)),
        ("nn.Squeeze", {"numInputDims": 3}, lambda: x(1, 2), lambda i: i[0]),
        ("nn.Unsqueeze", {"pos": 1, "numInputDims": 1}, lambda: x(4, 2), lambda i: i.unsqueeze(1)),
        ("nn.Concat", {"dimension": 2, "modules": {}}, lambda: x(2), None),
        ("nn.SoftShrink", {"lambda": 0.5}, lambda: x(4), lambda i: F.softshrink(i, 0.5)),
        ("nn.Normalize", {"p": 2, "eps": 1e-10}, lambda: x(4), lambda i: F.normalize(i, dim=0)),
        ("cudnn.SpatialMaxPooling", {"kW": 2, "kH": 2, "dW": 2, "dH": 2, "ceil_mode": True},
         lambda: x(1, 3, 3), lambda i: F.max_pool2d(i, 2, ceil_mode=True)),
        ("nn.SpatialAveragePooling", {"kW": 2, "kH": 2, "dW": 2, "dH": 2}, lambda: x(1, 4, 4),
         lambda i: F.avg_pool2d(i, 2)),
        ("cudnn.SpatialCrossMapLRN", {"size": 3, "alpha": 1, "beta": 0.5, "K": 2},
         lambda: x(2, 3, 1, 1), lambda i: F.local_response_norm(i, 3, 1, 0.5, 2)),
        ("cudnn.SpatialConvolution", {
            "weight": dtorch.ones(4, 1, 1, 1), "kW": 1, "kH": 1, "dW": 1, "dH": 1, "groups": 2,
            "nInputPlane": 2, "nOutputPlane": 4},
         lambda: x(2, 3, 3), lambda i: i.repeat_interleave(2, 0)),
        ("nn.SpatialConvolutionMap", {
            "weight": dtorch.ones(1, 1, 1), "bias": dtorch.zeros(2), "kW": 1, "kH": 1, "dW": 1,
            "dH": 1, "connTable": dtorch.tensor([[1.0, 2.0]]), "nInputPlane": 1, "nOutputPlane": 2},
         lambda: x(1, 2, 2), lambda i: dtorch.cat([i * 0, i])),
        ("nn.LookupTable", {"weight": dtorch.eye(2), "paddingValue": 0},
         lambda: dtorch.tensor([1, 0]), lambda i: dtorch.eye(2)[[1, 0]]),
        ("nn.BatchNormalization", {
            "running_mean": dtorch.ones(2), "running_std": dtorch.full((2,), 0.5), "eps": 0.0,
            "momentum": 0.1, "train": False},
         lambda: x(4, 2), lambda i: (i - 1) / 2),
    ],
)  # fmt: skip
def test_layers_of_lua_compute_what_they_did(name, attributes, given, expected):
    layer, given = module_of(name, attributes), given()
    if expected is None:
        assert layer.size() == 0
        assert layer.dimension == 1
        return
    found, wanted = layer.forward(given), expected(given)
    for a, b in zip(*([t] if dtorch.is_tensor(t) else t for t in (found, wanted)), strict=True):
        assert dtorch.allclose(a, b, atol=1e-6)


def test_attributes_that_cannot_be_are_damage():
    for attributes in (
        {"running_std": 0.0, "eps": 0.0},
        {"permutations": 3},
        {"paddingValue": "x"},
    ):
        with pytest.raises((TypeError, ArithmeticError)):
            module_of("nn.Linear", attributes)


def test_criteria_are_read_and_other_classes_are_not():
    criterion = module_of("nn.ClassNLLCriterion", {"sizeAverage": False, "output": 0.0})
    assert criterion.forward(dtorch.eye(2), dtorch.tensor([0, 1])) == -2
    assert module_of("nn.Bottle", {}) is None
    assert module_of("nn.utils", {}) is None
    assert module_of("nn.__class__", {}) is None
