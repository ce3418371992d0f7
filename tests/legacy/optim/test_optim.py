"""Optimizers as functions, compared with the formulas of Torch7 written with NumPy."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest

import dtorch
from dtorch.legacy import nn, optim


def rosenbrock(x: Any) -> tuple[Any, Any]:
    a, b = float(x[0]), float(x[1])
    value = (1 - a) ** 2 + 100 * (b - a * a) ** 2
    gradient = dtorch.tensor([-2 * (1 - a) - 400 * a * (b - a * a), 200 * (b - a * a)]).to(x.dtype)
    return value, gradient


def start() -> Any:
    return dtorch.tensor([1.5, 1.2], dtype=dtorch.float64)


# Each changes x by a step for gradient g, the t-th from 1 on, and keeps what it needs in s.


def sgd(x: Any, g: Any, t: int, s: Any) -> None:
    g = g + 0.1 * x
    s["m"] = g if t == 1 else 0.9 * s["m"] + 0.1 * g
    x -= 1e-4 / (1 + (t - 1) * 0.01) * s["m"]


def sgd_with_rates(x: Any, g: Any, t: int, s: Any) -> None:
    g = np.array([2, 0.5]) * (g + np.array([0.1, 0.2]) * x)
    s["m"] = g if t == 1 else 0.9 * s["m"] + g
    x -= 1e-4 * (g + 0.9 * s["m"])


def adam(x: Any, g: Any, t: int, s: Any) -> None:
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.99 * s.get("v", 0) + 0.01 * g * g
    rate = 0.1 / (1 + (t - 1) * 0.1) * np.sqrt(1 - 0.99**t) / (1 - 0.9**t)
    x -= rate * s["m"] / (np.sqrt(s["v"]) + 1e-3)


def adamax(x: Any, g: Any, t: int, s: Any) -> None:
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["u"] = np.maximum(0.999 * s.get("u", 0), np.abs(g) + 1e-38)
    x -= 2e-3 / (1 - 0.9**t) * s["m"] / s["u"]


def adagrad(x: Any, g: Any, t: int, s: Any) -> None:
    s["v"] = s.get("v", 0) + g * g
    x -= 0.1 / (1 + (t - 1) * 0.1) * g / (np.sqrt(s["v"]) + 1e-10)


def adadelta(x: Any, g: Any, t: int, s: Any) -> None:
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g * g
    move = np.sqrt(s.get("d", 0) + 1e-6) / np.sqrt(s["v"] + 1e-6) * g
    s["d"] = 0.9 * s.get("d", 0) + 0.1 * move * move
    x -= move


def rmsprop(x: Any, g: Any, t: int, s: Any) -> None:
    s["v"] = 0.99 * s.get("v", 0) + 0.01 * g * g
    x -= 1e-2 * g / (np.sqrt(s["v"]) + 1e-8)


def rprop(x: Any, g: Any, t: int, s: Any) -> None:
    size, before = s.get("size", np.full(2, 0.1)), s.get("g", np.zeros(2))
    sign = np.sign(g * before)
    s["size"] = np.clip(size * np.choose(sign.astype(int) + 1, [0.5, 1, 1.2]), 1e-6, 50)
    s["g"] = np.where(sign < 0, 0, g)
    x -= np.sign(s["g"]) * s["size"]


def asgd(x: Any, g: Any, t: int, s: Any) -> None:
    eta = 1e-4 / (1 + 0.1 * 1e-4 * (t - 1)) ** 0.75
    x *= 1 - 0.1 * eta
    x -= eta * g
    s["ax"] = s.get("ax", 0) + (x - s.get("ax", 0)) / max(1, t - 1 - 3)


CASES = [
    (optim.sgd, {"learningRate": 1e-4, "learningRateDecay": 0.01, "weightDecay": 0.1,
                 "momentum": 0.9}, sgd),
    (optim.sgd, {"learningRate": 1e-4, "learningRates": dtorch.tensor([2, 0.5]).double(),
                 "weightDecays": dtorch.tensor([0.1, 0.2]).double(), "momentum": 0.9,
                 "dampening": 0, "nesterov": True}, sgd_with_rates),
    (optim.adam, {"learningRate": 0.1, "learningRateDecay": 0.1, "beta2": 0.99, "epsilon": 1e-3},
     adam),
    (optim.adamax, {}, adamax),
    (optim.adagrad, {"learningRate": 0.1, "learningRateDecay": 0.1}, adagrad),
    (optim.adadelta, {}, adadelta),
    (optim.rmsprop, {}, rmsprop),
    (optim.rprop, {}, rprop),
    (optim.asgd, {"lambda": 0.1, "t0": 3}, asgd),
]  # fmt: skip


@pytest.mark.parametrize(("function", "config", "formula"), CASES)
def test_steps_are_those_of_the_formula(function: Any, config: Any, formula: Any) -> None:
    x, expected, kept = start(), start().numpy().copy(), {}
    memory, config = x.data_ptr(), copy.copy(config)
    for t in range(1, 30):
        value = rosenbrock(x)[0]
        formula(expected, rosenbrock(expected)[1].numpy(), t, kept)
        found, *rest = function(rosenbrock, x, config)
        assert found is x
        assert rest[0] == ([value] if function is optim.rprop else value)
    assert x.data_ptr() == memory
    np.testing.assert_allclose(x.numpy(), expected, rtol=1e-9)
    if function is optim.asgd:
        np.testing.assert_allclose(rest[1].numpy(), kept["ax"], rtol=1e-9)


def test_nesterovs_method_looks_ahead():
    x, state = start(), {}
    move, ahead = np.zeros(2), start().numpy().copy()
    for _ in range(20):
        ahead = ahead + 0.9 * move
        step = -1e-4 * rosenbrock(ahead)[1].numpy()
        move, ahead = 0.9 * move + step, ahead + step
        optim.nag(rosenbrock, x, {"learningRate": 1e-4}, state)
    np.testing.assert_allclose(x.numpy(), ahead, rtol=1e-9)


def test_signs_are_followed_several_times_in_a_call():
    x, values = optim.rprop(rosenbrock, start(), {"niter": 40})
    assert len(values) == 40
    assert values[0] == rosenbrock(start())[0]
    assert rosenbrock(x)[0] < values[0] / 10


@pytest.mark.parametrize("function", [optim.cg, optim.lbfgs])
def test_methods_with_searches_find_the_minimum(function):
    calls = []

    def counting(x):
        calls.append(1)
        return rosenbrock(x)

    x = start()
    found, values, count = function(counting, x, {"maxIter": 200, "maxEval": 250})
    assert found is x
    assert count == len(calls)
    assert values[0] == rosenbrock(start())[0]
    assert x.tolist() == pytest.approx([1, 1], abs=1e-3)
    if function is optim.cg:
        assert values == sorted(values, reverse=True)


def test_conjugate_gradients_stop_after_the_calls_they_may_make():
    _, _, count = optim.cg(rosenbrock, start(), {"maxIter": 5})
    assert 5 <= count <= 10
    x, values, count = optim.cg(rosenbrock, dtorch.ones(2), {})
    assert (x.tolist(), values, count) == ([1, 1], [0], 1)


def test_lbfgs_goes_on_where_it_was_and_says_nothing_of_calls_where_it_is_done():
    x, state, calls = start(), {}, 0
    for _ in range(200):
        result = optim.lbfgs(rosenbrock, x, {"maxIter": 5, "learningRate": 0.5}, state)
        if len(result) == 2:
            break
        calls += result[2]
    assert x.tolist() == pytest.approx([1, 1], abs=1e-3)
    assert state["funcEval"] == calls + 1
    assert state["nIter"] >= 5


def test_lbfgs_searches_with_a_function_of_the_user():
    lengths = []

    def halving(opfunc, x, t, d, f, g, gtd, options):
        assert gtd < 0
        used = 0
        while True:
            used += 1
            value, gradient = opfunc(x + t * d)
            if value <= f + options["rho"] * t * gtd:
                lengths.append(t)
                return value, gradient, x + t * d, t, used
            t /= 2

    x, settings = (
        start(),
        {"lineSearch": halving, "lineSearchOptions": {"rho": 1e-4}, "maxIter": 60},
    )
    found, values, calls = optim.lbfgs(rosenbrock, x, settings)
    assert found.tolist() == pytest.approx([1, 1], abs=1e-3)
    assert len(values) == len(lengths) + 1
    assert calls > len(lengths)
    assert values == sorted(values, reverse=True)


def test_states_go_through_files():
    x, state = start(), {}
    optim.adam(rosenbrock, x, {}, state)
    file = io.BytesIO()
    dtorch.save(state, file)
    file.seek(0)
    y, read = x.clone(), dtorch.load(file)
    optim.adam(rosenbrock, x, {}, state)
    optim.adam(rosenbrock, y, {}, read)
    assert x.equal(y)


def test_networks_are_trained_through_their_flat_parameters():
    net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 1))
    criterion, inputs = nn.MSECriterion(), dtorch.randn(50, 2)
    target = inputs[:, :1] * inputs[:, 1:]
    flat, gradient = net.flattenParameters()

    def opfunc(x):
        assert x is flat
        gradient.zero_()
        loss = criterion.forward(net.forward(inputs), target)
        net.backward(inputs, criterion.backward(net.output, target))
        return loss, gradient

    state: dict[str, Any] = {}
    first = opfunc(flat)[0]
    for _ in range(300):
        _, loss = optim.adam(opfunc, flat, {"learningRate": 0.02}, state)
    assert loss < first / 20


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="expected a dict"):
        optim.adam(rosenbrock, start(), None)
    with pytest.raises(ValueError, match="momentum is 0"):
        optim.nag(rosenbrock, start(), {"momentum": 0})
    both = {"weightDecay": 0.1, "weightDecays": dtorch.ones(2).double()}
    with pytest.raises(ValueError, match="one of them"):
        optim.sgd(rosenbrock, start(), both)
    x = start()
    with pytest.raises(ValueError, match="nesterov"):
        optim.sgd(rosenbrock, x, {"nesterov": True})
    assert x.equal(start())
