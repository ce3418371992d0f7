"""Pruning: parts of a parameter masked out.

A pruned parameter ``weight`` is trained as ``weight_orig``; the buffer ``weight_mask`` says what is
left, and a hook before ``forward`` puts their product in the parameter's place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from dtorch.core.base import wrap
from dtorch.core.entry import entry
from dtorch.core.errors import ArgumentError
from dtorch.core.half import widened
from dtorch.core.parameter import Parameter
from dtorch.core.random import uniform
from dtorch.nn.module import Module


class PruningHook:
    """Computes the pruned parameter before ``forward``."""

    def __init__(self, name: str) -> None:
        self.name = name

    def apply_mask(self, module: Module) -> Any:
        """The parameter times its mask."""
        return getattr(module, f"{self.name}_orig") * getattr(module, f"{self.name}_mask")

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.apply_mask(module))


def _count(amount: float, total: int) -> int:
    """How many of ``total`` a share (float) or a number (int) of them is."""
    if isinstance(amount, bool) or not isinstance(amount, (int, float)) or amount < 0:
        raise ArgumentError(f"prune: amount is {amount!r}, expected a share or a number")
    if isinstance(amount, float):
        if amount > 1:
            raise ArgumentError(f"prune: amount is {amount}, expected a share of at most 1")
        return round(amount * total)
    if amount > total:
        raise ArgumentError(f"prune: amount is {amount}, there are only {total} to prune")
    return amount


def _hook_of(module: Module, name: str) -> tuple[int, PruningHook] | None:
    for number, hook in module._forward_pre_hooks.items():
        if isinstance(hook.function, PruningHook) and hook.function.name == name:
            return number, hook.function
    return None


def _tensor(module: Module, name: str) -> Any:
    found = module._parameters.get(f"{name}_orig", module._parameters.get(name))
    if found is None:
        raise ArgumentError(f"prune: {type(module).__name__} has no parameter {name!r}")
    return found


def _put(module: Module, name: str, mask: Any) -> Module:
    """Prune further by ``mask``, an array of 0 and 1."""
    found = _hook_of(module, name)
    if found is None:
        original = _tensor(module, name)
        hook = PruningHook(name)
        del module._parameters[name]
        module.register_parameter(f"{name}_orig", original)
        module.register_buffer(f"{name}_mask", wrap(mask.astype(original.array.dtype)))
        module.register_forward_pre_hook(hook)
    else:
        hook = found[1]
        old = getattr(module, f"{name}_mask")
        old.array[...] *= mask.astype(old.array.dtype)
    setattr(module, name, hook.apply_mask(module))
    return module


def _kept(module: Module, name: str) -> Any:
    mask = module._buffers.get(f"{name}_mask")
    if mask is None:
        return np.ones(_tensor(module, name).array.shape, bool)
    return mask.array != 0


def _lowest(scores: Any, kept: Any, amount: float) -> Any:
    """A mask without the ``amount`` lowest scores of those still kept."""
    mask = kept.copy()
    places = np.flatnonzero(kept)
    n = _count(amount, places.size)
    order = np.argsort(scores.reshape(-1)[places], kind="stable")
    mask.reshape(-1)[places[order[:n]]] = False
    return mask


def identity(module: Module, name: str) -> Module:
    """Nothing is pruned, but parameter, mask and hook are set up.

    Example:
        >>> import dtorch
        >>> sorted(identity(dtorch.nn.Linear(2, 2), "weight").state_dict())
        ['bias', 'weight_mask', 'weight_orig']
    """
    return _put(module, name, _kept(module, name))


def random_unstructured(module: Module, name: str, amount: float) -> Module:
    """Prune elements at random.

    Args:
        amount: a share (float) or a number (int) of those left.

    Example:
        >>> import dtorch
        >>> layer = random_unstructured(dtorch.nn.Linear(4, 4), "weight", 0.5)
        >>> int((layer.weight == 0).sum())
        8
    """
    kept = _kept(module, name)
    return _put(
        module, name, _lowest(uniform(kept.shape, np.dtype(np.float64), None), kept, amount)
    )


def l1_unstructured(
    module: Module, name: str, amount: float, importance_scores: Any = None
) -> Module:
    """Prune the elements of the least absolute value, or least score.

    Args:
        name: of the parameter.
        amount: a share (float, 0 to 1), or a number (int) of elements, to prune of those left.
        importance_scores: like the parameter; the least are pruned.

    Example:
        >>> import dtorch
        >>> layer = dtorch.nn.Linear(2, 1)
        >>> _ = dtorch.nn.init.constant_(layer.weight, 1.0)
        >>> layer.weight.data[0, 1] = -0.5
        >>> l1_unstructured(layer, "weight", 1).weight.tolist()
        [[1.0, -0.0]]
    """
    scores = _tensor(module, name) if importance_scores is None else importance_scores
    return _put(module, name, _lowest(np.abs(scores.array), _kept(module, name), amount))


def _structured(module: Module, name: str, amount: float, dim: int, scores: Any) -> Module:
    kept = _kept(module, name)
    moved = np.moveaxis(kept, dim, 0)
    whole = moved.reshape(len(moved), -1).any(1)
    mask = np.zeros_like(kept)
    np.moveaxis(mask, dim, 0)[...] = _lowest(scores, whole, amount).reshape(
        -1, *(1,) * (kept.ndim - 1)
    )
    return _put(module, name, mask & kept)


def random_structured(module: Module, name: str, amount: float, dim: int) -> Module:
    """Prune whole slices along ``dim`` at random.

    Args:
        name: of the parameter.
        amount: a share (float, 0 to 1), or a number (int) of slices, to prune of those left.


    Example:
        >>> import dtorch
        >>> layer = random_structured(dtorch.nn.Linear(3, 4), "weight", 0.5, dim=0)
        >>> int((layer.weight == 0).all(1).sum())
        2
    """
    size = _tensor(module, name).shape[dim]
    scores = uniform((size,), np.dtype(np.float64), None)
    return _structured(module, name, amount, dim, scores)


@entry("ln_structured")
def ln_structured(
    module: Module, name: str, amount: float, n: float, dim: int, importance_scores: Any = None
) -> Module:
    """Prune the slices along ``dim`` of the least ``n``-norm.

    Args:
        name: of the parameter.
        amount: a share (float, 0 to 1), or a number (int) of slices, to prune of those left.
        n: of the norm; may be inf.

    Example:
        >>> import dtorch
        >>> layer = ln_structured(dtorch.nn.Linear(3, 4), "weight", 1, n=2, dim=0)
        >>> int((layer.weight == 0).all(1).sum())
        1
    """
    scores = _tensor(module, name) if importance_scores is None else importance_scores
    rows = np.moveaxis(widened(scores.array), dim, 0).reshape(
        scores.shape[dim], scores.numel() // max(scores.shape[dim], 1)
    )
    return _structured(module, name, amount, dim, np.linalg.norm(rows, n, axis=1))


def global_unstructured(
    parameters: Iterable[tuple[Module, str]], pruning_method: Callable[..., Any],
    importance_scores: Any = None, amount: float = 0.0,
) -> None:  # fmt: skip
    """Prune the elements of several parameters together.

    Args:
        parameters: pairs of a module and a parameter's name.
        pruning_method: `l1_unstructured` or `random_unstructured`.
        importance_scores: dict of scores by such pairs, in the place of absolute values.

    Example:
        >>> import dtorch
        >>> layers = [dtorch.nn.Linear(2, 2), dtorch.nn.Linear(2, 2)]
        >>> pairs = [(layer, "weight") for layer in layers]
        >>> global_unstructured(pairs, l1_unstructured, amount=0.5)
        >>> sum(int((layer.weight == 0).sum()) for layer in layers)
        4
    """
    pairs = list(parameters)
    if pruning_method not in (l1_unstructured, random_unstructured):
        raise ArgumentError(
            "global_unstructured: pruning_method must be l1_unstructured or random_unstructured"
        )
    given = importance_scores or {}
    kept = [_kept(*pair) for pair in pairs]
    arrays = [np.abs((given[pair] if pair in given else _tensor(*pair)).array) for pair in pairs]
    if pruning_method is random_unstructured:
        arrays = [uniform(a.shape, np.dtype(np.float64), None) for a in arrays]
    mask = _lowest(
        np.concatenate([a.reshape(-1) for a in arrays]),
        np.concatenate([k.reshape(-1) for k in kept]),
        amount,
    )
    at = 0
    for pair, k in zip(pairs, kept, strict=True):
        _put(*pair, mask[at : at + k.size].reshape(k.shape))
        at += k.size


def custom_from_mask(module: Module, name: str, mask: Any) -> Module:
    """Prune where ``mask`` is 0.

    Example:
        >>> import dtorch
        >>> layer = dtorch.nn.Linear(2, 1)
        >>> (custom_from_mask(layer, "weight", dtorch.tensor([[1, 0]])).weight == 0).tolist()
        [[False, True]]
    """
    return _put(module, name, mask.array != 0)


def remove(module: Module, name: str) -> Module:
    """Make the pruning permanent: an ordinary parameter again, with its zeros.

    Raises:
        ValueError: it is not pruned.

    Example:
        >>> import dtorch
        >>> layer = remove(identity(dtorch.nn.Linear(2, 2), "weight"), "weight")
        >>> sorted(layer.state_dict())
        ['bias', 'weight']
    """
    found = _hook_of(module, name)
    if found is None:
        raise ArgumentError(f"prune: {name!r} of {type(module).__name__} is not pruned")
    number, hook = found
    original = module._parameters[f"{name}_orig"]
    value = hook.apply_mask(module).detach()
    for attribute in (name, f"{name}_orig", f"{name}_mask"):
        delattr(module, attribute)
    module.register_parameter(name, Parameter(value, original.requires_grad))  # type: ignore[union-attr]
    del module._forward_pre_hooks[number]
    return module


def is_pruned(module: Module) -> bool:
    """Whether a parameter of the module, or of one below it, is pruned.

    Example:
        >>> import dtorch
        >>> is_pruned(dtorch.nn.Linear(2, 2))
        False
    """
    return any(
        isinstance(entry.function, PruningHook)
        for part in module.modules()
        for entry in part._forward_pre_hooks.values()
    )
