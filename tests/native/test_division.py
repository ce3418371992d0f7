import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

import dtorch
from dtorch.core import backend

pytestmark = pytest.mark.skipif(backend.native is None, reason="no native module")

SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    3.0,
    0.1,
    np.inf,
    -np.inf,
    np.nan,
    5e-324,
    1e-45,
    1e-38,
    3e38,
    -1e300,
]


def check(a, b):
    for name in ("fmod", "remainder", "floor_divide"):
        with np.errstate(all="ignore"):
            expected = getattr(np, name)(a, b)
        got = getattr(dtorch, name)(dtorch.from_numpy(a), dtorch.from_numpy(b)).numpy()
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected, err_msg=name)
        np.testing.assert_array_equal(np.signbit(got), np.signbit(expected), err_msg=name)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_special_numbers(dtype):
    with np.errstate(over="ignore"):
        values = np.array(SPECIAL, dtype)
    number = np.isfinite(values)
    # What NumPy makes of infinite dividends and divisors differs from version to version in signs
    # of NaN, which mean nothing.
    a, b = np.meshgrid(values[number], values)
    keep = ~np.isnan(b) & (b != 0)
    check(a[keep], b[keep])
    for x in (np.nan, np.inf):
        assert np.isnan(dtorch.fmod(dtorch.tensor([x], dtype=dtorch.float64), 2.0).numpy()).all()
    assert np.isnan(dtorch.fmod(dtorch.ones(1), 0.0).numpy()).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 999), scale=st.integers(-30, 30), n=st.integers(1, 700))
def test_remainders_and_quotients_are_exact(dtype, seed, scale, n):
    rng = np.random.default_rng(seed)
    a, b = rng.standard_normal((2, n))
    a, b = (a * 2.0**scale).astype(dtype), b.astype(dtype)
    check(a, b)
    check(np.round(a * 8) / 8, np.round(b * 8) / 8 + dtype(0.0625))
    whole = np.round(b * 10) * b
    check(whole.astype(dtype), b)  # quotients that are next to an integer, at both sides


def test_a_number_and_rows_as_divisor_and_the_result_in_place():
    x = dtorch.linspace(-9, 9, 1000).reshape(10, 100)
    for divisor in (1.75, dtorch.linspace(1, 2, 100)):
        array = divisor if isinstance(divisor, float) else divisor.numpy()
        np.testing.assert_array_equal(
            (x % divisor).numpy(), np.remainder(x.numpy(), np.float32(array))
        )
        np.testing.assert_array_equal((x // divisor).numpy(), x.numpy() // np.float32(array))
    y = x.clone()
    y.fmod_(0.3)
    np.testing.assert_array_equal(y.numpy(), np.fmod(x.numpy(), np.float32(0.3)))


def test_signs_and_reciprocal_roots():
    values = np.array([-2.0, -0.0, 0.0, 0.25, 4.0, np.inf, -np.inf, np.nan] * 5, np.float32)
    x = dtorch.from_numpy(values)
    np.testing.assert_array_equal(dtorch.sign(x).numpy(), np.nan_to_num(np.sign(values)))
    with np.errstate(invalid="ignore", divide="ignore"):
        np.testing.assert_allclose(dtorch.rsqrt(x).numpy(), 1 / np.sqrt(values), rtol=2e-7)
