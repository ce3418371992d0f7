"""Parameters as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dtorch.core.errors import ShapeError
from dtorch.core.functions import cat
from dtorch.core.grad_mode import no_grad
from dtorch.core.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """All parameters, flattened, one after the other.

    Example:
        >>> import dtorch
        >>> parameters_to_vector([dtorch.zeros(2, 1), dtorch.ones(1)]).tolist()
        [0.0, 0.0, 1.0]
    """
    return cat([p.reshape((-1,)) for p in parameters], 0)


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Overwrite the parameters by the pieces of a vector.

    Raises:
        ShapeError: the vector is shorter or longer than all parameters together.

    Example:
        >>> import dtorch
        >>> weight = dtorch.nn.Parameter(dtorch.zeros(1, 2))
        >>> vector_to_parameters(dtorch.tensor([1.0, 2.0]), [weight])
        >>> weight.tolist()
        [[1.0, 2.0]]
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"vector_to_parameters: got {type(vec).__name__}, expected a tensor")
    parts = list(parameters)
    total = sum(p.numel() for p in parts)
    if tuple(vec.shape) != (total,):
        raise ShapeError(
            f"vector_to_parameters: vec has shape {tuple(vec.shape)}, expected ({total},)"
        )
    at = 0
    with no_grad():
        for p in parts:
            p.copy_(vec[at : at + p.numel()].reshape(p.shape))
            at += p.numel()
