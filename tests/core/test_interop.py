"""Memory shared with other libraries."""

from __future__ import annotations

import numpy as np
import pytest

import dtorch
from dtorch.core.backend import native
from dtorch.core.interop import from_dlpack


@pytest.mark.parametrize("name", ["float32", "float64", "int64", "uint8", "complex64", "bool"])
def test_dlpack_shares_memory_both_ways(name: str) -> None:
    x = dtorch.ones(2, 3, dtype=name)
    array = np.from_dlpack(x)
    assert np.shares_memory(array, x.numpy())
    back = from_dlpack(array)
    assert back.dtype is x.dtype
    x.zero_()
    assert not back.any()


def test_dlpack_of_a_tensor_that_requires_grad_is_refused() -> None:
    x = dtorch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        np.from_dlpack(x)
    assert np.from_dlpack(x.detach()).tolist() == [1, 1]


def test_from_dlpack_names_what_it_was_given() -> None:
    with pytest.raises(TypeError, match="list"):
        from_dlpack([1, 2])


def test_namespace_is_the_package_and_knows_its_dtypes() -> None:
    namespace = dtorch.ones(1).__array_namespace__(api_version="2023.12")
    assert namespace is dtorch
    info = dtorch.__array_namespace_info__()
    assert info.dtypes(kind="real floating") == {
        "float32": dtorch.float32,
        "float64": dtorch.float64,
    }
    assert info.default_dtypes()["integral"] is dtorch.int64
    with pytest.raises(ValueError, match="kind"):
        info.dtypes(kind="text")
    with pytest.raises(ValueError, match="1999"):
        dtorch.ones(1).__array_namespace__(api_version="1999.1")


@pytest.mark.skipif(native is None, reason="the buffer protocol is the compiled class's")
def test_memoryview_shares_memory() -> None:
    x = dtorch.zeros(2, 3)
    view = memoryview(x)
    assert view.shape == (2, 3)
    assert view.format == "f"
    view[1, 2] = 7.0
    assert x[1, 2].item() == 7
    with pytest.raises(BufferError, match="grad"):
        memoryview(dtorch.ones(1, requires_grad=True))


def test_numpy_functions_take_tensors() -> None:
    assert np.asarray(dtorch.arange(3)).tolist() == [0, 1, 2]
    assert isinstance(np.ones(2) * dtorch.ones(2), dtorch.Tensor)
