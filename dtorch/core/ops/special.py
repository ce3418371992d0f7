"""Special functions: the logarithm of the gamma function, its derivatives, and kin.

NumPy has none of them; they are evaluated here by series, in double precision for every dtype. The
errors stay within a few units in the last place of float64 (the tests compare with SciPy), so SciPy
is not needed.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.elementwise import elementwise
from dtorch.core.errors import ArgumentError
from dtorch.core.ops.comparison import choose, keep, logical_not
from dtorch.core.ops.exponential import log, log1p
from dtorch.core.tensor import Tensor


def _stirling(x: Any) -> Any:
    """log Gamma of numbers from 8 on."""
    inverse = 1 / x
    square = inverse * inverse
    series = np.polyval(
        (-3617 / 122400, 1 / 156, -691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12),
        square,
    )
    return (x - 0.5) * np.log(x) - x + 0.5 * math.log(2 * math.pi) + series * inverse


# Taylor coefficients of log Gamma around 1 and 2 are (-1)**k (zeta(k) - [around 2]) / k.
_ZETA_LESS_ONE = (
    0.6449340668482264, 0.20205690315959429, 0.08232323371113819, 0.03692775514336993,
    0.01734306198444914, 0.008349277381922827, 0.004077356197944339, 0.0020083928260822144,
    0.0009945751278180853, 0.0004941886041194646, 0.0002460865533080483, 0.00012271334757848915,
    6.124813505870483e-05, 3.0588236307020493e-05, 1.528225940865187e-05, 7.637197637899762e-06,
    3.8172932649998398e-06, 1.9082127165539389e-06, 9.539620338727961e-07, 4.769329867878064e-07,
    2.38450502727733e-07, 1.1921992596531107e-07, 5.960818905125948e-08, 2.980350351465228e-08,
    1.490155482836504e-08, 7.450711789835429e-09, 3.725334024788457e-09, 1.862659723513049e-09,
    9.313274324196681e-10,
)  # fmt: skip


def _lgamma_around_two(t: Any) -> Any:
    """log Gamma(2 + t) for ``|t| <= 0.5``."""
    series = np.zeros_like(t)
    for k, zeta in reversed(list(enumerate(_ZETA_LESS_ONE, 2))):
        series *= t
        series += (-1) ** k * zeta / k
    return t * (1 - 0.5772156649015329 + t * series)


def _lgamma_positive(x: Any) -> Any:
    """Around 1 and 2, where it vanishes, by series; elsewhere by Stirling's formula."""
    out = np.empty_like(x)
    near = (x > 0.5) & (x < 2.5)
    if near.any():
        part = x[near]
        low = part < 1.5
        t = np.where(low, part - 1, part - 2)
        out[near] = _lgamma_around_two(t) - np.where(low, np.log1p(t), 0)
    small = ~near & (x < 8)
    if small.any():  # a product moves them up to where Stirling's formula holds
        part = x[small]
        product = part.copy()
        for k in range(1, 8):
            product *= part + k
        out[small] = _stirling(part + 8) - np.log(product)
    large = ~near & ~small
    if large.any():
        out[large] = _stirling(x[large])
    return out


def _lgamma(x: Any) -> Any:
    positive = np.asarray(np.where(x > 0, x, 1 - x))
    out = _lgamma_positive(np.where(np.isfinite(positive), positive, 1))
    if (x > 0).all() and np.isfinite(x).all():
        return out
    fraction = x - np.round(x)
    reflected = np.log(math.pi / np.abs(np.sin(math.pi * fraction))) - out
    out = np.where(x > 0, out, np.where(fraction == 0, np.inf, reflected))
    return np.where(np.isnan(x), np.nan, np.where(np.isinf(x), np.inf, out))


def _digamma(x: Any) -> Any:
    positive = np.where(x > 0, x, 1 - x)
    shift = np.zeros_like(positive)
    y = positive
    for _ in range(10):
        small = y < 10
        shift = np.where(small, shift - 1 / y, shift)
        y = np.where(small, y + 1, y)
    square = 1 / (y * y)
    series = square * np.polyval(
        (-1 / 12, 691 / 32760, -1 / 132, 1 / 240, -1 / 252, 1 / 120, -1 / 12), square
    )
    out = shift + np.log(y) - 0.5 / y + series
    fraction = x - np.round(x)
    reflected = out - math.pi / np.tan(math.pi * fraction)
    pole = np.where(x == 0, np.copysign(np.inf, -x), np.nan)
    return np.where(x > 0, out, np.where(fraction == 0, pole, reflected))


def _hurwitz(s: Any, x: Any) -> Any:
    """Sum of ``(x + k) ** -s`` over all k >= 0, by the Euler-Maclaurin formula, for ``x > 0``."""
    total = np.zeros_like(x)
    for k in range(12):
        total = total + (x + k) ** -s
    y = x + 12
    total = total + y ** (1 - s) / (s - 1) + 0.5 * y**-s
    factor = s * y ** (-s - 1)
    for k, bernoulli in enumerate((1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6), 1):
        total = total + bernoulli / math.factorial(2 * k) * factor
        factor = factor * (s + 2 * k - 1) * (s + 2 * k) / (y * y)
    return total


def _polygamma(n: int, x: Any) -> Any:
    sign = (-1.0) ** (n + 1) * math.factorial(n)
    out = sign * _hurwitz(n + 1, np.where(x > 0, x, 1.0 - x))
    if (x > 0).all():
        return out
    # By reflection: the derivatives of the cotangent are polynomials of it.
    derivative = np.array([1, 0])
    for _ in range(n):
        derivative = -np.polymul(np.polyder(derivative), (1, 0, 1))
    fraction = x - np.round(x)
    turned = np.polyval(derivative, 1 / np.tan(math.pi * fraction))
    reflected = (-1) ** n * out - math.pi ** (n + 1) * turned
    pole = np.inf if n % 2 else np.nan
    return np.where(x > 0, out, np.where(fraction == 0, pole, reflected))


_CHUNK = 1 << 12  # elements whose intermediate results stay in the processor's cache


def _in_double(function: Any, input: Any, *args: Any) -> Any:
    """``function`` of the elements in double precision, chunk by chunk."""
    if input.size <= _CHUNK:
        return function(*args, input.astype(np.float64)).astype(input.dtype, copy=False)
    out = np.empty(input.shape, input.dtype)
    flat, source = out.reshape(-1), input.reshape(-1)
    for start in range(0, input.size, _CHUNK):
        part = slice(start, start + _CHUNK)
        flat[part] = function(*args, source[part].astype(np.float64))
    return out


@elementwise(floating=True, takes="bif")
def lgamma(xp: ArrayModule, input: Array) -> Array:
    """Logarithm of the size of the gamma function."""
    return _in_double(_lgamma, input)


@lgamma.gradient("input")
def _(grad, input):
    return grad * digamma(input)


@elementwise(floating=True, takes="bif")
def digamma(xp: ArrayModule, input: Array) -> Array:
    """Derivative of `lgamma`."""
    return _in_double(_digamma, input)


@digamma.gradient("input")
def _(grad, input):
    return grad * _derivative(input, 1)


@elementwise(floating=True, tensors=("input",), public=False, inplace=False)
def _derivative(xp: ArrayModule, input: Array, n: int) -> Array:
    """The ``n``-th derivative of `digamma`."""
    return _in_double(_polygamma, input, n)


@_derivative.gradient("input")
def _(grad, input, n):
    return grad * _derivative(input, n + 1)


@composite(tensors=("input",), method=False, takes="bif")
def polygamma(n: int, input: Tensor) -> Tensor:
    """The ``n``-th derivative of `digamma`; for ``n`` = 0 that itself."""
    return digamma(input) if n == 0 else _derivative(input, n)


@elementwise(
    floating=True, tensors=("input", "eps"), promoted=("input",), inplace=True, takes="bif"
)
def logit(xp: ArrayModule, input: Array, eps: Array | None = None) -> Array:
    """``log(input / (1 - input))``, the inverse of `sigmoid`.

    Args:
        eps: the elements are first limited to ``eps`` and ``1 - eps``.
    """
    x = input if eps is None else xp.clip(input, eps, 1 - eps)
    return xp.log(x / (1 - x))


@logit.gradient("input")
def _(grad, input, eps):
    slope = grad / (input * (1 - input))
    if eps is None:
        return choose((input < 0) | (input > 1), math.nan, slope)
    return keep(slope, logical_not((input < eps) | (input > 1 - eps)))


@elementwise(home="special", inplace=False, floating=True, takes="bif")
def entr(xp: ArrayModule, input: Array) -> Array:
    """``-input * log(input)``; 0 at 0, -inf for negative numbers."""
    safe = xp.where(input > 0, input, 1)
    return xp.where(
        input > 0,
        -input * xp.log(safe),
        xp.where(input == 0, 0, xp.where(input < 0, -np.inf, input)),
    ).astype(input.dtype, copy=False)


@entr.gradient("input")
def _(grad, input):
    return -grad * (log(input) + 1)


@elementwise(home="special", inplace=False, floating=True, takes="bif")
def zeta(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Hurwitz zeta function: the sum of ``(other + k) ** -input`` over all k from 0 on.

    nan for ``input`` below 1, infinite at its poles.
    """
    x, q = (array.astype(np.float64) for array in xp.broadcast_arrays(input, other))
    return np.asarray(_zeta(x, q)).astype(input.dtype, copy=False)


def _zeta(s: Any, q: Any) -> Any:
    below, out = q <= 0, np.zeros_like(s)
    whole = q == np.floor(q)
    moved, left = q, 100_000
    while left and (apart := below & ~whole & (moved <= 0)).any():
        out = np.where(apart, out + np.power(moved, -s), out)
        moved, left = np.where(apart, moved + 1, moved), left - 1
    regular = (s > 1) & (moved > 0) & np.isfinite(moved) & np.isfinite(s)
    out = out + _hurwitz(np.where(regular, s, 2.0), np.where(regular, moved, 1.0))
    out = np.where(regular, out, np.where((q > 0) & np.isposinf(s), np.inf ** np.sign(1 - q), 0.0))
    out = np.where(below & (whole | (s != np.floor(s))), np.where(whole, np.inf, np.nan), out)
    return np.where((s < 1) | np.isnan(s) | np.isnan(q), np.nan, np.where(s == 1, np.inf, out))


@zeta.gradient("other")
def _(grad, input, other):
    return -grad * input * zeta(input + 1, other)


@elementwise(home="special", inplace=False, floating=True, takes="bif")
def xlog1py(xp: ArrayModule, input: Array, other: Array) -> Array:
    """``input * log1p(other)``, but 0 where ``input`` is 0 and ``other`` is a number."""
    zero = (input == 0) & ~xp.isnan(other)
    return xp.where(zero, 0, input * xp.log1p(xp.where(zero, 0, other))).astype(
        input.dtype, copy=False
    )


@xlog1py.gradient("input")
def _(grad, input, other):
    return grad * choose((input == 0) & (other <= -1), 0.0, log1p(other))


@xlog1py.gradient("other")
def _(grad, input, other):
    return grad * input / (other + 1)


@composite(tensors=("input",), inplace=True, takes="if", wide=True)
def mvlgamma(input: Tensor, p: int) -> Tensor:
    """Logarithm of the multivariate gamma function of dimension ``p``.

    ``p (p - 1) / 4 log(pi)`` and the sum of ``lgamma(input - j / 2)`` over j from 0 to p - 1.

    Raises:
        ArgumentError: ``p`` is less than 1.
    """
    if p < 1:
        raise ArgumentError(f"mvlgamma: p has to be greater than or equal to 1, got {p}")
    total = lgamma(input) + p * (p - 1) / 4 * math.log(math.pi)
    for j in range(1, p):
        total = total + lgamma(input - j / 2)
    return total


def _named(op: Any, name: str, **sample: Any) -> None:
    op.samples(lambda make: iter([((make(3, 4, **sample),), {})]))

    @op.expect
    def _(*args: Any) -> Any:
        from scipy import special

        return getattr(special, name)(*args)


_named(lgamma, "gammaln", low=0.2, high=12)
_named(digamma, "psi", low=0.2, high=12)
_named(logit, "logit", low=0.05, high=0.95)
_named(entr, "entr", low=0.05, high=2)
_named(polygamma, "polygamma")
polygamma.samples(lambda make: iter([((n, make(3, low=0.5, high=4)), {}) for n in (0, 1, 3)]))

_named(zeta, "zeta")
zeta.samples(
    lambda make: iter([((make.constant(3, 4, low=1.2, high=6), make(4, low=0.3, high=9)), {})])
)
_named(xlog1py, "xlog1py")
xlog1py.samples(lambda make: iter([((make(3, 4), make(4, low=-0.6, high=3)), {})]))
_named(mvlgamma, "multigammaln")
mvlgamma.samples(lambda make: iter([((make(3, low=1.2, high=4), p), {}) for p in (1, 3)]))
