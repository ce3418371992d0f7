"""The fields of tensors and nodes, and how a bare array becomes a tensor.

``Tensor`` and ``Node`` are Python classes over these small ones, which are compiled where the native
module is built; the classes below say what they mean, and serve where it is not.
"""

from __future__ import annotations

import weakref
from itertools import count
from typing import Any, TypeGuard

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import compiled, tell

ndarray = np.ndarray

PLAIN, REQUIRES_GRAD, VOLATILE, INFERENCE = 0, 1, 2, 4  # bits of TensorBase._mode
tell("set_modes", PLAIN, REQUIRES_GRAD, VOLATILE, INFERENCE)


@compiled
class Version:
    """Counts the in-place changes of a family of tensors over one memory."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0


@compiled
class TensorBase:
    """Fields every tensor has.

    Attributes:
        _array: the NumPy (or CuPy) array, ready for the next operation.
        array: the same for packages above core, which reach the memory by this name alone.
        _mode: PLAIN, REQUIRES_GRAD, VOLATILE, or INFERENCE (made by `inference_mode` from
            tensors that require grad); the modes of operands combine by ``|``.
        _grad_fn: node that produced it; None for a leaf.
        _output_nr: which output of that node it is.
        _counter: `Version` shared with its views; None until the first view or change in
            place. Reached by `counter_of`; ``tensor._version`` is the number it stands at.
        _view: for a view under autograd, how it follows from its base; else None.
        _storage: its Storage; None until somebody asks (a fresh result owns its memory alone).
        _grad: accumulated gradient of a leaf (or a retained one), a tensor or None.
        _hooks: hooks on its gradient; None until the first is registered.
    """

    __slots__ = ("__weakref__", "_array", "_counter", "_grad", "_grad_fn", "_hooks", "_mode",
                 "_output_nr", "_storage", "_view")  # fmt: skip

    _array: Any
    array: Array
    _mode: int
    _grad_fn: Any
    _output_nr: int
    _counter: Version | None
    _view: Any
    _storage: Any
    _grad: Any
    _hooks: Any


# The same field under another name, at the same price; a kind of tensor that has no memory of its
# own may define it otherwise.
TensorBase.array = TensorBase._array  # type: ignore[misc]  # what the class has: a descriptor


@compiled
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


@compiled
class SavedOutput:
    """An output kept for the gradient, without its link to the graph: that would be a cycle."""

    __slots__ = ("array", "nr", "version")

    def __init__(self, tensor: TensorBase, nr: int) -> None:
        self.array = tensor._array
        self.nr = nr
        self.version = shared_version(tensor)


@compiled
class StorageBase:
    """Knows the tensors that view one piece of memory, by weak references."""

    __slots__ = ("__weakref__", "_sweep_at", "_tensors")

    def __init__(self) -> None:
        self._tensors: list[weakref.ref[TensorBase]] = []
        self._sweep_at = 64

    def track(self, tensor: TensorBase) -> None:
        """Remember that ``tensor`` views this memory."""
        if len(self._tensors) >= self._sweep_at:
            self._tensors[:] = [ref for ref in self._tensors if self._views(ref())]
            self._sweep_at = max(64, 2 * len(self._tensors))
        self._tensors.append(weakref.ref(tensor))
        tensor._storage = self

    def tensors(self) -> list[TensorBase]:
        """The living tensors that view this memory."""
        return [tensor for ref in self._tensors if self._views(tensor := ref())]

    def _views(self, tensor: TensorBase | None) -> TypeGuard[TensorBase]:
        return tensor is not None and tensor._storage is self


@compiled
class View:
    """How a view follows from the tensor whose history in-place changes rewrite.

    Attributes:
        base: that tensor; not itself a view.
        steps: ``(operation, arguments after the input, output number or None)`` for each view
            operation from the base on.
        several: whether it is one of several outputs of a view operation.
    """

    __slots__ = ("base", "several", "steps")

    def __init__(
        self, input: TensorBase, op: Any, args: tuple[Any, ...], nr: int | None, several: bool
    ) -> None:
        before = input._view
        self.base: TensorBase = input if before is None else before.base
        self.steps = (*(() if before is None else before.steps), (op, args, nr))
        self.several = several or (before is not None and before.several)

    def rebased(self, base: TensorBase) -> View:
        """The same steps from another base."""
        view = object.__new__(View)
        view.base, view.steps, view.several = base, self.steps, self.several
        return view


_sequence = count().__next__
_storage_type: Any = None
_tensor_type: type[TensorBase] = TensorBase
_new = object.__new__


@compiled
def register_tensor_type(cls: type[TensorBase]) -> None:
    """Make ``cls`` the class of the tensors that operations return."""
    global _tensor_type  # set once, when core.tensor is imported
    _tensor_type = cls


@compiled
def register_storage_type(cls: type[StorageBase]) -> None:
    """Make ``cls`` the class of the storages that views make."""
    global _storage_type  # set once, when core.storage is imported
    _storage_type = cls


@compiled
def wrap(array: Any) -> Any:
    """A plain tensor over ``array``; nothing is copied."""
    tensor = _new(_tensor_type)
    # As `fill` does; the call would be a tenth of a small operation.
    if type(array) is not ndarray and isinstance(array, (np.generic, int, float, complex)):
        array = np.asarray(array)
    tensor._array = array
    tensor._mode = tensor._output_nr = 0
    tensor._grad_fn = tensor._counter = tensor._view = None
    tensor._storage = tensor._grad = tensor._hooks = None
    return tensor


@compiled
def fill(tensor: TensorBase, array: Any) -> None:
    """Set the fields of a new tensor object."""
    if type(array) is not ndarray and isinstance(array, (np.generic, int, float, complex)):
        array = np.asarray(array)  # NumPy returns scalars where a 0-dim array is meant
    tensor._array = array
    tensor._mode = 0
    tensor._grad_fn = None
    tensor._output_nr = 0
    tensor._counter = None
    tensor._view = None
    tensor._storage = None
    tensor._grad = None
    tensor._hooks = None


@compiled
def version_of(tensor: TensorBase) -> int:
    """How often the memory of ``tensor`` was changed in place."""
    version = tensor._counter
    return 0 if version is None else version.value


@compiled
def shared_version(tensor: TensorBase) -> Version:
    """The counter that views of ``tensor`` share with it."""
    version = tensor._counter
    if version is None:
        version = tensor._counter = Version()
    return version


counter_of = TensorBase._counter.__get__  # type: ignore[union-attr, misc]  # a slot
set_counter = TensorBase._counter.__set__  # type: ignore[union-attr, misc]


@compiled
def wrap_view(
    input: TensorBase, array: Any, op: Any, args: tuple[Any, ...], nr: int | None, several: bool
) -> Any:
    """A tensor over ``array``, a view of the memory of ``input``; it has no history yet.

    Args:
        op, args, nr: the operation, its arguments after the input, and which of its outputs.
        several: whether the operation has several outputs.
    """
    if input._storage is None:
        _storage_type(input._array).track(input)
    view = wrap(array)
    view._counter = shared_version(input)
    view._view = View(input, op, args, nr, several)
    input._storage.track(view)
    return view
