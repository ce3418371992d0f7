"""Weights divided by their largest singular value (classic form, by a hook before ``forward``)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core import backend
from dtorch.core.base import wrap
from dtorch.core.entry import entry
from dtorch.core.errors import ArgumentError
from dtorch.core.functions import dot, mv
from dtorch.core.half import widened
from dtorch.core.inplace import bump
from dtorch.core.ops.norm import sum_of_squares
from dtorch.core.parameter import Parameter
from dtorch.core.random import standard_normal
from dtorch.core.shapes import merged
from dtorch.nn.conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from dtorch.nn.module import Module


def default_dim(module: Module) -> int:
    """The dim of outputs in the weight of a layer."""
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


def as_matrix(weight: Any, dim: int) -> Any:
    """The weight with ``dim`` as rows and everything else as columns."""
    if dim:
        weight = weight.permute(dim, *(d for d in range(weight.ndim) if d != dim))
    return weight.reshape(merged(weight.shape, 1, weight.ndim))


def unit(vector: Any, eps: float) -> Any:
    """An array of length 1."""
    return vector / max(math.sqrt(sum_of_squares(vector)), eps)


def random_unit(size: int, kind: Any, eps: float) -> Any:
    """A random array of length 1."""
    return unit(standard_normal((size,), kind, None), eps).astype(kind, copy=False)


@entry("iterate")
def iterate(matrix: Any, u: Any, v: Any, steps: int, eps: float, left_first: bool = False) -> None:
    """Turn ``u`` and ``v`` toward the singular vectors of the largest value, in place."""
    array, left, right = (widened(t.array) for t in (matrix, u, v))
    for _ in range(steps):
        if left_first:
            left = unit(backend.matmul(array, right), eps)
        right = unit(backend.matmul(array.T, left), eps)
        if not left_first:
            left = unit(backend.matmul(array, right), eps)
    u.array[...], v.array[...] = left, right
    bump(u)
    bump(v)


def largest_value(matrix: Any, u: Any, v: Any) -> Any:
    """``u W v``, the largest singular value if u and v are its vectors."""
    return dot(u.clone(), mv(matrix, v.clone()))


class SpectralNorm:
    """The hook: computes the weight from ``name_orig``.

    The metadata of state dicts have a version of it; what those without one lack is computed.
    """

    _version = 1

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations < 1:
            raise ArgumentError(
                f"spectral_norm: n_power_iterations is {n_power_iterations}, expected at least 1"
            )
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def compute_weight(self, module: Module, do_power_iteration: bool) -> Any:
        """The weight divided by its largest singular value."""
        weight = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = as_matrix(weight, self.dim)
        if do_power_iteration:
            iterate(matrix, u, v, self.n_power_iterations, self.eps)
        return weight / largest_value(matrix, u, v)

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))

    def note_version(
        self, module: Module, state_dict: Any, prefix: str, local_metadata: dict[str, Any]
    ) -> None:
        """Put the version into the metadata of a state dict."""
        versions = local_metadata.setdefault("spectral_norm", {})
        versions[f"{self.name}.version"] = self._version

    def complete(
        self, module: Module, state_dict: Any, prefix: str, local_metadata: dict[str, Any],
        strict: bool, missing_keys: list[str], *_: Any,
    ) -> None:  # fmt: skip
        """Add to a state dict of before 1.0 the right vector, which its weight tells."""
        versions = local_metadata.get("spectral_norm", {})
        key = prefix + self.name
        if versions.get(f"{self.name}.version") is not None or key not in state_dict:
            return
        weight = state_dict.pop(key)
        if f"{key}_v" in state_dict or not {f"{key}_orig", f"{key}_u"} <= set(state_dict):
            return
        original, u = state_dict[f"{key}_orig"], state_dict[f"{key}_u"]
        matrix = as_matrix(original.detach(), self.dim)
        v = mv(wrap(np.linalg.pinv(matrix.array)), u)
        scale = (original / weight).mean() / dot(u, mv(matrix, v))
        state_dict[f"{key}_v"] = v * scale


def spectral_norm(
    module: Module, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12,
    dim: int | None = None,
) -> Module:  # fmt: skip
    """Divide a parameter by its largest singular value, estimated by power iteration.

    Args:
        n_power_iterations: iterations at each call in training.
        eps: least length taken for a vector.
        dim: the dim of outputs. Default: 0, and 1 for transposed convolutions.

    Reference: Miyato et al. 2018, arXiv:1802.05957.

    Raises:
        ValueError: no such parameter, or it is normalised already.

    Example:
        >>> import dtorch
        >>> layer = spectral_norm(dtorch.nn.Linear(2, 2))
        >>> sorted(layer.state_dict())
        ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    for hook in module._forward_pre_hooks.values():
        if isinstance(hook.function, SpectralNorm) and hook.function.name == name:
            raise ArgumentError(f"spectral_norm: {name!r} is normalised already")
    weight = module._parameters.get(name)
    if weight is None:
        raise ArgumentError(f"spectral_norm: {type(module).__name__} has no parameter {name!r}")
    hook = SpectralNorm(
        name, n_power_iterations, default_dim(module) if dim is None else dim, eps
    )  # fmt: skip
    matrix = as_matrix(weight.detach(), hook.dim)
    kind = weight.array.dtype
    del module._parameters[name]
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.data)
    module.register_buffer(f"{name}_u", wrap(random_unit(matrix.shape[0], kind, eps)))
    module.register_buffer(f"{name}_v", wrap(random_unit(matrix.shape[1], kind, eps)))
    iterate(matrix, getattr(module, f"{name}_u"), getattr(module, f"{name}_v"), 15, eps)
    module.register_forward_pre_hook(hook)
    module.register_state_dict_post_hook(hook.note_version)
    module.register_load_state_dict_pre_hook(hook.complete)
    return module


def remove_spectral_norm(module: Module, name: str = "weight") -> Module:
    """Make an ordinary parameter of what `spectral_norm` replaced.

    Raises:
        ValueError: it is not normalised.

    Example:
        >>> import dtorch
        >>> layer = remove_spectral_norm(spectral_norm(dtorch.nn.Linear(2, 2)))
        >>> sorted(layer.state_dict())
        ['bias', 'weight']
    """
    for number, registered in module._forward_pre_hooks.items():
        hook = registered.function
        if isinstance(hook, SpectralNorm) and hook.name == name:
            weight = hook.compute_weight(module, False).detach()
            for attribute in (name, f"{name}_u", f"{name}_v", f"{name}_orig"):
                delattr(module, attribute)
            module.register_parameter(name, Parameter(weight))
            del module._forward_pre_hooks[number]
            for table in (module._state_dict_hooks, module._load_state_dict_pre_hooks):
                for other, method in list(table.items()):
                    if getattr(method, "__self__", None) is hook:
                        del table[other]
            return module
    raise ArgumentError(
        f"remove_spectral_norm: {name!r} of {type(module).__name__} has no spectral norm"
    )
