import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given, strategies as st


@pytest.fixture(scope="module")
def crc32(native):
    if not hasattr(native, "crc32"):
        pytest.skip("this processor has no carry-less multiplication")
    return native.crc32


@given(data=st.data())
def test_checksums_of_any_length_and_start_are_those_of_zlib(crc32, data):
    source = np.random.default_rng(data.draw(st.integers(0, 9))).bytes(2000)
    begin = data.draw(st.integers(0, 70))
    end = data.draw(st.integers(begin, 2000))
    part, value = memoryview(source)[begin:end], data.draw(st.integers(0, 2**32 - 1))
    assert crc32(part, value) == zlib.crc32(part, value)


def test_large_checksums_are_those_of_zlib(crc32):
    data = np.random.default_rng(0).bytes(3 << 20)
    assert crc32(data) == zlib.crc32(data)
    assert crc32(data[5:], crc32(data[:5])) == zlib.crc32(data)


def test_something_without_bytes_is_refused(crc32):
    with pytest.raises(TypeError, match="bytes-like"):
        crc32("text")
    with pytest.raises(BufferError):
        crc32(memoryview(bytes(8))[::2])


@pytest.mark.parametrize("capability", ["baseline", "avx2"])
def test_lower_capabilities_give_the_same_or_leave_it_to_zlib(crc32, capability):
    code = (
        "from dtorch.core import backend; from dtorch.serialization.archive import crc32; import zlib;"
        f"assert hasattr(backend.native, 'crc32') == {capability != 'baseline'};"
        "data = bytes(range(256)) * 40; assert crc32(data, 7) == zlib.crc32(data, 7)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60,
                   env={**os.environ, "DTORCH_CPU_CAPABILITY": capability})  # fmt: skip
