"""Line search for step lengths that satisfy the strong Wolfe conditions.

Reference: Nocedal and Wright 2006, "Numerical optimization", algorithms 3.5 and 3.6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

_ENOUGH = 1e-4  # share of the decrease that the slope promises
_FLAT = 0.9  # share of the slope that may be left
_MOST = 25  # evaluations


class _Point(NamedTuple):
    length: float
    loss: float
    grad: Any
    slope: float


def cubic_minimum(a: _Point, b: _Point, low: float, high: float) -> float:
    """Minimum, between ``low`` and ``high``, of the cubic with the losses and slopes of two
    points; the middle if it has none."""
    if a.length == b.length:
        return (low + high) / 2
    first, second = (a, b) if a.length <= b.length else (b, a)
    d1 = first.slope + second.slope - 3 * (first.loss - second.loss) / (
        first.length - second.length)  # fmt: skip
    square = d1 * d1 - first.slope * second.slope
    if square < 0 or math.isnan(square):
        return (low + high) / 2
    d2 = math.sqrt(square)
    span = second.slope - first.slope + 2 * d2
    if span == 0:
        return (low + high) / 2
    width = second.length - first.length
    best = second.length - width * (second.slope + d2 - d1) / span
    return min(max(best, low), high)


def strong_wolfe(
    evaluate: Callable[[float], tuple[float, Any, float]], length: float, largest: float, loss: float,
    grad: Any, slope: float, tolerance: float = 1e-9,
) -> tuple[float, Any, float, int]:  # fmt: skip
    """A step length with enough decrease and a flat enough slope.

    Args:
        evaluate: loss, gradient and slope along the direction at a length.
        length: the first to try.
        largest: largest element of the direction.
        loss, grad, slope: at length 0.
    Returns: loss, gradient, length, number of evaluations.
    """
    start = _Point(0.0, loss, grad, slope)

    def point(at: float) -> _Point:
        return _Point(at, *evaluate(at))

    def rises(p: _Point) -> bool:
        return p.loss > start.loss + _ENOUGH * p.length * start.slope or math.isnan(p.loss)

    before, here, count = start, point(length), 1
    while True:
        if rises(here) or (count > 1 and here.loss >= before.loss):
            bracket = (before, here)
            break
        if abs(here.slope) <= -_FLAT * start.slope:
            return here.loss, here.grad, here.length, count
        if here.slope >= 0:
            bracket = (here, before)
            break
        if count >= _MOST:
            return here.loss, here.grad, here.length, count
        low = here.length + 0.01 * (here.length - before.length)
        following = cubic_minimum(before, here, low, here.length * 10)
        before, here = here, point(following)
        count += 1
    return _zoom(point, rises, bracket, start, largest, tolerance, count)


def _zoom(
    point: Callable[[float], _Point], rises: Callable[[_Point], bool],
    bracket: tuple[_Point, _Point], start: _Point, largest: float, tolerance: float, count: int,
) -> tuple[float, Any, float, int]:  # fmt: skip
    """Narrow a bracket down; its first point has the lower loss of those that decrease enough."""
    best, other = bracket
    stalled = False
    while count < _MOST:
        low, high = sorted((best.length, other.length))
        if (high - low) * largest < tolerance:
            break
        trial = cubic_minimum(best, other, low, high)
        margin = 0.1 * (high - low)
        if min(high - trial, trial - low) < margin:
            # Too near an end: once is chance, twice is a stall.
            if stalled or trial >= high or trial <= low:
                trial = high - margin if abs(trial - high) < abs(trial - low) else low + margin
                stalled = False
            else:
                stalled = True
        else:
            stalled = False
        here = point(trial)
        count += 1
        if rises(here) or here.loss >= best.loss:
            other = here
            continue
        if abs(here.slope) <= -_FLAT * start.slope:
            best = here
            break
        if here.slope * (other.length - best.length) >= 0:
            other = best
        best = here
    return best.loss, best.grad, best.length, count
