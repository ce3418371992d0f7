"""Calls of modules with other parameters than their own."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.nn.module import Module

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`dtorch.func.functional_call` under its former name; deprecated."""
    warnings.warn(
        "`dtorch.nn.utils.stateless.functional_call` is deprecated; use "
        "`dtorch.func.functional_call`.",
        FutureWarning,
        stacklevel=2,
    )
    return call_with(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )


def call_with(
    module: Module,
    tensors: dict[str, Tensor],
    args: Any,
    kwargs: dict[str, Any] | None,
    *,
    tie_weights: bool,
    strict: bool,
) -> Any:
    """What a module returns with these tensors in place of its parameters and buffers."""
    arguments = () if args is None else args if isinstance(args, tuple) else (args,)
    with replaced(module, tensors, tie_weights=tie_weights, strict=strict):
        return module(*arguments, **(kwargs or {}))


@contextmanager
def replaced(
    module: Module, tensors: dict[str, Tensor], *, tie_weights: bool, strict: bool
) -> Iterator[None]:
    """Other tensors in place of a module's own, within the block.

    What the module assigns to a buffer meanwhile is in ``tensors`` afterwards.
    """
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(
                f"functional_call: {name} is {type(tensor).__name__}, expected a Tensor"
            )
    own = _tensors_of(module)
    places = _places(module, own, tensors, tie_weights)
    if strict:
        _expect_same_names(module, own, tensors, places)
    before = [table[key] for table, key, _ in places]
    try:
        for table, key, name in places:
            table[key] = tensors[name]
        yield
    finally:
        for (table, key, name), original in zip(places, before, strict=True):
            now = table.get(key)
            table[key] = original
            if isinstance(now, Tensor):
                tensors[name] = now


def _tensors_of(module: Module) -> dict[str, Any]:
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _places(
    module: Module, own: dict[str, Any], tensors: dict[str, Tensor], tie_weights: bool
) -> list[tuple[dict[str, Any], str, str]]:
    """Where tensors are put: a table of a module, the key there, and the name of the tensor."""
    source = {name: name for name in tensors}
    if tie_weights:
        tied: dict[int, list[str]] = {}
        for name, tensor in own.items():
            tied.setdefault(id(tensor), []).append(name)
        for names in tied.values():
            given = [name for name in names if name in tensors]
            if len({id(tensors[name]) for name in given}) > 1:
                raise ValueError(
                    f"functional_call got multiple values for keys {given}, which are tied. "
                    "Consider using tie_weights=False"
                )
            if given:
                source.update({name: given[0] for name in names if name not in tensors})
    places: list[tuple[dict[str, Any], str, str]] = []
    for name, given_name in source.items():
        path, _, key = name.rpartition(".")
        holder = module.get_submodule(path)
        tables: list[dict[str, Any]] = [holder._parameters, holder._buffers]
        places += [(table, key, given_name) for table in tables if key in table]
    return places


def _expect_same_names(
    module: Module, own: dict[str, Any], tensors: dict[str, Tensor], places: Any
) -> None:
    tied_ids = {id(own[name]) for name in tensors if name in own}
    missing = [n for n, t in own.items() if n not in tensors and id(t) not in tied_ids]
    unexpected = [name for name in tensors if name not in own]
    if missing or unexpected:
        text = f"Error(s) in reparametrizing for {type(module).__name__}:"
        for what, names in (("Unexpected", unexpected), ("Missing", missing)):
            if names:
                text += f"\n\t{what} key(s): {', '.join(map(repr, names))}."
        raise RuntimeError(text)
