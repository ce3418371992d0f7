"""The error function, the integral of the normal distribution, and its kin.

NumPy has none of them. In single precision `erf` is a rational approximation of its own, as it is
the cost of the GELU activation; everything else is evaluated in double precision, with errors of a
few units in the last place (the tests compare with SciPy, which is not needed otherwise).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.elementwise import elementwise
from dtorch.core.ops.exponential import exp

# erf(x) = x * P(x**2) / Q(x**2), fitted to |x| < 4 with a relative error of 3e-8; beyond that
# single precision knows only 1.
_P = (1.12837914, 0.193136218, 0.0530453456, 0.00386540058, 0.000284097034, 1.98894153e-06)
_Q = (1.0, 0.504495141, 0.115178965, 0.0151710703, 0.00118111573, 3.74182757e-05)

# Cody 1969, "Rational Chebyshev approximations for the error function", highest power first.
_ERF_NEAR = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2, 3.77485237685302021e2,
     3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
     2.84423683343917062e3),
)  # fmt: skip
_ERF_MIDDLE = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0, 6.61191906371416295e1,
     2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
     1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
     1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3,
     1.23033935480374942e3),
)  # fmt: skip
_ERF_FAR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
     1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1,
     6.05183413124413191e-2, 2.33520497626869185e-3),
)  # fmt: skip


def erf_of(xp: ArrayModule, x: Any) -> Any:
    """The error function of an array, to the precision of its dtype."""
    if x.dtype == np.float64:
        return _erf(x)
    if x.dtype != np.float32:
        return erf_of(xp, x.astype(np.float32)).astype(x.dtype)
    x = xp.clip(x, np.float32(-4), np.float32(4))
    t = xp.asarray(x * x)  # an array also where x is a scalar: it is worked on in place
    out = _polynomial(xp, t, _P)
    out *= x
    out /= _polynomial(xp, t, _Q)
    return xp.clip(out, np.float32(-1), np.float32(1), out=out)


def _polynomial(xp: ArrayModule, t: Any, coefficients: tuple[float, ...]) -> Any:
    out = np.asarray(t * np.float32(coefficients[-1]))
    for coefficient in coefficients[-2:0:-1]:
        out += np.float32(coefficient)
        out *= t
    out += np.float32(coefficients[0])
    return out


def _ratio(coefficients: Any, x: Any) -> Any:
    top, bottom = coefficients
    return np.polyval(top, x) / np.polyval(bottom, x)


def _erfc_scaled_tail(x: Any) -> Any:
    """``exp(x*x) * erfc(x)`` for ``x >= 0.46875``."""
    far = np.maximum(x, 4)
    square = 1 / (far * far)
    tail = (1 / math.sqrt(math.pi) - square * _ratio(_ERF_FAR, square)) / far
    return np.where(x <= 4, _ratio(_ERF_MIDDLE, np.minimum(x, 4)), tail)


def _exp_of_minus_square(x: Any) -> Any:
    """``exp(-x*x)`` without the error of rounding the square."""
    coarse = np.trunc(np.minimum(x, 30) * 16) / 16
    return np.exp(-coarse * coarse) * np.exp(-(x - coarse) * (x + coarse))


def _erf(x: Any) -> Any:
    size = np.abs(x)
    near = x * _ratio(_ERF_NEAR, np.minimum(size, 0.5) ** 2)
    clipped = np.clip(size, 0.46875, 30)
    far = np.copysign(1 - _exp_of_minus_square(clipped) * _erfc_scaled_tail(clipped), x)
    return np.where(np.isnan(x), x, np.where(size <= 0.46875, near, far))


def _erfc(x: Any) -> Any:
    size = np.abs(x)
    near = 1 - x * _ratio(_ERF_NEAR, np.minimum(size, 0.5) ** 2)
    clipped = np.clip(size, 0.46875, 30)
    tail = _exp_of_minus_square(clipped) * _erfc_scaled_tail(clipped)
    out = np.where(size <= 0.46875, near, np.where(x > 0, tail, 2 - tail))
    return np.where(np.isnan(x), x, out)


def _erfcx(x: Any) -> Any:
    tail = _erfc_scaled_tail(np.maximum(x, 0.46875))
    return np.where(x > 0.46875, tail, np.exp(x * x) * _erfc(np.minimum(x, 1)))


# Giles 2010, "Approximating the erfinv function", highest power first.
_ERFINV_MIDDLE = (
    2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087, -0.00125372503,
    -0.00417768164, 0.246640727, 1.50140941,
)  # fmt: skip
_ERFINV_TAIL = (
    -0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773, -0.0076224613,
    0.00943887047, 1.00167406, 2.83297682,
)  # fmt: skip


def _erfinv_single(x: Any) -> Any:
    """To single precision, for ``|x| < 1``; finite beyond."""
    w = -np.log(np.maximum((1 - x) * (1 + x), 1e-300))
    middle = np.polyval(_ERFINV_MIDDLE, np.minimum(w, 5) - 2.5)
    tail = np.polyval(_ERFINV_TAIL, np.sqrt(np.maximum(w, 5)) - 3)
    return np.where(w < 5, middle, tail) * x


def _erfinv(x: Any) -> Any:
    """The single-precision approximation, then one step; a rougher one and several very near 1."""
    inside = np.clip(x, -1, 1)
    y = np.asarray(_halley(inside, _erfinv_single(inside)))
    far = np.abs(inside) > 1 - 1e-6
    if far.any():
        near_one = inside[far]
        # Winitzki's closed form.
        rest = np.log(np.maximum((1 - near_one) * (1 + near_one), 1e-300))
        middle = 2 / (math.pi * 0.147) + rest / 2
        guess = np.sqrt(np.sqrt(middle * middle - rest / 0.147) - middle)
        guess = np.copysign(guess, near_one)
        for _ in range(3):
            guess = _halley(near_one, guess)
        y[far] = guess
    return _with_limits(x, y)


def _halley(x: Any, y: Any) -> Any:
    """A step of third order towards ``erf(y) = x``."""
    complement = 1 - np.abs(x)  # exact for numbers near 1
    error = np.where(np.abs(x) > 0.5, np.sign(y) * (complement - _erfc(np.abs(y))), _erf(y) - x)
    step = error * (math.sqrt(math.pi) / 2) * np.exp(y * y)
    return y - step / (1 + y * step)


def _with_limits(x: Any, y: Any) -> Any:
    """``y``, but infinite at 1 and -1 and nan beyond."""
    out = np.where(np.abs(x) == 1, np.copysign(np.inf, x), y)
    return np.where(np.abs(x) <= 1, out, np.nan)


@elementwise(loop="erf", floating=True, takes="bif")
def erf(xp: ArrayModule, input: Array) -> Array:
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


@elementwise(floating=True, takes="bif")
def erfc(xp: ArrayModule, input: Array) -> Array:
    """Complement of the error function, ``1 - erf(input)``, exact also for large numbers."""
    return _erfc(input.astype(np.float64)).astype(input.dtype, copy=False)


@erfc.gradient("input")
def _(grad, input):
    return -grad * exp(-input * input) * (2 / math.sqrt(math.pi))


@elementwise(home="special", inplace=False, floating=True, takes="bif")
def erfcx(xp: ArrayModule, input: Array) -> Array:
    """Scaled complement of the error function, ``exp(input**2) * erfc(input)``."""
    return _erfcx(input.astype(np.float64)).astype(input.dtype, copy=False)


@erfcx.gradient("input")
def _(grad, input, out):
    return grad * (2 * input * out - 2 / math.sqrt(math.pi))


@elementwise(floating=True, takes="bif")
def erfinv(xp: ArrayModule, input: Array) -> Array:
    """Number whose error function is the element; inf at 1, nan beyond."""
    wide = input.astype(np.float64)
    single = input.dtype.itemsize < 8
    out = _with_limits(wide, _erfinv_single(np.clip(wide, -1, 1))) if single else _erfinv(wide)
    return out.astype(input.dtype, copy=False)


@erfinv.gradient("input")
def _(grad, out):
    return grad * exp(out * out) * (math.sqrt(math.pi) / 2)


# -- the normal distribution ------------------------------------------------------------------------

_ROOT_HALF = math.sqrt(0.5)


def _log_ndtr(x: Any) -> Any:
    scaled = _erfcx(np.maximum(-x, 0) * _ROOT_HALF)
    below = np.log(scaled / 2) - x * x / 2
    return np.where(x < -1, below, np.log1p(-_erfc(np.maximum(x, -1) * _ROOT_HALF) / 2))


def _ndtri(p: Any) -> Any:
    """Newton's method on the logarithm, which is nearly a parabola, from the tail's first term."""
    near = np.clip(np.minimum(p, 1 - p), 1e-320, 0.5)
    goal = np.log(near)
    x = -np.sqrt(np.maximum(-2 * goal - np.log(np.maximum(-4 * math.pi * goal, 1)), 0))
    for _ in range(8):
        ratio = _erfcx(-x * _ROOT_HALF) * math.sqrt(math.pi / 2)
        x = x - (_log_ndtr(x) - goal) * ratio
    out = np.where(p == 0.5, 0, np.where(p > 0.5, -x, x))
    out = np.where(p == 0, -np.inf, np.where(p == 1, np.inf, out))
    return np.where((p >= 0) & (p <= 1), out, np.nan)


@elementwise(home="special", inplace=False, floating=True, takes="bif")
def ndtr(xp: ArrayModule, input: Array) -> Array:
    """Distribution function of the standard normal distribution."""
    out = _erfc(-input.astype(np.float64) * _ROOT_HALF) / 2
    return out.astype(input.dtype, copy=False)


@ndtr.gradient("input")
def _(grad, input):
    return grad * exp(-input * input / 2) * (1 / math.sqrt(2 * math.pi))


@elementwise(home="special", inplace=False, floating=True, takes="bif")
def ndtri(xp: ArrayModule, input: Array) -> Array:
    """Quantile of the standard normal distribution, the inverse of `ndtr`."""
    return np.asarray(_ndtri(input.astype(np.float64))).astype(input.dtype, copy=False)


@ndtri.gradient("input")
def _(grad, out):
    return grad * exp(out * out / 2) * math.sqrt(2 * math.pi)


@elementwise(home="special", inplace=False, floating=True, takes="bif")
def log_ndtr(xp: ArrayModule, input: Array) -> Array:
    """Logarithm of `ndtr`, exact also far below 0."""
    return np.asarray(_log_ndtr(input.astype(np.float64))).astype(input.dtype, copy=False)


@log_ndtr.gradient("input")
def _(grad, input):
    return grad * math.sqrt(2 / math.pi) / erfcx(-input * _ROOT_HALF)


def _of_scipy(op: Any, name: str, low: float, high: float) -> None:
    op.samples(lambda make: iter([((make(3, 4, low=low, high=high),), {})]))

    @op.expect
    def _(input: Any) -> Any:
        from scipy import special

        return getattr(special, name)(input)


_of_scipy(erfc, "erfc", -3, 5)
_of_scipy(erfcx, "erfcx", -2, 7)
_of_scipy(erfinv, "erfinv", -0.95, 0.95)
_of_scipy(ndtr, "ndtr", -9, 6)
_of_scipy(ndtri, "ndtri", 0.01, 0.99)
_of_scipy(log_ndtr, "log_ndtr", -30, 6)
