"""One module on several devices; the CPU stands in for them."""

from __future__ import annotations

from typing import Any

import pytest

import dtorch
from dtorch import nn
from dtorch.nn import parallel


def test_without_devices_the_module_is_called_directly() -> None:
    net = nn.DataParallel(nn.Linear(2, 3))
    x = dtorch.randn(4, 2)
    assert (net(x) == net.module(x)).all()
    assert list(net.state_dict()) == ["module.weight", "module.bias"]


def test_shares_of_a_batch_give_the_same_output_and_gradients() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    x = dtorch.randn(5, 2)
    net(x).sum().backward()
    expected = net[0].weight.grad
    net.zero_grad()
    shared = nn.DataParallel(net, device_ids=["cpu", "cpu"])
    out = shared(x)
    assert (out - net(x)).abs().max() < 1e-6
    out.sum().backward()
    assert (net[0].weight.grad - expected).abs().max() < 1e-5


def test_scatter_cuts_nested_inputs_and_gather_joins_them() -> None:
    parts = parallel.scatter({"x": dtorch.arange(5), "k": (1, "a")}, ["cpu", "cpu"])
    assert [p["x"].tolist() for p in parts] == [[0, 1, 2], [3, 4]]
    assert parts[0]["k"] == (1, "a")
    joined = parallel.gather([{"x": p["x"]} for p in parts], -1)
    assert joined["x"].tolist() == [0, 1, 2, 3, 4]
    with pytest.warns(UserWarning, match="stacked"):
        assert parallel.gather([dtorch.tensor(1.0)] * 2, "cpu").tolist() == [1.0, 1.0]


def test_first_failure_is_raised() -> None:
    class Fails(nn.Module):
        def forward(self, x: Any) -> Any:
            raise ValueError(f"no {x.item()}")

    with pytest.raises(ValueError, match="no 1"):
        parallel.parallel_apply([Fails(), Fails()], [dtorch.tensor(1), dtorch.tensor(1)])


def test_threads_cast_as_the_calling_one() -> None:
    shared = nn.DataParallel(nn.Linear(2, 3), device_ids=["cpu", "cpu"])
    with dtorch.autocast("cpu"):
        out = shared(dtorch.randn(4, 2))
    assert out.dtype is dtorch.bfloat16
    assert shared(dtorch.randn(4, 2)).dtype is dtorch.float32
