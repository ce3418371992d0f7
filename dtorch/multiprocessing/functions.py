"""Pickling functions and classes that other processes cannot import: with cloudpickle.

The standard library pickles a function as the name of its module and its own. A lambda, a function
inside another one, or one typed at a prompt has no such name; it travels as its code, together with
what it refers to. Tensors among that are shared as everywhere.
"""

from __future__ import annotations

import io
import sys
from types import FunctionType
from typing import Any

import cloudpickle


def must_travel_as_code(obj: FunctionType | type) -> bool:
    """Whether another process cannot find a function or class by its name."""
    module = sys.modules.get(obj.__module__) if obj.__module__ else None
    if module is None or (obj.__module__ == "__main__" and not hasattr(module, "__file__")):
        return True
    found: Any = module
    for name in obj.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is not obj


def pickle_by_value(obj: FunctionType | type, reduce: Any) -> bytes:
    """A function or class as its code.

    Args:
        reduce: ``reduce(object)``, asked first how to take an object apart.
    """
    file = io.BytesIO()
    _CodePickler(file, reduce).dump(obj)
    return file.getvalue()


class _CodePickler(cloudpickle.Pickler):  # type: ignore[misc]  # has no type information
    def __init__(self, file: io.BytesIO, reduce: Any) -> None:
        super().__init__(file)
        self._reduce = reduce

    def reducer_override(self, obj: Any) -> Any:
        reduced = self._reduce(obj)
        return super().reducer_override(obj) if reduced is NotImplemented else reduced
