"""Nested tuples and lists of tensors, taken apart and put together again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dtorch.core.base import TensorBase


class _Leaf:
    """Stands in a structure for the next tensor of the flat list."""


LEAF = _Leaf()


def flatten(value: Any) -> tuple[list[Any], Any]:
    """The tensors in ``value``, and its structure with `LEAF` in their places."""
    found: list[Any] = []

    def structure(part: Any) -> Any:
        if isinstance(part, TensorBase):
            found.append(part)
            return LEAF
        if isinstance(part, (tuple, list)):
            return type(part)(structure(p) for p in part)
        return part

    return found, structure(value)


def unflatten(flat: Sequence[Any], structure: Any) -> Any:
    """The inverse of `flatten`."""
    rest = iter(flat)

    def build(part: Any) -> Any:
        if part is LEAF:
            return next(rest)
        if isinstance(part, (tuple, list)):
            return type(part)(build(p) for p in part)
        return part

    return build(structure)


def pick(value: Any, structure: Any) -> list[Any]:
    """The parts of ``value`` that stand where ``structure`` has tensors."""
    if structure is LEAF:
        return [value]
    if not isinstance(structure, (tuple, list)):
        return []
    parts = value if isinstance(value, (tuple, list)) else [None] * len(structure)
    return [found for v, s in zip(parts, structure, strict=True) for found in pick(v, s)]
