"""Exchange of memory with other libraries: DLPack, and the array API's namespace.

Standards: DLPack (https://dmlc.github.io/dlpack), Python array API 2024.12.
"""

from __future__ import annotations

from typing import Any

from dtorch.core import dtype as dtypes
from dtorch.core.base import REQUIRES_GRAD, TensorBase, wrap
from dtorch.core.creation import array_from_dlpack
from dtorch.core.device import CPU, device
from dtorch.core.dtype import default_complex, dtype, from_numpy_dtype, get_default_dtype
from dtorch.core.errors import ArgumentError, GradError
from dtorch.core.op import method

_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")
_KINDS = {
    "bool": [dtypes.bool_],
    "signed integer": [dtypes.int8, dtypes.int16, dtypes.int32, dtypes.int64],
    "unsigned integer": [dtypes.uint8],
    "real floating": [dtypes.float32, dtypes.float64],
    "complex floating": [dtypes.complex64, dtypes.complex128],
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]


def from_dlpack(ext_tensor: Any) -> Any:
    """A tensor over the memory of an object of another library that offers ``__dlpack__``.

    >>> import numpy as np
    >>> from_dlpack(np.arange(3.0))
    tensor([0., 1., 2.], dtype=dtorch.float64)

    Raises:
        TypeError: the object has no ``__dlpack__``.
        ArgumentError: its strides are negative, or it has elements and no memory.
    """
    if isinstance(ext_tensor, TensorBase):
        return ext_tensor.detach()  # type: ignore[attr-defined]  # a method of Tensor
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(
            f"from_dlpack: got {type(ext_tensor).__name__}, expected an object with __dlpack__"
        )
    array = array_from_dlpack("from_dlpack", ext_tensor)
    from_numpy_dtype(array.dtype)
    return wrap(array)


def _dlpack(
    self: Any, *, stream: Any = None, max_version: Any = None, dl_device: Any = None,
    copy: bool | None = None,
) -> Any:  # fmt: skip
    """A DLPack capsule over the memory of the tensor.

    Raises:
        GradError: the tensor requires grad; export ``detach()``.
    """
    if self._mode == REQUIRES_GRAD:
        raise GradError("__dlpack__: the tensor requires grad; export detach()")
    return self._array.__dlpack__(
        stream=stream, max_version=max_version, dl_device=dl_device, copy=copy
    )


def _dlpack_device(self: Any) -> tuple[int, int]:
    """The kind and number of the device, as DLPack counts them."""
    kind, number = self._array.__dlpack_device__()
    return int(kind), int(number)


def _array_namespace(self: Any, *, api_version: str | None = None) -> Any:
    """The module whose functions work on tensors, by the array API standard."""
    if api_version is not None and api_version not in _VERSIONS:
        raise ArgumentError(
            f"__array_namespace__: version {api_version} is not supported, only "
            f"{', '.join(_VERSIONS)}"
        )
    return _Namespace.module


class _Namespace:
    module: Any = None


def set_namespace(module: Any) -> None:
    """Say which module's functions work on tensors."""
    _Namespace.module = module


method("__dlpack__", _dlpack)
method("__dlpack_device__", _dlpack_device)
method("__array_namespace__", _array_namespace)


class NamespaceInfo:
    """What the array API standard asks about a namespace."""

    def capabilities(self) -> dict[str, Any]:
        """Boolean indexing, shapes that depend on data, and the largest number of dims."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> device:
        """Where tensors are made."""
        return CPU

    def devices(self) -> list[device]:
        """Where tensors can be made without further packages."""
        return [CPU]

    def default_dtypes(self, *, device: Any = None) -> dict[str, dtype]:
        """Types of numbers that come without one."""
        return {
            "real floating": get_default_dtype(),
            "complex floating": default_complex(),
            "integral": dtypes.int64,
            "indexing": dtypes.int64,
        }

    def dtypes(
        self, *, device: Any = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, dtype]:
        """All types, or those of a kind such as ``"real floating"``.

        Raises:
            ArgumentError: an unknown kind.
        """
        kinds = ("bool", "numeric") if kind is None else (kind,) if isinstance(kind, str) else kind
        found: dict[str, dtype] = {}
        for name in kinds:
            if name not in _KINDS:
                raise ArgumentError(f"dtypes: kind is {name!r}, expected one of {sorted(_KINDS)}")
            found.update({d.name: d for d in _KINDS[name]})
        return found


def __array_namespace_info__() -> NamespaceInfo:  # noqa: N807 - the name in the standard
    """Capabilities, devices and dtypes of this namespace, by the array API standard."""
    return NamespaceInfo()
