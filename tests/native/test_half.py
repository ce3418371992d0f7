import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

BF16 = np.dtype(ml_dtypes.bfloat16)
F32 = np.dtype(np.float32)


def same(found, expected):
    """Bit for bit; NaN may be any."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    with np.errstate(invalid="ignore"):
        nan = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(found), nan)
    bits = f"u{found.itemsize}"
    np.testing.assert_array_equal(found[~nan].view(bits), expected[~nan].view(bits))


@settings(max_examples=100, deadline=None)
@given(bits=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=70))
def test_float32_is_rounded_to_the_nearest_bfloat16(native, bits):
    x = np.array(bits, np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        same(native.convert(x, BF16), x.astype(BF16))


def test_every_bfloat16_is_widened_and_rounded_back(native):
    every = np.arange(2**16, dtype=np.uint16).view(BF16)
    wide = native.convert(every, F32)
    same(wide, every.astype(F32))
    same(native.convert(wide, BF16), every)


@pytest.mark.parametrize("tie", [0x3F808000, 0x3F818000, 0x7F7F8000, 0x7F800001, 0xFF80FFFF])
def test_ties_overflow_and_nan(native, tie):
    x = np.full(37, tie, np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        same(native.convert(x, BF16), x.astype(BF16))


@pytest.mark.usefixtures("threads")
def test_large_arrays_in_any_order(native):
    x = np.random.default_rng(0).standard_normal((130, 300, 3)).astype(np.float32)
    for array in (x, np.asfortranarray(x), x[::2], x.transpose(1, 0, 2), x[:0]):
        found = native.convert(array, BF16)
        same(found, array.astype(BF16))
        same(native.convert(found, F32), found.astype(F32))
    assert native.convert(np.asfortranarray(x), BF16).flags.f_contiguous


def test_other_dtypes_are_converted_by_numpy(native):
    x = np.arange(5.0)
    for dtype in (np.float16, np.int32, BF16):
        same(native.convert(x, np.dtype(dtype)), x.astype(dtype))
