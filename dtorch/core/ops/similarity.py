"""How near two vectors are, and vectors made of length 1."""

from __future__ import annotations

from typing import Any

import numpy as np

from dtorch.core import classic
from dtorch.core.base import wrap
from dtorch.core.classic import Classic
from dtorch.core.composites import composite
from dtorch.core.errors import RankError
from dtorch.core.ops.bounds import clamp
from dtorch.core.ops.elements import index_select
from dtorch.core.ops.norm import norm
from dtorch.core.ops.reduction import sum
from dtorch.core.ops.view import expand
from dtorch.core.shapes import broadcast_shapes
from dtorch.core.tensor import Tensor


@composite(tensors=("x1", "x2"), home="nn", wide=True, takes="ifc")
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """p-norm, over the last dim, of the difference of two tensors.

    Args:
        eps: added to the difference, so that the gradient exists for equal ones.
    """
    keepdim = keepdim or (x1.ndim == 2 and classic.allows(Classic.DISTANCE))
    return distance(x1, x2, p, eps, keepdim)


def distance(x1: Tensor, x2: Tensor, p: float, eps: float, keepdim: bool = False) -> Any:
    """`pairwise_distance`, without a column in classic mode."""
    return norm(x1 - x2 + eps, p, -1, keepdim)


@pairwise_distance.samples
def _(make):
    yield (make(2, 3), make(2, 3)), {}
    yield (make(2, 3), make(3)), {"p": 1.0, "keepdim": True}
    yield (make(3), make(3)), {"p": 3.0}


@pairwise_distance.expect
def _(x1, x2, p=2.0, keepdim=False):
    return np.linalg.norm(x1 - x2 + 1e-6, p, -1, keepdim)


@composite(tensors=("x1", "x2"), home="nn", wide=True, takes="f")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """Cosine of the angle between two tensors along ``dim``.

    Args:
        eps: least length taken for each, so that nothing is divided by 0.
    """
    shape = broadcast_shapes("cosine_similarity", x1.shape, x2.shape)
    x1, x2 = expand(x1, shape), expand(x2, shape)
    a, b = norm(x1, 2, dim), norm(x2, 2, dim)
    return sum(x1 * x2, dim) / (clamp(a, eps) * clamp(b, eps))


@cosine_similarity.samples
def _(make):
    yield (make(2, 3), make(2, 3)), {}
    yield (make(2, 3, 4), make(3, 4)), {"dim": -1}


@cosine_similarity.expect
def _(x1, x2, dim=1):
    lengths = np.sqrt((x1**2).sum(dim) * (x2**2).sum(dim))
    return (x1 * x2).sum(dim) / lengths


@composite(tensors=("input",), home="nn", wide=True, takes="fc")
def normalize(input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12) -> Tensor:
    """The input divided by its p-norm over ``dim``, or by ``eps`` where that is larger."""
    return input / clamp(norm(input, p, dim, True), eps)


@normalize.samples
def _(make):
    yield (make(2, 3),), {}
    yield (make(2, 3, 4), 1.0, -1), {}


@normalize.expect
def _(input, p=2.0, dim=1):
    return input / np.linalg.norm(input, p, dim, True)


@composite(tensors=("input",), home="nn", wide=True, takes="f")
def pdist(input: Tensor, p: float = 2) -> Tensor:
    """p-norms of the differences of all pairs of rows of ``(N, M)``: rows 0 and 1, 0 and 2, ..."""
    if input.ndim != 2:
        raise RankError(f"pdist: input has shape {tuple(input.shape)}, expected 2 dimensions")
    first, second = np.triu_indices(input.shape[0], 1)
    pairs = [index_select(input, 0, wrap(i.astype(np.int64))) for i in (first, second)]
    return norm(pairs[0] - pairs[1], p, 1)


@pdist.samples
def _(make):
    yield (make(4, 3),), {}
    yield (make(3, 2), 1), {}


@pdist.expect
def _(input, p=2):
    n = len(input)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n)]
    return np.array([np.linalg.norm(input[i] - input[j], p) for i, j in pairs])
