"""Distances as layers."""

from __future__ import annotations

from typing import Any

from dtorch.core import functions
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module

__all__ = ["CosineSimilarity", "PairwiseDistance"]


class PairwiseDistance(Module):
    """p-norm, over the last dim, of the difference of two tensors; ``eps`` is added to it.

    Args:
        p: of the norm.
        eps: keeps the gradient finite at distance 0.
        keepdim: keep the last dim, of size 1.

    Shape: ``(N, D)`` or ``(D,)`` twice; output ``(N,)`` or ``()``.

    Example:
        >>> import dtorch
        >>> PairwiseDistance(eps=0)(dtorch.zeros(1, 2), dtorch.tensor([[3.0, 4.0]])).tolist()
        [5.0]
    """

    keepdim = False  # in files of before 0.4

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Any:
        return functions.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """Cosine of the angle between two tensors along ``dim``.

    Args:
        dim: of the vectors.
        eps: least norm of each.

    Example:
        >>> import dtorch
        >>> CosineSimilarity(dim=0)(dtorch.tensor([3.0, 0.0]), dtorch.tensor([5.0, 0.0])).item()
        1.0
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Tensor, x2: Tensor) -> Any:
        return functions.cosine_similarity(x1, x2, self.dim, self.eps)
