"""The functions that run the graph backward."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from dtorch.core.base import TensorBase, wrap
from dtorch.core.engine import resolve_retain, run_backward, run_grad, to_the_end
from dtorch.core.errors import ArgumentError, DtypeError, GradError
from dtorch.core.ops.joining import stack
from dtorch.core.tensor import Tensor

Tensors = Tensor | Iterable[Tensor]


def _as_sequence(name: str, value: Any, *, or_none: bool = False) -> Sequence[Any]:
    if isinstance(value, TensorBase):
        return [value]
    if not isinstance(value, Iterable) or isinstance(value, (str, bytes, np.ndarray)):
        raise DtypeError(f"{name}: got {type(value).__name__}, expected a tensor or several")
    tensors = value if isinstance(value, (list, tuple)) else tuple(value)
    for number, tensor in enumerate(tensors):
        if not isinstance(tensor, TensorBase) and not (or_none and tensor is None):
            kind = type(tensor).__name__
            raise DtypeError(f"{name}: number {number} is of type {kind}, expected a tensor")
    return tensors


def _gradients(name: str, value: Any, count: int) -> Sequence[Any]:
    if value is None:
        return [None] * count
    gradients = _as_sequence(name, value, or_none=True)
    if len(gradients) != count:
        raise ArgumentError(f"{name}: got {len(gradients)} gradients, expected {count}")
    return gradients


def backward(
    tensors: Tensors,
    grad_tensors: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Tensors | None = None,
    inputs: Tensors | None = None,
    retain_variables: bool | None = None,
) -> None:
    """Accumulate the summed gradient of ``tensors`` into the ``grad`` of the leaves.

    Args:
        tensors: one tensor or several.
        grad_tensors: gradient of each, None where the tensor has one element.
        retain_graph: keep the graph for another pass. Default: ``create_graph``.
        create_graph: record the pass itself, for derivatives of higher order.
        grad_variables, retain_variables: classic names of ``grad_tensors`` and ``retain_graph``.
        inputs: accumulate into these only.

    Raises:
        RuntimeError: a tensor of several elements without a gradient, one without a graph, or a graph
            that was freed.

    Example:
        >>> import dtorch
        >>> x = dtorch.tensor([1.0, 2.0], requires_grad=True)
        >>> backward((x * x).sum())
        >>> x.grad.tolist()
        [2.0, 4.0]
    """
    roots = _as_sequence("backward", tensors)
    if grad_variables is not None:
        if grad_tensors is not None:
            raise ArgumentError("backward: grad_tensors and grad_variables are one argument")
        grad_tensors = grad_variables
    gradients = _gradients("grad_tensors", grad_tensors, len(roots))
    only = None if inputs is None else _as_sequence("inputs", inputs)
    retain = resolve_retain(retain_graph, retain_variables, create_graph)
    run_backward(roots, gradients, retain, create_graph, only)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Tensors | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | Any, ...]:
    """The summed gradient of ``outputs`` with respect to each of ``inputs``.

    Nothing is accumulated into any ``grad``.

    Args:
        allow_unused: give None for an input that has no part in the outputs, instead of an error.
            Default: ``materialize_grads``.
        is_grads_batched: each of ``grad_outputs`` holds a batch of gradients in its first dim; so
            do the results.
        materialize_grads: give zeros instead of None.
    Returns: a tensor for each input; with ``allow_unused`` there may be None.
    Raises:
        GradError: an input has no part in the outputs.
    Example:
        >>> import dtorch
        >>> x = dtorch.tensor(3.0, requires_grad=True)
        >>> (dx,) = grad(x**3, x, create_graph=True)
        >>> float(dx), float(grad(dx, x)[0])
        (27.0, 18.0)
    """
    if not only_inputs:
        warnings.warn(
            "grad: only_inputs=False does nothing any more; for gradients of others use backward()",
            FutureWarning,
            stacklevel=2,
        )
    if materialize_grads and allow_unused is False:
        raise ArgumentError(
            "grad: materialize_grads=True and allow_unused=False exclude each other"
        )
    roots = _as_sequence("outputs", outputs)
    leaves = _as_sequence("inputs", inputs)
    if not leaves:
        raise ArgumentError("grad: inputs cannot be empty")
    gradients = _gradients("grad_outputs", grad_outputs, len(roots))
    retain = resolve_retain(retain_graph, None, create_graph)
    if is_grads_batched:
        found = _batched(roots, gradients, leaves, retain, create_graph)
    else:
        found = to_the_end(lambda: run_grad(roots, gradients, leaves, retain, create_graph))
    if materialize_grads:
        found = [_zeros_for(t) if g is None else g for t, g in zip(leaves, found, strict=True)]
    if not allow_unused:
        for position, g in enumerate(found):
            if g is None:
                raise GradError(
                    f"grad: input {position} has no part in the outputs; pass allow_unused=True to "
                    "get None for it"
                )
    return tuple(found)


def _zeros_for(tensor: Tensor) -> Tensor:
    return wrap(np.zeros_like(tensor.array))  # type: ignore[no-any-return]


def _batched(
    roots: Sequence[Tensor],
    gradients: Sequence[Any],
    leaves: Sequence[Tensor],
    retain: bool,
    create_graph: bool,
) -> list[Tensor | None]:
    """One pass for each entry of the batch, stacked."""
    if any(gradient is None for gradient in gradients):
        raise ArgumentError("grad: is_grads_batched needs a batch of gradients for each output")
    sizes = {gradient.array.shape[:1] for gradient in gradients}
    if len(sizes) != 1 or sizes == {()}:
        raise ArgumentError("grad: is_grads_batched needs batches of one size in the first dim")
    count = sizes.pop()[0]
    if not count:
        raise ArgumentError("grad: is_grads_batched needs a batch of at least one gradient")
    passes = [
        run_grad(roots, [g[i] for g in gradients], leaves, retain or i + 1 < count, create_graph)
        for i in range(count)
    ]
    return [
        None if all(g is None for g in column)
        else stack([_zeros_for(leaf) if g is None else g for g in column])
        for leaf, column in zip(leaves, zip(*passes, strict=True), strict=True)
    ]  # fmt: skip
