"""Functions over tensors and tables of them."""

from __future__ import annotations

from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.tensor import Tensor
from dtorch.legacy.nn.conversion import recursiveType
from dtorch.legacy.nn.recording import Table, mapped

__all__ = [
    "addSingletondimension", "clear", "contiguousView", "recursiveAdd", "recursiveCopy",
    "recursiveFill", "recursiveResizeAs", "recursiveType",
]  # fmt: skip


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
