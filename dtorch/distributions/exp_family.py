"""Distributions whose density is ``exp(<t(x), theta> - F(theta) + k(x))``."""

from __future__ import annotations

from typing import Any

from dtorch.autograd.backward import grad
from dtorch.core.grad_mode import enable_grad, is_grad_enabled
from dtorch.core.tensor import Tensor
from dtorch.distributions.distribution import Distribution
from dtorch.distributions.utils import sum_rightmost

__all__ = ["ExponentialFamily"]


class ExponentialFamily(Distribution):
    """Base of the distributions of the exponential family.

    Subclasses give the natural parameters ``theta``, the log normalizer ``F`` and the mean of the
    carrier measure ``k``; entropies follow, and divergences between two of one class.

    Reference: Nielsen and Nock 2010, "Entropies and cross-entropies of exponential families".
    """

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        raise NotImplementedError(f"{type(self)} does not define _natural_params")

    def _log_normalizer(self, *natural_params: Any) -> Tensor:
        raise NotImplementedError(f"{type(self)} does not define _log_normalizer")

    @property
    def _mean_carrier_measure(self) -> float:
        raise NotImplementedError(f"{type(self)} does not define _mean_carrier_measure")

    def entropy(self) -> Tensor:
        """``F(theta) - <theta, dF/dtheta> - E[k(x)]``."""
        normalizer, slopes = self._normalizer_and_slopes()
        result = -self._mean_carrier_measure + normalizer
        for param, slope in zip(self._natural_params, slopes, strict=True):
            result = result - sum_rightmost(param * slope, param.dim() - normalizer.dim())
        return result

    def _normalizer_and_slopes(self) -> tuple[Tensor, Any]:
        """The log normalizer, and its derivative by each natural parameter."""
        params = self._natural_params
        recorded = is_grad_enabled() and any(p.requires_grad for p in params)
        with enable_grad():
            leaves = [p if p.requires_grad else p.detach().requires_grad_() for p in params]
            normalizer = self._log_normalizer(*leaves)
            slopes = grad(normalizer.sum(), leaves, create_graph=recorded)
        return (normalizer if recorded else normalizer.detach()), slopes
