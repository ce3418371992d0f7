"""Layers that change the shape alone."""

from __future__ import annotations

import math
from typing import Any

from dtorch.core.errors import ShapeError
from dtorch.core.shapes import infer_size, normalize_dim
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module

__all__ = ["Flatten", "Unflatten"]


class Flatten(Module):
    """Joins the dims from ``start_dim`` to ``end_dim``; by default all but the batch.

    Example:
        >>> import dtorch
        >>> tuple(Flatten()(dtorch.ones(2, 3, 4)).shape)
        (2, 12)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits the dim ``dim`` into dims of the sizes ``unflattened_size``, one of which may be -1.

    Raises:
        TypeError: ``dim`` is no int.
        RuntimeError: the sizes do not multiply to that of the dim.

    Example:
        >>> import dtorch
        >>> tuple(Unflatten(1, (2, -1))(dtorch.ones(3, 8)).shape)
        (3, 2, 4)
    """

    def __init__(self, dim: int, unflattened_size: Any) -> None:
        super().__init__()
        if not isinstance(dim, int) or isinstance(dim, bool):
            raise TypeError(f"Unflatten: dim is {dim!r}, expected an int")
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        shape = tuple(input.shape)
        dim = normalize_dim("Unflatten", self.dim, len(shape))
        sizes = infer_size("Unflatten", self.unflattened_size, shape[dim])
        if math.prod(sizes) != shape[dim]:
            raise ShapeError(f"Unflatten: dim {dim} of shape {shape} cannot become {sizes}")
        return input.reshape((*shape[:dim], *sizes, *shape[dim + 1 :]))

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
