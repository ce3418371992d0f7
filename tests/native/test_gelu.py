import math

import numpy as np

NORMAL = np.vectorize(lambda x: 0.5 * math.erfc(-x / math.sqrt(2)))


def test_values_and_slopes_equal_the_formula(native):
    x = np.concatenate([np.linspace(-12, 12, 100_001), [1e-30, -0.0, 1e20, -1e20]])
    x = x.astype(np.float32)
    wide = x.astype(np.float64)
    out, slope = np.empty_like(x), np.empty_like(x)
    native.gelu(x, out)
    share = NORMAL(wide)
    assert np.abs(out - wide * share).max(where=np.abs(x) < 20, initial=0) < 1e-6
    native.gelu_backward(np.ones_like(x), x, slope)
    expected = share + wide * np.exp(-0.5 * np.minimum(wide**2, 1e4)) / math.sqrt(2 * math.pi)
    near = np.abs(x) < 20
    assert np.abs(slope - expected).max(where=near, initial=0) < 2e-6
    assert out[-2] == x[-2]


def test_nan_stays(native):
    x = np.array([np.nan, 1], np.float32)
    out = np.empty_like(x)
    native.gelu(x, out)
    assert np.isnan(out[0])
    assert not np.isnan(out[1])
