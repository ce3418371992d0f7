"""Exponentials and logarithms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from dtorch.core.op import elementwise


@elementwise(ufunc=np.exp, floating=True, aliases={"tensor": "input"})
def exp(xp: Any, input: Any) -> Any:
    """Exponential function ``e ** input``."""
    return xp.exp(input)


@exp.gradient("input")
def _(grad, out):
    return grad * out.conj()


@elementwise(ufunc=np.expm1, floating=True)
def expm1(xp: Any, input: Any) -> Any:
    """``e ** input - 1``, exact also near 0."""
    return xp.expm1(input)


@expm1.gradient("input")
def _(grad, out):
    return grad * (out.conj() + 1)


@elementwise(ufunc=np.log, floating=True)
def log(xp: Any, input: Any) -> Any:
    """Natural logarithm; -inf at 0, nan for negative numbers."""
    return xp.log(input)


@log.gradient("input")
def _(grad, input):
    return grad / input.conj()


@elementwise(ufunc=np.log1p, floating=True)
def log1p(xp: Any, input: Any) -> Any:
    """``log(1 + input)``, exact also near 0."""
    return xp.log1p(input)


@log1p.gradient("input")
def _(grad, input):
    return grad / (input.conj() + 1)


@elementwise(ufunc=np.log2, floating=True)
def log2(xp: Any, input: Any) -> Any:
    """Logarithm to the base 2."""
    return xp.log2(input)


@log2.gradient("input")
def _(grad, input):
    return grad / (input.conj() * math.log(2))


@elementwise(ufunc=np.log10, floating=True)
def log10(xp: Any, input: Any) -> Any:
    """Logarithm to the base 10."""
    return xp.log10(input)


@log10.gradient("input")
def _(grad, input):
    return grad / (input.conj() * math.log(10))


for _op, _reference in (
    (exp, lambda input: math.e**input),
    (expm1, lambda input: math.e**input - 1),
    (log, lambda input: np.log2(input) * math.log(2)),
    (log1p, lambda input: np.log(1 + input)),
    (log2, lambda input: np.log(input) / math.log(2)),
    (log10, lambda input: np.log(input) / math.log(10)),
):
    _op.samples(lambda make: iter([((make(3, 4, low=0.2),), {}), ((make(0, 2, low=0.2),), {})]))
    _op.expect(_reference)
