"""Differentiation: Variable, backward, grad, and the switches of recording."""

from dtorch.autograd.backward import backward, grad
from dtorch.autograd.variable import Variable
from dtorch.core.grad_mode import enable_grad, is_grad_enabled, no_grad, set_grad_enabled

__all__ = [
    "Variable", "backward", "enable_grad", "grad", "is_grad_enabled", "no_grad",
    "set_grad_enabled",
]  # fmt: skip
