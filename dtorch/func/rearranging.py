"""Dims of a tensor in another order, split and joined, by a pattern."""

from __future__ import annotations

import math
import re
from typing import Any

from dtorch.core.functions import stack
from dtorch.core.tensor import Tensor

_TOKENS = re.compile(r"\.\.\.|[A-Za-z_]\w*|[()]|\d+|\S")


def rearrange(tensor: Any, pattern: str, **axes_lengths: int) -> Tensor:
    """A tensor whose dims are named on the left of ``->`` in the order, and the groups, on the right.

    Args:
        tensor: a tensor, or several of one shape, which are stacked along a new first dim.
        pattern: names of dims; ``(a b)`` is one dim made of two, ``...`` stands for any others, ``1``
            for a dim of size 1.
        axes_lengths: sizes of names in groups on the left, all but one of each.

    Raises:
        ValueError: a pattern that does not fit the tensor.

    Example:
        >>> import dtorch
        >>> rearrange(dtorch.zeros(2, 3, 4), "a b (c d) -> (a d) b c", d=2).shape
        dtorch.Size([4, 3, 2])

    Reference: Rogozhnikov 2022, "Einops: clear and reliable tensor manipulations with Einstein-like
    notation".
    """
    source: Tensor = tensor if isinstance(tensor, Tensor) else stack(list(tensor))
    sides = pattern.split("->")
    if len(sides) != 2:
        raise ValueError(f"rearrange: pattern is {pattern!r}, expected one '->'")
    left, right = (_groups(side, pattern) for side in sides)
    names = [{n for group in side for n in group if n != "1"} for side in (left, right)]
    if names[0] != names[1]:
        raise ValueError(
            "Identifiers only on one side of rearrange expression (should be on both): "
            f"{names[0] ^ names[1]}"
        )
    if unknown := set(axes_lengths) - names[0]:
        raise ValueError(f"rearrange: {sorted(unknown)} do not stand in the pattern {pattern!r}")
    others = source.dim() - sum(group != ["..."] for group in left)
    if others < 0 or (others and ["..."] not in left):
        raise ValueError(
            f"rearrange: the pattern {pattern!r} does not fit a tensor of {source.dim()} dims"
        )
    dots = [f"...{k}" for k in range(others)]
    sizes = _sizes(source, left, dots, axes_lengths, pattern)
    order = [name for name in _flat(left, dots) if name != "1"]
    wanted = [name for name in _flat(right, dots) if name != "1"]
    apart = source.reshape([sizes[name] for name in order])
    turned = apart.permute([order.index(name) for name in wanted])
    shape: list[int] = []
    for group in right:
        if group == ["..."]:
            shape += [sizes[name] for name in dots]
        else:
            shape.append(math.prod(sizes[n] for n in _flat([group], dots) if n != "1"))
    return turned.reshape(shape)


def _groups(side: str, pattern: str) -> list[list[str]]:
    """The names of each dim."""
    groups: list[list[str]] = []
    inner: list[str] | None = None
    for token in _TOKENS.findall(side):
        if token == "(" and inner is None:
            inner = []
        elif token == ")" and inner is not None:
            groups.append(inner)
            inner = None
        elif token in ("...", "1") or token.isidentifier():
            if inner is None:
                groups.append([token])
            else:
                inner.append(token)
        else:
            raise ValueError(f"rearrange: {token!r} has no place in the pattern {pattern!r}")
    if inner is not None:
        raise ValueError(f"rearrange: a bracket stays open in the pattern {pattern!r}")
    names = [name for group in groups for name in group if name != "1"]
    if len(set(names)) < len(names):
        raise ValueError(f"rearrange: a name stands twice on one side of the pattern {pattern!r}")
    return groups


def _flat(groups: list[list[str]], dots: list[str]) -> list[str]:
    flat: list[str] = []
    for group in groups:
        for name in group:
            flat += dots if name == "..." else [name]
    return flat


def _sizes(
    tensor: Any, left: list[list[str]], dots: list[str], given: dict[str, int], pattern: str
) -> dict[str, int]:
    """The size of every name."""
    sizes = dict(given)
    dims = iter(tensor.shape)
    for group in left:
        if group == ["..."]:
            sizes.update({name: next(dims) for name in dots})
            continue
        size = next(dims)
        names = [name for name in group if name != "1"]
        unknown = [name for name in names if name not in sizes]
        known = math.prod(sizes[name] for name in names if name in sizes)
        if len(unknown) > 1:
            raise ValueError(f"rearrange: the sizes of {unknown} are unknown in {pattern!r}")
        if unknown:
            if known == 0 or size % known:
                raise ValueError(f"rearrange: a dim of {size} is no multiple of {known}")
            sizes[unknown[0]] = size // known
        elif known != size:
            raise ValueError(f"rearrange: a dim of {size} is made of {known} by {pattern!r}")
    return sizes
