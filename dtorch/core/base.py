"""The fields of tensors and nodes, and how a bare array becomes a tensor.

``Tensor`` and ``Node`` are Python classes over these small ones. Where the native module is
built, its compiled twins take their place (same fields, same functions); the classes below say
what they mean, and serve where it is not.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from dtorch.core import backend

ndarray = np.ndarray

PLAIN, REQUIRES_GRAD, VOLATILE = 0, 1, 2  # bits of TensorBase._mode

if backend.native is None or TYPE_CHECKING:

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

    class NodeBase:
        """Fields every node has.

        Attributes:
            edges: for each differentiable input its node, ``(node, output number)`` where that is
                not the first output, a leaf tensor, or None where no gradient is wanted.
            inputs: ``(shape, NumPy dtype)`` for each edge: what its gradient must look like.
            n_outputs: number of outputs.
            seq: position in the order of creation.
            hooks: hooks around the node, or None.
            op, plan, saved, versions, out_like: what `dtorch.core.record.OpNode` records.
        """

        __slots__ = ("__weakref__", "edges", "hooks", "inputs", "n_outputs", "op", "out_like",
                     "plan", "saved", "seq", "versions")  # fmt: skip

        edges: tuple[Any, ...]
        inputs: tuple[tuple[tuple[int, ...], Any], ...]
        n_outputs: int
        seq: int
        hooks: Any
        op: Any
        plan: Any
        saved: tuple[Any, ...] | None
        versions: tuple[int, ...]
        out_like: Any

        def __new__(cls, *args: Any, **kwargs: Any) -> NodeBase:
            node = object.__new__(cls)
            node.seq = _sequence()
            node.n_outputs = 1
            node.hooks = None
            return node

    class SavedOutput:
        """An output kept for the gradient, without its link to the graph: that would be a cycle."""

        __slots__ = ("array", "nr", "version")

        def __init__(self, tensor: TensorBase, nr: int) -> None:
            self.array = tensor._array
            self.nr = nr
            self.version = shared_version(tensor)

    _sequence = count().__next__
    _tensor_type: type[TensorBase] = TensorBase
    _new = object.__new__

    def register_tensor_type(cls: type[TensorBase]) -> None:
        """Make ``cls`` the class of the tensors that operations return."""
        global _tensor_type  # noqa: PLW0603 - set once, when core.tensor is imported
        _tensor_type = cls

    def wrap(array: Any) -> Any:
        """A plain tensor over ``array``; nothing is copied."""
        tensor = _new(_tensor_type)
        fill(tensor, array)
        return tensor

    def fill(tensor: TensorBase, array: Any) -> None:
        """Set the fields of a new tensor object."""
        if type(array) is not ndarray and isinstance(array, (np.generic, int, float, complex)):
            array = np.asarray(array)  # NumPy returns scalars where a 0-dim array is meant
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

else:
    NodeBase = backend.native.NodeBase
    SavedOutput = backend.native.SavedOutput
    TensorBase = backend.native.TensorBase
    Version = backend.native.Version
    fill = backend.native.fill
    register_tensor_type = backend.native.register_tensor_type
    shared_version = backend.native.shared_version
    version_of = backend.native.version_of
    wrap = backend.native.wrap
