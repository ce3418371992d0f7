"""Functions over tensors and tables of them, and what layers and criteria have in common."""

from __future__ import annotations

import builtins
from typing import Any

from dtorch.core.creation import empty
from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.recording import Recording, Table, mapped

__all__ = [
    "addSingletondimension", "clear", "contiguousView", "recursiveAdd", "recursiveCopy",
    "recursiveFill", "recursiveResizeAs", "recursiveType",
]  # fmt: skip

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


def recursiveResizeAs(t1: Table, t2: Table) -> tuple[Table, Table]:
    """Give ``t1`` the nesting and sizes of ``t2``; what it holds is then undefined.

    Returns: ``t1``, or what has to stand in its place, and ``t2``.
    """
    if isinstance(t2, list):
        t1 = t1 if isinstance(t1, list) else [t1]
        t1[len(t2) :] = []
        t1 += [None] * (len(t2) - len(t1))
        for i, part in enumerate(t2):
            t1[i], t2[i] = recursiveResizeAs(t1[i], part)
    elif isinstance(t2, Tensor):
        t1 = t1 if isinstance(t1, Tensor) else t2.new()
        t1.resize_(t2.size())
    else:
        raise _no_table("recursiveResizeAs", t2)
    return t1, t2


def recursiveFill(t2: Table, val: Any) -> Table:
    """Fill every tensor of a table with a number."""
    return _visited("recursiveFill", t2, lambda tensor: tensor.fill_(val))


def recursiveAdd(t1: Table, val: Any = 1, t2: Table = None) -> tuple[Table, Table]:
    """``t1 += val * t2``, tensor by tensor; ``recursiveAdd(t1, t2)`` is that with a ``val`` of 1."""
    if t2 is None:
        val, t2 = 1, val
    _pairwise("recursiveAdd", t1, t2, lambda a, b: a.add_(b, alpha=val))
    return t1, t2


def recursiveCopy(t1: Table, t2: Table) -> tuple[Table, Table]:
    """Copy ``t2`` into ``t1``, which gets its nesting and sizes."""
    t1, t2 = recursiveResizeAs(t1, t2)
    _pairwise("recursiveCopy", t1, t2, lambda a, b: a.copy_(b))
    return t1, t2


def _pairwise(name: str, t1: Table, t2: Table, function: Any) -> None:
    if isinstance(t2, list) and isinstance(t1, list) and len(t1) == len(t2):
        for a, b in zip(t1, t2, strict=True):
            _pairwise(name, a, b, function)
    elif isinstance(t1, Tensor) and isinstance(t2, Tensor):
        function(t1, t2)
    else:
        raise ArgumentError(
            f"{name}: got a {type(t1).__name__} and a {type(t2).__name__}, expected two tensors or "
            "two lists of the same length"
        )


def _visited(name: str, table: Table, function: Any) -> Table:
    if not isinstance(table, (list, Tensor)):
        raise _no_table(name, table)
    mapped(function, table)
    return table


def _no_table(name: str, found: Any) -> TypeError:
    return TypeError(f"{name}: got {type(found).__name__}, expected a tensor or a list of them")


def addSingletondimension(*args: Any) -> Any:
    """``(tensor, dim)``: the tensor with a dim of one element put in at ``dim``.

    ``(view, tensor, dim)`` makes ``view`` look at that and returns it.
    """
    *view, tensor, dim = args
    wider: Tensor = tensor.data.unsqueeze(dim)
    return view[0].set_(wider) if view else wider


def contiguousView(output: Tensor | None, input: Tensor, *args: Any) -> Any:
    """``input`` with other sizes, in ``output``; copied if its memory has another order."""
    viewed: Tensor = input.data.contiguous().view(*args)
    return viewed if output is None else output.set_(viewed)


def clear(self: Any, *args: Any) -> Any:
    """Empty the named attributes of an object: tensors, lists and dicts; others become None."""
    names = args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args
    for name in names:
        value = vars(self).get(name)
        if isinstance(value, Tensor):
            setattr(self, name, value.new())
        elif isinstance(value, (list, dict)):
            setattr(self, name, type(value)())
        elif name in vars(self):
            setattr(self, name, None)
    return self
