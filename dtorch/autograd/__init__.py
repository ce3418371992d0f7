"""Differentiation: Variable, Function, backward, grad, and the switches of recording."""

from typing import TYPE_CHECKING

from dtorch.autograd import gradcheck, graph
from dtorch.autograd.anomaly_mode import detect_anomaly, set_detect_anomaly
from dtorch.autograd.backward import backward, grad
from dtorch.autograd.function import Function, NestedIOFunction
from dtorch.autograd.gradcheck import gradgradcheck
from dtorch.autograd.stochastic import StochasticFunction
from dtorch.autograd.variable import Variable
from dtorch.core.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from dtorch.on_demand import on_demand

__all__ = [
    "Function", "NestedIOFunction", "StochasticFunction", "Variable", "backward",
    "detect_anomaly", "enable_grad", "functional", "grad", "gradcheck", "gradgradcheck", "graph",
    "inference_mode", "is_grad_enabled", "is_inference_mode_enabled", "no_grad", "profiler",
    "set_detect_anomaly", "set_grad_enabled",
]  # fmt: skip

if TYPE_CHECKING:
    from dtorch.autograd import functional, profiler
    from dtorch.autograd.profiler import _profiler_enabled as _profiler_enabled
else:
    __getattr__ = on_demand(
        __name__,
        {"functional": "functional", "profiler": "profiler", "_profiler_enabled": "profiler"},
    )
