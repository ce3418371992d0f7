"""Activation functions and their gradients, of float32 and float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dtorch.core.backend import native
from dtorch.core.elementwise import ElementwiseOp
from dtorch.core.ops.activation import gelu, logsigmoid, mish, sigmoid, silu, softplus
from dtorch.core.ops.bounds import clamp
from dtorch.core.ops.rectifiers import (
    SELU_ALPHA,
    SELU_SCALE,
    celu,
    elu,
    hardsigmoid,
    hardswish,
    hardtanh,
    leaky_relu,
    relu,
    relu6,
    selu,
)
from dtorch.core.ops.trigonometric import tanh


def _is_plain(array: Any, kinds: str = "fd") -> bool:
    return type(array) is np.ndarray and array.dtype.char in kinds and array.flags.c_contiguous


def _are_alike(a: Any, b: Any) -> bool:
    return a.shape == b.shape and a.dtype == b.dtype


def _value(function: Any, parameters: Callable[..., Any], input: Any, *rest: Any) -> Any:
    if not _is_plain(input):
        return None
    out = np.empty_like(input)
    native.activate(function, input, out, *parameters(*rest))
    return out


def _gradient(
    function: Any, parameters: Callable[..., Any], grad: Any, known: Any, *rest: Any
) -> Any:
    """From the input; of `sigmoid` and `tanh` from the result."""
    if not (_is_plain(grad) and _is_plain(known) and _are_alike(grad, known)):
        return None
    out = np.empty_like(grad)
    native.activate_backward(function, grad, known, out, *parameters(*rest))
    return out


def _register(
    op: ElementwiseOp, name: str, parameters: Callable[..., Any] = lambda *rest: rest
) -> None:
    """Let an operation compute by the compiled function ``name``, which has `parameters` for the
    operation's arguments after the input."""
    function = native.Activation[name]
    op.gradient_kernel("input")(partial(_gradient, function, parameters))
    if op.loop is None:
        op.kernel("cpu")(partial(_value, function, parameters))


for _op in (hardsigmoid, hardswish, hardtanh, leaky_relu, logsigmoid, mish, sigmoid, silu, softplus,
            tanh):  # fmt: skip
    _register(_op, _op.name)
_register(relu6, "hardtanh", lambda: (0, 6))
_register(celu, "celu", lambda alpha: (alpha, 1, 1 / alpha))
_register(elu, "celu", lambda alpha: (alpha, 1, 1))
_register(selu, "celu", lambda: (SELU_SCALE * SELU_ALPHA, SELU_SCALE, 1))
relu.gradient_kernel("input")(native.find_loop("where_positive"))


@clamp.kernel("cpu")
def _(input, min, max):
    bounds = [bound for bound in (min, max) if bound is not None]
    if not bounds or not all(np.ndim(bound) == 0 and bound == bound for bound in bounds):
        return None
    low, high = -math.inf if min is None else min, math.inf if max is None else max
    return _value(native.Activation.hardtanh, lambda *bounds: bounds, input, low, high)


@gelu.kernel("cpu")
def _(input, approximate):
    if approximate != "none" or not _is_plain(input, "f"):
        return None
    out = np.empty_like(input)
    native.gelu(input, out)
    return out


@gelu.gradient_kernel("input")
def _(grad, input, approximate):
    if approximate != "none" or not (
        _is_plain(grad, "f") and _is_plain(input, "f") and _are_alike(grad, input)
    ):
        return None
    out = np.empty_like(grad)
    native.gelu_backward(grad, input, out)
    return out
