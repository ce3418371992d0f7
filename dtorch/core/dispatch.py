"""Short ways of the commonest calls; whatever is not for one goes to the general function.

Compiled, a short way takes plain tensors of the CPU with plain arguments. The Python forms say what
is made: without the native module NumPy's own functions have one, everything else has none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core.backend import compiled, tell
from dtorch.core.base import TensorBase, wrap
from dtorch.core.entry import REFUSALS
from dtorch.core.quiet import quietly
from dtorch.core.signature import MISSING

Function = Callable[..., Any]

ndarray = np.ndarray
INTEGERS, COMPLEX = 1, 2  # bits of `guard`: what a short way leaves to the general function
tell("set_guards", INTEGERS, COMPLEX)

# Called with every node that is recorded, in this order.
observers: dict[Callable[[Any], None], None] = {}
fast_paths = True  # off while there are any


def watch(observer: Callable[[Any], None], wanted: bool) -> None:
    """Show every new node to ``observer``, or no longer; meanwhile every call comes by `Op.run`."""
    global fast_paths
    if wanted:
        observers[observer] = None
    else:
        observers.pop(observer, None)
    fast_paths = not observers
    tell("set_fast_paths", fast_paths)


@compiled
def set_slot(name: str, function: Function, forward: Function, backward: Function) -> bool:
    """Put a function behind a special method that the class of tensors has itself, and say whether
    there is such a method.

    Args:
        function: one with a short way.
        forward, backward: for calls that do not take it; with the tensor on the right,
            ``backward(tensor, other)``.
    """
    return False


@compiled
def find_loop(name: str) -> Any:
    """The compiled loop over elements of that name, a kernel; None where there are none."""
    return None


@compiled
def named_way(general: Function, name: str, op: Any) -> Function:
    """``general``, whose calls go the compiled way of that name, recorded as those of ``op``."""
    return general


@compiled
def whole_way(general: Function, compute: Function, arity: int, guard: int) -> Function:
    """``general``, whose calls with so many tensors of one dtype are ``compute`` of their arrays."""
    return general


@compiled
def changing_way(general: Function, loop: Any, arity: int, guard: int) -> Function:
    """``general``, whose calls overwrite the first tensor by a loop."""
    return general


@compiled
def elementwise_way(general: Function, ufunc: Any, loop: Any, arity: int, guard: int) -> Function:
    """``general``, whose calls with one tensor, or two of one dtype, compute by a loop or a ufunc.

    Args:
        guard: kinds of numbers left to ``general``: INTEGERS (and bool), COMPLEX, or both.
    """
    if ufunc is None:
        return general
    kinds = "f" + "biuV" * (not guard & INTEGERS) + "c" * (not guard & COMPLEX)
    return (_unary if arity == 1 else _binary)(general, ufunc, kinds)


def _binary(general: Function, ufunc: Function, short: str) -> Function:
    def function(*args: Any, **kwargs: Any) -> Any:
        if len(args) != 2 or kwargs or not fast_paths:
            return general(*args, **kwargs)
        input, other = args
        if not (isinstance(input, TensorBase) and isinstance(other, TensorBase)):
            return general(input, other)
        a, b = input._array, other._array
        if a.dtype is not b.dtype or a.dtype.kind not in short or not type(a) is type(b) is ndarray:
            return general(input, other)
        try:
            out = wrap(quietly(ufunc, a, b))
        except (*REFUSALS, TypeError):
            return general(input, other)  # says what is wrong
        combined = input._mode | other._mode
        if combined:
            function.op.set_history((input, other), (out,), (), combined)  # type: ignore[attr-defined]  # set where it is named
        return out

    return function


def _unary(general: Function, ufunc: Function, short: str) -> Function:
    def function(input: Any = MISSING, *rest: Any, **kwargs: Any) -> Any:
        if isinstance(input, TensorBase) and not (rest or kwargs) and fast_paths:
            a = input._array
            if type(a) is ndarray and a.dtype.kind in short:
                try:
                    out = wrap(quietly(ufunc, a))
                except (*REFUSALS, TypeError):
                    return general(input)  # says what is wrong
                if input._mode:
                    function.op.set_history((input,), (out,), (), input._mode)  # type: ignore[attr-defined]  # set where it is named
                return out
        return general(*(() if input is MISSING else (input,)), *rest, **kwargs)

    return function
