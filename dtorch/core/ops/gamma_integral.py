"""The incomplete gamma function, and how samples of gamma and beta distributions move with their
parameters.

NumPy has neither; they are evaluated in double precision. The second is what makes samples
differentiable although they were drawn by rejection: a sample ``x`` with the distribution function
``F(x; a)`` is held at the same value of ``F`` while ``a`` changes, so that
``dx/da = -(dF/da) / (dF/dx)``. Both are integrals over the density, taken from the sample outwards.

Reference: Figurnov et al. 2018, "Implicit reparameterization gradients"; Press et al. 2007,
"Numerical recipes", 6.2; Takahasi and Mori 1974, "Double exponential formulas for numerical
integration".
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.elementwise import elementwise
from dtorch.core.errors import GradError
from dtorch.core.ops.exponential import exp, log
from dtorch.core.ops.special import _digamma, _lgamma, lgamma

_LARGE = 50  # parameters from which on the peak is integrated as a whole
_ENOUGH = 1e-17
_TERMS = 600  # more than the series or the fraction takes for parameters up to `_LARGE`


@cache
def _gauss() -> tuple[Any, Any]:
    """Points between 0 and 1, and weights, of Gauss's quadrature."""
    points, weights = np.polynomial.legendre.leggauss(48)
    return 0.5 * points + 0.5, 0.5 * weights


def _front(a: Any, x: Any) -> Any:
    """``x**a exp(-x) / Gamma(a + 1)``."""
    return np.exp(a * np.log(x) - x - _lgamma(a + 1))


def _lower_by_series(a: Any, x: Any) -> Any:
    total = term = np.ones_like(x)
    for k in range(1, _TERMS):
        term = term * x / (a + k)
        total = total + term
        if not (term > total * _ENOUGH).any():
            break
    return total * _front(a, x)


def _upper_by_fraction(a: Any, x: Any) -> Any:
    """The continued fraction, by the method of Lentz."""
    b = x + 1 - a
    c = np.full_like(x, 1e300)
    d = 1 / b
    out = d
    for k in range(1, _TERMS):
        factor = -k * (k - a)
        b = b + 2
        d = 1 / (factor * d + b)
        c = b + factor / c
        step = c * d
        out = out * step
        if not (np.abs(step - 1) > 4e-16).any():
            break
    return out * _front(a, x) * a


def _tail_by_quadrature(a: Any, x: Any) -> tuple[Any, Any]:
    """The integral from ``x`` away from the peak, and whether that was upwards."""
    peak = a - 1
    width = np.sqrt(peak)
    upper = x > peak
    end = np.where(
        upper,
        np.maximum(peak + 11.5 * width, x + 9 * width),
        np.maximum(0, np.minimum(peak - 7.5 * width, x - 6 * width)),
    )
    points, weights = _gauss()
    t = x[:, None] + (end - x)[:, None] * points
    u = (t - peak[:, None]) / peak[:, None]
    density = np.exp(peak[:, None] * (np.log1p(np.maximum(u, -1 + 1e-300)) - u))
    # Gamma(peak + 1) by Stirling's series, without what the density has been divided by
    square = 1 / (peak * peak)
    rest = (1 / 12 + square * (-1 / 360 + square * (1 / 1260 - square / 1680))) / peak
    scale = np.abs(end - x) * np.exp(-rest) / (width * math.sqrt(2 * math.pi))
    return (density @ weights) * scale, upper


def _incomplete(a: Any, x: Any) -> tuple[Any, Any]:
    """The regularized incomplete gamma functions, lower and upper."""
    a, x = np.broadcast_arrays(a, x)
    shape, a, x = a.shape, a.ravel(), x.ravel()
    lower = np.full(a.shape, np.nan)
    upper = np.full(a.shape, np.nan)
    regular = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    large = regular & (a > _LARGE)
    series = regular & ~large & (x < a + 1)
    fraction = regular & ~large & ~series
    if series.any():
        lower[series] = _lower_by_series(a[series], x[series])
        upper[series] = 1 - lower[series]
        # Where the lower one is nearly 1, of small a, its complement is found by its own series.
        small = series & (a < 1) & (x < 1.5)
        upper[small] = _upper_of_small(a[small], x[small])
    if fraction.any():
        upper[fraction] = _upper_by_fraction(a[fraction], x[fraction])
        lower[fraction] = 1 - upper[fraction]
    if large.any():
        tail, above = _tail_by_quadrature(a[large], x[large])
        lower[large] = np.where(above, 1 - tail, tail)
        upper[large] = np.where(above, tail, 1 - tail)
    start = (a >= 0) & (x == 0) & ~((a == 0) & (x == 0))
    end = ((a == 0) & (x > 0)) | (np.isposinf(x) & (a >= 0) & np.isfinite(a))
    never = np.isposinf(a) & (x >= 0) & np.isfinite(x)
    lower[start | never], upper[start | never] = 0, 1
    lower[end], upper[end] = 1, 0
    return lower.reshape(shape), upper.reshape(shape)


def _upper_of_small(a: Any, x: Any) -> Any:
    """``1 - x**a / Gamma(a + 1) - ...`` of ``a < 1``, without the loss of the difference."""
    power = a * np.log(x) - _lgamma(a + 1)
    total = term = np.zeros_like(x)
    term = np.ones_like(x)
    for k in range(1, 40):
        term = -term * x / k
        total = total + term / (a + k)
    return -np.expm1(power) - a * np.exp(power) * total


def _wide(function: Any, which: int, a: Any, x: Any) -> Any:
    return function(a.astype(np.float64), x.astype(np.float64))[which].astype(a.dtype, copy=False)


@elementwise(floating=True, takes="bif")
def igamma(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Regularized lower incomplete gamma function: the integral of ``t**(input - 1) exp(-t)`` from 0
    to ``other``, divided by ``Gamma(input)``."""
    return _wide(_incomplete, 0, input, other)


@elementwise(floating=True, takes="bif")
def igammac(xp: ArrayModule, input: Array, other: Array) -> Array:
    """Regularized upper incomplete gamma function, ``1 - igamma(input, other)``."""
    return _wide(_incomplete, 1, input, other)


def _density(a: Any, x: Any) -> Any:
    return exp((a - 1) * log(x) - x - lgamma(a))


@igamma.gradient("other")
def _(grad, input, other):
    return grad * _density(input, other)


@igammac.gradient("other")
def _(grad, input, other):
    return -grad * _density(input, other)


@igamma.gradient("input")
def _(grad, input, other):
    return -grad * _density(input, other) * standard_gamma_grad(input, other)


@igammac.gradient("input")
def _(grad, input, other):
    return grad * _density(input, other) * standard_gamma_grad(input, other)


# Nodes and weights of integrals from 0 to infinity, in units of the integrand's width.
_STEPS = np.arange(-3.75, 3, 1 / 14)
_NODES = np.exp(np.pi / 2 * np.sinh(_STEPS))
_NODE_WEIGHTS = _NODES * np.cosh(_STEPS) * (np.pi / 2 / 14)
_ROWS = 2048  # elements at once, so that what is computed at all nodes stays small


def _outwards(integrand: Any, width: Any) -> Any:
    """Integrals over ``u`` from 0 to infinity of ``integrand(u)``, one in each row."""
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        values = integrand(width[:, None] * _NODES)
        return np.where(np.isfinite(values), values, 0) @ _NODE_WEIGHTS * width


def _moves_of_gamma(a: Any, x: Any) -> Any:
    """``dx/da`` of a sample of the gamma distribution of this shape."""
    center = _digamma(a)
    out = np.empty_like(x)
    below = x < np.maximum(a, 1)
    width = 1 / (np.abs(a - x) + np.sqrt(x))
    for part, sign in ((below, -1), (~below, 1)):
        if part.any():
            # t = x exp(sign * u)
            s, c, m = (v[part][:, None] for v in (x, center, a))

            def integrand(u: Any, s: Any = s, c: Any = c, m: Any = m, sign: int = sign) -> Any:
                weight = np.exp(sign * m * u - s * np.expm1(sign * u))
                return sign * (np.log(s) + sign * u - c) * weight

            out[part] = x[part] * _outwards(integrand, width[part])
    return out


def _moves_of_beta(x: Any, a: Any, b: Any) -> Any:
    """``dx/da / (1 - x)`` of a sample of the beta distribution with parameters ``a`` and ``b``."""
    center = _digamma(a) - _digamma(a + b)
    out = np.empty_like(x)
    below = x * (a + b) < a
    for part, is_below in ((below, True), (~below, False)):
        if not part.any():
            continue
        # The near end: of x itself, or of 1 - x with the parameters exchanged.
        y = x[part] if is_below else 1 - x[part]
        m, n = (a[part], b[part]) if is_below else (b[part], a[part])
        ratio = y / (1 - y)
        width = 1 / (
            np.abs(m - (n - 1) * ratio) + np.sqrt(np.abs(n - 1) * ratio / (1 - y)) + m / 64
        )
        s, p, q, c = (v[:, None] for v in (y, m, n, center[part]))

        def integrand(
            u: Any, s: Any = s, p: Any = p, q: Any = q, c: Any = c, is_below: bool = is_below
        ) -> Any:
            inner = s * np.exp(-u)
            # (1 - inner) / (1 - s), exact also where both are nearly the same
            grown = np.log1p(-s * np.expm1(-u) / (1 - s))
            place = np.log(s) - u if is_below else np.log1p(-inner)
            return (place - c) * np.exp(-p * u + (q - 1) * grown)

        value = y * _outwards(integrand, width)
        out[part] = (-value if is_below else value) / (1 - x[part])
    return out


def _by_rows(function: Any, *arrays: Any) -> Any:
    """``function`` of the elements in double precision, some thousand at a time."""
    dtype = arrays[0].dtype
    arrays = np.broadcast_arrays(*arrays)
    flat = [np.asarray(array, np.float64).ravel() for array in arrays]
    out = np.empty(flat[0].shape)
    for start in range(0, len(out), _ROWS):
        rows = slice(start, start + _ROWS)
        out[rows] = function(*(array[rows] for array in flat))
    return out.reshape(arrays[0].shape).astype(dtype, copy=False)


@elementwise(public=False, inplace=False)
def standard_gamma_grad(xp: ArrayModule, input: Array, sample: Array) -> Array:
    """How a sample of the gamma distribution of shape ``input`` and rate 1 moves with the shape."""
    return _by_rows(_moves_of_gamma, input, sample)


@elementwise(public=False, inplace=False)
def dirichlet_grad(xp: ArrayModule, x: Array, alpha: Array, total: Array) -> Array:
    """How element ``x`` of a sample of the Dirichlet distribution moves with its own parameter.

    It is the derivative of a sample of the beta distribution with the parameters ``alpha`` and
    ``total - alpha``, divided by ``1 - x``.
    """
    return _by_rows(lambda x, a, t: _moves_of_beta(x, a, t - a), x, alpha, total)


def _refuse(name: str) -> Any:
    raise GradError(
        f"{name}: samples have first derivatives by their parameters, not second ones; call backward "
        "without create_graph"
    )


@standard_gamma_grad.gradient("input", "sample")
def _(grad):
    return _refuse("gamma")


@dirichlet_grad.gradient("x", "alpha", "total")
def _(grad):
    return _refuse("beta")


def _of_scipy(op: Any, name: str) -> None:
    @op.samples
    def _(make):
        yield (make.constant(3, 4, low=0.2, high=9), make(4, low=0.3, high=9)), {}
        yield (make.constant(3, low=60, high=90), make(3, low=55, high=95)), {}

    @op.expect
    def _(input, other):
        from scipy import special

        return getattr(special, name)(input, other)


_of_scipy(igamma, "gammainc")
_of_scipy(igammac, "gammaincc")
