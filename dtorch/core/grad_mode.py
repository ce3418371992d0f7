"""Whether operations are recorded: a switch of each thread."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    enabled = True


mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return mode.enabled


class _GradMode:
    """Sets the switch inside a ``with`` block, or in calls of a decorated function."""

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled
        self.before: list[bool] = []

    def __enter__(self) -> None:
        self.before.append(mode.enabled)
        mode.enabled = self.enabled

    def __exit__(self, *_: object) -> None:
        mode.enabled = self.before.pop()

    def __call__(self, function: F) -> F:
        enabled = self.enabled
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                # The switch is set only while the generator itself runs, not in its consumer.
                steps = function(*args, **kwargs)
                step, argument = steps.send, None
                while True:
                    with _GradMode(enabled):
                        try:
                            value = step(argument)
                        except StopIteration as end:
                            return end.value
                    try:
                        argument = yield value
                        step = steps.send
                    except GeneratorExit:
                        steps.close()
                        raise
                    except BaseException as error:  # noqa: BLE001 - handed on to the generator
                        step, argument = steps.throw, error

            return generator  # type: ignore[return-value]  # same signature by wraps

        @functools.wraps(function)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with _GradMode(enabled):
                return function(*args, **kwargs)

        return decorated  # type: ignore[return-value]  # same signature by wraps


class no_grad(_GradMode):  # noqa: N801 - the public name of the reference API
    """Record nothing, in a ``with`` block or a decorated function.

    >>> import dtorch
    >>> x = dtorch.ones(2, requires_grad=True)
    >>> with no_grad():
    ...     (x * 2).requires_grad
    False
    """

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        super().__init__(False)
        if function is not None:
            raise TypeError("no_grad: write @no_grad() with parentheses to decorate a function")


class enable_grad(_GradMode):  # noqa: N801 - the public name of the reference API
    """Record again inside `no_grad`, in a ``with`` block or a decorated function."""

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        super().__init__(True)
        if function is not None:
            raise TypeError("enable_grad: write @enable_grad() with parentheses to decorate")


class set_grad_enabled(_GradMode):  # noqa: N801 - the public name of the reference API
    """Set whether operations are recorded; at once, and for the block if used in a ``with``."""

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self.earlier = is_grad_enabled()
        _set(self.enabled)

    def __enter__(self) -> None:
        self.before.append(self.earlier)
        _set(self.enabled)

    def __call__(self, function: F) -> F:
        _set(self.earlier)  # used as a decorator: only calls of the function are affected
        return super().__call__(function)


def _set(enabled: bool) -> None:
    mode.enabled = enabled
