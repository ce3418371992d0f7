"""One of several categories, counts of them, and relaxations."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.creation import arange, eye, full, full_like, zeros
from dtorch.core.dtype import finfo, int64
from dtorch.core.functions import clamp, exp, lgamma, log, logsumexp, one_hot, where
from dtorch.core.grad_mode import no_grad
from dtorch.core.random import multinomial, rand
from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.counts import Binomial
from dtorch.distributions.distribution import Distribution
from dtorch.distributions.probabilities import OfCategories
from dtorch.distributions.transformed_distribution import TransformedDistribution
from dtorch.distributions.transforms import ExpTransform
from dtorch.distributions.utils import broadcast_all, clamp_probs

__all__ = [
    "Categorical", "Multinomial", "OneHotCategorical",
    "OneHotCategoricalStraightThrough", "RelaxedOneHotCategorical",
]  # fmt: skip


class Categorical(OfCategories):
    """The number of a category, from 0 on.

    Args:
        probs: probabilities along the last dim, up to a factor.
        logits: their logarithms up to a constant, instead.

    Example:
        >>> import dtorch
        >>> Categorical(dtorch.tensor([1.0, 3.0])).log_prob(dtorch.tensor(1)).exp()
        tensor(0.7500)
    """

    has_enumerate_support = True
    _parts = ("probs", "logits")

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._take(probs, logits)
        super().__init__(self._param.size()[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Tensor:
        return full(self._batch_shape, math.nan, dtype=self._param.dtype)

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(dim=-1)

    @property
    def variance(self) -> Tensor:
        return full(self._batch_shape, math.nan, dtype=self._param.dtype)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        sample_shape = Size(sample_shape)
        count = sample_shape.numel()
        with no_grad():
            rows = self.probs.reshape(-1, self._num_events)
            if count == 0 or rows.shape[0] == 0:
                return zeros(self._extended_shape(sample_shape), dtype=int64)
            drawn = multinomial(rows, count, True)
            return drawn.T.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        index, logits = broadcast_all(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, index[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        logits = clamp(self.logits, min=finfo(self.logits.dtype).min)
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._enumerated(arange(self._num_events, dtype=int64), expand)


class _OfCategorical(Distribution):
    """Base of distributions that draw from a `Categorical` and have its parameters."""

    arg_constraints: Any = OfCategories.arg_constraints
    _categorical: Categorical

    @property
    def _param(self) -> Tensor:
        return self._categorical._param

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._categorical._new(*args, **kwargs)

    @property
    def probs(self) -> Tensor:
        """Probabilities."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Size:
        """The shape of ``probs`` and ``logits``."""
        return self._categorical.param_shape


class OneHotCategorical(_OfCategorical):
    """A category as a vector of zeros with a 1 at its place.

    Args:
        probs, logits: as of `Categorical`.
    """

    support = constraints.one_hot
    has_enumerate_support = True
    _parts = ("_categorical",)

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        largest = self.probs.argmax(dim=-1)
        return one_hot(largest, num_classes=self.probs.shape[-1]).to(self.probs.dtype)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        drawn = self._categorical.sample(sample_shape)
        return one_hot(drawn, self._categorical._num_events).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self._categorical.log_prob(value.max(-1)[1])

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        return self._enumerated(eye(self._event_shape[0], dtype=self._param.dtype), expand)


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """`OneHotCategorical` with samples through which gradients pass as if they were the
    probabilities.

    Reference: Bengio et al. 2013, "Estimating or propagating gradients through stochastic neurons".
    """

    has_rsample = True

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        samples = self.sample(sample_shape)
        probs = self._categorical.probs
        return samples + (probs - probs.detach())


class Multinomial(_OfCategorical):
    """How often each category came in ``total_count`` draws.

    Args:
        total_count: how many draws, an int.
        probs, logits: as of `Categorical`.

    Example:
        >>> import dtorch
        >>> Multinomial(3, dtorch.tensor([0.5, 0.5])).log_prob(dtorch.tensor([1.0, 2.0])).exp()
        tensor(0.3750)
    """

    total_count: int
    _parts = ("_categorical", "_binomial")

    def __init__(
        self,
        total_count: int = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs, logits)
        self._binomial = Binomial(total_count, self.probs)
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def _expanded(self, value: Any, batch_shape: Size) -> Any:
        # Of the binomial numbers there is one for each category.
        is_binomial = isinstance(value, Binomial)
        return value.expand(batch_shape + self.event_shape if is_binomial else batch_shape)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        sample_shape = Size(sample_shape)
        drawn = self._categorical.sample(Size((self.total_count,)) + sample_shape)
        index = drawn.movedim(0, -1)
        counts = zeros(self._extended_shape(sample_shape), dtype=self._param.dtype)
        ones = counts.new_ones(()).expand(index.shape)
        return counts.scatter_add(-1, index, ones)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        impossible = (value == 0) & (logits == -math.inf)
        weight = (where(impossible, 0.0, logits) * value).sum(-1)
        return lgamma(value.sum(-1) + 1) - lgamma(value + 1).sum(-1) + weight

    def entropy(self) -> Tensor:
        n = self.total_count
        support = self._binomial.enumerate_support(expand=False)[1:]
        of_counts = exp(self._binomial.log_prob(support)) * lgamma(support + 1)
        ordered = n * self._categorical.entropy() - math.lgamma(n + 1)
        return ordered + of_counts.sum([0, -1])


class ExpRelaxedCategorical(_OfCategorical):
    """The logarithm of a relaxed one-hot vector: ``log_softmax((logits + Gumbel noise) / temperature)``.

    Args:
        temperature: the lower, the nearer to one-hot.
        probs, logits: as of `Categorical`.

    Reference: Maddison et al. 2017, "The concrete distribution", appendix C.
    """

    support = constraints.real_vector
    has_rsample = True
    _parts = ("_categorical",)

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits)
        self.temperature = temperature
        shape = self._categorical.param_shape
        super().__init__(shape[:-1], shape[-1:], validate_args=validate_args)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        gumbel = -log(-log(clamp_probs(rand(*shape, dtype=self.logits.dtype))))
        scores = (self.logits + gumbel) / self.temperature
        return scores - logsumexp(scores, dim=-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        count = self._categorical._num_events
        logits, value = broadcast_all(self.logits, value)
        (temperature,) = broadcast_all(self.temperature)
        scale = lgamma(full_like(temperature, float(count))) + (count - 1) * log(temperature)
        score = logits - value * temperature
        return (score - logsumexp(score, dim=-1, keepdim=True)).sum(-1) + scale


class RelaxedOneHotCategorical(TransformedDistribution):
    """A one-hot vector made continuous, so that samples have gradients (Gumbel-softmax).

    Args:
        temperature: the lower, the nearer to one-hot.
        probs, logits: as of `Categorical`.

    Reference: Maddison et al. 2017, "The concrete distribution"; Jang et al. 2017, "Categorical
    reparameterization with Gumbel-softmax".
    """

    arg_constraints: Any = OfCategories.arg_constraints
    support = constraints.simplex
    has_rsample = True
    _parts = ("base_dist",)

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args=validate_args)
        super().__init__(base, ExpTransform(), validate_args=validate_args)

    @property
    def temperature(self) -> Tensor:
        """The temperature."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities of the categories."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """Probabilities of the categories."""
        return self.base_dist.probs
