"""Layers that take their sizes from the first input."""

from __future__ import annotations

from typing import Any

import pytest

import dtorch
from dtorch import nn


@pytest.mark.parametrize(
    ("lazy", "plain", "shape"),
    [
        (lambda: nn.LazyLinear(4), nn.Linear, (2, 3)),
        (lambda: nn.LazyConv2d(4, 3), nn.Conv2d, (2, 3, 5, 5)),
        (lambda: nn.LazyConvTranspose1d(4, 3), nn.ConvTranspose1d, (2, 3, 5)),
        (lambda: nn.LazyBatchNorm2d(), nn.BatchNorm2d, (2, 3, 5, 5)),
        (lambda: nn.LazyInstanceNorm1d(affine=True), nn.InstanceNorm1d, (2, 3, 5)),
    ],
)
def test_first_input_tells_the_sizes(lazy: Any, plain: type, shape: tuple[int, ...]) -> None:
    layer = lazy()
    parameters = list(layer.parameters())
    assert parameters
    assert all(isinstance(p, nn.UninitializedParameter) for p in parameters)
    out = layer(dtorch.randn(*shape))
    assert type(layer) is plain
    assert [id(p) for p in layer.parameters()] == [id(p) for p in parameters]
    assert all(type(p) is nn.Parameter for p in parameters)
    out.sum().backward()
    assert all(p.grad is not None for p in parameters)


def test_state_dict_tells_the_sizes_too() -> None:
    layer = nn.LazyLinear(4)
    layer.load_state_dict(nn.Linear(3, 4).state_dict())
    assert tuple(layer.weight.shape) == (4, 3)
    assert tuple(layer(dtorch.ones(2, 3)).shape) == (2, 4)


def test_parameters_have_the_dtype_asked_for() -> None:
    for layer, shape in ((nn.LazyLinear(4, dtype=dtorch.float64), (2, 3)),
                         (nn.LazyConv1d(4, 3, dtype=dtorch.float64), (2, 3, 5)),
                         (nn.LazyBatchNorm1d(dtype=dtorch.float64), (2, 3, 5))):  # fmt: skip
        layer(dtorch.ones(*shape, dtype=dtorch.float64))
        assert {p.dtype for p in layer.parameters()} == {dtorch.float64}


def test_lazy_instance_norms_are_affine_and_track_statistics() -> None:
    layer = nn.LazyInstanceNorm2d()
    assert (layer.affine, layer.track_running_stats) == (True, True)
    layer(dtorch.ones(2, 3, 4, 4))
    assert sorted(layer.state_dict()) == [
        "bias", "num_batches_tracked", "running_mean", "running_var", "weight",
    ]  # fmt: skip


def test_lazy_layers_take_arguments_by_position() -> None:
    assert nn.LazyBatchNorm1d(1e-3, 0.5, False).momentum == 0.5
    layer = nn.LazyConvTranspose1d(4, 3, 2, 1, 1, 2, False)
    assert (layer.stride, layer.output_padding, layer.groups, layer.bias) == ((2,), (1,), 2, None)


def test_a_parameter_that_requires_grad_does_not_become_an_integer() -> None:
    lazy = nn.UninitializedParameter()
    with pytest.raises(TypeError, match="requires grad"):
        lazy.materialize((2,), dtype=dtorch.int64)
    assert isinstance(lazy, nn.UninitializedParameter)
    lazy.materialize((2,), dtype=dtorch.float64)
    assert lazy.dtype is dtorch.float64
    counts = nn.UninitializedParameter(requires_grad=False)
    counts.materialize((2,), dtype=dtorch.int64)
    assert counts.dtype is dtorch.int64
