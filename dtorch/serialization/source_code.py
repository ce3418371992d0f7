"""The source text that classic files carry for the classes of their modules."""

from __future__ import annotations

import difflib
import inspect
import warnings
from typing import Any


class SourceChangeWarning(Warning):
    """The source of a class is not what it was when the file was written."""


def source_of(cls: type) -> tuple[str, str]:
    """File and source text of a class; empty where there is none, as for one typed in a shell."""
    try:
        return inspect.getsourcefile(cls) or "", inspect.getsource(cls)
    except (OSError, TypeError):
        return "", ""


def check_source(cls: Any, file: Any, source: Any) -> None:
    """Warn if the class's source is not ``source``; write what changed if the class asks for it.

    A class with ``dump_patches = True`` gets a file ``<Class>.patch`` in the working directory.
    """
    if not source or type(source) is not str or not isinstance(cls, type):
        return
    if cls.__module__.startswith("dtorch."):
        return  # the file has PyTorch's source of it, or that of another version of dtorch
    _, current = source_of(cls)
    if not current or current == source:
        return
    name = f"{cls.__module__}.{cls.__qualname__}"
    remedy = "set dump_patches = True on the class to get a patch with the changes"
    if getattr(cls, "dump_patches", False):
        path = f"{cls.__name__}.patch"
        patch = difflib.unified_diff(
            source.split("\n"), current.split("\n"), str(file), str(file), lineterm=""
        )
        with open(path, "w") as out:
            out.write("\n".join(patch) + "\n")
        remedy = f"{path} has the changes"
    warnings.warn(
        f"the source of {name} has changed since the file was written; {remedy}",
        SourceChangeWarning,
        stacklevel=2,
    )
