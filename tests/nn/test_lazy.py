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
