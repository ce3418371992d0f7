"""Gradients of fused operations under ``create_graph``.

A fused operation computes its first gradient on arrays, with what its forward pass left behind.
That code is no graph, so where the gradient itself is to be differentiated, the operation is
repeated as a composition of elementary ones, and the gradient of that is taken and recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.base import REQUIRES_GRAD, TensorBase
from dtorch.core.engine import run_grad
from dtorch.core.op import structured


@structured(tensors=("input",), public=False)
def alias(xp: ArrayModule, input: Array) -> Array:
    """The same elements, at a new place of the graph."""
    return input


@alias.gradient("input")
def _(grad):
    return grad


def recorded_gradients(
    function: Callable[..., Any], inputs: Sequence[Any], grads: Sequence[Any]
) -> list[Any]:
    """Gradients, recorded, of ``function(*inputs)`` with respect to every input.

    Args:
        function: composition of operations; gives a tensor or a tuple of them.
        inputs: tensors or None.
        grads: gradients of the outputs; None for one that took no part.
    Returns: for each input its gradient, or None where it does not require grad or had no part.
    """
    # Each input stands behind a node of its own: where one was computed from another, the
    # gradient must not flow on from the first to the second.
    aliases = [
        alias(x) if isinstance(x, TensorBase) and x._mode == REQUIRES_GRAD else x for x in inputs
    ]
    outputs = function(*aliases)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    pairs = [
        (out, grad)
        for out, grad in zip(outputs, grads, strict=True)
        if grad is not None and out._mode == REQUIRES_GRAD
    ]
    wanted = [i for i, x in enumerate(inputs) if aliases[i] is not x]
    found: list[Any] = [None] * len(inputs)
    if pairs and wanted:
        outs, out_grads = zip(*pairs, strict=True)
        results = run_grad(outs, out_grads, [aliases[i] for i in wanted], True, True)
        for i, result in zip(wanted, results, strict=True):
            found[i] = result
    return found
