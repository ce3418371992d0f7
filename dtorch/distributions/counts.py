"""Distributions of counts: binomial, negative binomial, geometric, Poisson."""

from __future__ import annotations

from typing import Any

from dtorch.core.creation import arange
from dtorch.core.dtype import finfo
from dtorch.core.functions import (
    exp,
    floor,
    lgamma,
    log,
    log1p,
    logsigmoid,
    sigmoid,
    softplus,
    where,
    xlogy,
)
from dtorch.core.grad_mode import no_grad
from dtorch.core.random import binomial, poisson, rand
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.exp_family import ExponentialFamily
from dtorch.distributions.gamma import Gamma
from dtorch.distributions.probabilities import OfEvents
from dtorch.distributions.utils import binary_log_prob, broadcast_all, lazy_property

__all__ = ["Binomial", "Geometric", "NegativeBinomial", "Poisson"]


class Binomial(OfEvents):
    """The number of successes among ``total_count`` trials.

    Args:
        total_count: how many trials.
        probs: probability of a success.
        logits: its log odds, instead.

    Example:
        >>> import dtorch
        >>> Binomial(4, 0.5).log_prob(dtorch.tensor(2.0)).exp()
        tensor(0.3750)
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True
    _parts = ("total_count", "probs", "logits")

    def __init__(
        self,
        total_count: Any = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        (count,) = self._take(probs, logits, total_count)
        self.total_count = count.type_as(self._param)
        super().__init__(self._param.size(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return floor((self.total_count + 1) * self.probs).clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        choices = lgamma(n + 1) - lgamma(value + 1) - lgamma(n - value + 1)
        return choices + value * self.logits - n * softplus(self.logits)

    def entropy(self) -> Tensor:
        self._expect_one_count("entropy")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(exp(log_prob) * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        count = self._expect_one_count("enumerate_support")
        return self._enumerated(arange(1 + count, dtype=self._param.dtype), expand)

    def _expect_one_count(self, name: str) -> int:
        count = int(self.total_count.max())
        if not (self.total_count == count).all():
            raise NotImplementedError(f"Inhomogeneous total count not supported by `{name}`.")
        return count


class NegativeBinomial(OfEvents):
    """The number of successes before ``total_count`` failures.

    Args:
        total_count: how many failures end it; need not be whole.
        probs: probability of a success.
        logits: its log odds, instead.
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    _parts = ("total_count", "probs", "logits")

    def __init__(
        self,
        total_count: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        (count,) = self._take(probs, logits, total_count)
        self.total_count = count.type_as(self._param)
        super().__init__(self._param.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.total_count * exp(self.logits)

    @property
    def mode(self) -> Tensor:
        return floor((self.total_count - 1) * exp(self.logits)).clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / sigmoid(-self.logits)

    @lazy_property
    def _gamma(self) -> Gamma:
        # Poisson numbers whose rate is a gamma number.
        return Gamma(self.total_count, exp(-self.logits), validate_args=False)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return poisson(self._gamma.sample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n = self.total_count
        weight = n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        choices = lgamma(n + value) - lgamma(1.0 + value) - lgamma(n)
        return weight + where(n + value == 0, 0.0, choices)


class Geometric(OfEvents):
    """The number of failures before the first success.

    Args:
        probs: probability of a success, above 0.
        logits: its log odds, instead.
    """

    support = constraints.nonnegative_integer
    _parts = ("probs", "logits")

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._take(probs, logits)
        super().__init__(self._param.size(), validate_args=validate_args)
        if self._validate_args and probs is not None and not (self.probs > 0).all():
            raise ValueError(
                f"Expected parameter probs (Tensor of shape {tuple(self.probs.shape)}) of "
                f"distribution {self!r} to be positive but found invalid values:\n{self.probs}"
            )

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return self.probs.new_zeros(self.probs.shape)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            u = rand(*shape, dtype=self.probs.dtype).clamp(min=finfo(self.probs.dtype).tiny)
            return floor(log(u) / log1p(-self.probs))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        certain = (probs == 1) & (value == 0)
        return value * log1p(-where(certain, 0.0, probs)) + log(self.probs)

    def entropy(self) -> Tensor:
        return -binary_log_prob(self.logits, self.probs) / self.probs


class Poisson(ExponentialFamily):
    """The number of events, of which ``rate`` are expected.

    Args:
        rate: the mean.
    """

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer
    _parts = ("rate",)

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.size(), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        return floor(self.rate)

    @property
    def variance(self) -> Tensor:
        return self.rate

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return poisson(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        rate, value = broadcast_all(self.rate, value)
        return xlogy(value, rate) - rate - lgamma(value + 1)

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        return (log(self.rate),)

    def _log_normalizer(self, x: Any) -> Tensor:
        return exp(x)
