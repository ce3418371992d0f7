"""Transforms of the parts of a tensor, each by one of its own."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence
from typing import Any

from dtorch.core.errors import SettingError
from dtorch.core.functions import cat, stack
from dtorch.distributions import constraints
from dtorch.distributions.transforms.base import Transform
from dtorch.distributions.utils import sum_rightmost

__all__ = ["CatTransform", "StackTransform"]


class CatTransform(Transform):
    """Maps of parts along ``dim``, each of the length that ``lengths`` says, 1 by default."""

    def __init__(
        self,
        tseq: Sequence[Transform],
        dim: int = 0,
        lengths: Sequence[int] | None = None,
        cache_size: int = 0,
    ) -> None:
        _expect_transforms("CatTransform", tseq)
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.transforms):
            raise SettingError(
                f"CatTransform: got {len(self.transforms)} transforms, {len(self.lengths)} lengths"
            )
        self.dim = dim

    @property
    def event_dim(self) -> Any:
        return max(t.event_dim for t in self.transforms)

    @property
    def length(self) -> int:
        """The size of ``dim``."""
        return sum(self.lengths)

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        return CatTransform(self.transforms, self.dim, self.lengths, cache_size)

    def _parts(self, value: Any) -> list[Any]:
        dim = self.dim
        if not -value.dim() <= dim < value.dim() or value.size(dim) != self.length:
            raise SettingError(
                f"CatTransform: got shape {tuple(value.shape)}, expected size {self.length} in dim "
                f"{dim}"
            )
        return list(value.split(self.lengths, dim))

    def _call(self, x: Any) -> Any:
        parts = zip(self.transforms, self._parts(x), strict=True)
        return cat([t(part) for t, part in parts], self.dim)

    def _inverse(self, y: Any) -> Any:
        parts = zip(self.transforms, self._parts(y), strict=True)
        return cat([t.inv(part) for t, part in parts], self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        terms = []
        for t, of_x, of_y in zip(self.transforms, self._parts(x), self._parts(y), strict=True):
            term = t.log_abs_det_jacobian(of_x, of_y)
            terms.append(sum_rightmost(term, self.event_dim - t.event_dim))
        dim = (self.dim if self.dim < 0 else self.dim - x.dim()) + self.event_dim
        return cat(terms, dim) if dim < 0 else functools.reduce(operator.add, terms)

    @property
    def bijective(self) -> bool:
        return all(t.bijective for t in self.transforms)

    @property
    def domain(self) -> Any:
        return constraints.cat([t.domain for t in self.transforms], self.dim, self.lengths)

    @property
    def codomain(self) -> Any:
        return constraints.cat([t.codomain for t in self.transforms], self.dim, self.lengths)


class StackTransform(Transform):
    """Maps of slices along ``dim``, one for each."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        _expect_transforms("StackTransform", tseq)
        super().__init__(cache_size=cache_size)
        self.transforms = [t.with_cache(cache_size) for t in tseq] if cache_size else list(tseq)
        self.dim = dim

    def with_cache(self, cache_size: int = 1) -> Transform:
        if self._cache_size == cache_size:
            return self
        return StackTransform(self.transforms, self.dim, cache_size)

    def _slices(self, value: Any) -> list[Any]:
        dim, count = self.dim, len(self.transforms)
        if not -value.dim() <= dim < value.dim() or value.size(dim) != count:
            raise SettingError(
                f"StackTransform: got shape {tuple(value.shape)}, expected size {count} in dim {dim}"
            )
        return list(value.unbind(dim))

    def _call(self, x: Any) -> Any:
        slices = zip(self.transforms, self._slices(x), strict=True)
        return stack([t(part) for t, part in slices], self.dim)

    def _inverse(self, y: Any) -> Any:
        slices = zip(self.transforms, self._slices(y), strict=True)
        return stack([t.inv(part) for t, part in slices], self.dim)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        slices = zip(self.transforms, self._slices(x), self._slices(y), strict=True)
        return stack([t.log_abs_det_jacobian(a, b) for t, a, b in slices], self.dim)

    @property
    def bijective(self) -> bool:
        return all(t.bijective for t in self.transforms)

    @property
    def domain(self) -> Any:
        return constraints.stack([t.domain for t in self.transforms], self.dim)

    @property
    def codomain(self) -> Any:
        return constraints.stack([t.codomain for t in self.transforms], self.dim)


def _expect_transforms(name: str, tseq: Sequence[Any]) -> None:
    for transform in tseq:
        if not isinstance(transform, Transform):
            raise SettingError(f"{name}: got {type(transform).__name__}, expected transforms")
