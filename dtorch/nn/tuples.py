"""Arguments of layers that are one number for all dims, or one for each (``nn.modules.utils``), and
their kinds (``nn.common_types``).

>>> _pair(3), _triple((1, 2, 3))
((3, 3), (1, 2, 3))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, TypeAlias

from dtorch.core.tensor import Tensor


def _ntuple(n: int, name: str = "parse") -> Callable[[Any], tuple[Any, ...]]:
    """A function that makes a tuple of ``n`` equal values of one; of several, a tuple of these."""

    def parse(x: Any) -> tuple[Any, ...]:
        return tuple(x) if isinstance(x, Iterable) else tuple(repeat(x, n))

    parse.__name__ = name
    return parse


_single = _ntuple(1, "_single")
_pair = _ntuple(2, "_pair")
_triple = _ntuple(3, "_triple")
_quadruple = _ntuple(4, "_quadruple")


def _reverse_repeat_tuple(t: tuple[Any, ...], n: int) -> tuple[Any, ...]:
    """The values from the last to the first, each ``n`` times."""
    return tuple(x for x in reversed(t) for _ in range(n))


_scalar_or_tuple_any_t: TypeAlias = int | tuple[int, ...]
_scalar_or_tuple_1_t: TypeAlias = int | tuple[int]
_scalar_or_tuple_2_t: TypeAlias = int | tuple[int, int]
_scalar_or_tuple_3_t: TypeAlias = int | tuple[int, int, int]
_size_any_t: TypeAlias = _scalar_or_tuple_any_t
_size_1_t: TypeAlias = _scalar_or_tuple_1_t
_size_2_t: TypeAlias = _scalar_or_tuple_2_t
_size_3_t: TypeAlias = _scalar_or_tuple_3_t
_size_4_t: TypeAlias = int | tuple[int, int, int, int]
_ratio_2_t: TypeAlias = float | tuple[float, float]
_ratio_any_t: TypeAlias = float | tuple[float, ...]
_tensor_list_t: TypeAlias = Tensor | list[Tensor]
_maybe_indices_t: TypeAlias = Tensor | tuple[Tensor, Tensor]
