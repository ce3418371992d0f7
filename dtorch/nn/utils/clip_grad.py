"""Gradients kept within bounds."""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

from dtorch.core.base import TensorBase, wrap
from dtorch.core.coo import CooArray
from dtorch.core.dtype import from_numpy_dtype, promote_types
from dtorch.core.entry import entry
from dtorch.core.errors import GradError
from dtorch.core.half import widened
from dtorch.core.inplace import bump
from dtorch.core.ops.norm import sum_of_squares


def _several(parameters: Any) -> list[Any]:
    if isinstance(parameters, TensorBase):
        return [parameters]
    if not isinstance(parameters, Iterable):
        raise TypeError(
            f"clip_grad: parameters is {type(parameters).__name__}, expected tensors; pass "
            "model.parameters()"
        )
    return list(parameters)


def _gradients(parameters: Any) -> list[Any]:
    return [p._grad for p in _several(parameters) if p._grad is not None]


@entry("get_total_norm")
def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:  # fmt: skip
    """Norm of all elements of several tensors together, as a 0-dim tensor.

    Args:
        norm_type: p; may be inf.
    Raises:
        GradError: the norm is nan or infinite, and ``error_if_nonfinite`` is set.

    Example:
        >>> import dtorch
        >>> get_total_norm([dtorch.tensor([3.0]), dtorch.tensor([4.0])])
        tensor(5.)
    """
    given = [tensors] if isinstance(tensors, TensorBase) else tensors
    arrays = [
        t.array.coalesce().values if isinstance(t.array, CooArray) else t.array for t in given
    ]
    if not arrays:
        return wrap(np.zeros((), np.float32))
    p = float(norm_type)
    dtypes = {from_numpy_dtype(a.dtype) for a in arrays}
    kind = functools.reduce(promote_types, dtypes).numpy
    wide = [widened(a) for a in arrays]
    if p == 2:
        total = math.sqrt(sum(float(sum_of_squares(a)) for a in wide))
        if not math.isfinite(total):  # squares may have overflown
            total = math.sqrt(
                sum(float(np.square(np.abs(a), dtype=np.float64).sum()) for a in wide)
            )
    elif p == math.inf:
        total = float(np.max([np.abs(a).max() for a in wide if a.size], initial=0.0))
    else:
        each = [np.linalg.norm(np.abs(a).reshape(-1).astype(np.float64), p) for a in wide]
        total = float(np.linalg.norm(each, p))
    if error_if_nonfinite and not math.isfinite(total):
        raise GradError(
            f"the norm of order {p:g} of the gradients is {total}, so they cannot be scaled; pass "
            "error_if_nonfinite=False to go on"
        )
    return wrap(np.asarray(total, np.zeros((), kind).real.dtype))


@entry("clip_grads_with_norm_")
def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None
) -> None:
    """Scale gradients by ``max_norm / total_norm`` if that is below 1, in place.

    Args:
        parameters: tensors, or one.
        total_norm: what `get_total_norm` gave for their gradients.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.zeros(2))
        >>> w.grad = dtorch.tensor([3.0, 4.0])
        >>> clip_grads_with_norm_(w, 1.0, dtorch.tensor(5.0))
        >>> dtorch.allclose(w.grad, dtorch.tensor([0.6, 0.8]))
        True
    """
    factor = float(max_norm) / (float(total_norm) + 1e-6)
    if not factor < 1 and not math.isnan(factor):
        return
    for grad in _gradients(parameters):
        array = grad.array.values if isinstance(grad.array, CooArray) else grad.array
        array[...] = widened(array) * factor
        bump(grad)


def clip_grad_norm_(
    parameters: Any, max_norm: float, norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:  # fmt: skip
    """Scale the gradients of all parameters, as one vector, to a norm of at most ``max_norm``.

    Args:
        parameters: tensors, or one.
        norm_type: p of the norm; may be inf.
        error_if_nonfinite: complain about a norm that is nan or infinite.
    Returns: the norm before.

    Raises:
        RuntimeError: the norm is nan or infinite, and ``error_if_nonfinite`` is set.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.zeros(2))
        >>> w.grad = dtorch.tensor([3.0, 4.0])
        >>> clip_grad_norm_(w, 1.0)
        tensor(5.)
        >>> dtorch.allclose(w.grad, dtorch.tensor([0.6, 0.8]))
        True
    """
    parameters = _several(parameters)
    total = get_total_norm(_gradients(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_norm(
    parameters: Any, max_norm: float, norm_type: float = 2, error_if_nonfinite: bool = False
) -> Any:
    """Classic name of `clip_grad_norm_`, with a warning."""
    warnings.warn(
        "clip_grad_norm is deprecated; use clip_grad_norm_", FutureWarning, stacklevel=2
    )  # fmt: skip
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite)


@entry("clip_grad_value_")
def clip_grad_value_(
    parameters: Iterable[Any] | Any, clip_value: float, foreach: bool | None = None
) -> None:
    """Cut every element of the gradients off at ``-clip_value`` and ``clip_value``.

    Args:
        parameters: tensors, or one.
        clip_value: at least 0.

    Example:
        >>> import dtorch
        >>> w = dtorch.nn.Parameter(dtorch.zeros(2))
        >>> w.grad = dtorch.tensor([3.0, 4.0])
        >>> clip_grad_value_(w, 3.5)
        >>> w.grad.tolist()
        [3.0, 3.5]
    """
    bound = float(clip_value)
    for grad in _gradients(parameters):
        kind = grad.array.dtype.type
        np.clip(grad.array, kind(-bound), kind(bound), out=grad.array)
        bump(grad)
