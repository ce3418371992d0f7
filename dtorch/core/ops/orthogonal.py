"""Orthogonal polynomials, by the recurrences that define them.

Reference: NIST Digital Library of Mathematical Functions, 18.9(i), table 18.9.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dtorch.core.arrays import Array, ArrayModule
from dtorch.core.composites import composite
from dtorch.core.elementwise import elementwise
from dtorch.core.tensor import Tensor


class _Family(NamedTuple):
    """``P[0] = 1``, ``P[1] = slope x + start`` and, from k = 1 on,
    ``P[k + 1] = (a x + b) P[k] - c P[k - 1]`` with ``a, b, c = step(k)``."""

    slope: float
    start: float
    step: Callable[[int], tuple[float, float, float]]


def _chebyshev(k: int) -> tuple[float, float, float]:
    return 2, 0, 1


_FAMILIES = {
    "chebyshev_t": _Family(1, 0, _chebyshev),
    "chebyshev_u": _Family(2, 0, _chebyshev),
    "chebyshev_v": _Family(2, -1, _chebyshev),
    "chebyshev_w": _Family(2, 1, _chebyshev),
    "hermite_h": _Family(2, 0, lambda k: (2, 0, 2 * k)),
    "hermite_he": _Family(1, 0, lambda k: (1, 0, k)),
    "laguerre_l": _Family(-1, 1, lambda k: (-1 / (k + 1), (2 * k + 1) / (k + 1), k / (k + 1))),
    "legendre_p": _Family(1, 0, lambda k: ((2 * k + 1) / (k + 1), 0, k / (k + 1))),
}


@elementwise(public=False, inplace=False, floating=True, tensors=("input", "n"))
def _polynomial(xp: ArrayModule, input: Array, n: Array, family: str, order: int = 0) -> Array:
    """Derivative of this order of the polynomial of degree ``n``; 0 where ``n`` is negative."""
    slope, start, step = _FAMILIES[family]
    x, degree = np.broadcast_arrays(np.asarray(input, np.float64), np.trunc(n))
    # previous[m] and current[m]: the m-th derivatives of two polynomials that follow one another
    previous = [np.zeros_like(x) for _ in range(order + 1)]
    current = [np.zeros_like(x) for _ in range(order + 1)]
    previous[0] = np.ones_like(x)
    current[0] = slope * x + start
    if order:
        current[1] = np.full_like(x, slope)
    out = np.where(degree == 0, previous[order], 0)
    for k in range(1, int(degree.max(initial=0, where=np.isfinite(degree))) + 1):
        out = np.where(degree == k, current[order], out)
        a, b, c = step(k)
        following = [
            (a * x + b) * current[m] - c * previous[m] + (m * a * current[m - 1] if m else 0)
            for m in range(order + 1)
        ]
        previous, current = current, following
    return out.astype(input.dtype, copy=False)


@_polynomial.gradient("input")
def _(grad, input, n, family, order):
    return grad * _polynomial(input, n, family, order + 1)


_TENSORS = ("input", "n")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif")
def chebyshev_polynomial_t(input: Tensor, n: Tensor | float) -> Tensor:
    """Chebyshev polynomial of the first kind of degree ``n``."""
    return _polynomial(input, n, "chebyshev_t")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif")
def chebyshev_polynomial_u(input: Tensor, n: Tensor | float) -> Tensor:
    """Chebyshev polynomial of the second kind of degree ``n``."""
    return _polynomial(input, n, "chebyshev_u")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif")
def chebyshev_polynomial_v(input: Tensor, n: Tensor | float) -> Tensor:
    """Chebyshev polynomial of the third kind of degree ``n``."""
    return _polynomial(input, n, "chebyshev_v")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif")
def chebyshev_polynomial_w(input: Tensor, n: Tensor | float) -> Tensor:
    """Chebyshev polynomial of the fourth kind of degree ``n``."""
    return _polynomial(input, n, "chebyshev_w")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif", wide=True)
def shifted_chebyshev_polynomial_t(input: Tensor, n: Tensor | float) -> Tensor:
    """`chebyshev_polynomial_t` of ``2 input - 1``."""
    return _polynomial(2.0 * input - 1, n, "chebyshev_t")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif", wide=True)
def shifted_chebyshev_polynomial_u(input: Tensor, n: Tensor | float) -> Tensor:
    """`chebyshev_polynomial_u` of ``2 input - 1``."""
    return _polynomial(2.0 * input - 1, n, "chebyshev_u")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif", wide=True)
def shifted_chebyshev_polynomial_v(input: Tensor, n: Tensor | float) -> Tensor:
    """`chebyshev_polynomial_v` of ``2 input - 1``."""
    return _polynomial(2.0 * input - 1, n, "chebyshev_v")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif", wide=True)
def shifted_chebyshev_polynomial_w(input: Tensor, n: Tensor | float) -> Tensor:
    """`chebyshev_polynomial_w` of ``2 input - 1``."""
    return _polynomial(2.0 * input - 1, n, "chebyshev_w")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif")
def hermite_polynomial_h(input: Tensor, n: Tensor | float) -> Tensor:
    """Hermite polynomial of degree ``n`` with the weight ``exp(-x**2)``."""
    return _polynomial(input, n, "hermite_h")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif")
def hermite_polynomial_he(input: Tensor, n: Tensor | float) -> Tensor:
    """Hermite polynomial of degree ``n`` with the weight ``exp(-x**2 / 2)``."""
    return _polynomial(input, n, "hermite_he")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif")
def laguerre_polynomial_l(input: Tensor, n: Tensor | float) -> Tensor:
    """Laguerre polynomial of degree ``n``."""
    return _polynomial(input, n, "laguerre_l")


@composite(home="special", method=False, tensors=_TENSORS, takes="bif")
def legendre_polynomial_p(input: Tensor, n: Tensor | float) -> Tensor:
    """Legendre polynomial of degree ``n``."""
    return _polynomial(input, n, "legendre_p")


def _half_angle(function: Any) -> Any:
    """The polynomials of the third and fourth kind, of angles."""

    def reference(n: Any, x: Any) -> Any:
        half = np.arccos(x) / 2
        return function((2 * n + 1) * half) / function(half)

    return reference


def _expect(op: Any, reference: Any, shifted: bool = False) -> None:
    """The reference is SciPy's function of that name, or one that is called as it is."""

    @op.samples
    def _(make):
        yield (make(3, 4, low=0.05 if shifted else -0.9, high=0.9), 3), {}
        yield (make(3, 5, low=0.05 if shifted else -0.9, high=0.9), make.index(5, high=7)), {}

    @op.expect
    def _(input, n):
        from scipy import special

        function = getattr(special, reference) if isinstance(reference, str) else reference
        return function(n, 2 * input - 1 if shifted else input)


_expect(chebyshev_polynomial_t, "eval_chebyt")
_expect(chebyshev_polynomial_u, "eval_chebyu")
_expect(chebyshev_polynomial_v, _half_angle(np.cos))
_expect(chebyshev_polynomial_w, _half_angle(np.sin))
_expect(shifted_chebyshev_polynomial_t, "eval_chebyt", shifted=True)
_expect(shifted_chebyshev_polynomial_u, "eval_chebyu", shifted=True)
_expect(shifted_chebyshev_polynomial_v, _half_angle(np.cos), shifted=True)
_expect(shifted_chebyshev_polynomial_w, _half_angle(np.sin), shifted=True)
_expect(hermite_polynomial_h, "eval_hermite")
_expect(hermite_polynomial_he, "eval_hermitenorm")
_expect(laguerre_polynomial_l, "eval_laguerre")
_expect(legendre_polynomial_p, "eval_legendre")
