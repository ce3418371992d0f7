"""Ready parametrizations: weight norm, spectral norm, orthogonal matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.creation import eye
from dtorch.core.errors import ArgumentError, ShapeError
from dtorch.core.functions import cat, matmul, matrix_exp, normalize, solve, tril
from dtorch.nn.module import Module
from dtorch.nn.utils.parametrize import register_parametrization
from dtorch.nn.utils.spectral_norm import (
    as_matrix,
    default_dim,
    iterate,
    largest_value,
    random_unit,
)
from dtorch.nn.utils.weight_norm import norm_except_dim


def _tensor_of(name: str, module: Module, tensor_name: str) -> Any:
    weight = getattr(module, tensor_name, None)
    if weight is None or not hasattr(weight, "ndim"):
        raise ArgumentError(f"{name}: {type(module).__name__} has no tensor {tensor_name!r}")
    return weight


class _WeightNorm(Module):
    """Length and direction to weight."""

    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        return weight_v * (weight_g / norm_except_dim(weight_v, self.dim))

    def right_inverse(self, weight: Any) -> tuple[Any, Any]:
        """Length and direction of a weight."""
        return norm_except_dim(weight, self.dim), weight


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Train length and direction of a weight; see `dtorch.nn.utils.weight_norm`.

    Example:
        >>> import dtorch
        >>> layer = weight_norm(dtorch.nn.Linear(2, 3))
        >>> len(list(layer.parameters())), tuple(layer.weight.shape)
        (3, (3, 2))
    """
    _tensor_of("weight_norm", module, name)
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


class _SpectralNorm(Module):
    """Weight to weight of largest singular value 1."""

    def __init__(self, weight: Any, n_power_iterations: int, dim: int, eps: float) -> None:
        super().__init__()
        if n_power_iterations < 1:
            raise ArgumentError(
                f"spectral_norm: n_power_iterations is {n_power_iterations}, expected at least 1"
            )
        self.dim = dim if dim >= 0 else dim + weight.ndim
        self.n_power_iterations = n_power_iterations
        self.eps = eps
        if weight.ndim > 1:
            matrix = as_matrix(weight.detach(), self.dim)
            kind = weight.array.dtype
            self.register_buffer("_u", wrap(random_unit(matrix.shape[0], kind, eps)))
            self.register_buffer("_v", wrap(random_unit(matrix.shape[1], kind, eps)))
            iterate(matrix, self._u, self._v, 15, eps, left_first=True)

    def forward(self, weight: Any) -> Any:
        if weight.ndim == 1:
            return normalize(weight, 2.0, 0, self.eps)
        matrix = as_matrix(weight, self.dim)
        if self.training:
            iterate(matrix, self._u, self._v, self.n_power_iterations, self.eps, True)
        return weight / largest_value(matrix, self._u, self._v)

    def right_inverse(self, value: Any) -> Any:
        """The value itself: nothing can be said of its former size."""
        return value


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> Module:  # fmt: skip
    """Divide a weight by its largest singular value; see `dtorch.nn.utils.spectral_norm`.

    Example:
        >>> import dtorch
        >>> layer = spectral_norm(dtorch.nn.Linear(3, 3), n_power_iterations=50)
        >>> round(dtorch.linalg.matrix_norm(layer.weight, 2).item(), 2)
        1.0
    """
    weight = _tensor_of("spectral_norm", module, name)
    chosen = default_dim(module) if dim is None else dim
    return register_parametrization(
        module, name, _SpectralNorm(weight, n_power_iterations, chosen, eps)
    )


class _Orthogonal(Module):
    """Any matrix to one with orthonormal columns (rows, if there are more columns than rows).

    Args:
        weight: the matrix to begin with.
        kind: ``"matrix_exp"``, ``"cayley"`` or ``"householder"``.
    """

    def __init__(self, weight: Any, kind: str) -> None:
        super().__init__()
        if weight.is_complex():
            raise ArgumentError("orthogonal: complex weights are not supported")
        self.kind = kind
        rows, columns = weight.shape[-2:]
        self.wide = rows < columns

    def forward(self, x: Any) -> Any:
        return _tall(self._turn(_tall(x, self.wide)), self.wide)

    def _turn(self, x: Any) -> Any:
        n, k = x.shape[-2:]
        if self.kind == "householder":
            return _reflections(x, n, k)
        lower = tril(x, -1)
        if n != k:
            filler = x.new_zeros(*x.shape[:-1], n - k)
            lower = cat([lower, filler], -1)
        skew = lower - lower.transpose(-2, -1)
        if self.kind == "matrix_exp":
            return matrix_exp(skew)[..., :k]
        one = eye(n, dtype=x.dtype)
        return solve(one - skew * 0.5, one + skew * 0.5)[..., :k]


class _Turned(_Orthogonal):
    """`_Orthogonal` times a fixed base: what is trained begins at the identity, at 0."""

    def __init__(self, weight: Any, kind: str) -> None:
        super().__init__(weight, kind)
        self.register_buffer("base", wrap(_basis(_tall(weight, self.wide).array)))

    def _turn(self, x: Any) -> Any:
        return matmul(self.base, super()._turn(x))

    def right_inverse(self, value: Any) -> Any:
        """What to train so that ``value``, made orthogonal, results."""
        tall = _tall(value, self.wide)
        self.base.array[...] = _basis(tall.array)
        return _tall(wrap(np.zeros(tuple(tall.shape), tall.array.dtype)), self.wide)


def _tall(x: Any, wide: bool) -> Any:
    return x.transpose(-2, -1) if wide else x


def _basis(matrix: Any) -> Any:
    """An orthogonal matrix whose first columns span, in order, those of ``matrix``."""
    q, r = np.linalg.qr(matrix, mode="complete")
    k = matrix.shape[-1]
    signs = np.sign(np.diagonal(r, axis1=-2, axis2=-1))
    q[..., :k] *= np.where(signs == 0, 1, signs)[..., None, :]
    return q


def _reflections(x: Any, n: int, k: int) -> Any:
    """First ``k`` columns of a product of reflections, two for each column, so that it begins at
    the identity where ``x`` is 0."""
    below = tril(x, -1)
    unit = eye(n, dtype=x.dtype)[:, :k]
    q: Any = unit
    for i in reversed(range(k)):
        v = (below[..., :, i] + unit[:, i]).unsqueeze(-1)
        scale = 2.0 / (v * v).sum((-2, -1), keepdim=True)
        q = q - v * scale * matmul(v.transpose(-2, -1), q)
        flip = unit[:, i].unsqueeze(-1)
        q = q - flip * 2.0 * matmul(flip.transpose(-2, -1), q)
    return q


def orthogonal(
    module: Module, name: str = "weight", orthogonal_map: str | None = None, *,
    use_trivialization: bool = True,
) -> Module:  # fmt: skip
    """Keep a weight orthogonal (or, if it is not square, with orthonormal rows or columns).

    Args:
        orthogonal_map: ``"matrix_exp"``, ``"cayley"`` or ``"householder"``. Default: the first for
            square weights, the last for others.
        use_trivialization: train a turn of the weight's own basis; needed to set its value.

    Reference: Lezcano-Casado 2019, arXiv:1909.09501.

    Example:
        >>> import dtorch
        >>> layer = orthogonal(dtorch.nn.Linear(3, 3))
        >>> dtorch.allclose(layer.weight @ layer.weight.T, dtorch.eye(3), atol=1e-5)
        True
    """
    weight = _tensor_of("orthogonal", module, name)
    if weight.ndim < 2:
        raise ShapeError(
            f"orthogonal: {name} has shape {tuple(weight.shape)}, expected at least 2 dimensions"
        )
    if orthogonal_map is None:
        orthogonal_map = "matrix_exp" if weight.shape[-2] == weight.shape[-1] else "householder"
    if orthogonal_map not in ("matrix_exp", "cayley", "householder"):
        raise ArgumentError(
            f"orthogonal: orthogonal_map is {orthogonal_map!r}, expected 'matrix_exp', 'cayley' or "
            "'householder'"
        )
    kind = _Turned if use_trivialization else _Orthogonal
    return register_parametrization(module, name, kind(weight, orthogonal_map), unsafe=True)
