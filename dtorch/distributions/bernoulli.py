"""Yes or no, and relaxations of it to numbers between."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.creation import arange
from dtorch.core.dtype import finfo
from dtorch.core.functions import (
    abs as absolute,
    exp,
    expm1,
    log,
    log1p,
    softplus,
    tanh,
    where,
)
from dtorch.core.grad_mode import no_grad
from dtorch.core.random import bernoulli, rand
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.exp_family import ExponentialFamily
from dtorch.distributions.probabilities import OfEvents
from dtorch.distributions.transformed_distribution import TransformedDistribution
from dtorch.distributions.transforms import SigmoidTransform
from dtorch.distributions.utils import binary_log_prob, broadcast_all, clamp_probs

__all__ = ["Bernoulli", "ContinuousBernoulli", "RelaxedBernoulli"]


class Bernoulli(OfEvents, ExponentialFamily):
    """1 with a probability, else 0.

    Args:
        probs: probability of 1.
        logits: its log odds, instead.

    Example:
        >>> import dtorch
        >>> Bernoulli(0.25).log_prob(dtorch.ones(())).exp()
        tensor(0.2500)
    """

    support = constraints.boolean
    has_enumerate_support = True
    _mean_carrier_measure = 0
    _parts = ("probs", "logits")

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._take(probs, logits)
        super().__init__(self._param.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        mode = (self.probs >= 0.5).to(self.probs.dtype)
        return where(self.probs == 0.5, math.nan, mode)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return binary_log_prob(logits, value)

    def entropy(self) -> Tensor:
        return -binary_log_prob(self.logits, self.probs)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._enumerated(arange(2, dtype=self._param.dtype), expand)

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.logits,)

    def _log_normalizer(self, x: Any) -> Tensor:
        return log1p(exp(x))


class ContinuousBernoulli(OfEvents, ExponentialFamily):
    """Numbers from 0 to 1 with the density ``C * probs**x * (1 - probs)**(1 - x)``.

    Args:
        probs: shape, from 0 to 1; it is not the mean.
        logits: its log odds, instead.
        lims: between these the factor and the moments are evaluated by series, as their formulas
            are ratios of numbers that vanish at 1/2.

    Reference: Loaiza-Ganem and Cunningham 2019, "The continuous Bernoulli: fixing a pervasive error
    in variational autoencoders".
    """

    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0
    _parts = ("probs", "logits")

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        self._take(probs, logits)
        if probs is not None:
            validates = self._validate_args if validate_args is None else validate_args
            if validates and not constraints.unit_interval.check(self.probs).all():
                raise ValueError("The parameter probs has invalid values")
            self.probs = clamp_probs(self.probs)
        self._lims = lims
        super().__init__(self._param.size(), validate_args=validate_args)

    def _apart(self) -> tuple[Tensor, Tensor, Tensor]:
        """Whether probabilities are apart from 1/2; the logits, with 1 in place of those that are
        not; and how far probabilities are from 1/2 that are not apart."""
        low, high = self._lims
        apart = (self.probs <= low) | (self.probs > high)
        return apart, where(apart, self.logits, 1.0), where(apart, 0.0, self.probs - 0.5)

    def _log_factor(self) -> Tensor:
        """``C`` is ``logits / tanh(logits / 2)``."""
        apart, logits, x = self._apart()
        formula = log(absolute(logits)) - log(absolute(tanh(logits / 2)))
        return where(apart, formula, math.log(2) + (4 / 3 + 104 / 45 * x**2) * x**2)

    @property
    def mean(self) -> Tensor:
        apart, logits, x = self._apart()
        formula = 0.5 + 0.5 / tanh(logits / 2) - 1 / logits
        return where(apart, formula, 0.5 + (1 / 3 + 16 / 45 * x**2) * x)

    @property
    def variance(self) -> Tensor:
        apart, logits, x = self._apart()
        formula = 1 / logits**2 - self.probs * (1 - self.probs) / tanh(logits / 2) ** 2
        return where(apart, formula, 1 / 12 - (1 / 15 - 128 / 945 * x**2) * x**2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        drawn = rand(*self._extended_shape(sample_shape), dtype=self._param.dtype)
        return self.icdf(drawn)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return binary_log_prob(logits, value) + self._log_factor()

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        level, slope = self._slope()
        found = where(level, value, expm1(slope * value) / expm1(slope))
        return where(value <= 0, 0.0, where(value >= 1, 1.0, found))

    def icdf(self, value: Tensor) -> Tensor:
        level, slope = self._slope()
        return where(level, value, log1p(value * expm1(slope)) / slope)

    def _slope(self) -> tuple[Tensor, Tensor]:
        """Where the density is level, and its logarithm's slope with 1 in place of that."""
        most = math.log(finfo(self.logits.dtype).max) - 1
        return self.logits == 0, where(self.logits == 0, 1.0, self.logits.clamp(-most, most))

    def entropy(self) -> Tensor:
        return softplus(self.logits) - self.mean * self.logits - self._log_factor()

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (self.logits,)

    def _log_normalizer(self, x: Any) -> Tensor:
        """``log((exp(x) - 1) / x)``."""
        low, high = (math.log(p / (1 - p)) for p in self._lims)
        apart = (x <= low) | (x > high)
        safe = where(apart, x, 1.0)
        formula = log(absolute(expm1(safe))) - log(absolute(safe))
        return where(apart, formula, x / 2 + x**2 / 24 - x**4 / 2880)


class LogitRelaxedBernoulli(OfEvents):
    """The log odds of a relaxed Bernoulli number: ``(logits + logistic noise) / temperature``.

    Args:
        temperature: the lower, the nearer to 0 and 1.
        probs, logits: those of the Bernoulli number.

    Reference: Maddison et al. 2017, "The concrete distribution".
    """

    support = constraints.real
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        self._take(probs, logits)
        super().__init__(self._param.size(), validate_args=validate_args)

    _parts = ("probs", "logits")

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        probs = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(rand(*shape, dtype=probs.dtype))
        noise = log(u) - log1p(-u)
        return (noise + log(probs) - log1p(-probs)) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        away = logits - value * self.temperature
        (temperature,) = broadcast_all(self.temperature)
        return log(temperature) + away - 2 * softplus(away)


class RelaxedBernoulli(TransformedDistribution):
    """A Bernoulli number made continuous, so that samples have gradients.

    Args:
        temperature: the lower, the nearer to 0 and 1.
        probs, logits: those of the Bernoulli number.

    Reference: Maddison et al. 2017, "The concrete distribution"; Jang et al. 2017, "Categorical
    reparameterization with Gumbel-softmax".
    """

    arg_constraints = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    support = constraints.unit_interval
    has_rsample = True
    _parts = ("base_dist",)

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        base = LogitRelaxedBernoulli(temperature, probs, logits, validate_args)
        super().__init__(base, SigmoidTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Tensor:
        """The temperature."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """Log odds of the Bernoulli number."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """Probability of the Bernoulli number."""
        return self.base_dist.probs
