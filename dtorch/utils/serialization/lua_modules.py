"""Layers and criteria of Torch7's files as those of `dtorch.legacy.nn`.

Their attributes have the same names in both, but for those below; what counts from 1 in Lua counts
from 0 here.
"""

from __future__ import annotations

from typing import Any

from dtorch.core.tensor import Tensor
from dtorch.core.typed_storage import TypedStorage
from dtorch.legacy import nn
from dtorch.legacy.nn.conversion import Typed

_CLASSES = {"SpatialConvolutionMM": "SpatialConvolution", "VolumetricConvolutionMM":
            "VolumetricConvolution", "SpatialLogSoftMax": "LogSoftMax"}  # fmt: skip
_ATTRIBUTES = {"lambda": "lambd", "K": "k", "W": "w", "H": "h"}

# Attributes that count from 1 in Lua; negative ones count from the end in both.
_PLACES = {"dim", "dimension", "inputDimension", "outputDimension"}
_PLACES_OF = {"NarrowTable": {"offset"}, "Narrow": {"index"}, "Padding": {"index"},
              "Select": {"index"}, "SelectTable": {"index"}, "Unsqueeze": {"pos"}}  # fmt: skip


def module_of(name: str, attributes: dict[Any, Any]) -> Any:
    """A layer or criterion of the legacy package with these attributes; None: no such class.

    Args:
        name: of the class, with its package: ``nn.Linear`` or ``cudnn.ReLU``.
    """
    own = name.partition(".")[2]
    cls: Any = getattr(nn, _CLASSES.get(own, own), None)
    if not isinstance(cls, type) or not issubclass(cls, Typed):
        return None
    module: Any = object.__new__(cls)
    found = {
        _ATTRIBUTES.get(str(key), str(key)): _converted(cls.__name__, str(key), value)
        for key, value in attributes.items()
    }
    Typed.__init__(module)  # which files without outputs and gradients lack
    _complete(found)
    vars(module).update(found)
    return module


def _converted(cls: str, key: str, value: Any) -> Any:
    if isinstance(value, int) and value > 0 and key in _PLACES | _PLACES_OF.get(cls, set()):
        return value - 1
    if isinstance(value, TypedStorage):
        return value.tolist()
    if key == "permutations":
        return [[dim - 1 for dim in pair] for pair in value]
    if key in ("connTable", "paddingValue"):
        return value - 1
    if key in ("modules", "criterions"):  # a table without entries is no list
        return list(value.values()) if isinstance(value, dict) else value
    return value


def _complete(found: dict[str, Any]) -> None:
    """What files of some ages say otherwise, or do not say."""
    if "running_std" in found:  # it was 1 / sqrt(variance + eps)
        found["running_var"] = found.pop("running_std") ** -2 - found["eps"]
    # The type of what was read: tensors of a card came to the memory of the processor.
    tensors = [found.get(name) for name in ("weight", "output", "gradInput")]
    found["_type"] = next(
        (t.type() for t in tensors if isinstance(t, Tensor)), "dtorch.FloatTensor"
    )
