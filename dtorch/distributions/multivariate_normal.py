"""Normal vectors, with any covariance and with one of few factors."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.creation import eye
from dtorch.core.errors import SettingError
from dtorch.core.functions import (
    cholesky_inverse,
    diag_embed,
    flip,
    linalg_cholesky,
    log,
    matmul,
    solve_triangular,
)
from dtorch.core.ops.view import common_shape
from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.distributions import constraints
from dtorch.distributions.distribution import Distribution
from dtorch.distributions.utils import lazy_property, standard_normal

__all__ = ["LowRankMultivariateNormal", "MultivariateNormal"]


def times_vectors(matrix: Tensor, vectors: Tensor) -> Tensor:
    """Products of matrices with the vectors along the last dim."""
    return matmul(matrix, vectors.unsqueeze(-1)).squeeze(-1)


def square_lengths(factor: Tensor, vectors: Tensor) -> Tensor:
    """``x^T M^-1 x`` of vectors ``x`` and matrices ``M = L L^T``, given ``L``.

    Vectors in front of the batch of matrices are solved for together, not one by one.
    """
    n = vectors.shape[-1]
    batch = Size(factor.shape[:-2])
    full = Size(common_shape(vectors.shape[:-1], batch))
    vectors = vectors.expand(full + (n,))
    ahead = len(full) - len(batch)
    over = full[ahead:]
    rows = vectors.reshape((full[:ahead].numel(), *over, n))
    columns = rows.movedim(0, -1)  # (*over, n, all that is ahead)
    solved = solve_triangular(factor.expand(over + (n, n)), columns, upper=False)
    return solved.pow(2).sum(-2).movedim(-1, 0).reshape(full)


def half_log_det(factor: Tensor) -> Tensor:
    """The logarithm of the product of the diagonal."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def factor_of_inverse(matrix: Tensor) -> Tensor:
    """The lower Cholesky factor of the inverse.

    Turned about, the factor of the matrix is an upper one, and the inverse of its transpose a lower.
    """
    turned = flip(linalg_cholesky(flip(matrix, (-2, -1))), (-2, -1)).mT
    identity = eye(matrix.shape[-1], dtype=matrix.dtype).expand(matrix.shape)
    return solve_triangular(turned, identity, upper=False)


def one_matrix(
    covariance_matrix: Tensor | None, precision_matrix: Tensor | None, scale_tril: Tensor | None
) -> tuple[str, Tensor]:
    """The one that is given, and its name.

    Raises:
        ValueError: none is given, or several, or it is no matrix.
    """
    named = {
        "covariance_matrix": covariance_matrix,
        "precision_matrix": precision_matrix,
        "scale_tril": scale_tril,
    }
    given = [(name, matrix) for name, matrix in named.items() if matrix is not None]
    if len(given) != 1:
        raise SettingError(
            "Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified."
        )
    name, matrix = given[0]
    if matrix.dim() < 2:
        raise ValueError(
            f"{name} must be at least two-dimensional, with optional leading batch dimensions"
        )
    return name, matrix


class OfCovariances(Distribution):
    """Base of distributions given by covariances, by their inverse or by their lower Cholesky factor.

    All three are attributes; those that were not given follow from the factor.
    """

    _unbroadcasted_scale_tril: Tensor

    def _set_factor(self, name: str, matrix: Tensor) -> None:
        """Compute the factor of the matrix as it was given: repetitions have the same."""
        if name == "scale_tril":
            self._unbroadcasted_scale_tril = matrix
        elif name == "covariance_matrix":
            self._unbroadcasted_scale_tril = linalg_cholesky(matrix)
        else:
            self._unbroadcasted_scale_tril = factor_of_inverse(matrix)

    def _full(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + matrix.shape[-2:])

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of the covariances."""
        return self._full(self._unbroadcasted_scale_tril)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariances."""
        factor = self._unbroadcasted_scale_tril
        return self._full(matmul(factor, factor.mT))

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariances."""
        return self._full(cholesky_inverse(self._unbroadcasted_scale_tril))


class MultivariateNormal(OfCovariances):
    """Normal vectors.

    Args:
        loc: means, along the last dim.
        covariance_matrix, precision_matrix, scale_tril: one of the covariances, their inverse, and
            their lower Cholesky factor.

    Example:
        >>> import dtorch
        >>> d = MultivariateNormal(dtorch.zeros(2), dtorch.eye(2))
        >>> d.log_prob(dtorch.zeros(2))
        tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    _parts = ("loc", "covariance_matrix", "precision_matrix", "scale_tril")

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        name, matrix = one_matrix(covariance_matrix, precision_matrix, scale_tril)
        batch_shape = Size(common_shape(matrix.shape[:-2], loc.shape[:-1]))
        setattr(self, name, matrix.expand(batch_shape + matrix.shape[-2:]))
        self.loc = loc.expand(batch_shape + loc.shape[-1:])
        super().__init__(batch_shape, self.loc.shape[-1:], validate_args=validate_args)
        self._set_factor(name, matrix)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        squares = self._unbroadcasted_scale_tril.pow(2).sum(-1)
        return squares.expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        noise = standard_normal(self._extended_shape(sample_shape), self.loc.dtype)
        return self.loc + times_vectors(self._unbroadcasted_scale_tril, noise)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        factor = self._unbroadcasted_scale_tril
        lengths = square_lengths(factor, value - self.loc)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + lengths) - half_log_det(factor)

    def entropy(self) -> Tensor:
        half = half_log_det(self._unbroadcasted_scale_tril)
        entropy = 0.5 * self._event_shape[0] * (1.0 + math.log(2 * math.pi)) + half
        return entropy.expand(self._batch_shape)


class LowRankMultivariateNormal(Distribution):
    """Normal vectors with the covariances ``W W^T + D``, where ``W`` has few columns and ``D`` is
    diagonal: the cost grows with their length, not its cube.

    Args:
        loc: means, along the last dim.
        cov_factor: ``W``, of as many rows.
        cov_diag: the diagonal of ``D``.

    Reference: Woodbury's identity and the matrix determinant lemma; Petersen and Pedersen 2012, "The
    matrix cookbook", 3.2.2.
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True
    _parts = ("loc", "cov_diag", "cov_factor")

    def __init__(
        self,
        loc: Tensor,
        cov_factor: Tensor,
        cov_diag: Tensor,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event_shape = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch dimensions"
            )
        if cov_factor.shape[-2:-1] != event_shape:
            raise ValueError(
                f"cov_factor must be a batch of matrices with shape {event_shape[0]} x m"
            )
        if cov_diag.shape[-1:] != event_shape:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event_shape}")
        batch_shape = Size(common_shape(loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1]))
        self.loc = loc.expand(batch_shape + event_shape)
        self.cov_diag = cov_diag.expand(batch_shape + event_shape)
        self.cov_factor = cov_factor.expand(batch_shape + cov_factor.shape[-2:])
        super().__init__(batch_shape, event_shape, validate_args=validate_args)
        self._unbroadcasted_cov_factor = cov_factor
        self._unbroadcasted_cov_diag = cov_diag
        self._capacitance_tril = capacitance_factor(cov_factor, cov_diag)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:
        squares = self._unbroadcasted_cov_factor.pow(2).sum(-1)
        total = squares + self._unbroadcasted_cov_diag
        return total.expand(self._batch_shape + self._event_shape)

    def _full(self, matrix: Tensor) -> Tensor:
        return matrix.expand(self._batch_shape + matrix.shape[-2:])

    @lazy_property
    def scale_tril(self) -> Tensor:
        """The lower Cholesky factor of the covariances."""
        return self._full(linalg_cholesky(self._covariances()))

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        """The covariances."""
        return self._full(self._covariances())

    def _covariances(self) -> Tensor:
        factor = self._unbroadcasted_cov_factor
        return matmul(factor, factor.mT) + diag_embed(self._unbroadcasted_cov_diag)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariances."""
        over_diagonal = self._unbroadcasted_cov_factor.mT / self._unbroadcasted_cov_diag.unsqueeze(
            -2
        )
        a = solve_triangular(self._capacitance_tril, over_diagonal, upper=False)
        inverse = diag_embed(self._unbroadcasted_cov_diag.reciprocal()) - matmul(a.mT, a)
        return self._full(inverse)

    def rsample(self, sample_shape: Any = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        of_factor = shape[:-1] + self.cov_factor.shape[-1:]
        noise = standard_normal(of_factor, self.loc.dtype)
        own = standard_normal(shape, self.loc.dtype)
        common = times_vectors(self._unbroadcasted_cov_factor, noise)
        return self.loc + common + self._unbroadcasted_cov_diag.sqrt() * own

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        w, d, c = (
            self._unbroadcasted_cov_factor,
            self._unbroadcasted_cov_diag,
            self._capacitance_tril,
        )
        lengths = low_rank_square_lengths(w, d, value - self.loc, c)
        constant = self._event_shape[0] * math.log(2 * math.pi)
        return -0.5 * (constant + low_rank_log_det(d, c) + lengths)

    def entropy(self) -> Tensor:
        log_det = low_rank_log_det(self._unbroadcasted_cov_diag, self._capacitance_tril)
        constant = self._event_shape[0] * (1.0 + math.log(2 * math.pi))
        return (0.5 * (constant + log_det)).expand(self._batch_shape)


def capacitance_factor(w: Tensor, d: Tensor) -> Tensor:
    """The Cholesky factor of ``I + W^T D^-1 W``."""
    identity = eye(w.shape[-1], dtype=w.dtype)
    return linalg_cholesky(identity + matmul(w.mT / d.unsqueeze(-2), w))


def low_rank_log_det(d: Tensor, capacitance: Tensor) -> Tensor:
    """``log det (W W^T + D)``."""
    return 2 * half_log_det(capacitance) + log(d).sum(-1)


def low_rank_square_lengths(w: Tensor, d: Tensor, x: Tensor, capacitance: Tensor) -> Tensor:
    """``x^T (W W^T + D)^-1 x``."""
    inner = times_vectors(w.mT / d.unsqueeze(-2), x)
    return (x.pow(2) / d).sum(-1) - square_lengths(capacitance, inner)


# Names that libraries import.
_batch_mv = times_vectors
_batch_mahalanobis = square_lengths
_precision_to_scale_tril = factor_of_inverse
_batch_capacitance_tril = capacitance_factor
_batch_lowrank_mahalanobis = low_rank_square_lengths
