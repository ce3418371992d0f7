"""Samples whose gradient comes from a reward."""

from __future__ import annotations

import numpy as np
import pytest

import dtorch
from dtorch.autograd import StochasticFunction
from dtorch.autograd.stochastic import Bernoulli, Multinomial, Normal


def probabilities(*values: float) -> dtorch.Tensor:
    return dtorch.tensor(values, dtype=dtorch.float64, requires_grad=True)


def test_bernoulli_gradient_is_minus_reward_times_score() -> None:
    p = probabilities(0.2, 0.7)
    action = Bernoulli()(p)
    reward = dtorch.tensor([3.0, -1.0], dtype=dtorch.float64)
    action.reinforce(reward)
    action.backward()
    taken, chance = action.detach().numpy(), p.detach().numpy()
    score = np.where(taken == 1, 1 / chance, -1 / (1 - chance))
    np.testing.assert_allclose(p.grad.numpy(), -reward.numpy() * score)


def test_normal_gradient_of_mean_and_deviation() -> None:
    mean, deviation = probabilities(0.0, 1.0), probabilities(1.0, 2.0)
    action = Normal()(mean, deviation)
    action.reinforce(2.0)
    action.backward()
    away = action.detach().numpy() - mean.detach().numpy()
    scale = deviation.detach().numpy()
    np.testing.assert_allclose(mean.grad.numpy(), -2 * away / scale**2)
    np.testing.assert_allclose(deviation.grad.numpy(), -2 * (away**2 - scale**2) / scale**3)


def test_multinomial_gradient_is_that_of_the_log_probability() -> None:
    weights = probabilities(1.0, 2.0, 5.0)
    action = Multinomial(2, with_replacement=True)(weights)
    action.reinforce(1.5)
    action.backward()
    picked = action.detach().numpy().astype(int)
    log = lambda w: sum(np.log(w[k] / w.sum()) for k in picked)  # noqa: E731
    w = weights.detach().numpy().copy()
    numeric = [
        (log(w + 1e-6 * np.eye(3)[i]) - log(w - 1e-6 * np.eye(3)[i])) / 2e-6 for i in range(3)
    ]
    np.testing.assert_allclose(weights.grad.numpy(), -1.5 * np.array(numeric), rtol=1e-6)


def test_backward_without_a_reward_is_refused() -> None:
    action = Bernoulli()(probabilities(0.5))
    with pytest.raises(RuntimeError, match=r"Bernoulli.*reinforce"):
        action.backward()


def test_reward_is_set_once() -> None:
    action = Bernoulli()(probabilities(0.5))
    action.reinforce(1.0)
    with pytest.raises(RuntimeError, match="already"):
        action.reinforce(1.0)


def test_reward_of_another_shape_is_refused() -> None:
    action = Bernoulli()(probabilities(0.5))
    action.reinforce(dtorch.ones(3))
    with pytest.raises(ValueError, match=r"\(3,\).*\(1,\)"):
        action.backward()


def test_only_samples_can_be_reinforced() -> None:
    with pytest.raises(RuntimeError, match="StochasticFunction"):
        (probabilities(0.5) * 2).reinforce(1.0)


def test_backward_through_a_sum() -> None:
    p = probabilities(0.5, 0.5)
    action = Bernoulli()(p)
    action.reinforce(1.0)
    action.sum().backward()
    assert [abs(g) for g in p.grad.tolist()] == [2.0, 2.0]


def test_own_stochastic_function() -> None:
    class Coin(StochasticFunction):
        def forward(self, p):
            return (p > 0).to(p.dtype)

        def backward(self, reward):
            return reward

    p = probabilities(0.5)
    y = Coin()(p)
    y.reinforce(4.0)
    y.backward()
    assert p.grad.tolist() == [4.0]
