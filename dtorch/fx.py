"""Programs as graphs, which dtorch does not make: functions are marked, and run as they are.

>>> from dtorch import fx
>>> @fx.wrap
... def double(x):
...     return 2 * x
>>> double(3)
6
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from dtorch.nn.module import Module

__all__ = [
    "Graph", "GraphModule", "Interpreter", "Node", "Proxy", "Tracer", "Transformer",
    "has_side_effect", "is_fx_tracing", "replace_pattern", "symbolic_trace", "wrap",
]  # fmt: skip

F = TypeVar("F", bound=Callable[..., Any])


def wrap(fn_or_name: Any) -> Any:
    """The function itself, or the name of one: nothing is traced, so none is to be left out."""
    if not (callable(fn_or_name) or isinstance(fn_or_name, str)):
        raise RuntimeError(f"fx.wrap: got {fn_or_name!r}, expected a function or its name")
    return fn_or_name


def is_fx_tracing() -> bool:
    """Whether a program is being traced: no."""
    return False


def has_side_effect(fn: F) -> F:
    """The function itself."""
    return fn


def _refuse(name: str) -> NoReturn:
    raise NotImplementedError(
        f"fx.{name}: dtorch does not trace programs, so there are no graphs of them; call the module "
        "itself, or use hooks to see what happens inside"
    )


def symbolic_trace(root: Any, concrete_args: Any = None) -> NoReturn:
    """Not there: programs are not traced.

    Raises:
        NotImplementedError: always.
    """
    _refuse("symbolic_trace")


def replace_pattern(gm: Any, pattern: Any, replacement: Any) -> NoReturn:
    """Not there: there are no graphs to replace something in.

    Raises:
        NotImplementedError: always.
    """
    _refuse("replace_pattern")


class _OfGraphs:
    """A part of what represents programs as graphs: nothing is an instance of it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse(type(self).__name__)


class Graph(_OfGraphs):
    """A program as nodes."""


class Node(_OfGraphs):
    """An operation in a graph."""


class Proxy(_OfGraphs):
    """What stands for a value while a program is traced."""


class Tracer(_OfGraphs):
    """What traces a program."""


class Interpreter(_OfGraphs):
    """What runs a graph node by node."""


class Transformer(_OfGraphs):
    """What makes another graph of a graph."""


class GraphModule(Module):
    """A module made from a graph: no module is one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse("GraphModule")
