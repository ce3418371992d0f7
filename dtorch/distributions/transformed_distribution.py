"""Distributions of what transforms make of samples of others."""

from __future__ import annotations

from typing import Any, ClassVar

from dtorch.core.grad_mode import no_grad
from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.distribution import Distribution
from dtorch.distributions.independent import Independent
from dtorch.distributions.transforms.base import ComposeTransform, Transform, of_dims
from dtorch.distributions.utils import sum_rightmost

__all__ = ["TransformedDistribution"]


class TransformedDistribution(Distribution):
    """The distribution of ``y = f(x)``, where ``x`` is a sample of another one.

    ``log p(y) = log p(x) - log abs det (dy / dx)``.

    Args:
        base_distribution: that of ``x``.
        transforms: ``f``; a transform, or several that are applied one after the other.

    Example:
        >>> import dtorch
        >>> from dtorch.distributions import Normal
        >>> from dtorch.distributions.transforms import ExpTransform
        >>> log_normal = TransformedDistribution(Normal(0.0, 1.0), ExpTransform())
        >>> log_normal.log_prob(dtorch.ones(()))
        tensor(-0.9189)
    """

    arg_constraints: Any = {}
    base_dist: Any

    def __init__(
        self,
        base_distribution: Distribution,
        transforms: Any,
        validate_args: bool | None = None,
    ) -> None:
        if isinstance(transforms, Transform):
            self.transforms = [transforms]
        elif isinstance(transforms, list):
            if not all(isinstance(t, Transform) for t in transforms):
                raise ValueError("transforms must be a Transform or a list of Transforms")
            self.transforms = transforms
        else:
            raise ValueError(f"transforms must be a Transform or list, but was {transforms}")
        base_shape = base_distribution.batch_shape + base_distribution.event_shape
        base_dims = len(base_distribution.event_shape)
        transform = self._composed
        if len(base_shape) < transform.domain.event_dim:
            raise ValueError(
                f"base_distribution needs to have shape with size at least "
                f"{transform.domain.event_dim}, but got {base_shape}."
            )
        shape = Size(transform.forward_shape(base_shape))
        expanded = Size(transform.inverse_shape(shape))
        if base_shape != expanded:
            base_distribution = base_distribution.expand(expanded[: len(expanded) - base_dims])
        missing = transform.domain.event_dim - base_dims
        if missing > 0:
            base_distribution = Independent(base_distribution, missing)
        self.base_dist = base_distribution
        change = transform.codomain.event_dim - transform.domain.event_dim
        event_dim = max(transform.codomain.event_dim, base_dims + change)
        cut = len(shape) - event_dim
        super().__init__(shape[:cut], shape[cut:], validate_args=validate_args)

    _parts: ClassVar[tuple[str, ...]] = ("base_dist",)

    @property
    def _composed(self) -> ComposeTransform:
        """``f`` as one transform."""
        return ComposeTransform(self.transforms)

    def _own_transforms(self) -> list[Any]:
        """The transforms, made of the parameters by the classes whose transforms have some."""
        return self.transforms

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new.transforms = new._own_transforms()
        return new

    def _expanded(self, value: Any, batch_shape: Size) -> Any:
        if value is not self.base_dist:
            return super()._expanded(value, batch_shape)
        shape = self._composed.inverse_shape(batch_shape + self.event_shape)
        return value.expand(shape[: len(shape) - len(value.event_shape)])

    @constraints.dependent_property(is_discrete=False)
    def support(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        return of_dims(self.transforms[-1].codomain, len(self.event_shape))

    @property
    def has_rsample(self) -> Any:
        return self.base_dist.has_rsample

    def sample(self, sample_shape: Any = ()) -> Tensor:
        with no_grad():
            return self._composed(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        return self._composed(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        event_dim = len(self.event_shape)
        log_prob: Any = 0.0
        y = value
        for transform in reversed(self.transforms):
            x = transform.inv(y)
            event_dim += transform.domain.event_dim - transform.codomain.event_dim
            change = transform.log_abs_det_jacobian(x, y)
            log_prob = log_prob - sum_rightmost(change, event_dim - transform.domain.event_dim)
            y = x
        base = self.base_dist.log_prob(y)
        base_dims = len(self.base_dist.event_shape)
        return log_prob + sum_rightmost(base, event_dim - base_dims)

    def _rising(self, probability: Tensor) -> Tensor:
        """Of a falling transform, the probability of the other side."""
        sign = self._composed.sign
        if isinstance(sign, int) and sign == 1:
            return probability
        return sign * (probability - 0.5) + 0.5

    def cdf(self, value: Tensor) -> Tensor:
        return self._rising(self.base_dist.cdf(self._composed.inv(value)))

    def icdf(self, value: Tensor) -> Tensor:
        return self._composed(self.base_dist.icdf(self._rising(value)))
