import math

import numpy as np
import pytest

NORMAL = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))


def test_values_and_slopes_equal_the_formula(native):
    x = np.concatenate([np.linspace(-12, 12, 100_001), [1e-30, -0.0, 1e20, -1e20]])
    x = x.astype(np.float32)
    wide = x.astype(np.float64)
    out, slope = np.empty_like(x), np.empty_like(x)
    native.gelu(x, out)
    share = NORMAL(wide)
    error = np.abs(out - wide * share) / np.maximum(np.abs(wide * share), 0.25)
    assert error.max() < 3e-7
    native.gelu_backward(np.ones_like(x), x, slope)
    expected = share + wide * np.exp(-0.5 * np.minimum(wide**2, 1e4)) / math.sqrt(2 * math.pi)
    assert np.abs(slope - expected).max() < 3e-7
    assert (out[-2], out[-1]) == (x[-2], 0)
    assert (slope[-2], slope[-1]) == (1, 0)


def test_the_left_tail_keeps_its_digits(native):
    x = np.linspace(-5.9, 0, 10_001).astype(np.float32)
    out = np.empty_like(x)
    native.gelu(x, out)
    np.testing.assert_allclose(out, x.astype(np.float64) * NORMAL(x.astype(np.float64)), rtol=2e-4)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 63, 64, 65, 100])
def test_nothing_behind_the_end_is_written(native, size):
    x = np.linspace(-3, 3, 128).astype(np.float32)
    whole, slopes = np.empty_like(x), np.empty_like(x)
    native.gelu(x, whole)
    native.gelu_backward(x, x, slopes)
    for run, expected in (
        (lambda a, out: native.gelu(a, out), whole),
        (lambda a, out: native.gelu_backward(a, a, out), slopes),
    ):
        out = np.full_like(x, 7)
        run(x[:size], out[:size])
        assert (out[:size] == expected[:size]).all()
        assert (out[size:] == 7).all()


def test_nan_stays(native):
    x = np.array([np.nan, 1], np.float32)
    out = np.empty_like(x)
    native.gelu(x, out)
    assert np.isnan(out[0])
    assert not np.isnan(out[1])
