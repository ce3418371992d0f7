"""Transforms of vectors and matrices."""

from __future__ import annotations

from typing import Any

from dtorch.core.creation import arange
from dtorch.core.dtype import finfo
from dtorch.core.functions import (
    atanh,
    clamp,
    cumprod,
    cumsum,
    diag_embed,
    linalg_cholesky,
    logsigmoid,
    pad,
    sigmoid,
    softmax,
    sqrt,
    tanh,
    tril,
)
from dtorch.distributions import constraints
from dtorch.distributions.transforms.base import SameTransform, Transform
from dtorch.distributions.transforms.elementwise import log_slope_of_tanh
from dtorch.distributions.utils import tril_matrix_to_vec, vec_to_tril_matrix

__all__ = [
    "CorrCholeskyTransform", "LowerCholeskyTransform", "PositiveDefiniteTransform",
    "SoftmaxTransform", "StickBreakingTransform",
]  # fmt: skip


class CorrCholeskyTransform(Transform):
    """Vectors of n (n - 1) / 2 numbers as Cholesky factors of n x n correlation matrices.

    The tanh of the numbers are partial correlations; row i of the factor is their walk on the
    sphere: ``L[i, j] = r[i, j] * sqrt(1 - sum of L[i, k]**2 for k < j)``.

    Reference: Lewandowski, Kurowicka and Joe 2009, "Generating random correlation matrices based on
    vines and extended onion method".
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Any) -> Any:
        x = tanh(x)
        eps = finfo(x.dtype).eps
        x = x.clamp(min=-1 + eps, max=1 - eps)
        r = vec_to_tril_matrix(x, diag=-1)
        # The diagonal takes what is left: as if there were a last partial correlation of 1.
        left = cumprod(sqrt(1 - r * r), -1)
        ones = r.new_ones(r.shape[-1:]).diag()
        return (r + ones) * pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y: Any) -> Any:
        left = 1 - cumsum(y * y, -1)
        left = pad(left[..., :-1], [1, 0], value=1)
        partial = tril_matrix_to_vec(y, diag=-1) / tril_matrix_to_vec(left, diag=-1).sqrt()
        return atanh(partial)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        left = 1 - cumsum(y * y, -1)
        left = pad(left[..., :-1], [1, 0], value=1)
        of_walk = 0.5 * tril_matrix_to_vec(left, diag=-1).log().sum(-1)
        return of_walk + log_slope_of_tanh(x).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        count = shape[-1]
        size = round((0.25 + 2 * count) ** 0.5 + 0.5)
        if size * (size - 1) // 2 != count:
            raise ValueError(
                f"Input is not a flattened lower-diagonal number: {count} is no n (n - 1) / 2"
            )
        return shape[:-1] + (size, size)

    def inverse_shape(self, shape: Any) -> Any:
        if len(shape) < 2:
            raise ValueError("Too few dimensions on input")
        if shape[-2] != shape[-1]:
            raise ValueError(f"Input is not square: {tuple(shape)}")
        size = shape[-1]
        return shape[:-2] + (size * (size - 1) // 2,)


class SoftmaxTransform(SameTransform):
    """Logarithms up to a constant as probabilities, along the last dim.

    The inverse gives the logarithms that need no constant. As there are many, there is no Jacobian;
    `StickBreakingTransform` has one.
    """

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Any) -> Any:
        return softmax(x, -1)

    def _inverse(self, y: Any) -> Any:
        return y.log()

    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return shape

    def inverse_shape(self, shape: Any) -> Any:
        return self.forward_shape(shape)


class StickBreakingTransform(SameTransform):
    """Vectors of n numbers as n + 1 probabilities: each says how much is taken of what is left.

    Zeros become equal probabilities.

    Reference: Stan reference manual, "Unit simplex" transform.
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def _call(self, x: Any) -> Any:
        taken = sigmoid(x - _log_pieces_left(x))
        left = cumprod(1 - taken, -1)
        return pad(taken, [0, 1], value=1) * pad(left, [1, 0], value=1)

    def _inverse(self, y: Any) -> Any:
        parts = y[..., :-1]
        left = clamp(1 - parts.cumsum(-1), min=finfo(y.dtype).tiny)
        return parts.log() - left.log() + _log_pieces_left(parts)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        x = x - _log_pieces_left(x)
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return shape[:-1] + (shape[-1] + 1,)

    def inverse_shape(self, shape: Any) -> Any:
        if len(shape) < 1:
            raise ValueError("Too few dimensions on input")
        return shape[:-1] + (shape[-1] - 1,)


def _log_pieces_left(x: Any) -> Any:
    """log n, ..., log 2, log 1: how many equal pieces would be left after each."""
    return arange(x.shape[-1], 0, -1, dtype=x.dtype).log()


class LowerCholeskyTransform(SameTransform):
    """Square matrices as lower triangular ones with a positive diagonal, the exponential of theirs."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Any) -> Any:
        return tril(x, -1) + diag_embed(x.diagonal(dim1=-2, dim2=-1).exp())

    def _inverse(self, y: Any) -> Any:
        return tril(y, -1) + diag_embed(y.diagonal(dim1=-2, dim2=-1).log())


class PositiveDefiniteTransform(SameTransform):
    """Square matrices as positive definite ones, the product of `LowerCholeskyTransform` with its
    transpose."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Any) -> Any:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Any) -> Any:
        return LowerCholeskyTransform().inv(linalg_cholesky(y))
