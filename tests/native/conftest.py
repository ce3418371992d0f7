"""Tests of the compiled module; without it they are skipped."""

import pytest

from dtorch.core import backend


@pytest.fixture(scope="session")
def native():
    if backend.native is None:
        pytest.skip("dtorch was built or started without its native module")
    return backend.native


@pytest.fixture(params=[1, 3], ids=["one-thread", "three-threads"])
def threads(request, native):
    before = native.get_num_threads()
    native.set_num_threads(request.param)
    yield request.param
    native.set_num_threads(before)
