"""Distributions of powers of exponential and uniform numbers: Weibull, Pareto, Kumaraswamy."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.creation import full_like
from dtorch.core.functions import digamma, exp, expm1, lgamma, log, log1p, where
from dtorch.core.random import rand
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.distribution import Distribution
from dtorch.distributions.gamma import Exponential
from dtorch.distributions.location_scale import Uniform
from dtorch.distributions.transformed_distribution import TransformedDistribution
from dtorch.distributions.transforms import AffineTransform, ExpTransform, PowerTransform
from dtorch.distributions.utils import broadcast_all, euler_constant

__all__ = ["GeneralizedPareto", "Kumaraswamy", "Pareto", "Weibull"]


class Weibull(TransformedDistribution):
    """``scale`` times a power of an exponential number: lifetimes with a changing rate of failure.

    Args:
        scale: the value that a share of ``1 / e`` exceeds.
        concentration: shape; below 1 the rate falls, above it rises.
    """

    arg_constraints = {
        "scale": constraints.positive,
        "concentration": constraints.positive,
    }
    support = constraints.positive
    _parts = ("scale", "concentration", "concentration_reciprocal", "base_dist")

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        self.concentration_reciprocal = self.concentration.reciprocal()
        base = Exponential(full_like(self.scale, 1), validate_args=validate_args)
        super().__init__(base, self._own_transforms(), validate_args=validate_args)

    def _own_transforms(self) -> list[Any]:
        power = PowerTransform(exponent=self.concentration_reciprocal)
        return [power, AffineTransform(loc=0, scale=self.scale)]

    @property
    def mean(self) -> Tensor:
        return self.scale * exp(lgamma(1 + self.concentration_reciprocal))

    @property
    def mode(self) -> Tensor:
        share = (self.concentration - 1) / self.concentration
        return self.scale * share**self.concentration_reciprocal

    @property
    def variance(self) -> Tensor:
        inverse = self.concentration_reciprocal
        moment = exp(lgamma(1 + 2 * inverse)) - exp(2 * lgamma(1 + inverse))
        return self.scale.pow(2) * moment

    def entropy(self) -> Tensor:
        inverse = self.concentration_reciprocal
        return euler_constant * (1 - inverse) + log(self.scale * inverse) + 1


class Pareto(TransformedDistribution):
    """``scale`` times the exponential of an exponential number: the probability of more than ``x`` is
    ``(scale / x) ** alpha``.

    Args:
        scale: least value.
        alpha: exponent.
    """

    arg_constraints = {
        "alpha": constraints.positive,
        "scale": constraints.positive,
    }
    _parts = ("scale", "alpha", "base_dist")

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        super().__init__(base, self._own_transforms(), validate_args=validate_args)

    def _own_transforms(self) -> list[Any]:
        return [ExpTransform(), AffineTransform(loc=0, scale=self.scale)]

    @property
    def mean(self) -> Tensor:
        a = self.alpha.clamp(min=1)  # at and below 1 it is infinite
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        a = self.alpha.clamp(min=2)
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        return constraints.greater_than_eq(self.scale)

    def entropy(self) -> Tensor:
        return log(self.scale / self.alpha) + (1 + self.alpha.reciprocal())


class GeneralizedPareto(Distribution):
    """What exceeds a high threshold: exponential, a power law, or bounded, as ``concentration`` is
    0, positive or negative.

    Args:
        loc: least value.
        scale: width.
        concentration: shape.

    Reference: Coles 2001, "An introduction to statistical modeling of extreme values", 4.2.
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True
    _parts = ("loc", "scale", "concentration")

    def __init__(
        self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None
    ) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self.icdf(rand(*self._extended_shape(sample_shape), dtype=self.loc.dtype))

    def _split(self) -> tuple[Tensor, Tensor]:
        """Where the shape is 0, and the shape with 1 in place of that."""
        exponential = self.concentration == 0
        return exponential, where(exponential, 1.0, self.concentration)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = self._z(value)
        exponential, shape = self._split()
        power = -(1 / shape + 1) * log1p(shape * z)
        return where(exponential, -z, power) - log(self.scale)

    def log_survival_function(self, value: Tensor) -> Tensor:
        """Logarithm of the probability of more than ``value``."""
        if self._validate_args:
            self._validate_sample(value)
        z = self._z(value)
        exponential, shape = self._split()
        return where(exponential, -z, -log1p(shape * z) / shape)

    def log_cdf(self, value: Tensor) -> Tensor:
        """Logarithm of `cdf`."""
        return log1p(-exp(self.log_survival_function(value)))

    def cdf(self, value: Tensor) -> Tensor:
        return -expm1(self.log_survival_function(value))

    def icdf(self, value: Tensor) -> Tensor:
        survival = log1p(-value)
        exponential, shape = self._split()
        z = where(exponential, -survival, expm1(-shape * survival) / shape)
        return self.loc + self.scale * z

    def _z(self, x: Tensor) -> Tensor:
        return (x - self.loc) / self.scale

    @property
    def mean(self) -> Tensor:
        finite = self.concentration < 1
        safe = where(finite, self.concentration, 0.5)
        return where(finite, self.loc + self.scale / (1 - safe), math.inf)

    @property
    def variance(self) -> Tensor:
        finite = self.concentration < 0.5
        safe = where(finite, self.concentration, 0.25)
        value = self.scale.pow(2) / ((1 - safe).pow(2) * (1 - 2 * safe))
        return where(finite, value, math.inf)

    def entropy(self) -> Tensor:
        return log(self.scale) + self.concentration + 1

    @property
    def mode(self) -> Tensor:
        return self.loc

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        negative = self.concentration < 0
        shape = where(negative, self.concentration, -1.0)
        upper = where(negative, self.loc - self.scale / shape, math.inf)
        return constraints.interval(self.loc, upper)


class Kumaraswamy(TransformedDistribution):
    """A distribution on 0 to 1 like Beta, with a distribution function in closed form:
    ``1 - (1 - x**concentration1)**concentration0``.

    Args:
        concentration1, concentration0: shape at 0 and at 1.

    Reference: Jones 2009, "Kumaraswamy's distribution: a beta-type distribution with some
    tractability advantages".
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True
    _parts = ("concentration1", "concentration0", "base_dist")

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        zeros = full_like(self.concentration0, 0)
        base = Uniform(zeros, zeros + 1, validate_args=validate_args)
        super().__init__(base, self._own_transforms(), validate_args=validate_args)

    def _own_transforms(self) -> list[Any]:
        return [
            PowerTransform(exponent=self.concentration0.reciprocal()),
            AffineTransform(loc=1.0, scale=-1.0),
            PowerTransform(exponent=self.concentration1.reciprocal()),
        ]

    def _moment(self, n: int) -> Tensor:
        """The expectation of the n-th power: ``b * B(1 + n / a, b)``."""
        a, b = self.concentration1, self.concentration0
        return exp(log(b) + lgamma(1 + n / a) + lgamma(b) - lgamma(1 + n / a + b))

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        log_mode = (log1p(-1 / a) - log1p(-1 / (a * b)) - log(b)) / a
        inside = (a >= 1) & (b >= 1) & ((a != 1) | (b != 1))
        return where(inside, exp(log_mode), math.nan)

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - self._moment(1).pow(2)

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = digamma(b + 1) + euler_constant
        return 1 - 1 / b + (1 - 1 / a) * harmonic - log(a) - log(b)
