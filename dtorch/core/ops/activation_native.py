"""Compiled activation functions and their gradients, for arrays of float32 and float64.

Each function returns None for what it does not know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.elementwise import ElementwiseOp

_native = backend.native


def _is_known(array: Any) -> bool:
    return type(array) is np.ndarray and array.dtype.char in "fd" and array.flags.c_contiguous


def forward(name: str, input: Any, *parameters: float) -> Any:
    """The function of every element."""
    if _native is None or not _is_known(input):
        return None
    out = np.empty(input.shape, input.dtype)
    _native.activate(_native.Activation[name], input, out, *parameters)
    return out


def backward(name: str, grad: Any, known: Any, *parameters: float) -> Any:
    """The gradient from the input; of ``sigmoid`` and ``tanh`` from the result."""
    if _native is None or not (_is_known(grad) and _is_known(known)):
        return None
    if grad.shape != known.shape or grad.dtype != known.dtype:
        return None
    out = np.empty(grad.shape, grad.dtype)
    _native.activate_backward(_native.Activation[name], grad, known, out, *parameters)
    return out


def compile_forward(
    op: ElementwiseOp, name: str, parameters: Callable[..., tuple[float, ...]]
) -> None:
    """Let an operation compute by the compiled function ``name``.

    Args:
        parameters: those of the function, from the operation's arguments after the input.
    """

    @op.kernel("cpu")
    def _(input: Any, *rest: Any) -> Any:
        found = forward(name, input, *parameters(*rest))
        return op.run_body(np, (input, *rest)) if found is None else found
