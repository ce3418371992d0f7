"""What an error in a module tells: which module, what was wrong with the call, and where the user
made it.

All of it happens when an error passes the outermost module on its way out; without an error there
is nothing to pay. An error that dtorch raised on purpose shows the user's own frames alone; all
frames are there with the environment variable ``DTORCH_TRACEBACK=full``.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterator
from types import CodeType, FrameType, TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from dtorch.core import entry
from dtorch.core.base import TensorBase
from dtorch.core.errors import DtorchError

if TYPE_CHECKING:
    from dtorch.nn.module import Module

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")


def explained(error: Exception, call: CodeType) -> Exception | None:
    """Say in an error where it was made; to be called where it leaves a module.

    Args:
        call: the code of ``Module.__call__``, whose frames know the modules and their arguments.
    Returns: another error to be raised in its place, or None.
    """
    steps = list(_steps(error.__traceback__))
    calls = [step.tb_frame for step in steps if step.tb_frame.f_code is call]
    if _has_frame(calls[0].f_back, call):
        return None  # a module further out sees to it
    inner = calls[-1].f_locals
    module = inner["self"]
    if steps[-1].tb_frame is calls[-1]:
        wrong: str | None = _wrong_call(module, inner["input"], inner["kwargs"])
    elif not _is_ours(steps[-1]):
        return None  # the user's own
    else:
        wrong = _wrong_input(module, inner["input"], inner["kwargs"])
    instead = None if wrong is None else TypeError(f"{type(module).__name__}: {wrong}")
    shown = error if instead is None else instead
    shown.add_note(f"in {_place([frame.f_locals['self'] for frame in calls])}")
    if entry.SHOWS_ALL_CALLS:
        shown.__traceback__ = error.__traceback__
    elif instead is not None or isinstance(error, (DtorchError, NotImplementedError)):
        shown.__traceback__ = _of_the_user(steps)
    return instead


def _steps(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _has_frame(frame: FrameType | None, code: CodeType) -> bool:
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False


def _is_ours(step: TracebackType) -> bool:
    return step.tb_frame.f_code.co_filename.startswith(_PACKAGE)


def _of_the_user(steps: list[TracebackType]) -> TracebackType | None:
    """A traceback without the frames of dtorch."""
    traceback = None
    for step in reversed(steps):
        if not _is_ours(step):
            traceback = TracebackType(traceback, step.tb_frame, step.tb_lasti, step.tb_lineno)
    return traceback


def _place(modules: list[Module]) -> str:
    """The innermost of modules that called one another, and its name in the outermost."""
    outer, inner = modules[0], modules[-1]
    name = next((name for name, module in outer.named_modules() if module is inner), "")
    shown = type(inner).__name__ if inner._modules else repr(inner)
    return f"{type(outer).__name__}.{name}: {shown}" if name else shown


def _wrong_call(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """What is wrong with the number and names of the arguments, if that is it."""
    signature = inspect.signature(module.forward)
    try:
        signature.bind(*args, **kwargs)
    except TypeError as mismatch:
        return f"{mismatch}; expected ({', '.join(map(_shown, signature.parameters.values()))})"
    return None


def _shown(parameter: inspect.Parameter) -> str:
    return str(parameter.replace(annotation=inspect.Parameter.empty))


def _wrong_input(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> str | None:
    """Which argument of a layer of ours is no tensor though it has to be one, if there is such."""
    forward = type(module).forward
    if not getattr(forward, "__module__", "").startswith("dtorch."):
        return None
    given = inspect.signature(module.forward).bind(*args, **kwargs).arguments
    for name, value in given.items():
        if forward.__annotations__.get(name) == "Tensor" and not isinstance(value, TensorBase):
            return f"{name} is {_kind(value)}, expected a tensor{_remedy(name, value)}"
    return None


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    return "a NumPy array" if isinstance(value, np.ndarray) else type(value).__name__


def _remedy(name: str, value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"; use dtorch.from_numpy({name})"
    return f"; use dtorch.tensor({name})" if isinstance(value, (list, tuple, float, int)) else ""
