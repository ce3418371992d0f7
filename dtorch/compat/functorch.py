"""The package that transforms of functions came from before they were in ``torch.func``.

Beside those it has modules as functions of all their parameters in a row.

>>> import dtorch
>>> call, parameters = make_functional(dtorch.nn.Linear(2, 1))
>>> grad(lambda parameters: call(parameters, dtorch.ones(1, 2)).sum())(parameters)
(tensor([[1., 1.]]), tensor([1.]))
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.func import (
    functional_call,
    grad,
    grad_and_value,
    hessian,
    jacfwd,
    jacrev,
    jvp,
    stack_module_state,
    vjp,
    vmap,
)
from dtorch.nn.module import Module

__all__ = [
    "FunctionalModule", "FunctionalModuleWithBuffers", "combine_state_for_ensemble", "grad",
    "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "make_functional",
    "make_functional_with_buffers", "vjp", "vmap",
]  # fmt: skip


class FunctionalModuleWithBuffers(Module):
    """A module as a function: called with its parameters, its buffers, and what it takes itself."""

    def __init__(self, model: Module) -> None:
        super().__init__()
        self.stateless_model = model
        self.param_names = [name for name, _ in model.named_parameters()]
        self.buffer_names = [name for name, _ in model.named_buffers()]

    def forward(
        self, params: Sequence[Tensor], buffers: Sequence[Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        tensors = dict(zip(self.param_names, params, strict=True))
        tensors |= zip(self.buffer_names, buffers, strict=True)
        return functional_call(self.stateless_model, tensors, args, kwargs)


class FunctionalModule(FunctionalModuleWithBuffers):
    """A module without buffers as a function, called with its parameters and what it takes."""

    def forward(self, params: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:
        return super().forward(params, (), *args, **kwargs)


def _parameters(model: Module, disable_autograd_tracking: bool) -> tuple[Any, ...]:
    parameters = tuple(model.parameters())
    if disable_autograd_tracking:
        for parameter in parameters:
            parameter.requires_grad_(False)
    return parameters


def make_functional(
    model: Module, disable_autograd_tracking: bool = False
) -> tuple[FunctionalModule, tuple[Any, ...]]:
    """A copy of a module as a function, and the copy's parameters.

    Args:
        disable_autograd_tracking: the parameters require no grad.

    Raises:
        RuntimeError: the module has buffers.
    """
    if any(True for _ in model.buffers()):
        raise ArgumentError(
            "make_functional: the model has buffers; use make_functional_with_buffers instead"
        )
    model = copy.deepcopy(model)
    return FunctionalModule(model), _parameters(model, disable_autograd_tracking)


def make_functional_with_buffers(
    model: Module, disable_autograd_tracking: bool = False
) -> tuple[FunctionalModuleWithBuffers, tuple[Any, ...], tuple[Any, ...]]:
    """A copy of a module as a function, and the copy's parameters and buffers."""
    model = copy.deepcopy(model)
    parameters = _parameters(model, disable_autograd_tracking)
    return FunctionalModuleWithBuffers(model), parameters, tuple(model.buffers())


def combine_state_for_ensemble(
    models: Sequence[Module],
) -> tuple[FunctionalModuleWithBuffers, tuple[Any, ...], tuple[Any, ...]]:
    """The first of several modules of one kind as a function, and their parameters and buffers, each
    stacked along a new first dim: for `vmap`."""
    parameters, buffers = stack_module_state(models)
    function = FunctionalModuleWithBuffers(copy.deepcopy(models[0]))
    stacked = tuple(tensor.detach() for tensor in parameters.values())
    return function, stacked, tuple(buffers.values())
