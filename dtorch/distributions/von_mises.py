"""The von Mises distribution of angles."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.base import wrap
from dtorch.core.functions import cos, i0e, i1e, log
from dtorch.core.generator import source_of
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.distribution import Distribution
from dtorch.distributions.utils import broadcast_all

__all__ = ["VonMises"]


class VonMises(Distribution):
    """Angles around ``loc``, in radians; samples lie between -pi and pi.

    Args:
        loc: the mean angle.
        concentration: how close to it; 0 is uniform.

    Reference: Best and Fisher 1979, "Efficient simulation of the von Mises distribution".
    """

    arg_constraints = {
        "loc": constraints.real,
        "concentration": constraints.positive,
    }
    support = constraints.real
    has_rsample = False
    _parts = ("loc", "concentration")

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.concentration = broadcast_all(loc, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        kappa = self.concentration
        # The Bessel function is as large as exp(kappa), which is taken off both.
        return kappa * (cos(value - self.loc) - 1) - math.log(2 * math.pi) - log(i0e(kappa))

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        loc, kappa = (p.detach().array.astype(float) for p in (self.loc, self.concentration))
        drawn = source_of(None).vonmises(loc, kappa, tuple(shape))
        return wrap(drawn.astype(self.loc.array.dtype))

    @property
    def mean(self) -> Tensor:
        """The mean angle."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """The circular variance: 1 less the length of the mean of points on the circle."""
        return 1 - i1e(self.concentration) / i0e(self.concentration)
