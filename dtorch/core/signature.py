"""Signatures of operations, read off their definitions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

MISSING: Any = inspect.Parameter.empty  # default of a parameter that must be given


def public_signature(parameters: list[inspect.Parameter], has_out: bool) -> inspect.Signature:
    """The signature of the function that users call."""
    return inspect.Signature([*parameters, _OUT] if has_out else parameters)


_OUT = inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None)


def parameters_of(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a plain function, read off its code: `inspect.signature` takes ten times
    as long, and there are hundreds of operations to import."""
    code, defaults = function.__code__, function.__defaults__ or ()
    n = code.co_argcount
    first_default = n - len(defaults)
    keyword_defaults = function.__kwdefaults__ or {}
    found = [
        inspect.Parameter(
            name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=MISSING if i < first_default else defaults[i - first_default],
        )
        for i, name in enumerate(code.co_varnames[:n])
    ]
    found += [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=keyword_defaults.get(name, MISSING)
        )
        for name in code.co_varnames[n : n + code.co_kwonlyargcount]
    ]
    return found
