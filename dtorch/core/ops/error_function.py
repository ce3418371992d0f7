"""The error function, the integral of the normal distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.op import elementwise
from dtorch.core.ops.exponential import exp

# erf(x) = x * P(x**2) / Q(x**2), fitted to |x| < 4 with a relative error of 3e-8; beyond that
# single precision knows only 1.
_P = (1.12837914, 0.193136218, 0.0530453456, 0.00386540058, 0.000284097034, 1.98894153e-06)
_Q = (1.0, 0.504495141, 0.115178965, 0.0151710703, 0.00118111573, 3.74182757e-05)


def erf_of(xp: Any, x: Any) -> Any:
    """The error function of an array, to the precision of its dtype."""
    if x.dtype == np.float64:
        flat = np.fromiter(map(math.erf, x.ravel().tolist()), np.float64, x.size)
        return flat.reshape(x.shape)
    if x.dtype != np.float32:
        return erf_of(xp, x.astype(np.float32)).astype(x.dtype)
    x = xp.clip(x, np.float32(-4), np.float32(4))
    t = x * x
    out = _polynomial(xp, t, _P)
    out *= x
    out /= _polynomial(xp, t, _Q)
    return xp.clip(out, np.float32(-1), np.float32(1), out=out)


def _polynomial(xp: Any, t: Any, coefficients: tuple[float, ...]) -> Any:
    out = t * np.float32(coefficients[-1])
    for coefficient in coefficients[-2:0:-1]:
        out += np.float32(coefficient)
        out *= t
    out += np.float32(coefficients[0])
    return out


@elementwise(floating=True)
def erf(xp: Any, input: Any) -> Any:
    """Error function ``2 / sqrt(pi)`` times the integral of ``exp(-t**2)`` from 0 to the element."""
    return erf_of(xp, input)


@erf.gradient("input")
def _(grad, input):
    return grad * (exp(-(input * input)) * (2 / math.sqrt(math.pi)))


@erf.samples
def _(make):
    yield (make(3, 4, low=-3, high=3),), {}
    yield (make(0),), {}


@erf.expect
def _(input):
    return np.vectorize(math.erf, otypes=[float])(input)
