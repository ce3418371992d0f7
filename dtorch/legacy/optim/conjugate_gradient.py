"""Conjugate gradients."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from dtorch.core.grad_mode import no_grad
from dtorch.core.tensor import Tensor
from dtorch.legacy.optim.stepping import Function, Settings, settings_of

__all__ = ["cg"]


def cg(
    opfunc: Function, x: Tensor, config: Settings | None, state: Settings | None = None
) -> tuple[Tensor, list[Any], int]:
    """Steps along conjugate directions, each as long as a search along it finds good.

    Args:
        opfunc, x: as for `sgd`.
        config: ``maxIter`` (20), the number of calls of ``opfunc``; ``maxEval`` (1.25 times that),
            the most of them in one search; ``rho`` (0.01) and ``sig`` (0.5), the constants of the
            conditions of Wolfe and Powell, of the value and of the slope; ``int`` (0.1), how near
            to the ends of a bracket a point may be; ``ext`` (3), how far beyond the last point;
            ``ratio`` (100), of the slopes of two directions that follow each other.
        state: not used.
    Returns: ``x``, the values at the points the steps ended at, and the number of calls.

    Reference: Polak and Ribiere 1969; searches as by C. E. Rasmussen's ``minimize``.

    Example:
        >>> import dtorch
        >>> x = dtorch.tensor([4.0, -1.0])
        >>> x, values, calls = cg(lambda x: ((x**2).sum(), 2 * x), x, {})
        >>> dtorch.allclose(x, dtorch.zeros(2), atol=1e-4)
        True
    """
    config, state = settings_of("cg", config, state)
    most = config.get("maxIter", 20)
    search = _Search(opfunc, x, config)
    point = search.evaluate()
    values = [point.value]
    direction = -point.gradient
    slope = -_dot(direction, direction)
    length = 1 / (1 - slope)
    failed = False
    with no_grad():
        while search.calls < most and slope:  # without a slope it is a minimum
            start = x.clone()
            allowed = min(most, config.get("maxEval", most * 5 // 4) - search.calls)
            found, moved = search.along(direction, point, slope, length, allowed)
            if found is not None:
                values.append(found.value)
                before, point = point, found
                follow = _dot(point.gradient, point.gradient - before.gradient)
                scale = follow / _dot(before.gradient, before.gradient)
                direction = direction * scale - point.gradient
                next_slope = _dot(point.gradient, direction)
                if next_slope > 0:
                    direction, next_slope = _steepest(point)
                length = moved * min(config.get("ratio", 100), _ratio(slope, next_slope))
                slope, failed = next_slope, False
            else:
                x.copy_(start)
                if failed:
                    break
                direction, slope = _steepest(point)
                length, failed = 1 / (1 - slope), True
    return x, values, search.calls


def _steepest(point: _Point) -> tuple[Any, float]:
    return -point.gradient, -_dot(point.gradient, point.gradient)


class _Point(NamedTuple):
    value: Any
    gradient: Any


class _Search:
    """Looks for a point along a direction where the value is low and the slope is small."""

    def __init__(self, opfunc: Function, x: Tensor, config: Settings) -> None:
        self.opfunc = opfunc
        self.x = x
        self.calls = 0
        self.rho, self.sig = float(config.get("rho", 0.01)), float(config.get("sig", 0.5))
        self.inner, self.outer = float(config.get("int", 0.1)), float(config.get("ext", 3.0))

    def evaluate(self) -> _Point:
        """The value and the gradient at ``x``."""
        self.calls += 1
        value, gradient = self.opfunc(self.x)
        return _Point(value, gradient.detach().clone())

    def _move(self, direction: Any, length: float) -> tuple[_Point, float]:
        """Go further along the direction: the point there, and the slope."""
        self.x.add_(direction, alpha=length)
        point = self.evaluate()
        return point, _dot(point.gradient, direction)

    def along(
        self, direction: Any, start: _Point, slope: float, length: float, allowed: float
    ) -> tuple[_Point | None, float]:
        """A good point, None if there is none, and how far it is from the start.

        ``gap`` leads from the last point to the end of the bracket behind it.
        """
        low, low_slope, gap = float(start.value), slope, -length
        limit = math.inf  # how far is known to be too far
        point, here = self._move(direction, length)

        def too_high() -> bool:
            return bool(float(point.value) > float(start.value) + length * self.rho * slope)

        while True:
            while (too_high() or here > -self.sig * slope) and allowed > 0:
                limit = length
                change = self._within(
                    float(point.value), here, low, low_slope, gap, float(start.value)
                )
                length += change
                point, here = self._move(direction, change)
                allowed -= 1
                gap -= change
            if too_high() or here > -self.sig * slope:
                return None, length
            if here > self.sig * slope:
                return point, length
            if allowed <= 0:
                return None, length
            change = self._beyond(float(point.value), here, low, low_slope, gap, length, limit)
            low, low_slope, gap = float(point.value), here, -change
            length += change
            point, here = self._move(direction, change)
            allowed -= 1

    def _within(
        self, high: float, here: float, low: float, low_slope: float, gap: float, start: float
    ) -> float:
        """Where in a bracket the minimum should be: of a parabola, or of a cubic."""
        if high > start:
            change = gap - _ratio(0.5 * low_slope * gap * gap, low_slope * gap + high - low)
        else:
            a, b = _cubic(high, here, low, low_slope, gap)
            change = _ratio(_root(b * b - a * here * gap * gap) - b, a)
        if not math.isfinite(change):
            change = gap / 2
        return max(min(change, self.inner * gap), (1 - self.inner) * gap)

    def _beyond(
        self, high: float, here: float, low: float, low_slope: float, gap: float, length: float,
        limit: float,
    ) -> float:  # fmt: skip
        """How far to go on: to the minimum of a cubic, but within bounds."""
        a, b = _cubic(high, here, low, low_slope, gap)
        change = _ratio(-here * gap * gap, b + _root(b * b - a * here * gap * gap))
        room = limit - length
        known = math.isfinite(limit)
        farthest = room / 2 if known else length * (self.outer - 1)
        if not math.isfinite(change) or change < 0:
            return farthest
        if change > (room if known else length * (self.outer - 1)):
            return farthest
        if change < -gap * self.inner:
            return -gap * self.inner
        if known and change < room * (1 - self.inner):
            return room * (1 - self.inner)
        return change


def _cubic(
    high: float, here: float, low: float, low_slope: float, gap: float
) -> tuple[float, float]:
    """Coefficients of the cubic through two values with their slopes."""
    return (
        _ratio(6 * (high - low), gap) + 3 * (here + low_slope),
        3 * (low - high) - gap * (low_slope + 2 * here),
    )


def _root(value: float) -> float:
    return math.sqrt(value) if value >= 0 else math.nan


def _ratio(a: float, b: float) -> float:
    return a / b if b else math.inf


def _dot(a: Any, b: Any) -> float:
    return float((a * b).sum())
