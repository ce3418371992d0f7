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


def expect_one(probs: Any, logits: Any) -> None:
    """Complain unless one of the two is given."""
    if (probs is None) == (logits is None):
        raise ValueError("Either `probs` or `logits` must be specified, but not both.")


class OfEvents(Distribution):
    """Base of distributions of events, each of which has a probability of its own.

    ``probs`` and ``logits`` are attributes both; the one that was not given follows from the other.
    """

    arg_constraints: Any = {
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    _parts: ClassVar[tuple[str, ...]] = ("probs", "logits")

    def _take(self, probs: Any, logits: Any, *others: Any) -> tuple[Tensor, ...]:
        """Set the parameter that is given; returns the others, broadcast with it."""
        expect_one(probs, logits)
        self._given = "logits" if probs is None else "probs"
        given, *rest = broadcast_all(logits if probs is None else probs, *others)
        setattr(self, self._given, given)
        return tuple(rest)

    @property
    def _param(self) -> Tensor:
        return getattr(self, self._given)

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)

    @lazy_property
    def logits(self) -> Tensor:
        """Log odds."""
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        """Probabilities."""
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def param_shape(self) -> Size:
        """The shape of ``probs`` and ``logits``."""
        return self._param.size()


class OfCategories(Distribution):
    """Base of distributions of categories, whose probabilities sum to 1 along the last dim.

    Probabilities may be given up to a factor, and ``logits``, their logarithms, up to a constant;
    the attributes are normalized.
    """

    arg_constraints: Any = {
        "probs": constraints.simplex,
        "logits": constraints.real_vector,
    }
    _parts: ClassVar[tuple[str, ...]] = ("probs", "logits")

    def _take(self, probs: Any, logits: Any) -> None:
        """Set the parameter that is given."""
        expect_one(probs, logits)
        self._given = "logits" if probs is None else "probs"
        value = logits if probs is None else probs
        if not isinstance(value, Tensor) or value.dim() < 1:
            raise ValueError(f"`{self._given}` parameter must be at least one-dimensional.")
        if self._given == "probs":
            self.probs = value / value.sum(-1, keepdim=True)
        else:
            self.logits = normalized_logits(value)
        self._num_events = self._param.size()[-1]

    @property
    def _param(self) -> Tensor:
        return getattr(self, self._given)

    def _new(self, *args: Any, **kwargs: Any) -> Tensor:
        return self._param.new(*args, **kwargs)

    @lazy_property
    def logits(self) -> Tensor:
        """Logarithms of the probabilities."""
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        """Probabilities."""
        return logits_to_probs(self.logits)

    @property
    def param_shape(self) -> Size:
        """The shape of ``probs`` and ``logits``."""
        return self._param.size()
