import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

BF16 = np.dtype(ml_dtypes.bfloat16)
F16 = np.dtype(np.float16)
F32 = np.dtype(np.float32)


def same(found, expected):
    """Bit for bit; NaN may be any."""
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    with np.errstate(invalid="ignore"):
        nan = np.isnan(expected)
        np.testing.assert_array_equal(np.isnan(found), nan)
    bits = f"u{found.itemsize}"
    np.testing.assert_array_equal(found[~nan].view(bits), expected[~nan].view(bits))


pytestmark = pytest.mark.filterwarnings("ignore:overflow encountered in cast")  # NumPy's


@pytest.mark.parametrize("half", [BF16, F16], ids=str)
@settings(max_examples=100, deadline=None)
@given(bits=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=70))
def test_float32_is_rounded_to_the_nearest(native, half, bits):
    x = np.array(bits, np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        same(native.convert(x, half), x.astype(half))


def test_floats_around_those_of_float16_are_rounded_to_the_nearest(native):
    every = np.arange(2**16, dtype=np.uint16).view(F16).astype(F32).view(np.int32)
    for delta in (-0x1001, -0x1000, -0xFFF, -1, 1, 0xFFF, 0x1000, 0x1001):
        x = (every + delta).view(F32)
        with np.errstate(invalid="ignore"):
            same(native.convert(x, F16), x.astype(F16))
    tiny = (np.arange(-(2**13), 2**13) * 2.0**-26).astype(F32)  # quarters of the smallest steps
    same(native.convert(tiny, F16), tiny.astype(F16))


@pytest.mark.parametrize("half", [BF16, F16], ids=str)
def test_every_half_is_widened_and_rounded_back(native, half):
    every = np.arange(2**16, dtype=np.uint16).view(half)
    wide = native.convert(every, F32)
    same(wide, every.astype(F32))
    same(native.convert(wide, half), every)


@pytest.mark.parametrize("tie", [0x3F808000, 0x3F818000, 0x7F7F8000, 0x7F800001, 0xFF80FFFF])
def test_ties_overflow_and_nan(native, tie):
    x = np.full(37, tie, np.uint32).view(np.float32)
    with np.errstate(invalid="ignore"):
        same(native.convert(x, BF16), x.astype(BF16))


@pytest.mark.parametrize("half", [BF16, F16], ids=str)
@pytest.mark.usefixtures("threads")
def test_large_arrays_in_any_order(native, half):
    x = np.random.default_rng(0).standard_normal((130, 300, 3)).astype(np.float32)
    for array in (x, np.asfortranarray(x), x[::2], x.transpose(1, 0, 2), x[:0]):
        found = native.convert(array, half)
        same(found, array.astype(half))
        same(native.convert(found, F32), found.astype(F32))
    assert native.convert(np.asfortranarray(x), half).flags.f_contiguous


def test_other_dtypes_are_converted_by_numpy(native):
    x = np.arange(5.0)
    for dtype in (F16, np.int32, BF16):
        same(native.convert(x, np.dtype(dtype)), x.astype(dtype))
    swapped = x.astype(">f2")
    same(native.convert(swapped, F32), x.astype(F32))
    assert native.convert(x.astype(F32), swapped.dtype).tobytes() == swapped.tobytes()
