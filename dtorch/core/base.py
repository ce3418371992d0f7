"""TensorBase: the fields of a tensor, and how a bare array becomes one.

``Tensor`` is a Python class over this small one, so that a compiled TensorBase can take its
place without a change above it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

ndarray = np.ndarray

PLAIN, REQUIRES_GRAD, VOLATILE = 0, 1, 2  # bits of TensorBase._mode


class Version:
    """Counts the in-place changes of a family of tensors over one memory."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


class TensorBase:
    """Fields every tensor has.

    Attributes:
        _array: the NumPy (or CuPy) array, ready for the next operation.
        _mode: PLAIN, REQUIRES_GRAD or VOLATILE; the modes of operands combine by ``|``.
        _grad_fn: node that produced it; None for a leaf.
        _output_nr: which output of that node it is.
        _version: counter shared with its views; None until the first view or in-place change.
        _view: for a view under autograd, how it follows from its base; else None.
        _storage: its Storage; None until somebody asks (a fresh result owns its memory alone).
        _grad: accumulated gradient of a leaf (or a retained one), a tensor or None.
        _hooks: hooks on its gradient; None until the first is registered.
    """

    __slots__ = ("__weakref__", "_array", "_grad", "_grad_fn", "_hooks", "_mode", "_output_nr",
                 "_storage", "_version", "_view")  # fmt: skip

    _array: Any
    _mode: int
    _grad_fn: Any
    _output_nr: int
    _version: Version | None
    _view: Any
    _storage: Any
    _grad: Any
    _hooks: Any


_tensor_type: type[TensorBase] = TensorBase
_new = object.__new__


def register_tensor_type(cls: type[TensorBase]) -> None:
    """Make ``cls`` the class of the tensors that operations return."""
    global _tensor_type
    _tensor_type = cls


def wrap(array: Any) -> Any:
    """A plain tensor over ``array``; nothing is copied."""
    if type(array) is not ndarray and isinstance(array, (np.generic, int, float, complex)):
        array = np.asarray(array)  # NumPy returns scalars where a 0-dim array is meant
    tensor = _new(_tensor_type)
    fill(tensor, array)
    return tensor


def fill(tensor: TensorBase, array: Any) -> None:
    """Set the fields of a new tensor object."""
    tensor._array = array
    tensor._mode = 0
    tensor._grad_fn = None
    tensor._output_nr = 0
    tensor._version = None
    tensor._view = None
    tensor._storage = None
    tensor._grad = None
    tensor._hooks = None


def version_of(tensor: TensorBase) -> int:
    """How often the memory of ``tensor`` was changed in place."""
    version = tensor._version
    return 0 if version is None else version.value


def shared_version(tensor: TensorBase) -> Version:
    """The counter that views of ``tensor`` share with it."""
    version = tensor._version
    if version is None:
        version = tensor._version = Version()
    return version
