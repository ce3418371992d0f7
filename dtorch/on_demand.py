"""Names of packages that are loaded when they are first asked for, as few programs need them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def on_demand(package: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """The function ``__getattr__`` of a package.

    Args:
        names: each of what is loaded late, and the module of the package that it is in; the module
            itself where that has the same name. Type checkers are told by imports
            ``if TYPE_CHECKING``, and should not see ``__getattr__``: then they know that there are
            no other names.
    """

    def load(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(f"{package}.{names[name]}")
        return module if names[name] == name else getattr(module, name)

    return load
