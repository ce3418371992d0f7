"""Decorators of programs that are written for TorchScript; here functions run as they are.

>>> import dtorch
>>> @dtorch.jit.script
... def double(x):
...     return 2 * x
>>> double(dtorch.ones(2))
tensor([2., 2.])
"""

from __future__ import annotations

import builtins
import functools
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NoReturn, TypeVar, get_origin

from dtorch.nn.module import Module

F = TypeVar("F")

ScriptModule = Module
ScriptFunction = Callable[..., Any]
Attribute = Any

__all__ = [
    "Attribute",
    "Final",
    "ScriptFunction",
    "ScriptModule",
    "annotate",
    "enable_onednn_fusion",
    "export",
    "fork",
    "freeze",
    "fuser",
    "ignore",
    "interface",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "optimize_for_inference",
    "optimized_execution",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "trace",
    "trace_module",
    "unused",
    "wait",
]  # fmt: skip


@functools.cache
def _say(what: str) -> None:
    logging.getLogger("dtorch.jit").debug("%s: functions run as they are, unscripted", what)


def script(obj: F, *args: Any, **options: Any) -> F:
    """The function, class or module itself."""
    _say("script")
    return obj


def trace(func: F, example_inputs: Any = None, *args: Any, **options: Any) -> F:
    """The function or module itself; it is not called with the examples."""
    _say("trace")
    return func


def trace_module(mod: F, inputs: Any, *args: Any, **options: Any) -> F:
    """The module itself."""
    _say("trace_module")
    return mod


def script_method(fn: F) -> F:
    """The method itself."""
    return fn


def script_if_tracing(fn: F) -> F:
    """The function itself."""
    return fn


def export(fn: F) -> F:
    """The method itself."""
    return fn


def unused(fn: F) -> F:
    """The method itself."""
    return fn


def interface(obj: F) -> F:
    """The class itself."""
    return obj


def ignore(drop: Any = False, **options: Any) -> Any:
    """The method itself, also where the decorator is called first."""
    return drop if callable(drop) else export


def freeze(mod: F, *args: Any, **options: Any) -> F:
    """The module itself."""
    return mod


def optimize_for_inference(mod: F, *args: Any, **options: Any) -> F:
    """The module itself."""
    return mod


def annotate(the_type: Any, the_value: F) -> F:
    """The value itself."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether an object is of a class; of ``List[int]`` and the like, whether it is a list."""
    kinds: tuple[Any, ...] = target_type if type(target_type) is tuple else (target_type,)
    classes: list[type] = [get_origin(kind) or kind for kind in kinds]
    return builtins.isinstance(obj, tuple(classes))


def is_scripting() -> bool:
    """Whether this runs in TorchScript: no."""
    return False


def is_tracing() -> bool:
    """Whether calls are being traced: no."""
    return False


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """The result of the call, which is made at once."""
    return func(*args, **kwargs)


def wait(future: F) -> F:
    """What `fork` gave."""
    return future


@contextmanager
def optimized_execution(should_optimize: bool) -> Iterator[None]:
    """No effect."""
    yield


@contextmanager
def fuser(name: str) -> Iterator[None]:
    """No effect."""
    yield


def enable_onednn_fusion(enabled: bool) -> None:
    """No effect."""


def save(m: Any, f: Any, **options: Any) -> NoReturn:
    """Not there: a program of TorchScript's cannot be written.

    Raises:
        NotImplementedError: always; it says what to do instead.
    """
    raise NotImplementedError(
        "jit.save: dtorch writes no TorchScript programs; save the parameters with "
        "dtorch.save(module.state_dict(), f)"
    )


def load(f: Any, **options: Any) -> NoReturn:
    """Not there: a program of TorchScript's is not run.

    Raises:
        NotImplementedError: always; it says what to do instead.
    """
    raise NotImplementedError(
        "jit.load: dtorch runs no TorchScript programs; dtorch.load(f) reads the tensors of one, "
        "for load_state_dict of a module built by the program"
    )
