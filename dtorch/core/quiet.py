"""Arithmetic without NumPy's warnings.

Division by zero, overflow and the like give inf and nan here, silently, as everywhere in this
field; NumPy would warn. The caller's own NumPy settings are not touched: they are replaced for
one computation and restored. NumPy's `errstate` does that in about 0.9 us, which is more than a
small operation takes. It sets a context variable, as a look at the context shows: setting that
one here takes 0.1 us, and nothing where it is set.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

import numpy as np

from dtorch.core.backend import compiled, tell

Result = TypeVar("Result")


def _settings() -> tuple[ContextVar[Any], Any]:
    """The context variable that `numpy.errstate` sets, and what it sets it to for silence.

    Raises:
        ImportError: it keeps its settings elsewhere.
    """
    before = dict(copy_context().items())
    with np.errstate(all="ignore"):
        changed = [
            (variable, value)
            for variable, value in copy_context().items()
            if before.get(variable) is not value
        ]
    if len(changed) != 1:
        raise ImportError(
            f"dtorch: NumPy {np.__version__} keeps its error state in {len(changed)} context "
            "variables, expected one; install another version of either"
        )
    return changed[0]


_variable, _silent = _settings()

tell("set_silence", _variable, _silent)


@compiled
def quietly(function: Callable[..., Result], /, *args: Any, **kwargs: Any) -> Result:
    """What ``function`` gives when it is called without NumPy's warnings."""
    token = _variable.set(_silent)
    try:
        return function(*args, **kwargs)
    finally:
        _variable.reset(token)
