"""Decorators of programs that have their functions compiled; here a function runs as it is.

`compile` returns what it is given: the results are those of the function, and so is the speed.
That is said once, to the logger ``dtorch.compiler`` at the level of debugging.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, overload

from dtorch import compiler_config as config

F = TypeVar("F")

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "config",
    "cudagraph_mark_step_begin",
    "disable",
    "graph_break",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "reset",
    "set_stance",
]  # fmt: skip


@functools.cache
def _say(what: str) -> None:
    import logging  # noqa: PLC0415  # 4 ms that programs without compiled functions need not pay

    logging.getLogger("dtorch.compiler").debug("%s: functions run as they are, uncompiled", what)


@overload
def compile(model: F, **options: Any) -> F: ...
@overload
def compile(model: None = None, **options: Any) -> Callable[[F], F]: ...
def compile(model: Any = None, **options: Any) -> Any:
    """The function or module itself; without one, a decorator that gives it.

    Args:
        model: what PyTorch would compile.
        options: ``fullgraph``, ``dynamic``, ``backend``, ``mode``, ``options``, ``disable``, of which
            none has an effect.

    Raises:
        TypeError: another option, or a model that cannot be called.

    Example:
        >>> import dtorch
        >>> @dtorch.compile(mode="reduce-overhead")
        ... def double(x):
        ...     return 2 * x
        >>> double(dtorch.ones(2))
        tensor([2., 2.])
    """
    unknown = set(options) - {"fullgraph", "dynamic", "backend", "mode", "options", "disable"}
    if unknown:
        raise TypeError(f"compile() got an unexpected keyword argument {sorted(unknown)[0]!r}")
    _say("compile")
    if model is None:
        return functools.partial(compile, **options)
    if not callable(model):
        raise TypeError(f"compile: model is {type(model).__name__}, expected a function or module")
    return model


def disable(fn: Any = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """The function itself, which is not compiled in any case; without one, a decorator."""
    return _itself if fn is None else fn


def allow_in_graph(fn: F) -> F:
    """The function itself."""
    return fn


def assume_constant_result(fn: F) -> F:
    """The function itself."""
    return fn


def _itself(fn: F) -> F:
    return fn


def is_compiling() -> bool:
    """Whether this runs in a function that is being compiled: no."""
    return False


def is_dynamo_compiling() -> bool:
    """Whether this runs in a function that is being compiled: no."""
    return False


def is_exporting() -> bool:
    """Whether this runs in a program that is being exported: no."""
    return False


def graph_break(msg: str = "") -> None:
    """Where a compiled program is to be cut: nowhere."""


def mark_dynamic(*args: Any, **kwargs: Any) -> None:
    """Which sizes change: all may."""


mark_static = maybe_mark_dynamic = mark_dynamic


def reset() -> None:
    """Forget what was compiled: nothing."""


def cudagraph_mark_step_begin() -> None:
    """Where a recorded step begins: none is recorded."""


def list_backends(exclude_tags: Any = ()) -> list[str]:
    """The compilers there are: none."""
    return []


def set_stance(stance: str = "default", **options: Any) -> AbstractContextManager[None]:
    """How calls of compiled functions are treated: always as "force_eager"."""
    return nullcontext()
