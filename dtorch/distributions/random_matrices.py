"""Random covariance and correlation matrices."""

from __future__ import annotations

import math
import warnings
from typing import Any

from dtorch.core.creation import arange
from dtorch.core.dtype import finfo
from dtorch.core.functions import (
    cholesky_solve,
    diag_embed,
    digamma,
    log,
    mvlgamma,
    pad,
    tril,
)
from dtorch.core.grad_mode import no_grad
from dtorch.core.ops.view import common_shape
from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.distribution import Distribution
from dtorch.distributions.exp_family import ExponentialFamily
from dtorch.distributions.gamma import Beta, Chi2
from dtorch.distributions.multivariate_normal import OfCovariances, half_log_det, one_matrix
from dtorch.distributions.utils import broadcast_all, standard_normal

__all__ = ["LKJCholesky", "Wishart"]


def _multidigamma(x: Tensor, p: int) -> Tensor:
    """The derivative of `mvlgamma`."""
    steps = arange(p, dtype=x.dtype) / 2
    return digamma(x.unsqueeze(-1) - steps).sum(-1)


class Wishart(OfCovariances, ExponentialFamily):
    """The sum of the products of ``df`` normal vectors of mean 0 with themselves.

    Args:
        df: degrees of freedom, more than the number of rows less 1.
        covariance_matrix, precision_matrix, scale_tril: one of the covariances of the vectors, their
            inverse, and their lower Cholesky factor.

    Reference: Bartlett 1933, "On the theory of statistical regression"; Wishart 1928, "The
    generalised product moment distribution in samples from a normal multivariate population".
    """

    support = constraints.positive_definite
    has_rsample = True
    _mean_carrier_measure = 0
    _parts = ("df", "covariance_matrix", "precision_matrix", "scale_tril", "_chi2")

    def __init__(
        self,
        df: Any,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        name, matrix = one_matrix(covariance_matrix, precision_matrix, scale_tril)
        (df,) = broadcast_all(df)
        df = df.to(matrix.dtype)
        batch_shape = Size(common_shape(matrix.shape[:-2], df.shape))
        event_shape = matrix.shape[-2:]
        size = event_shape[-1]
        if (df <= size - 1).any():
            raise ValueError(f"Value of df={df} expected to be greater than ndim - 1 = {size - 1}.")
        setattr(self, name, matrix.expand(batch_shape + event_shape))
        self.df = df.expand(batch_shape)
        if (self.df < size).any():
            warnings.warn(
                "Low df values detected. Singular samples are highly likely to occur for "
                "ndim - 1 < df < ndim.",
                stacklevel=2,
            )
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._set_factor(name, matrix)
        self._chi2 = Chi2(self.df.unsqueeze(-1) - arange(size, dtype=matrix.dtype))

    @property
    def arg_constraints(self) -> dict[str, Any]:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self.event_shape[-1] - 1),
        }

    def _expanded(self, value: Any, batch_shape: Size) -> Any:
        if isinstance(value, Chi2):  # one for each row
            return value.expand(batch_shape + self._event_shape[-1:])
        return super()._expanded(value, batch_shape)

    def _of_matrices(self, values: Tensor) -> Tensor:
        return values.reshape(self._batch_shape + (1, 1))

    @property
    def mean(self) -> Tensor:
        return self._of_matrices(self.df) * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        factor = self.df - self.covariance_matrix.shape[-1] - 1
        factor = factor.where(factor > 0, factor.new_tensor(math.nan))
        return self._of_matrices(factor) * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        v = self.covariance_matrix
        diagonal = v.diagonal(dim1=-2, dim2=-1)
        outer = diagonal.unsqueeze(-1) * diagonal.unsqueeze(-2)
        return self._of_matrices(self.df) * (v.pow(2) + outer)

    def _bartlett(self, sample_shape: Any) -> Tensor:
        """Products of triangular matrices: roots of chi-squared numbers on the diagonal, normal ones
        below."""
        size = self._event_shape[-1]
        shape = self._extended_shape(sample_shape)
        roots = self._chi2.rsample(sample_shape).clamp_min(finfo(self.df.dtype).tiny).sqrt()
        below = tril(standard_normal(shape, self.df.dtype), -1) if size > 1 else 0
        factor = self._unbroadcasted_scale_tril @ (diag_embed(roots) + below)
        return factor @ factor.mT

    def rsample(self, sample_shape: Any = (), max_try_correction: int | None = None) -> Tensor:
        """Draw so that the samples have gradients by the parameters.

        Args:
            sample_shape: how many draws.
            max_try_correction: how often samples that rounding made singular are drawn again.
                Default: 3, or 10 for few degrees of freedom.
        """
        sample_shape = Size(sample_shape)
        if max_try_correction is None:
            max_try_correction = 3 if self._batch_shape else 10
        sample = self._bartlett(sample_shape)
        singular = ~self.support.check(sample)
        tries = 0
        while singular.any() and tries < max_try_correction:
            again = self._bartlett(sample_shape)
            sample = again.where(singular[..., None, None], sample)
            singular = ~self.support.check(sample)
            tries += 1
        if singular.any():
            warnings.warn("Singular sample detected.", stacklevel=2)
        return sample

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        nu, p = self.df, self._event_shape[-1]
        factor = self._unbroadcasted_scale_tril
        log_det = value.slogdet()[1]
        full = Size(common_shape(value.shape, factor.shape))
        trace = cholesky_solve(value.expand(full), factor.expand(full)).diagonal(dim1=-2, dim2=-1)
        return (
            -nu * (p * math.log(2) / 2 + half_log_det(factor))
            - mvlgamma(nu / 2, p)
            + (nu - p - 1) / 2 * log_det
            - trace.sum(-1) / 2
        )

    def entropy(self) -> Tensor:
        nu, p = self.df, self._event_shape[-1]
        half = half_log_det(self._unbroadcasted_scale_tril)
        return (
            (p + 1) * (half + p * math.log(2) / 2)
            + mvlgamma(nu / 2, p)
            - (nu - p - 1) / 2 * _multidigamma(nu / 2, p)
            + nu * p / 2
        )

    @property
    def _natural_params(self) -> tuple[Tensor, ...]:
        nu, p = self.df, self._event_shape[-1]
        return -self.precision_matrix / 2, (nu - p - 1) / 2

    def _log_normalizer(self, x: Any, y: Any) -> Tensor:
        p = self._event_shape[-1]
        half = y + (p + 1) / 2
        return half * (-(-2 * x).slogdet()[1] + p * math.log(2)) + mvlgamma(half, p)


class LKJCholesky(Distribution):
    """The Cholesky factor of a correlation matrix ``M`` with the density ``det(M)**(concentration - 1)``
    up to a factor.

    Args:
        dim: rows of the matrices, at least 2.
        concentration: 1 makes all correlation matrices alike; above it those near the identity are
            more probable.

    Reference: Lewandowski, Kurowicka and Joe 2009, "Generating random correlation matrices based on
    vines and extended onion method", 3.2.
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    _parts = ("concentration", "_beta")

    def __init__(
        self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        # Row k, from 0 on, begins with k numbers on a sphere, the square of whose radius is beta.
        below = self.concentration + 0.5 * (dim - 2)
        steps = arange(dim - 1, dtype=self.concentration.dtype)
        offset = pad(steps, [1, 0])
        self._beta = Beta(0.5 + 0.5 * offset, below.unsqueeze(-1) - 0.5 * offset)
        batch_shape = self.concentration.size()
        super().__init__(batch_shape, Size((dim, dim)), validate_args)

    def _expanded(self, value: Any, batch_shape: Size) -> Any:
        if isinstance(value, Beta):  # one for each row
            return value.expand(batch_shape + (self.dim,))
        return super()._expanded(value, batch_shape)

    def sample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            lengths = self._beta.sample(sample_shape).unsqueeze(-1)
            normal = tril(standard_normal(shape, self.concentration.dtype), -1)
            sphere = normal / normal.norm(dim=-1, keepdim=True)
            sphere[..., 0, :].fill_(0.0)
            rows = lengths.sqrt() * sphere
            tiny = finfo(rows.dtype).tiny
            diagonal = (1 - rows.pow(2).sum(-1)).clamp(min=tiny).sqrt()
            return rows + diag_embed(diagonal)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        eta, n = self.concentration, self.dim
        diagonal = value.diagonal(dim1=-2, dim2=-1)[..., 1:]
        order = 2 * (eta - 1).unsqueeze(-1) + n - arange(2, n + 1, dtype=eta.dtype)
        density = (order * log(diagonal)).sum(-1)
        # Page 1999 of the reference: the integral of the density.
        alpha = eta + 0.5 * (n - 1)
        normalizer = (
            0.5 * (n - 1) * math.log(math.pi)
            + mvlgamma(alpha - 0.5, n - 1)
            - alpha.lgamma() * (n - 1)
        )
        return density - normalizer
