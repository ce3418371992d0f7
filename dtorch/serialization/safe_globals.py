"""Classes and functions that checkpoints may name although they are not on the built-in list."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import Any

from dtorch.core.interrupts import completed

_allowed: dict[str, Any] = {}


def _name_of(item: Any) -> tuple[str, Any]:
    if isinstance(item, tuple):
        if len(item) != 2 or not isinstance(item[1], str):
            raise TypeError(
                f"safe globals: got {item!r}, expected a class, a function, or a pair of it and "
                "the full name it has in files"
            )
        return item[1], item[0]
    if not callable(item):
        raise TypeError(f"safe globals: got {item!r}, expected a class or a function")
    return f"{item.__module__}.{item.__qualname__}", item


def add_safe_globals(safe_globals: Iterable[Any]) -> None:
    """Let `load` with ``weights_only=True`` make objects of these classes, call these functions.

    Args:
        safe_globals: classes and functions; ``(class, "package.Name")`` where files know a class
            by another name.
    """
    _allowed.update(_name_of(item) for item in safe_globals)


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` added."""
    return list(_allowed.values())


def clear_safe_globals() -> None:
    """Forget what `add_safe_globals` added."""
    _allowed.clear()


def find_safe_global(module: str, name: str) -> Any:
    """What was added under this name, or None."""
    return _allowed.get(f"{module}.{name}")


class safe_globals:  # noqa: N801 - the public name of the reference API
    """Allow classes and functions inside a ``with`` block only, as `add_safe_globals` does."""

    def __init__(self, safe_globals: Iterable[Any]) -> None:
        self._items = list(safe_globals)

    def __enter__(self) -> safe_globals:
        self._before = dict(_allowed)
        try:
            add_safe_globals(self._items)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    @completed
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        _allowed.clear()
        _allowed.update(self._before)


def is_safe_type(cls: type) -> bool:
    """Whether objects of this class may be made because it was added."""
    return any(cls is item for item in _allowed.values())
