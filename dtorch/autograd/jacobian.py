"""Jacobians of functions of tensors: from backward passes, and from finite differences.

A Jacobian has a row for each number that an input is made of, a column for each of an output. A
complex number is two numbers; of a sparse input only the stored elements count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dtorch.autograd.backward import grad
from dtorch.core.base import REQUIRES_GRAD, TensorBase, wrap
from dtorch.core.coo import CooArray
from dtorch.core.grad_mode import no_grad
from dtorch.core.tensor import Tensor


def parts(array: np.ndarray) -> np.ndarray:
    """The real numbers that an array is made of, flat."""
    if array.dtype.kind == "c":
        array = np.ascontiguousarray(array)
        return array.reshape(-1).view(array.real.dtype)
    return array.reshape(-1)


def stored(tensor: Any) -> np.ndarray:
    """The elements of a tensor that are kept: of a sparse one, its values."""
    array = tensor.array
    return array.values if isinstance(array, CooArray) else array


def of_input(gradient: Any, input: Any) -> np.ndarray:
    """The numbers of a gradient that belong to the `stored` elements of the input."""
    array = gradient.array
    if isinstance(input.array, CooArray):
        array = array.to_dense() if isinstance(array, CooArray) else array
        array = array[tuple(input.array.indices)]
    elif isinstance(array, CooArray):
        array = array.to_dense()
    return parts(array)


def analytic(output: Any, inputs: Sequence[Any]) -> list[np.ndarray]:
    """The Jacobian of each input, by a backward pass for each number of the output."""
    array = output.array
    count = parts(array).size
    found = [np.zeros((parts(stored(t)).size, count)) for t in inputs]
    for k in range(count):
        one_hot = np.zeros(array.shape, array.dtype)
        parts(one_hot)[k] = 1
        columns = grad(output, inputs, wrap(one_hot), retain_graph=True, allow_unused=True)
        for jacobian, input, column in zip(found, inputs, columns, strict=True):
            if column is not None:
                jacobian[:, k] = of_input(column, input)
    return found


def numeric(function: Callable[[], Any], tensor: Any, eps: float) -> np.ndarray:
    """The Jacobian of one input, by central differences.

    Args:
        function: gives the output for what ``tensor`` holds at the time.
    """
    array = stored(tensor)
    rows = []
    imaginary = (1, 1j) if array.dtype.kind == "c" else (1,)
    with no_grad():
        for place in np.ndindex(array.shape):
            kept = array[place]
            for unit in imaginary:
                array[place] = kept + eps * unit
                up = parts(function().array).copy()
                array[place] = kept - eps * unit
                down = parts(function().array).copy()
                array[place] = kept
                rows.append((up - down) / (2 * eps))
        columns = parts(function().array).size
    return np.array(rows).reshape(len(rows), columns)


# -- classic names, which tests of layers call by themselves ---------------------------------------


def iter_tensors(x: Any, only_requiring_grad: bool = False) -> Iterator[Tensor]:
    """The tensors in nested lists and tuples."""
    if isinstance(x, TensorBase):
        if x._mode == REQUIRES_GRAD or not only_requiring_grad:
            yield x  # type: ignore[misc]  # a Tensor
    elif isinstance(x, (list, tuple)):
        for each in x:
            yield from iter_tensors(each, only_requiring_grad)


def zero_gradients(x: Any) -> None:
    """Set to zero the gradients of the tensors in nested lists and tuples."""
    for tensor in iter_tensors(x):
        if tensor.grad is not None:
            tensor.grad.detach_().zero_()


def contiguous(x: Any) -> Any:
    """Contiguous forms of the tensors in nested lists and tuples."""
    if isinstance(x, TensorBase):
        return x.contiguous()  # type: ignore[attr-defined]  # a Tensor
    return type(x)(contiguous(each) for each in x) if isinstance(x, (list, tuple)) else x


def get_numerical_jacobian(
    fn: Callable[[Any], Any], inputs: Any, target: Any = None, eps: float = 1e-3
) -> Any:
    """The Jacobian of ``fn(inputs)`` for each tensor that requires grad in ``target``.

    Args:
        inputs: what ``fn`` takes.
        target: a tensor, or nested lists and tuples of them; default: ``inputs``. Elements of
            them are changed for a moment.
        eps: step of the differences.

    Returns: as ``target``, each tensor replaced by one of ``(elements, elements of the output)``.

    Example:
        >>> import dtorch
        >>> x = dtorch.tensor([1.0, 2.0], dtype=dtorch.float64, requires_grad=True)
        >>> get_numerical_jacobian(lambda t: t * 3, x).round().tolist()
        [[3.0, 0.0], [0.0, 3.0]]
    """

    def of(part: Any) -> Any:
        if isinstance(part, TensorBase):
            if part._mode != REQUIRES_GRAD:
                return None
            rows = numeric(lambda: fn(inputs), part, eps)
            return wrap(rows.astype(stored(part).real.dtype))
        if not isinstance(part, (list, tuple)):
            return None
        found = [jacobian for jacobian in map(of, part) if jacobian is not None]
        return type(part)(found) if found else None

    return of(inputs if target is None else target)


def get_analytical_jacobian(inputs: Any, output: Tensor, nondet_tol: float = 0.0) -> Any:
    """The Jacobians of ``output`` for the tensors that require grad in ``inputs``.

    Returns: ``(jacobians, reentrant, sizes_match, types_match)``: a tuple of tensors ``(elements,
        elements of the output)``; whether a second backward pass gave the same, within
        ``nondet_tol``; whether each gradient has the shape and the dtype of its input.

    Example:
        >>> import dtorch
        >>> x = dtorch.tensor([1.0, 2.0], dtype=dtorch.float64, requires_grad=True)
        >>> jacobians, *flags = get_analytical_jacobian((x,), x * 3)
        >>> jacobians[0].tolist(), flags
        ([[3.0, 0.0], [0.0, 3.0]], [True, True, True])
    """
    leaves = list(iter_tensors(inputs, only_requiring_grad=True))
    first, second = analytic(output, leaves), analytic(output, leaves)
    reentrant = all(
        np.allclose(a, b, rtol=0, atol=nondet_tol, equal_nan=True)
        for a, b in zip(first, second, strict=True)
    )
    jacobians = tuple(
        wrap(jacobian.astype(stored(leaf).real.dtype))
        for jacobian, leaf in zip(first, leaves, strict=True)
    )
    return jacobians, reentrant, True, True
