"""Stochastic functions: samples whose gradient comes from a reward.

The gradient of a sample's parameters is minus the reward times the derivative of its log
probability, so that a step against the gradient makes rewarded samples more probable (REINFORCE).

Reference: Williams 1992, "Simple statistical gradient-following algorithms for connectionist
reinforcement learning".
"""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.autograd.function import Function
from dtorch.core.base import TensorBase, wrap
from dtorch.core.creation import full_like
from dtorch.core.errors import ArgumentError, GradError, ShapeError
from dtorch.core.random import bernoulli, multinomial, randn, samplers
from dtorch.core.tensor import Tensor


class StochasticFunction(Function):
    """Base of classic-style functions that sample.

    ``forward`` draws the samples; ``backward(reward)`` gives the gradients of the arguments. Call
    ``output.reinforce(reward)`` before ``backward``; see `Bernoulli`, one of them.
    """

    stochastic = True
    reward: Any = None

    def reinforce(self, reward: Any) -> None:
        """Set the reward: a number, or a tensor of the output's shape; once.

        Raises:
            GradError: it was set before.
        """
        if self.reward is not None:
            raise GradError(f"{type(self).__name__}: the reward was set already")
        self.reward = reward

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "backward" in cls.__dict__:
            cls.backward = _with_reward(cls.backward)


def _with_reward(backward: Any) -> Any:
    def with_reward(self: StochasticFunction, *grads: Any) -> Any:
        if self.reward is None:
            raise GradError(
                f"{type(self).__name__}: backward needs a reward; call reinforce(reward) on the "
                "output first"
            )
        return backward(self, _as_reward(type(self).__name__, self.reward, grads[0]))

    return with_reward


def _as_reward(name: str, reward: Any, like: Tensor) -> Tensor:
    shape = like.array.shape
    if not isinstance(reward, TensorBase):
        return wrap(np.full(shape, reward, np.float64))  # type: ignore[no-any-return]
    array = reward.array
    if array.shape != shape and array.size != 1:
        raise ShapeError(
            f"{name}: reward has shape {tuple(array.shape)}, expected {tuple(shape)} like the "
            "output, or a number"
        )
    return wrap(np.broadcast_to(array if array.shape == shape else array.item(), shape))  # type: ignore[no-any-return]


class Bernoulli(StochasticFunction):
    """Samples 0 or 1, where 1 has the probability given.

    Example:
        >>> import dtorch
        >>> p = dtorch.full((3,), 0.5, requires_grad=True)
        >>> action = Bernoulli()(p)
        >>> action.reinforce(1.0)
        >>> action.backward()
        >>> [abs(g) for g in p.grad.tolist()]
        [2.0, 2.0, 2.0]
    """

    def forward(self, probabilities: Tensor) -> Tensor:
        sample = bernoulli(probabilities)
        self.save_for_backward(probabilities, sample)
        return sample

    def backward(self, reward: Any) -> Any:
        saved: Any = self.saved_tensors
        p, sample = saved
        return reward * (p - sample) / (p * (1 - p))


class Normal(StochasticFunction):
    """Samples of normal distributions with the means and standard deviations given.

    Args:
        stddev: one standard deviation for all; otherwise they are the second argument of the call.
    """

    def __init__(self, stddev: float | None = None) -> None:
        if stddev is not None and stddev <= 0:
            raise ArgumentError(f"Normal: stddev is {stddev}, expected more than 0")
        self.stddev = stddev

    def forward(self, means: Any, stddevs: Any = None) -> Any:
        if (stddevs is None) == (self.stddev is None):
            raise TypeError("Normal: give standard deviations either to Normal() or to its call")
        scale: Any = self.stddev if stddevs is None else stddevs
        noise: Any = randn(*means.shape, dtype=means.dtype)
        sample = means + scale * noise
        self.save_for_backward(means, stddevs, sample)
        return sample

    def backward(self, reward: Any) -> Any:
        saved: Any = self.saved_tensors
        means, stddevs, sample = saved
        scale: Any = self.stddev if stddevs is None else stddevs
        away = sample - means
        grad_means = -reward * away / scale**2
        if stddevs is None:
            return grad_means, None
        return grad_means, -reward * (away**2 - scale**2) / scale**3


class Multinomial(StochasticFunction):
    """Samples indices with probabilities in proportion to weights, for each row.

    Args:
        num_samples: how many for each row.
        with_replacement: whether one index can come several times.
    """

    def __init__(self, num_samples: int, with_replacement: bool = False) -> None:
        self.num_samples = num_samples
        self.with_replacement = with_replacement

    def forward(self, weights: Tensor) -> Tensor:
        sample = multinomial(weights, self.num_samples, self.with_replacement)
        self.save_for_backward(weights, sample)
        return sample

    def backward(self, reward: Any) -> Any:
        saved: Any = self.saved_tensors
        weights, picked = (tensor.array for tensor in saved)
        total = weights.sum(-1, keepdims=True)
        grad = np.broadcast_to(reward.array.sum(-1, keepdims=True) / total, weights.shape)
        grad = grad.astype(weights.dtype)
        rows = np.ogrid[tuple(slice(n) for n in picked.shape)]
        np.subtract.at(
            grad,
            (*rows[:-1], picked),
            (reward.array / np.take_along_axis(weights, picked, -1)).astype(weights.dtype),
        )
        return wrap(grad)


def _draw_bernoulli(input: Tensor) -> Any:
    return Bernoulli()(input)


def _draw_normal(mean: Any, std: Any) -> Any:
    if not isinstance(std, Tensor):
        return Normal(std)(mean)
    return Normal()(mean if isinstance(mean, Tensor) else full_like(std, mean), std)


def _draw_multinomial(input: Tensor, num_samples: int, replacement: bool) -> Any:
    return Multinomial(num_samples, replacement)(input)


samplers.update(bernoulli=_draw_bernoulli, normal=_draw_normal, multinomial=_draw_multinomial)
