"""Transforms of functions: derivatives, a function over a batch, modules as functions.

>>> import dtorch
>>> from dtorch.func import grad, vmap
>>> grad(lambda x: (x**3).sum())(dtorch.tensor([1.0, 2.0]))
tensor([ 3., 12.])
>>> vmap(grad(lambda x: (x**2).sum()))(dtorch.ones(2, 3))
tensor([[2., 2., 2.],
        [2., 2., 2.]])
"""

from typing import Any

from dtorch.func.batching import vmap
from dtorch.func.derivatives import (
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    linearize,
    vjp,
)
from dtorch.func.modules import (
    functional_call,
    replace_all_batch_norm_modules_,
    stack_module_state,
)
from dtorch.func.rearranging import rearrange

__all__ = [
    "functional_call", "grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize",
    "rearrange", "replace_all_batch_norm_modules_", "stack_module_state", "vjp", "vmap",
]  # fmt: skip

_ABSENT = {
    "functionalize": "operations are not recorded as a program that could be rewritten",
    "debug_unwrap": "transforms call the function with ordinary tensors, so nothing is wrapped",
}


def __getattr__(name: str) -> Any:
    if name in _ABSENT:
        raise AttributeError(f"dtorch.func has no {name}: {_ABSENT[name]}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
