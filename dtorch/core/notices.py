"""Warnings, at the line of the user's that led to them."""

from __future__ import annotations

import inspect
import os
import warnings
from typing import Any

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(__file__)), "")


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the innermost line under way that is not of dtorch."""
    frame: Any = inspect.currentframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    module = frame.f_globals.get("__name__", "__main__")
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(
        text, category, frame.f_code.co_filename, frame.f_lineno, module, registry
    )
