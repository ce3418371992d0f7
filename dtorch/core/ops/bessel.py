"""Bessel functions, the modified ones, and Airy's: of whole order 0 and 1, real arguments.

NumPy has one of them, in single steps; all are evaluated in double precision by power series where these
lose nothing, by recurrence, by integrals that the trapezoidal rule finds to the last digit, and by
asymptotic expansions.

Reference: NIST Digital Library of Mathematical Functions, chapters 9 and 10; for the recurrence
Miller's algorithm, 3.6(iii); Trefethen and Weideman 2014, "The exponentially convergent trapezoidal
rule".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.elementwise import elementwise
from dtorch.core.ops.arithmetic import sign
from dtorch.core.ops.comparison import choose
from dtorch.core.ops.special import _in_double
from dtorch.core.ops.trigonometric import cos

_EULER = float(np.euler_gamma)
_NEAR = 2.0  # up to here power series
_FAR = 25.0  # from here on asymptotic expansions
_START = 72  # order from which Miller's recurrence runs down, for arguments up to `_FAR`


def _where(cases: list[tuple[Any, Callable[[Any], Any]]], x: Any) -> Any:
    """Each element by the function of the first case that holds for it; nan by none."""
    x = np.asarray(x)
    out = np.full_like(x, np.nan)
    left = np.ones(x.shape, bool)
    for applies, function in cases:
        chosen = left & applies
        left &= ~chosen
        if chosen.any():
            out[chosen] = function(x[chosen])
    return out


def _series(order: int, q: Any, terms: int = 14) -> Any:
    """The sum over k of ``q**k / (k! (k + order)!)``."""
    total = np.zeros_like(q)
    for k in range(terms, -1, -1):
        total = total * q + 1 / (math.factorial(k) * math.factorial(k + order))
    return total


def _digamma_series(order: int, q: Any, terms: int = 14) -> Any:
    """`_series` with each term times ``psi(k + 1) + psi(k + order + 1)``."""
    total = np.zeros_like(q)
    harmonic = np.concatenate([[0.0], np.cumsum(1 / np.arange(1, terms + order + 1))]) - _EULER
    for k in range(terms, -1, -1):
        factor = (harmonic[k] + harmonic[k + order]) / (
            math.factorial(k) * math.factorial(k + order)
        )
        total = total * q + factor
    return total


def _second_kind(order: int, x: Any, q: Any) -> Any:
    """``log(x / 2)`` times twice `_series`, less `_digamma_series` (10.8.1, 10.31.1)."""
    return 2 * np.log(x / 2) * _series(order, q) - _digamma_series(order, q)


# -- J and Y ----------------------------------------------------------------------------------------


def _down(x: Any) -> tuple[Any, Any, Any, Any]:
    """J0 and J1, and the sums that Y0 and Y1 have beside them (10.8.4 and its derivative)."""
    above, here = np.zeros_like(x), np.full_like(x, 1e-250)
    norm, even, odd = np.zeros_like(x), np.zeros_like(x), np.zeros_like(x)
    for n in range(_START, 0, -1):  # here: J of order n
        k, is_odd = divmod(n, 2)
        if is_odd:
            if k:
                odd = odd + (-1) ** k * (2 * k + 1) / (k * (k + 1)) * here
        else:
            even = even + (-1) ** k / k * here
            norm = norm + 2 * here
        above, here = here, 2 * n / x * here - above
    norm = norm + here
    return here / norm, above / norm, even / norm, odd / norm


def _by_recurrence(kind: str, order: int, x: Any) -> Any:
    zero, one, even, odd = _down(x)
    if kind == "j":
        return one if order else zero
    rising = np.log(x / 2) + _EULER
    if order:
        return 2 / np.pi * ((rising - 1) * one - odd - zero / x)
    return 2 / np.pi * (rising * zero - 2 * even)


def _hankel(order: int, x: Any, signs: tuple[int, int], terms: int) -> tuple[Any, Any]:
    """Even and odd part of the sum of ``a_k(order) / x**k`` (10.17.1)."""
    parts = [np.zeros_like(x), np.zeros_like(x)]
    term = np.ones_like(x)
    for k in range(terms):
        parts[k % 2] = parts[k % 2] + signs[k // 2 % 2] * term
        term = term * (4 * order**2 - (2 * k + 1) ** 2) / (8 * (k + 1) * x)
    return parts[0], parts[1]


def _oscillating(kind: str, order: int, x: Any) -> Any:
    even, odd = _hankel(order, x, (1, -1), 26)
    # cos and sin of x - (2 order + 1) pi / 4, without rounding the difference
    c, s = np.cos(x), np.sin(x)
    c, s = ((s - c), -(s + c)) if order else ((s + c), (s - c))
    scale = np.sqrt(1 / (np.pi * x))
    return scale * (even * c - odd * s if kind == "j" else even * s + odd * c)


def _bessel_j(order: int, x: Any) -> Any:
    size = np.abs(x)
    out = _where(
        [
            (size <= _NEAR, lambda x: (x / 2) ** order * _series(order, -x * x / 4)),
            (size < _FAR, lambda x: _by_recurrence("j", order, x)),
            (np.isfinite(size), lambda x: _oscillating("j", order, x)),
            (np.isinf(size), np.zeros_like),
        ],
        size,
    )
    return out * np.sign(x) if order else out


def _bessel_y(order: int, x: Any) -> Any:
    def near(x: Any) -> Any:
        half = x / 2
        out = half**order * _second_kind(order, x, -half * half) / np.pi
        return out - 2 / (np.pi * x) if order else out

    return _where(
        [
            (x < 0, lambda x: x * np.nan),
            (x == 0, lambda x: np.full_like(x, -np.inf)),
            (x <= _NEAR, near),
            (x < _FAR, lambda x: _by_recurrence("y", order, x)),
            (np.isfinite(x), lambda x: _oscillating("y", order, x)),
            (np.isinf(x), np.zeros_like),
        ],
        x,
    )


# -- I and K ----------------------------------------------------------------------------------------


def _bessel_ie(order: int, x: Any) -> Any:
    """``exp(-abs(x)) I(x)``: no term of its series cancels another."""
    size = np.abs(x)
    out = _where(
        [
            (size < 30, lambda x: np.exp(-x) * (x / 2) ** order * _series(order, x * x / 4, 70)),
            (size < np.inf, lambda x: _growing(order, x)),
            (np.isinf(size), np.zeros_like),
        ],
        size,
    )
    return out * np.sign(x) if order else out


def _growing(order: int, x: Any) -> Any:
    even, odd = _hankel(order, x, (1, 1), 30)
    return (even - odd) / np.sqrt(2 * np.pi * x)


def _bessel_i(order: int, x: Any) -> Any:
    size = np.abs(x)
    half = np.exp(size / 2)  # twice, as the whole may be beyond what there is where I is not
    out = _bessel_ie(order, x) * half * half
    return np.where(np.isinf(x), np.copysign(np.inf, x) if order else np.inf, out)


_KNOTS = np.arange(0, 6.75, 0.25)
_KNOT_WEIGHTS = np.exp(-_KNOTS * _KNOTS) * np.where(_KNOTS == 0, 0.125, 0.25)


def _bessel_ke(order: int, x: Any) -> Any:
    """``exp(x) K(x)``: beyond the series the integral of 10.32.9 over ``r = sqrt(2 x) sinh(t/2)``."""

    def near(x: Any) -> Any:
        q = x * x / 4
        if order:
            return np.exp(x) * (1 / x + x / 4 * _second_kind(1, x, q))
        return -np.exp(x) * _second_kind(0, x, q) / 2

    def beyond(x: Any) -> Any:
        squares = _KNOTS**2 / x[:, None]
        values = (1 + squares) ** order / np.sqrt(1 + squares / 2)
        return values @ _KNOT_WEIGHTS * np.sqrt(2 / x)

    return _where(
        [
            (x < 0, lambda x: x * np.nan),
            (x == 0, lambda x: np.full_like(x, np.inf)),
            (x <= _NEAR, near),
            (np.isfinite(x), beyond),
            (np.isinf(x), np.zeros_like),
        ],
        x,
    )


def _bessel_k(order: int, x: Any) -> Any:
    return _bessel_ke(order, x) * np.exp(-np.maximum(x, 0))


# -- Airy's function --------------------------------------------------------------------------------

_AI_AT_ZERO = (0.355028053887817239, -0.258819403792806798)  # value and derivative (9.2.3, 9.2.4)
_HALF_LINE = np.arange(0, 7, 0.05)
_HALF_LINE_WEIGHTS = np.where(_HALF_LINE == 0, 0.025, 0.05)


def _airy_series(derivative: bool, x: Any) -> Any:
    """The power series about 0 (9.4.1, 9.4.2)."""
    cube = x * x * x
    first = second = np.zeros_like(x)
    f, g = np.ones_like(x), np.ones_like(x)  # coefficients times powers, of f and of g / x
    for k in range(24):
        first = first + f * (3 * k if derivative else 1)
        second = second + g * (3 * k + 1 if derivative else 1)
        f = f * cube / ((3 * k + 2) * (3 * k + 3))
        g = g * cube / ((3 * k + 3) * (3 * k + 4))
    value, slope = _AI_AT_ZERO
    if derivative:
        return value * first / np.where(x == 0, 1, x) + slope * second
    return value * first + slope * second * x


def _airy_integral(derivative: bool, z: Any) -> Any:
    """Ai or its derivative for ``abs(arg(z)) < pi`` (9.5.8), not near 0."""
    root = np.sqrt(z)
    scale = 1 / np.sqrt(np.abs(root))  # the width of the integrand
    t = _HALF_LINE * scale[:, None]
    weight = np.exp(-t * t * root[:, None]) * np.cos(t * t * t / 3)
    front = np.exp(-2 / 3 * z * root) / np.pi * scale
    if not derivative:
        return front * (weight @ _HALF_LINE_WEIGHTS)
    weight = weight * (root[:, None] + t * t / (2 * root[:, None]))
    return -front * (weight @ _HALF_LINE_WEIGHTS)


def _airy(derivative: bool, x: Any) -> Any:
    turn = np.exp(1j * np.pi / 3)

    def below(x: Any) -> Any:  # 9.2.14
        factor = -turn * turn if derivative else turn
        return 2 * (factor * _airy_integral(derivative, -x * turn)).real

    return _where(
        [
            (np.abs(x) <= 2, lambda x: _airy_series(derivative, x)),
            (np.isposinf(x), np.zeros_like),
            (x > 0, lambda x: _airy_integral(derivative, x)),
            (np.isfinite(x), below),
            (np.isneginf(x), lambda x: x * np.nan if derivative else np.zeros_like(x)),
        ],
        x,
    )


# -- operations -------------------------------------------------------------------------------------


def _over(numerator: Any, x: Any, at_zero: Any) -> Any:
    """``numerator / x``, but ``at_zero`` where ``x`` is 0."""
    return choose(x == 0, at_zero, numerator / choose(x == 0, 1.0, x))


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def bessel_j0(xp: ArrayModule, input: Array) -> Array:
    """Bessel function of the first kind of order 0."""
    return _in_double(_bessel_j, input, 0)


@bessel_j0.gradient("input")
def _(grad, input):
    return -grad * bessel_j1(input)


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def bessel_j1(xp: ArrayModule, input: Array) -> Array:
    """Bessel function of the first kind of order 1."""
    return _in_double(_bessel_j, input, 1)


@bessel_j1.gradient("input")
def _(grad, input, out):
    return grad * (bessel_j0(input) - _over(out, input, 0.5))


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def bessel_y0(xp: ArrayModule, input: Array) -> Array:
    """Bessel function of the second kind of order 0; nan for negative numbers."""
    return _in_double(_bessel_y, input, 0)


@bessel_y0.gradient("input")
def _(grad, input):
    return -grad * bessel_y1(input)


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def bessel_y1(xp: ArrayModule, input: Array) -> Array:
    """Bessel function of the second kind of order 1; nan for negative numbers."""
    return _in_double(_bessel_y, input, 1)


@bessel_y1.gradient("input")
def _(grad, input, out):
    return grad * (bessel_y0(input) - out / input)


@elementwise(floating=True, takes="bif")
def i0(xp: ArrayModule, input: Array) -> Array:
    """Modified Bessel function of the first kind of order 0."""
    return _in_double(_bessel_i, input, 0)


@i0.gradient("input")
def _(grad, input):
    return grad * i1(input)


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def i0e(xp: ArrayModule, input: Array) -> Array:
    """`i0` times ``exp(-abs(input))``."""
    return _in_double(_bessel_ie, input, 0)


@i0e.gradient("input")
def _(grad, input, out):
    return grad * (i1e(input) - sign(input) * out)


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def i1(xp: ArrayModule, input: Array) -> Array:
    """Modified Bessel function of the first kind of order 1."""
    return _in_double(_bessel_i, input, 1)


@i1.gradient("input")
def _(grad, input, out):
    return grad * (i0(input) - _over(out, input, 0.5))


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def i1e(xp: ArrayModule, input: Array) -> Array:
    """`i1` times ``exp(-abs(input))``."""
    return _in_double(_bessel_ie, input, 1)


@i1e.gradient("input")
def _(grad, input, out):
    return grad * (i0e(input) - sign(input) * out - _over(out, input, 0.5))


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def modified_bessel_k0(xp: ArrayModule, input: Array) -> Array:
    """Modified Bessel function of the second kind of order 0; nan for negative numbers."""
    return _in_double(_bessel_k, input, 0)


@modified_bessel_k0.gradient("input")
def _(grad, input):
    return -grad * modified_bessel_k1(input)


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def modified_bessel_k1(xp: ArrayModule, input: Array) -> Array:
    """Modified Bessel function of the second kind of order 1; nan for negative numbers."""
    return _in_double(_bessel_k, input, 1)


@modified_bessel_k1.gradient("input")
def _(grad, input, out):
    return -grad * (modified_bessel_k0(input) + out / input)


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def scaled_modified_bessel_k0(xp: ArrayModule, input: Array) -> Array:
    """`modified_bessel_k0` times ``exp(input)``."""
    return _in_double(_bessel_ke, input, 0)


@scaled_modified_bessel_k0.gradient("input")
def _(grad, input, out):
    return grad * (out - scaled_modified_bessel_k1(input))


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def scaled_modified_bessel_k1(xp: ArrayModule, input: Array) -> Array:
    """`modified_bessel_k1` times ``exp(input)``."""
    return _in_double(_bessel_ke, input, 1)


@scaled_modified_bessel_k1.gradient("input")
def _(grad, input, out):
    return grad * (out - scaled_modified_bessel_k0(input) - out / input)


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def spherical_bessel_j0(xp: ArrayModule, input: Array) -> Array:
    """Spherical Bessel function of the first kind of order 0: ``sin(input) / input``."""
    return xp.where(xp.isinf(input), 0, xp.sinc(input / np.pi)).astype(input.dtype, copy=False)


@spherical_bessel_j0.gradient("input")
def _(grad, input, out):
    return grad * _over(cos(input) - out, input, 0.0)


@elementwise(home="special", method=False, inplace=False, floating=True, takes="bif")
def airy_ai(xp: ArrayModule, input: Array) -> Array:
    """Airy function Ai, the solution of ``y'' = input y`` that vanishes at infinity."""
    return _in_double(_airy, input, False)


@airy_ai.gradient("input")
def _(grad, input):
    return grad * _airy_ai_slope(input)


@elementwise(public=False, inplace=False, floating=True)
def _airy_ai_slope(xp: ArrayModule, input: Array) -> Array:
    """Derivative of `airy_ai`."""
    return _in_double(_airy, input, True)


@_airy_ai_slope.gradient("input")
def _(grad, input):
    return grad * input * airy_ai(input)


def _of_scipy(op: Any, name: str, low: float, high: float) -> None:
    op.samples(lambda make: iter([((make(3, 4, low=low, high=high),), {})]))

    @op.expect
    def _(input):
        from scipy import special

        out = getattr(special, name)(input)
        return out[0] if name == "airy" else out


for _op, _name, _low, _high in (
    (bessel_j0, "j0", -30, 30), (bessel_j1, "j1", -30, 30), (bessel_y0, "y0", 0.3, 30),
    (bessel_y1, "y1", 0.3, 30), (i0, "i0", -5, 5), (i0e, "i0e", -40, 40), (i1, "i1", -5, 5),
    (i1e, "i1e", -40, 40), (modified_bessel_k0, "k0", 0.3, 4), (modified_bessel_k1, "k1", 0.3, 4),
    (scaled_modified_bessel_k0, "k0e", 0.3, 9), (scaled_modified_bessel_k1, "k1e", 0.3, 9),
    (airy_ai, "airy", -9, 4),
):  # fmt: skip
    _of_scipy(_op, _name, _low, _high)

spherical_bessel_j0.samples(lambda make: iter([((make(3, 4, low=-9, high=9),), {})]))
spherical_bessel_j0.expect(lambda input: np.sin(input) / input)
