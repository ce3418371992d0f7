"""Functions that classes replace by ``__torch_function__``, a protocol that dtorch does not have.

Questions are answered so: nothing is overridden, and a subclass of Tensor is a tensor like others.

>>> import dtorch
>>> from dtorch.overrides import has_torch_function, is_tensor_like
>>> has_torch_function((dtorch.ones(1),)), is_tensor_like(dtorch.ones(1))
(False, True)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from dtorch.core.tensor import Tensor

__all__ = [
    "TorchFunctionMode", "get_ignored_functions", "get_overridable_functions",
    "get_testing_overrides", "handle_torch_function", "has_torch_function",
    "has_torch_function_unary", "has_torch_function_variadic", "is_tensor_like",
    "is_tensor_method_or_property", "resolve_name", "wrap_torch_function",
]  # fmt: skip


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether an argument replaces functions: no."""
    return False


def has_torch_function_unary(obj: Any) -> bool:
    """Whether an argument replaces functions: no."""
    return False


def has_torch_function_variadic(*args: Any) -> bool:
    """Whether an argument replaces functions: no."""
    return False


def handle_torch_function(
    public_api: Callable[..., Any], relevant_args: Iterable[Any], *args: Any, **kwargs: Any
) -> NoReturn:
    """Call what replaces a function: nothing does.

    Raises:
        TypeError: always.
    """
    raise TypeError(
        f"no implementation found for {getattr(public_api, '__name__', public_api)}: dtorch does not "
        "ask arguments for __torch_function__"
    )


def wrap_torch_function(dispatcher: Callable[..., Any]) -> Callable[[Any], Any]:
    """A decorator that gives the function itself."""
    return lambda function: function


def is_tensor_like(inp: Any) -> bool:
    """Whether something is a tensor, or of a class that replaces functions."""
    return isinstance(inp, Tensor) or hasattr(inp, "__torch_function__")


def is_tensor_method_or_property(func: Any) -> bool:
    """Whether a function is a method of tensors."""
    name = getattr(func, "__name__", "")
    return func is getattr(Tensor, name, None)


def get_ignored_functions() -> set[Callable[..., Any]]:
    """Functions that cannot be replaced, of those that otherwise can: none."""
    return set()


def get_overridable_functions() -> dict[Any, list[Callable[..., Any]]]:
    """Functions that can be replaced: none."""
    return {}


def get_testing_overrides() -> dict[Callable[..., Any], Callable[..., Any]]:
    """Stand-ins for the functions that can be replaced: none."""
    return {}


def resolve_name(f: Any) -> str | None:
    """The full name of a function; None for what has no name."""
    name = getattr(f, "__qualname__", None)
    return None if name is None else f"{f.__module__}.{name}"


class TorchFunctionMode:
    """Replaces every function in a ``with`` block, which dtorch does not do.

    Raises:
        NotImplementedError: in a ``with`` block.
    """

    def __enter__(self) -> NoReturn:
        raise NotImplementedError(
            f"{type(self).__name__}: dtorch's functions cannot be replaced by a mode; for the default "
            "device use `with dtorch.device(...)`"
        )

    def __exit__(self, *_: object) -> None:
        return None
