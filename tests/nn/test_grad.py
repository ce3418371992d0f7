"""Gradients of convolutions by themselves are those that backward gives."""

from __future__ import annotations

from typing import Any

import pytest

import dtorch
from dtorch.nn import functional, grad


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    "geometry",
    [{}, {"stride": 2, "padding": 1}, {"dilation": 2, "groups": 2}, {"stride": 3, "padding": 2}],
    ids=str,
)
def test_gradients_equal_those_of_backward(dims: int, geometry: dict[str, Any]) -> None:
    dtorch.manual_seed(0)
    groups = geometry.get("groups", 1)
    input = dtorch.randn(2, 4, *(7,) * dims, dtype=dtorch.float64, requires_grad=True)
    weight = dtorch.randn(6, 4 // groups, *(2,) * dims, dtype=dtorch.float64, requires_grad=True)
    out = getattr(functional, f"conv{dims}d")(input, weight, **geometry)
    by_out = dtorch.randn_like(out)
    out.backward(by_out)
    of_input = getattr(grad, f"conv{dims}d_input")(input.shape, weight, by_out, **geometry)
    of_weight = getattr(functional.grad, f"conv{dims}d_weight")(
        input, weight.shape, by_out, **geometry
    )
    dtorch.testing.assert_close(of_input, input.grad)
    dtorch.testing.assert_close(of_weight, weight.grad)


def test_sizes_are_needed_and_checked() -> None:
    ones = dtorch.ones(1, 1, 2)
    with pytest.raises(TypeError, match="input_size is None"):
        grad.conv1d_input(None, ones, ones)
    with pytest.raises(ValueError, match="expected 3 sizes"):
        grad.conv1d_weight(ones, (2,), ones)
