"""Memory shared with other libraries."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

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


class _DLTensor(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("device_type", ctypes.c_int32),
                ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32), ("code", ctypes.c_uint8),
                ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
                ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64),
                ("context", ctypes.c_void_p), ("deleter", ctypes.c_void_p))  # fmt: skip


class Foreign:
    """Four float32 of another library, described by whatever the test says."""

    def __init__(self, **described: Any) -> None:
        self.memory = (ctypes.c_float * 4)(0.0, 1.0, 2.0, 3.0)
        self.described = _DLTensor(ctypes.addressof(self.memory), 1, 0, 1, 2, 32, 1,
                                   self._longs([4]), self._longs([1]), 0, None, None)  # fmt: skip
        for name, value in described.items():
            is_list = isinstance(value, Sequence)
            setattr(self.described, name, self._longs(value) if is_list else value)

    @staticmethod
    def _longs(values: Sequence[int]) -> Any:
        return ctypes.cast((ctypes.c_int64 * len(values))(*values), ctypes.POINTER(ctypes.c_int64))

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    def __dlpack__(self, **_: Any) -> Any:
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p,
                                                       ctypes.c_void_p)  # fmt: skip
        return new(ctypes.addressof(self.described), b"dltensor", None)


def test_memory_of_another_library_is_read_as_it_describes_it() -> None:
    assert from_dlpack(Foreign()).tolist() == [0, 1, 2, 3]
    assert from_dlpack(Foreign(strides=None)).tolist() == [0, 1, 2, 3]
    assert from_dlpack(Foreign(byte_offset=8, shape=[2])).tolist() == [2, 3]
    assert from_dlpack(Foreign(data=None, shape=[0])).tolist() == []


@pytest.mark.parametrize(
    "described",
    [{"data": None}, {"strides": [-1]}, {"shape": [-4]}, {"shape": [1 << 62]}, {"ndim": 1000},
     {"shape": [1 << 40], "strides": [1 << 22]}, {"lanes": 4}, {"bits": 24}, {"code": 200},
     {"bits": 0}],
    ids=str,
)  # fmt: skip
def test_memory_that_cannot_be_as_described_is_refused(described: dict[str, Any]) -> None:
    for take in (from_dlpack, dtorch.asarray):
        with pytest.raises((ValueError, BufferError, TypeError, RuntimeError)):
            take(Foreign(**described))
