"""GradScaler: the factor of the loss, what it does to gradients and steps, and its state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch import nn, optim
from dtorch.amp import GradScaler
from dtorch.core.errors import ArgumentError, GradError

OPTIMIZERS = [
    "SGD", "Adam", "AdamW", "Adamax", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "Rprop",
    "ASGD", "Adafactor",
]  # fmt: skip


def parts() -> tuple[Any, Any]:
    weight = dtorch.ones(3, requires_grad=True)
    return weight, optim.SGD([weight], lr=0.5)


def backward(scaler: Any, weight: Any, factor: float = 1.0) -> None:
    scaler.scale((weight * factor).sum()).backward()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_are_those_without_scaling(name: str) -> None:
    results = []
    for enabled in (False, True):
        weight = dtorch.tensor([1.0, -2.0, 3.0], requires_grad=True)
        optimizer = getattr(optim, name)([weight], lr=0.1)
        scaler = GradScaler("cpu", init_scale=2.0**10, growth_interval=2, enabled=enabled)
        for _ in range(4):
            optimizer.zero_grad()
            scaler.scale(weight.square().sum()).backward()
            scaler.step(optimizer)
            scaler.update()
        results.append(weight.detach().numpy().copy())
    np.testing.assert_array_equal(*results)


def test_gradients_are_scaled_until_the_step() -> None:
    weight, optimizer = parts()
    scaler = GradScaler("cpu", init_scale=8.0)
    backward(scaler, weight)
    assert weight.grad.tolist() == [8.0] * 3
    scaler.unscale_(optimizer)
    assert weight.grad.tolist() == [1.0] * 3
    nn.utils.clip_grad_norm_([weight], 0.5)
    scaler.step(optimizer)
    scaler.update()
    np.testing.assert_allclose(weight.detach().numpy(), 1 - 0.5 * 0.5 / math.sqrt(3), rtol=1e-5)


@pytest.mark.parametrize("bad", [math.inf, math.nan])
def test_overflow_leaves_the_step_out_and_shrinks_the_factor(bad: float) -> None:
    weight, optimizer = parts()
    scaler = GradScaler("cpu", init_scale=8.0, growth_interval=2)
    backward(scaler, weight)
    scaler.step(optimizer)
    scaler.update()
    after = weight.tolist()
    weight.grad = None
    backward(scaler, weight, bad)
    assert scaler.step(optimizer) is None
    scaler.update()
    assert weight.tolist() == after
    assert scaler.get_scale() == 4.0
    assert scaler.state_dict()["_growth_tracker"] == 0


def test_factor_grows_after_the_interval() -> None:
    weight, optimizer = parts()
    scaler = GradScaler("cpu", init_scale=4.0, growth_interval=2, growth_factor=3.0)
    scales = []
    for _ in range(4):
        backward(scaler, weight)
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    assert scales == [4.0, 12.0, 12.0, 36.0]


def test_factor_does_not_grow_beyond_single_precision() -> None:
    weight, optimizer = parts()
    scaler = GradScaler("cpu", init_scale=2.0**127, growth_interval=1)
    backward(scaler, weight, 1e-3)
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0**127


def test_update_takes_a_new_factor() -> None:
    weight, _ = parts()
    scaler = GradScaler("cpu")
    backward(scaler, weight)
    scaler.update(16.0)
    assert scaler.get_scale() == 16.0
    scaler.update(dtorch.tensor(2.0))
    assert scaler.get_scale() == 2.0


def test_several_losses_are_scaled_at_once() -> None:
    scaler = GradScaler("cpu", init_scale=2.0)
    found = scaler.scale([dtorch.ones(1), (dtorch.ones(2), dtorch.ones(()))])
    assert [type(found), type(found[1])] == [list, tuple]
    assert found[1][0].tolist() == [2.0, 2.0]
    assert scaler.scale(dtorch.ones((), dtype=dtorch.float16)).dtype is dtorch.float32


def test_sparse_gradients_are_unscaled() -> None:
    table = nn.Embedding(5, 2, sparse=True)
    optimizer = optim.SparseAdam(table.parameters())
    scaler = GradScaler("cpu", init_scale=8.0)
    scaler.scale(table(dtorch.tensor([1, 1, 3])).sum()).backward()
    scaler.unscale_(optimizer)
    assert table.weight.grad.to_dense().sum(1).tolist() == [0.0, 4.0, 0.0, 2.0, 0.0]
    scaler.step(optimizer)
    scaler.update()


def test_several_optimizers_share_one_factor() -> None:
    (a, first), (b, second) = parts(), parts()
    scaler = GradScaler("cpu", init_scale=8.0)
    backward(scaler, a)
    backward(scaler, b, math.inf)
    scaler.step(first)
    scaler.step(second)
    scaler.update()
    assert (a.tolist(), b.tolist()) == ([0.5] * 3, [1.0] * 3)
    assert scaler.get_scale() == 4.0


def test_calls_out_of_order_are_refused() -> None:
    weight, optimizer = parts()
    scaler = GradScaler("cpu")
    for call in (
        lambda: scaler.step(optimizer),
        lambda: scaler.unscale_(optimizer),
        scaler.update,
    ):
        with pytest.raises(GradError, match="nothing was scaled"):
            call()
    backward(scaler, weight)
    with pytest.raises(GradError, match="since the last update"):
        scaler.update()
    scaler.unscale_(optimizer)
    with pytest.raises(GradError, match=r"unscale_\(\) was already called"):
        scaler.unscale_(optimizer)
    scaler.step(optimizer)
    with pytest.raises(GradError, match=r"step\(\) was already called"):
        scaler.step(optimizer)
    with pytest.raises(GradError, match=r"step\(\) was already called"):
        scaler.unscale_(optimizer)
    with pytest.raises(ArgumentError, match="closure"):
        scaler.step(optimizer, closure=lambda: 0)


def test_float16_parameters_are_refused_and_left_alone() -> None:
    weight = dtorch.ones(2, dtype=dtorch.float16, requires_grad=True)
    other = dtorch.ones(2, requires_grad=True)
    optimizer = optim.SGD([other, weight], lr=0.1)
    scaler = GradScaler("cpu", init_scale=2.0)
    scaler.scale(weight.float().sum() + other.sum()).backward()
    with pytest.raises(ArgumentError, match="float16"):
        scaler.unscale_(optimizer)
    assert other.grad.tolist() == [2.0, 2.0]


def test_state_travels_to_another_scaler() -> None:
    scaler = GradScaler("cpu", init_scale=32.0, growth_interval=7)
    weight, optimizer = parts()
    backward(scaler, weight)
    scaler.step(optimizer)
    scaler.update()
    state = scaler.state_dict()
    assert state == {
        "scale": 32.0, "growth_factor": 2.0, "backoff_factor": 0.5, "growth_interval": 7,
        "_growth_tracker": 1,
    }  # fmt: skip
    other = GradScaler("cpu")
    other.load_state_dict(state)
    assert other.state_dict() == state


def test_wrong_states_are_refused_and_change_nothing() -> None:
    scaler = GradScaler("cpu")
    before = scaler.state_dict()
    for state in ({}, {"scale": 1.0}, {**before, "scale": math.inf}):
        with pytest.raises(ArgumentError, match="load_state_dict"):
            scaler.load_state_dict(state)
    assert scaler.state_dict() == before


def test_a_scaler_that_is_not_enabled_does_nothing() -> None:
    weight, optimizer = parts()
    scaler = GradScaler("cpu", enabled=False)
    loss = weight.sum()
    assert scaler.scale(loss) is loss
    loss.backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer, lambda: 0.0)
    scaler.update()
    assert weight.tolist() == [0.5] * 3
    assert (scaler.state_dict(), scaler.get_scale(), scaler.is_enabled()) == ({}, 1.0, False)
    scaler.load_state_dict({})


def test_arguments_are_checked() -> None:
    with pytest.raises(ArgumentError, match="growth_factor is 1"):
        GradScaler("cpu", growth_factor=1.0)
    with pytest.raises(ArgumentError, match="backoff_factor is 1"):
        GradScaler("cpu", backoff_factor=1.0)
    with pytest.raises(ArgumentError, match="tpu"):
        GradScaler("tpu")


def test_a_missing_card_disables_the_scaler_with_a_warning() -> None:
    if dtorch.is_autocast_available("cuda"):
        pytest.skip("there is a card")
    for make in (GradScaler, dtorch.cuda.amp.GradScaler):
        with pytest.warns(UserWarning, match="no such device"):
            assert not make().is_enabled()


def test_float16_training_keeps_gradients_that_would_vanish() -> None:
    layer = nn.Linear(2, 1, bias=False)
    x = dtorch.full((1, 2), 1e-4)
    sizes = []
    for scale in (None, 2.0**12):
        layer.zero_grad()
        with dtorch.autocast("cpu", dtype=dtorch.float16):
            loss = layer(x).float().sum() * 1e-5
        scaler = GradScaler("cpu", init_scale=scale or 1.0)
        optimizer = optim.SGD(layer.parameters(), lr=0.0)
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        sizes.append(float(layer.weight.grad.abs().max()))
    assert sizes[0] == 0
    assert sizes[1] == pytest.approx(1e-9, rel=0.05)
