"""The normal distribution, and those of functions of it."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.functions import exp, expm1, log, ndtr, ndtri
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.exp_family import ExponentialFamily
from dtorch.distributions.location_scale import Half, LocationScale
from dtorch.distributions.transformed_distribution import TransformedDistribution
from dtorch.distributions.transforms import ExpTransform, StickBreakingTransform
from dtorch.distributions.utils import standard_normal

__all__ = ["HalfNormal", "LogNormal", "LogisticNormal", "Normal"]


class Normal(LocationScale, ExponentialFamily):
    """The normal (Gaussian) distribution.

    Args:
        loc: mean.
        scale: standard deviation.

    Example:
        >>> import dtorch
        >>> Normal(0.0, 1.0).log_prob(dtorch.zeros(()))
        tensor(-0.9189)
    """

    _mean_carrier_measure = 0
    _parts = ("loc", "scale")

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def std(self) -> Tensor:
        """Classic name of ``stddev``."""
        return self.scale

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = standard_normal(self._extended_shape(sample_shape), self.loc.dtype)
        return self.loc + noise * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z = (value - self.loc) / self.scale
        return -z * z / 2 - log(self.scale) - 0.5 * math.log(2 * math.pi)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return ndtr((value - self.loc) / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * ndtri(value)

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * math.pi) + log(self.scale)

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        variance = self.scale.pow(2)
        return self.loc / variance, -0.5 / variance

    def _log_normalizer(self, x: Any, y: Any) -> Tensor:
        return -0.25 * x.pow(2) / y + 0.5 * log(-math.pi / y)


class HalfNormal(Half):
    """The absolute value of a normal number of mean 0.

    Args:
        scale: standard deviation of the normal number.
    """

    _parts = ("base_dist",)
    _whole = Normal

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale.pow(2) * (1 - 2 / math.pi)


class LogNormal(TransformedDistribution):
    """The exponential of a normal number.

    Args:
        loc, scale: mean and standard deviation of the normal number.
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive
    has_rsample = True
    _parts = ("base_dist",)

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Tensor:
        """Mean of the normal number."""
        return self.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """Standard deviation of the normal number."""
        return self.base_dist.scale

    @property
    def mean(self) -> Tensor:
        return exp(self.loc + self.scale.pow(2) / 2)

    @property
    def mode(self) -> Tensor:
        return exp(self.loc - self.scale.pow(2))

    @property
    def variance(self) -> Tensor:
        square = self.scale.pow(2)
        return expm1(square) * exp(2 * self.loc + square)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() + self.loc


class LogisticNormal(TransformedDistribution):
    """Probabilities whose log odds, in the order of breaking a stick, are normal.

    Args:
        loc, scale: means and standard deviations of the normal numbers, one fewer than
            probabilities.

    Reference: Aitchison and Shen 1980, "Logistic-normal distributions: some properties and uses".
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.simplex
    has_rsample = True
    _parts = ("base_dist",)

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        if not base.batch_shape:
            base = base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args=validate_args)

    @property
    def loc(self) -> Tensor:
        """Means of the normal numbers."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """Standard deviations of the normal numbers."""
        return self.base_dist.base_dist.scale
