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
        ("i0e", special.i0e, WIDE, 1e-14),
        ("i1e", special.i1e, WIDE, 1e-14),
        ("scaled_modified_bessel_k0", special.k0e, POSITIVE, 1e-14),
        ("scaled_modified_bessel_k1", special.k1e, POSITIVE, 1e-14),
        ("airy_ai", lambda x: special.airy(x)[0], np.linspace(0, 60, 501), 1e-12),
        ("log_ndtr", special.log_ndtr, np.linspace(-300, 40, 3001), 1e-13),
        ("ndtr", special.ndtr, np.linspace(-37, 9, 3001), 1e-13),
        ("ndtri", special.ndtri, np.logspace(-300, -1e-9, 3000), 1e-13),
        ("ndtri", special.ndtri, OPEN[OPEN > 0], 1e-13),
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


@pytest.mark.parametrize(
    ("name", "reference"),
    [("bessel_j0", special.j0), ("bessel_j1", special.j1), ("bessel_y0", special.y0),
     ("bessel_y1", special.y1), ("airy_ai", lambda x: special.airy(-x)[0])],
)  # fmt: skip
def test_error_of_oscillating_functions_is_small_beside_their_size(
    name: str, reference: Any
) -> None:
    x = np.concatenate([np.linspace(1e-3, 60, 3001), np.logspace(-8, 1.7, 500)])
    function = getattr(dtorch.special, name)
    actual = apply(function, -x if name == "airy_ai" else x)
    np.testing.assert_allclose(actual, reference(x), rtol=2e-13, atol=2e-13)


@pytest.mark.parametrize("name", ["gammainc", "gammaincc"])
def test_incomplete_gamma_functions_are_exact_from_small_to_large_parameters(name: str) -> None:
    draw = np.random.default_rng(0)
    a = 10 ** draw.uniform(-3, 5, 3000)
    x = a * 10 ** draw.normal(0, 1 / np.sqrt(1 + a))
    actual = getattr(dtorch.special, name)(dtorch.from_numpy(a), dtorch.from_numpy(x)).numpy()
    np.testing.assert_allclose(actual, getattr(special, name)(a, x), rtol=1e-10, atol=1e-250)


@pytest.mark.parametrize("name", ["gammainc", "gammaincc"])
def test_limits_of_incomplete_gamma_functions(name: str) -> None:
    a, x = np.meshgrid(*[np.array([0.0, 1.0, 2.5, np.inf, np.nan])] * 2)
    actual = getattr(dtorch.special, name)(dtorch.from_numpy(a), dtorch.from_numpy(x)).numpy()
    np.testing.assert_allclose(actual, getattr(special, name)(a, x), rtol=1e-12)


def test_zeta_has_poles_and_limits() -> None:
    s = dtorch.tensor([2.0, 1.0, 0.5, 2.0, 3.0, 2.5, dtorch.inf, 2.0], dtype=dtorch.float64)
    q = dtorch.tensor([1.0, 1.0, 1.0, -1.0, -1.5, -1.5, 2.0, dtorch.inf], dtype=dtorch.float64)
    expected = [math.pi**2 / 6, math.inf, math.nan, math.inf, 0.118102026, math.nan, 0, 0]
    np.testing.assert_allclose(dtorch.special.zeta(s, q).numpy(), expected, rtol=1e-6)


def test_incomplete_gamma_function_has_a_gradient_by_its_parameter() -> None:
    a = dtorch.tensor([0.3, 2.0, 70.0], dtype=dtorch.float64, requires_grad=True)
    x = dtorch.tensor([0.2, 3.0, 65.0], dtype=dtorch.float64)
    dtorch.igamma(a, x).sum().backward()
    step = 1e-5
    low, high = (special.gammainc(a.detach().numpy() + s, x.numpy()) for s in (-step, step))
    np.testing.assert_allclose(a.grad.numpy(), (high - low) / (2 * step), rtol=1e-7)


def test_polynomials_of_negative_degree_are_zero_and_degrees_broadcast() -> None:
    x, n = dtorch.tensor([0.5, 2.0]), dtorch.tensor([[-1], [0], [2]])
    assert dtorch.special.chebyshev_polynomial_t(x, n).tolist() == [[0, 0], [1, 1], [-0.5, 7]]
    assert dtorch.special.hermite_polynomial_he(x, 2).tolist() == [-0.75, 3]
