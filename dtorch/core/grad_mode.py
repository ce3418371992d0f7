"""Whether operations are recorded: a switch of each thread."""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from dtorch.core.interrupts import completed

F = TypeVar("F", bound=Callable[..., Any])


class _Mode(threading.local):
    # True: operations are recorded; False: they are not; None: nor are they, and inference mode
    # marks what would have been recorded.
    enabled: bool | None = True
    inference = False


mode = _Mode()


def is_grad_enabled() -> bool:
    """Whether operations are being recorded in this thread."""
    return bool(mode.enabled)


class _GradMode:
    """Sets the switch inside a ``with`` block, or in calls of a decorated function.

    Args:
        enabled: whether operations are recorded.
        inference: whether inference mode is on; None leaves it.
    """

    def __init__(self, enabled: bool, inference: bool | None = None) -> None:
        self.enabled = enabled
        self.inference = inference
        self.before: list[tuple[bool | None, bool]] = []

    def __enter__(self) -> None:
        self._switch(self.before)

    def _switch(self, before: list[tuple[bool | None, bool]]) -> None:
        # Calls nothing after the first change, see `interrupts`.
        inference = mode.inference if self.inference is None else self.inference
        enabled = self.enabled or (None if inference else False)
        before += [(mode.enabled, mode.inference)]
        mode.enabled, mode.inference = enabled, inference

    @completed
    def __exit__(self, *_: object) -> None:
        mode.enabled, mode.inference = self.before[-1]
        del self.before[-1]

    def again(self) -> _GradMode:
        """A fresh object that sets the same: calls of a decorated function may overlap."""
        return _GradMode(self.enabled, self.inference)

    def __call__(self, function: F) -> F:
        again = self.again
        if inspect.isgeneratorfunction(function):

            @functools.wraps(function)
            def generator(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
                # The switch is set only while the generator itself runs, not in its consumer.
                steps = function(*args, **kwargs)
                step, argument = steps.send, None
                while True:
                    with again():
                        try:
                            value = step(argument)
                        except StopIteration as end:
                            return end.value
                    try:
                        argument = yield value
                        step = steps.send
                    except GeneratorExit:
                        with again():
                            steps.close()
                        raise
                    except BaseException as error:  # noqa: BLE001 - handed on to the generator
                        step, argument = steps.throw, error

            return generator  # type: ignore[return-value]  # same signature by wraps

        @functools.wraps(function)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with again():
                return function(*args, **kwargs)

        return decorated  # type: ignore[return-value]  # same signature by wraps


if TYPE_CHECKING:
    # Checkers do not believe that a class gives back a function, as these do that decorate one.

    class _Bare(Protocol):
        @overload
        def __call__(self) -> _GradMode: ...
        @overload
        def __call__(self, function: F) -> F: ...

    class _Inference(Protocol):
        @overload
        def __call__(self, mode: bool = True) -> _GradMode: ...
        @overload
        def __call__(self, mode: F) -> F: ...

    no_grad: _Bare
    enable_grad: _Bare
    inference_mode: _Inference

else:

    class _Bare:
        """Lets a switch without arguments decorate with and without parentheses."""

        def __new__(cls, function=None):
            switch = super().__new__(cls)
            if function is None:
                return switch
            switch.__init__()  # it is not called for what is no instance
            return switch(function)

    class no_grad(_Bare, _GradMode):  # noqa: N801 - the public name of the reference API
        """Record nothing, in a ``with`` block or a decorated function.

        >>> import dtorch
        >>> x = dtorch.ones(2, requires_grad=True)
        >>> with no_grad():
        ...     (x * 2).requires_grad
        False
        """

        def __init__(self):
            super().__init__(False)

    class enable_grad(_Bare, _GradMode):  # noqa: N801 - the public name of the reference API
        """Record again inside `no_grad`, in a ``with`` block or a decorated function."""

        def __init__(self):
            super().__init__(True)

    class inference_mode(_GradMode):  # noqa: N801 - the public name of the reference API
        """Record nothing, and mark what would have been recorded.

        Like `no_grad`, but a result computed from tensors that require grad is marked: outside the
        block it can neither be saved for a gradient nor be changed in place, so that a forgotten
        block is noticed.

        Args:
            mode: False turns the mode off inside a block where it is on.
        Differs from the reference API: results of operands that do not require grad are ordinary
            tensors, as they would be outside.

        >>> import dtorch
        >>> x = dtorch.ones(2, requires_grad=True)
        >>> with inference_mode():
        ...     y = x * 2
        >>> y.requires_grad, y.is_inference()
        (False, True)
        """

        def __new__(cls, mode=True):
            switch = super().__new__(cls)
            if not callable(mode):
                return switch
            switch.__init__()  # it is not called for what is no instance
            return switch(mode)

        def __init__(self, mode=True):
            super().__init__(not mode, bool(mode))


class set_grad_enabled(_GradMode):  # noqa: N801 - the public name of the reference API
    """Set whether operations are recorded; at once, and for the block if used in a ``with``."""

    def __init__(self, mode: bool) -> None:
        super().__init__(bool(mode))
        self.earlier: list[tuple[bool | None, bool]] = []
        self._switch(self.earlier)

    def __enter__(self) -> None:
        self._switch([])
        self.before += self.earlier

    def __call__(self, function: F) -> F:
        # Used as a decorator: only calls of the function are affected.
        mode.enabled, mode.inference = self.earlier[-1]
        return super().__call__(function)


def is_inference_mode_enabled() -> bool:
    """Whether this thread is inside `inference_mode`."""
    return mode.inference
