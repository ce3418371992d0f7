"""Python functions applied to each element in place: slow, for what no operation does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core.base import REQUIRES_GRAD, TensorBase
from dtorch.core.coo import CooArray
from dtorch.core.errors import DtypeError, GradError, LayoutError, ShapeError
from dtorch.core.inplace import bump, check_inplace
from dtorch.core.op import method


def _overwrite(name: str, input: Any, others: tuple[Any, ...], function: Any) -> Any:
    """Write ``function(element, *elements of others)`` to each place, in the order of indices."""
    for tensor in (input, *others):
        if not isinstance(tensor, TensorBase):
            raise TypeError(f"{name}: got {type(tensor).__name__}, expected a tensor")
        if tensor._mode == REQUIRES_GRAD:
            raise GradError(
                f"{name}: a Python function has no gradient, and a tensor requires grad; use "
                "detach()"
            )
        if isinstance(tensor._array, CooArray):
            raise LayoutError(f"{name}: not defined for a sparse tensor; use to_dense() first")
        if tensor._array.dtype != input._array.dtype:
            raise DtypeError(
                f"{name}: got tensors of {tensor._array.dtype} and {input._array.dtype}, expected one"
            )
    check_inplace(name, input, input._mode)
    array = input._array
    try:
        lines = [np.broadcast_to(t._array, array.shape).ravel().tolist() for t in others]
    except ValueError:
        shapes = [tuple(t._array.shape) for t in others]
        raise ShapeError(
            f"{name}: tensors of shape {shapes} cannot be broadcast to {tuple(array.shape)}"
        ) from None
    results = list(map(function, array.ravel().tolist(), *lines))
    array[...] = np.array(results, array.dtype).reshape(array.shape)
    bump(input)
    return input


def _apply(input: Any, callable: Callable[[Any], Any]) -> Any:
    """Overwrite each element with ``callable(element)``.

    Raises:
        GradError: the tensor requires grad.
    """
    return _overwrite("apply_", input, (), callable)


def _map(input: Any, tensor: Any, callable: Callable[[Any, Any], Any]) -> Any:
    """Overwrite each element with ``callable(element, element of tensor)``; that broadcasts."""
    return _overwrite("map_", input, (tensor,), callable)


def _map2(input: Any, x: Any, y: Any, callable: Callable[[Any, Any, Any], Any]) -> Any:
    """Overwrite each element with ``callable(element, element of x, element of y)``."""
    return _overwrite("map2_", input, (x, y), callable)


method("apply_", _apply)
method("map_", _map)
method("map2_", _map2)
