"""Weights as length and direction (classic form, by a hook before ``forward``)."""

from __future__ import annotations

from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.functions import norm
from dtorch.core.parameter import Parameter
from dtorch.nn.module import Module


def norm_except_dim(v: Any, dim: int | None, pow: float = 2) -> Any:
    """Norms of order ``pow`` over all dims but ``dim``, which stay with size 1; of all elements for None or -1."""
    if dim is None or dim == -1:
        return norm(v, pow)
    dims = tuple(d for d in range(v.ndim) if d != dim % v.ndim)
    return norm(v, pow, dims, True)


class WeightNorm:
    """The hook: computes the weight from ``name_g`` and ``name_v``."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Any:
        """The weight that length and direction make."""
        g, v = getattr(module, f"{self.name}_g"), getattr(module, f"{self.name}_v")
        return v * (g / norm_except_dim(v, self.dim))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Module, name: str = "weight", dim: int | None = 0) -> Module:
    """Replace a parameter by its length ``name_g`` and direction ``name_v``.

    Args:
        dim: one length for each index of this dim; None: one for all elements.

    Reference: Salimans and Kingma 2016, arXiv:1602.07868.

    Raises:
        ValueError: no such parameter, or it is normalised already.

    Example:
        >>> import dtorch
        >>> layer = weight_norm(dtorch.nn.Linear(2, 3))
        >>> tuple(layer.weight_g.shape), tuple(layer.weight_v.shape)
        ((3, 1), (3, 2))
    """
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook.function, WeightNorm) and hook.function.name == name:
            raise ArgumentError(f"weight_norm: {name!r} is normalised already")
    weight = module._parameters.get(name)
    if weight is None:
        raise ArgumentError(f"weight_norm: {type(module).__name__} has no parameter {name!r}")
    hook = WeightNorm(name, dim)
    del module._parameters[name]
    module.register_parameter(f"{name}_g", Parameter(norm_except_dim(weight, dim).detach()))
    module.register_parameter(f"{name}_v", Parameter(weight.detach()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Module, name: str = "weight") -> Module:
    """Make an ordinary parameter of what `weight_norm` replaced.

    Raises:
        ValueError: it is not normalised.

    Example:
        >>> import dtorch
        >>> layer = remove_weight_norm(weight_norm(dtorch.nn.Linear(2, 3)))
        >>> sorted(layer.state_dict())
        ['bias', 'weight']
    """
    for number, entry in module._forward_pre_hooks.items():
        hook = entry.function
        if isinstance(hook, WeightNorm) and hook.name == name:
            weight = hook.compute_weight(module).detach()
            delattr(module, name)
            delattr(module, f"{name}_g")
            delattr(module, f"{name}_v")
            module.register_parameter(name, Parameter(weight))
            del module._forward_pre_hooks[number]
            return module
    raise ArgumentError(
        f"remove_weight_norm: {name!r} of {type(module).__name__} has no weight norm"
    )
