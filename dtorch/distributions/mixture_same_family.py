"""Mixtures of distributions of one family."""

from __future__ import annotations

from typing import Any

from dtorch.core.functions import gather, log_softmax, logsumexp, sum as sum_of
from dtorch.core.grad_mode import no_grad
from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.categorical import Categorical
from dtorch.distributions.distribution import Distribution

__all__ = ["MixtureSameFamily"]


class MixtureSameFamily(Distribution):
    """Samples of one of several distributions, drawn anew for each sample.

    Args:
        mixture_distribution: which component; a `Categorical`.
        component_distribution: the components, along the last batch dim.

    Example:
        >>> import dtorch
        >>> from dtorch.distributions import Normal
        >>> d = MixtureSameFamily(
        ...     Categorical(dtorch.ones(2)), Normal(dtorch.tensor([-1.0, 1.0]), dtorch.ones(2))
        ... )
        >>> d.mean, d.variance
        (tensor(0.), tensor(2.))
    """

    arg_constraints: Any = {}
    has_rsample = False
    _parts = ("_mixture_distribution", "_component_distribution")

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                "The Mixture distribution needs to be an instance of Categorical, got "
                f"{type(mixture_distribution).__name__}"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an instance of Distribution, got "
                f"{type(component_distribution).__name__}"
            )
        of_mixture = mixture_distribution.batch_shape
        of_components = component_distribution.batch_shape[:-1]
        sizes = zip(reversed(of_mixture), reversed(of_components), strict=False)
        if any(i not in (1, j) and j != 1 for i, j in sizes):
            raise ValueError(
                f"`mixture_distribution.batch_shape` ({tuple(of_mixture)}) is not compatible with "
                f"`component_distribution.batch_shape` ({tuple(of_components)})"
            )
        count = mixture_distribution.logits.shape[-1]
        of_them = (
            component_distribution.batch_shape[-1] if component_distribution.batch_shape else None
        )
        if count != of_them:
            raise ValueError(
                f"`mixture_distribution component` ({count}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({of_them})"
            )
        self._num_component = count
        event_shape = component_distribution.event_shape
        self._event_ndims = len(event_shape)
        super().__init__(of_components, event_shape, validate_args=validate_args)

    def _expanded(self, value: Any, batch_shape: Size) -> Any:
        is_component = value is self._component_distribution
        return value.expand(batch_shape + (self._num_component,) if is_component else batch_shape)

    @constraints.dependent_property
    def support(self) -> Any:
        return constraints.MixtureSameFamilyConstraint(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """Which component."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components."""
        return self._component_distribution

    def _over_components(self, values: Tensor) -> Tensor:
        """The expectation of what each component has."""
        return sum_of(self._weights() * values, -1 - self._event_ndims)

    def _weights(self) -> Tensor:
        """The probabilities of the components, with dims for the event behind."""
        probs = self.mixture_distribution.probs
        return probs.reshape(probs.shape + (1,) * self._event_ndims)

    @property
    def mean(self) -> Tensor:
        return self._over_components(self.component_distribution.mean)

    @property
    def variance(self) -> Tensor:
        """The law of total variance."""
        within = self._over_components(self.component_distribution.variance)
        apart = self.component_distribution.mean - self._pad(self.mean)
        return within + self._over_components(apart.pow(2.0))

    def cdf(self, value: Tensor) -> Tensor:
        of_components = self.component_distribution.cdf(self._pad(value))
        return sum_of(of_components * self.mixture_distribution.probs, -1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        of_components = self.component_distribution.log_prob(self._pad(value))
        weights = log_softmax(self.mixture_distribution.logits, dim=-1)
        return logsumexp(of_components + weights, dim=-1)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            sample_shape = Size(sample_shape)
            shape = sample_shape + self.batch_shape
            which = self.mixture_distribution.expand(self.batch_shape).sample(sample_shape)
            candidates = self.component_distribution.sample(sample_shape)
            ones = (1,) * (self._event_ndims + 1)
            index = which.reshape(shape + ones).expand(shape + (1,) + self.event_shape)
            dim = len(shape)
            return gather(candidates, dim, index).squeeze(dim)

    def _pad(self, x: Tensor) -> Tensor:
        return x.unsqueeze(-1 - self._event_ndims)

    def __repr__(self) -> str:
        return (
            f"MixtureSameFamily(\n  {self.mixture_distribution},\n  {self.component_distribution})"
        )
