"""Signatures of operations, read off their definitions."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

MISSING: Any = inspect.Parameter.empty  # default of a parameter that must be given


class Parameters(NamedTuple):
    """Those of a plain function, as far as `inspect.signature` would say, which takes long: there are
    hundreds of operations to import.

    Attributes:
        positional: how many of them are no keywords alone.
    """

    names: tuple[str, ...]
    defaults: list[Any]
    positional: int


def parameters_of(function: Callable[..., Any], skipped: int) -> Parameters:
    """The parameters of a plain function after the first ones that are skipped."""
    code, defaults = function.__code__, function.__defaults__ or ()
    n = code.co_argcount
    names = code.co_varnames[: n + code.co_kwonlyargcount]
    values = [MISSING] * (n - len(defaults)) + [*defaults]
    if len(names) > n:
        named = function.__kwdefaults__ or {}
        values += [named.get(name, MISSING) for name in names[n:]]
    return Parameters(names[skipped:], values[skipped:], n - skipped)


def public_signature(parameters: Parameters, has_out: bool) -> inspect.Signature:
    """The signature of the function that users call."""
    kinds = inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY
    names, defaults, positional = parameters
    shown = [
        inspect.Parameter(name, kinds[i >= positional], default=default)
        for i, (name, default) in enumerate(zip(names, defaults, strict=True))
    ]
    if has_out:
        shown.append(inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None))
    return inspect.Signature(shown)
