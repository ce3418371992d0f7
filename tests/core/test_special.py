"""Special functions over their whole range, against SciPy."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import special

import dtorch

WIDE = np.concatenate([-np.logspace(-300, 2.5, 700), np.logspace(-300, 2.5, 700), [0.0, -0.0]])
OPEN = np.concatenate([1 - np.logspace(-16, 0, 500), np.linspace(-1, 1, 501)[1:-1]])
POSITIVE = np.logspace(-10, 6, 3000)
EXTREMES = np.array([np.nan, np.inf, -np.inf, 0.0, 1.0, -1.0, 2.0])


def apply(function: Any, x: np.ndarray) -> np.ndarray:
    return np.asarray(function(dtorch.from_numpy(x)).numpy())


@pytest.mark.parametrize(
    ("name", "reference", "inputs", "rtol"),
    [
        ("erf", special.erf, WIDE, 1e-15),
        ("erfc", special.erfc, np.linspace(-6, 26, 3000), 1e-13),
        ("erfcx", special.erfcx, np.linspace(-6, 300, 3000), 1e-13),
        ("erfinv", special.erfinv, OPEN, 1e-13),
        ("lgamma", special.gammaln, POSITIVE, 2e-14),
        ("lgamma", special.gammaln, 1 + np.linspace(-0.4, 1.4, 2001), 1e-13),
        ("lgamma", special.gammaln, -np.linspace(0.1, 30.05, 997), 1e-11),
        ("digamma", special.psi, POSITIVE[POSITIVE > 1.6], 1e-13),
        ("digamma", special.psi, POSITIVE[POSITIVE < 1.3], 1e-13),
        ("digamma", special.psi, -np.linspace(0.15, 30.05, 997), 1e-10),
        ("logit", special.logit, OPEN[OPEN > 0], 1e-13),
    ],
)
def test_relative_error_is_small(
    name: str, reference: Any, inputs: np.ndarray, rtol: float
) -> None:
    function = getattr(dtorch.core.functions, name)
    atol = 1e-15 if name == "lgamma" else 1e-300  # lgamma vanishes at 1 and 2
    np.testing.assert_allclose(apply(function, inputs), reference(inputs), rtol=rtol, atol=atol)


@pytest.mark.parametrize(
    ("name", "reference"),
    [("erf", special.erf), ("erfc", special.erfc), ("erfinv", special.erfinv),
     ("lgamma", special.gammaln)],
)  # fmt: skip
def test_limits(name: str, reference: Any) -> None:
    # lgamma(-inf) is inf in C and in the reference API, -inf in SciPy.
    x = np.delete(EXTREMES, 2) if name == "lgamma" else EXTREMES
    actual = apply(getattr(dtorch.core.functions, name), x)
    np.testing.assert_allclose(actual, reference(x), rtol=1e-14, atol=1e-16)


def test_digamma_at_its_poles_is_the_reference_apis() -> None:
    assert apply(dtorch.digamma, np.array([0.0]))[0] == -np.inf
    assert np.isnan(apply(dtorch.digamma, np.array([-1.0]))[0])


@pytest.mark.parametrize("n", [1, 2, 5])
def test_polygamma(n: int) -> None:
    x = np.concatenate([np.logspace(-1, 3, 300), -np.linspace(0.1, 4.9, 49)])
    actual = apply(lambda t: dtorch.core.functions.polygamma(n, t), x)
    expected = special.polygamma(n, np.abs(x))
    for k in np.flatnonzero(x < 0):  # by the recurrence, away from the poles
        value, steps = x[k], 0.0
        while value < 0:
            steps += 1 / value ** (n + 1)
            value += 1
        sign = (-1.0) ** (n + 1) * special.factorial(n)
        expected[k] = special.polygamma(n, value) + sign * steps
    near_pole = np.abs(x - np.round(x)) < 1e-3
    keep = ~((x < 0) & near_pole)
    np.testing.assert_allclose(actual[keep], expected[keep], rtol=1e-10)


def test_derivatives_of_digamma_take_no_longer_for_large_numbers() -> None:
    x = dtorch.tensor([-1e9 - 0.5, -1e30, 0.0, -1.0, -math.inf, math.nan], dtype=dtorch.float64)
    first = dtorch.core.functions.polygamma(1, x)
    assert float(first[0]) == pytest.approx(math.pi**2)  # far from 0 only the poles are left
    assert first[1:4].isinf().all()
    assert first[4:].isnan().all()


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_derivatives_of_digamma_obey_their_recurrence(n: int) -> None:
    x = dtorch.linspace(-9.93, 4.07, 141, dtype=dtorch.float64)
    step = (-1.0) ** n * math.factorial(n) / x ** (n + 1)
    expected = dtorch.core.functions.polygamma(n, x) + step
    assert dtorch.allclose(
        dtorch.core.functions.polygamma(n, x + 1), expected, rtol=1e-8, atol=1e-7
    )
