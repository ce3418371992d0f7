"""Types of numbers: what layers and criteria have in common, and conversions that keep sharing."""

from __future__ import annotations

import builtins
from typing import Any

from dtorch.core.creation import empty
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.recording import Recording

# Converted memory by where the old one lies; the old one is kept too, so that nothing else can come
# to lie there meanwhile.
Cache = dict[Any, tuple[Tensor, Tensor]]


class Typed:
    """What layers and criteria share: a type of numbers for all their tensors.

    Attributes:
        gradInput: gradient of the input of the last ``backward``.
    """

    _recorded: Recording | None = None
    _type: str

    def __init__(self) -> None:
        self.gradInput: Any = empty(0)
        self._type = str(self.gradInput.type())

    def type(self, type: Any = None, tensorCache: Cache | None = None) -> Any:
        """The name of the type; or, given one, convert every tensor to it and return self.

        Tensors of whole numbers, such as indices, stay what they are.

        Args:
            type: a class of tensors such as ``dtorch.DoubleTensor``, or its name.
            tensorCache: a dict, passed to the conversions of several networks that share tensors.
        """
        if type is None:
            return self._type
        name = str(empty(0).type(type).type())
        cache: Cache = {} if tensorCache is None else tensorCache
        self._recorded = None
        for key, value in vars(self).items():
            if not isinstance(value, Tensor) or value.dtype.is_floating_point:
                vars(self)[key] = recursiveType(value, type, cache)
        self._type = name
        return self

    def float(self, *args: Any) -> Any:
        """Convert every tensor to float32."""
        return self.type("dtorch.FloatTensor", *args)

    def double(self, *args: Any) -> Any:
        """Convert every tensor to float64."""
        return self.type("dtorch.DoubleTensor", *args)

    def cuda(self, *args: Any) -> Any:
        """Move every tensor to the current CUDA device, as float32."""
        return self.type("dtorch.cuda.FloatTensor", *args)

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "_recorded"}

    def __repr__(self) -> str:
        return f"nn.{type(self).__name__}"


def restore(made: Typed, state: dict[str, Any]) -> None:
    """Give a layer or criterion of a file its attributes."""
    vars(made).update({key: value for key, value in state.items() if key != "_recorded"})


def recursiveType(param: Any, type: Any, tensorCache: Cache | None = None) -> Any:
    """A tensor, layer or table of them converted to a type; tensors that share memory still do."""
    cache: Cache = {} if tensorCache is None else tensorCache
    if isinstance(param, Tensor):
        return _converted(param, type, cache)
    if isinstance(param, Typed):
        return param.type(type, cache)
    if isinstance(param, (list, tuple)):
        found = [recursiveType(part, type, cache) for part in param]
        if isinstance(param, list):
            param[:] = found
            return param
        return builtins.type(param)(found) if builtins.type(param) is tuple else param
    if isinstance(param, dict):
        for key, part in param.items():
            param[key] = recursiveType(part, type, cache)
    return param


def _converted(tensor: Tensor, type: Any, cache: Cache) -> Any:
    wanted = empty(0).type(type).type()
    if tensor.type() == wanted:
        return tensor
    if not tensor.numel():
        return tensor.data.type(type)
    storage = tensor.storage()
    key = storage.data_ptr(), tensor.dtype
    if key not in cache:
        whole = tensor.data.new().set_(storage)
        cache[key] = whole, whole.type(type)
    return (
        cache[key][1]
        .new()
        .set_(cache[key][1].storage(), tensor.storage_offset(), tensor.size(), tensor.stride())
    )
