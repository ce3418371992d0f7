"""Distributions that are given by probabilities or by their logits."""

from __future__ import annotations

from typing import Any, ClassVar

from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.distribution import Distribution
from dtorch.distributions.utils import (
    broadcast_all,
    lazy_property,
    logits_to_probs,
    normalized_logits,
    probs_to_logits,
)


class OfProbabilities(Distribution):
    """Base of distributions that are given by ``probs`` or by ``logits``.

    Both are attributes; the one that was not given follows from the other.
    """

    _parts: ClassVar[tuple[str, ...]] = ("probs", "logits")

    def _choose(self, probs: Any, logits: Any) -> Any:
        """The parameter that is given.

        Raises:
            ValueError: none is given, or both.
        """
        if (probs is None) == (logits is None):
            raise ValueError("Either `probs` or `logits` must be specified, but not both.")
        self._given = "logits" if probs is None else "probs"
        return logits if probs is None else probs

    @property
    def _param(self) -> Tensor:
        return getattr(self, self._given)

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)

    @property
    def param_shape(self) -> Size:
        """The shape of ``probs`` and ``logits``."""
        return self._param.size()


class OfEvents(OfProbabilities):
    """Base of distributions of events, each of which has a probability of its own."""

    arg_constraints: Any = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }

    def _take(self, probs: Any, logits: Any, *others: Any) -> tuple[Tensor, ...]:
        """Set the parameter that is given; returns the others, broadcast with it."""
        given, *rest = broadcast_all(self._choose(probs, logits), *others)
        setattr(self, self._given, given)
        return tuple(rest)

    @lazy_property
    def logits(self) -> Tensor:
        """Log odds."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """Probabilities."""
        return logits_to_probs(self.logits, is_binary=True)


class OfCategories(OfProbabilities):
    """Base of distributions of categories, whose probabilities sum to 1 along the last dim.

    Probabilities may be given up to a factor, and ``logits``, their logarithms, up to a constant;
    the attributes are normalized.
    """

    arg_constraints: Any = {
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }

    def _take(self, probs: Any, logits: Any) -> None:
        """Set the parameter that is given."""
        value = self._choose(probs, logits)
        if not isinstance(value, Tensor) or value.dim() < 1:
            raise ValueError(f"`{self._given}` parameter must be at least one-dimensional.")
        if self._given == "probs":
            self.probs = value / value.sum(-1, keepdim=True)
        else:
            self.logits = normalized_logits(value)
        self._num_events = self._param.size()[-1]

    @lazy_property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities."""
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        """Probabilities."""
        return logits_to_probs(self.logits)
