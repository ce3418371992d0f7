"""What files with whole layers may say of them: for `load`, which makes them."""

from __future__ import annotations

from typing import Any

from dtorch.core.parameter import Parameter
from dtorch.core.tensor import Tensor
from dtorch.nn.attention import NonDynamicallyQuantizableLinear
from dtorch.nn.module import Module
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.objects import offer_classes, offer_functions

_TABLES = {"_parameters": Parameter, "_buffers": Tensor, "_modules": Module}


def offer(layers: dict[str, Any], functions: dict[str, Any]) -> None:
    """Let files have these layers, and these functions as attributes of layers.

    Args:
        layers: public names and what they are; what is no layer is left out.
        functions: public names of `dtorch.nn.functional`, and what they are.
    """
    classes = {
        name: cls
        for name, cls in layers.items()
        if isinstance(cls, type) and issubclass(cls, Module)
    }
    classes["NonDynamicallyQuantizableLinear"] = NonDynamicallyQuantizableLinear
    offer_classes("nn", classes, _restore)
    offer_functions("nn", functions)


def _restore(layer: Module, state: dict[str, Any]) -> None:
    """Complain about tables of something else than parameters, buffers and modules; or set all."""
    cls = type(layer)
    for table, kind in _TABLES.items():
        members = state.get(table, {})
        if not isinstance(members, dict):
            raise CheckpointError(f"load: {table} of {cls.__name__} is no dict")
        for name, member in members.items():
            if type(name) is not str or not (member is None or isinstance(member, kind)):
                raise CheckpointError(
                    f"load: {table} of {cls.__name__} has {type(member).__name__} under {name!r}, "
                    f"expected a {kind.__name__}"
                )
    if not isinstance(state.get("_non_persistent_buffers_set", set()), set):
        raise CheckpointError(f"load: names of buffers of {cls.__name__} are no set")
    layer.__setstate__(state)
