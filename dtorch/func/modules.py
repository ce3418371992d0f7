"""Modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtorch.core.functions import stack
from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module
from dtorch.nn.normalization import BatchNorm1d, BatchNorm2d, BatchNorm3d
from dtorch.nn.utils.stateless import call_with


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: dict[str, Tensor] | Sequence[dict[str, Tensor]],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """What a module returns with other tensors in place of its parameters and buffers.

    Args:
        parameter_and_buffer_dicts: tensors by name, as in ``state_dict``; or several such dicts. What
            is not in them is the module's own.
        args, kwargs: arguments of the module; one that is no tuple is the only one.
        tie_weights: a tensor that the module has under several names is replaced under all.
        strict: expect all names of the module, and no others.

    Raises:
        ValueError: a name in several dicts, or different tensors for what is tied.
        RuntimeError: with ``strict``, names that are missing or unknown.

    Example:
        >>> import dtorch
        >>> net = dtorch.nn.Linear(2, 1)
        >>> tensors = {"weight": dtorch.ones(1, 2), "bias": dtorch.zeros(1)}
        >>> functional_call(net, tensors, dtorch.tensor([1.0, 2.0]))
        tensor([3.])
    """
    dicts = parameter_and_buffer_dicts
    if isinstance(dicts, dict):
        tensors = dicts
    elif isinstance(dicts, (list, tuple)) and all(isinstance(d, dict) for d in dicts):
        names = [name for d in dicts for name in d]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(
                f"{repeated} appeared in multiple dictionaries; behavior of functional call is "
                "ambiguous"
            )
        tensors = {name: tensor for d in dicts for name, tensor in d.items()}
    else:
        raise ValueError(
            "Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got "
            f"{type(dicts)}"
        )
    return call_with(module, tensors, args, kwargs, tie_weights=tie_weights, strict=strict)


def stack_module_state(models: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and the buffers of several modules of one kind, each stacked along a new first
    dim: for `vmap` over `functional_call`.

    Raises:
        RuntimeError: no modules, or of several classes or modes.

    Example:
        >>> import dtorch
        >>> from dtorch.func import vmap
        >>> nets = [dtorch.nn.Linear(2, 1) for _ in range(3)]
        >>> parameters, buffers = stack_module_state(nets)
        >>> call = lambda p, x: functional_call(nets[0], p, x)
        >>> vmap(call, in_dims=(0, None))(parameters, dtorch.ones(5, 2)).shape
        dtorch.Size([3, 5, 1])
    """
    modules = list(models)
    if not modules:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if len({module.training for module in modules}) > 1:
        raise RuntimeError(
            "stack_module_state: Expected all models to have the same training/eval mode."
        )
    if len({type(module) for module in modules}) > 1:
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")
    parameters = [dict(module.named_parameters()) for module in modules]
    buffers = [dict(module.named_buffers()) for module in modules]
    return (
        {name: _stacked([p[name] for p in parameters]) for name in parameters[0]},
        {name: _stacked([b[name] for b in buffers]) for name in buffers[0]},
    )


def _stacked(tensors: list[Any]) -> Any:
    trained = {tensor.requires_grad for tensor in tensors}
    if len(trained) > 1:
        raise RuntimeError(
            "stack_module_state: Expected parameters of one name to have the same requires_grad"
        )
    result = stack([tensor.detach() for tensor in tensors])
    return result.requires_grad_() if trained.pop() else result


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Let batch normalization below ``root`` keep no statistics, so that calls change nothing."""
    for module in root.modules():
        if isinstance(module, (BatchNorm1d, BatchNorm2d, BatchNorm3d)):
            module.running_mean = None
            module.running_var = None
            module.num_batches_tracked = None
            module.track_running_stats = False
    return root
