"""Changes in place: what is checked before, what is written, and what becomes of the history."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from dtorch.core.arrays import Array
from dtorch.core.backend import compiled
from dtorch.core.base import (
    INFERENCE,
    REQUIRES_GRAD,
    VOLATILE,
    TensorBase,
    counter_of,
    shared_version,
    wrap,
)
from dtorch.core.dtype import as_dtype, from_numpy_dtype
from dtorch.core.errors import DtypeError, GradError, ShapeError, StorageError
from dtorch.core.grad_mode import mode
from dtorch.core.graph import Node
from dtorch.core.record import CopySlices
from dtorch.core.shapes import each_once, repeats


def write(name: str, out: Any, result: Any, combined: int) -> None:
    if not isinstance(out, TensorBase):
        raise TypeError(f"{name}: out is {type(out).__name__}, expected a tensor")
    if mode.enabled and (combined == REQUIRES_GRAD or out._mode == REQUIRES_GRAD):
        raise GradError(f"{name}: out= has no gradient; call it under no_grad() or without out=")
    target = from_numpy_dtype(out._array.dtype)
    source = from_numpy_dtype(result.dtype)
    if source.category > target.category:
        raise DtypeError(f"{name}: result of {source} cannot be written into out of {target}")
    if out._array.shape != result.shape:
        out.resize_(result.shape)  # type: ignore[attr-defined]
    expect_writable(f"{name}: out", out)
    out._array[...] = result
    bump(out)


def expect_dtype_of_out(name: str, out: Any, wanted: Any) -> None:
    """Complain if a dtype is asked for that is not that of ``out``.

    Raises:
        DtypeError: it is another.
    """
    if wanted is None or not isinstance(out, TensorBase):
        return
    own = from_numpy_dtype(out._array.dtype)
    if as_dtype(wanted) is not own:
        raise DtypeError(f"{name}: dtype is {as_dtype(wanted)}, that of out {own}, expected one")


def several(name: str, out: Any, count: int) -> Sequence[Any]:
    """``out`` of an operation with so many results."""
    if not isinstance(out, (tuple, list)) or len(out) != count:
        raise TypeError(f"{name}: out is {out!r}, expected {count} tensors")
    return out


def expect_apart(name: str, out: Any, values: Sequence[Any]) -> None:
    """Complain if ``out`` shares a part of its elements with an operand: all of them, at the same
    places, or none.

    Raises:
        ShapeError: a part is shared.
    """
    if isinstance(out, (list, tuple)):
        for each in out:
            expect_apart(name, each, values)
        return
    target = getattr(out, "_array", None)
    for value in values:
        if isinstance(value, (list, tuple)):
            expect_apart(name, out, value)
            continue
        array = getattr(value, "_array", None)
        if not (isinstance(array, np.ndarray) and isinstance(target, np.ndarray)):
            continue
        if not np.may_share_memory(array, target) or _same_places(array, target):
            continue
        with suppress(np.exceptions.TooHardError):
            if np.shares_memory(array, target, _EASY):  # type: ignore[arg-type]  # any number
                raise ShapeError(
                    f"{name}: out has some elements in common with an operand, of shapes "
                    f"{tuple(target.shape)} and {tuple(array.shape)}; clone() the operand first"
                )


_EASY = 10_000  # candidates to try, as NumPy counts them


def _same_places(one: Any, other: Any) -> bool:
    places = [(a.__array_interface__["data"], a.strides, a.shape) for a in (one, other)]
    return places[0] == places[1]


def expect_writable(name: str, target: TensorBase) -> None:
    """Complain unless each element has a place of its own that can be written.

    Raises:
        ShapeError: elements share their place, as those of an expanded tensor do.
        StorageError: the memory is read-only.
    """
    array = target._array
    if repeats(array):
        raise ShapeError(
            f"{name}: elements of the tensor of shape {tuple(array.shape)} share memory (it was "
            "expanded); clone() it first"
        )
    _unlock(name, array, target)


def _unlock(name: str, array: Array, target: TensorBase) -> None:
    """Allow to write to an array of elements that do not repeat, even if it is part of an expanded
    one, which NumPy protects."""
    if not isinstance(array, np.ndarray) or array.flags.writeable:
        return
    storage: Any = target._storage
    if storage is not None and storage.is_writable():
        with suppress(ValueError):
            array.flags.writeable = True
    if not array.flags.writeable:
        raise StorageError(
            f"{name}: the memory of the tensor of shape {tuple(array.shape)} is read-only, as the "
            "array or the file was from which it came; clone() it first"
        )


def overwrite(name: str, target: TensorBase, value: Any) -> None:
    """Write one value everywhere, to places that several elements share too."""
    array = target._array
    once = each_once(array) if 0 in array.strides else array
    _unlock(name, once, target)
    once.fill(value)  # sparse ones, too


@compiled
def bump(tensor: TensorBase) -> None:
    """Note an in-place change."""
    shared_version(tensor).value += 1


def check_inplace(name: str, target: Any, combined: int) -> bool:
    """Whether an in-place change of ``target`` is recorded.

    Args:
        combined: the modes of all operands.
    Raises:
        GradError: it is a leaf that requires grad, a view of one, or one of several views.
        ShapeError: elements of it overlap in memory.
        StorageError: its memory is read-only.
    """
    recorded = check_history(name, target, combined)
    expect_writable(name, target)
    return recorded


def check_history(name: str, target: Any, combined: int) -> bool:
    """`check_inplace` of changes for which elements may share their place."""
    if not isinstance(target, TensorBase):
        raise TypeError(f"{name}: got {type(target).__name__}, expected a tensor")
    array = target._array
    if combined & INFERENCE and target._mode == INFERENCE and not mode.inference:
        raise GradError(
            f"{name}: the tensor was made in inference mode and cannot be changed outside; "
            "clone() it first"
        )
    if not mode.enabled:
        return False
    view = target._view
    if target._mode == REQUIRES_GRAD:
        if target._grad_fn is None:
            raise GradError(
                f"{name}: the tensor is a leaf that requires grad; change it under no_grad(), or "
                "work on a clone()"
            )
        if view is not None and _is_leaf_that_requires_grad(view.base):
            raise GradError(
                f"{name}: the tensor is a view of a leaf that requires grad; change it under "
                "no_grad(), or work on a clone()"
            )
    elif view is not None and view.base._mode == REQUIRES_GRAD and array.dtype.kind in "fcV":
        raise GradError(
            f"{name}: the tensor is a view, made under no_grad(), of one that requires grad; make "
            "the view outside, or change it under no_grad()"
        )
    if combined & VOLATILE or not combined & REQUIRES_GRAD or array.dtype.kind not in "fcV":
        return False
    if view is not None and view.several:
        raise GradError(
            f"{name}: the tensor is one of several views made by one call (split, chunk, unbind) or "
            "one that a custom Function made; use narrow or indexing to change a part in place, or "
            "clone() it first"
        )
    return True


def _is_leaf_that_requires_grad(tensor: TensorBase) -> bool:
    return tensor._mode == REQUIRES_GRAD and tensor._grad_fn is None


def check_fits_inplace(name: str, array: Array, result: Any) -> None:
    """Complain unless ``result`` can overwrite ``array``."""
    if result.shape != array.shape:
        raise ShapeError(
            f"{name}: the result has shape {tuple(result.shape)}, the tensor "
            f"{tuple(array.shape)}; in place it cannot grow"
        )
    if result.dtype != array.dtype:
        source, target = from_numpy_dtype(result.dtype), from_numpy_dtype(array.dtype)
        if source.category > target.category:
            raise DtypeError(
                f"{name}: the result is {source}, which a tensor of {target} cannot hold in place"
            )


def share_memory(one: Any, other: TensorBase) -> bool:
    """Whether ``one`` is ``other`` or a view of the same memory."""
    if one is other or not isinstance(one, TensorBase):
        return one is other
    counter = counter_of(one)
    return counter is not None and counter is counter_of(other)


def copy_with_history(tensor: TensorBase) -> Any:
    """A copy of the memory that stands at the same place of the graph."""
    copy = wrap(tensor._array.copy())
    copy._mode = tensor._mode
    copy._grad_fn = tensor._grad_fn
    copy._output_nr = tensor._output_nr
    return copy


def rebase(target: TensorBase, node: Node, through_self: bool, nr: int = 0) -> None:
    """Make ``node`` the history of ``target`` after an in-place change.

    For a view the history of its base is rewritten, and every view of that base follows anew.
    """
    view = target._view
    if view is None:
        _set_history(target, node, nr)
        base = target
    else:
        base = view.base
        _set_history(base, CopySlices(base, view, node, through_self))
    for tensor in _views_of(base):
        _follow_again(tensor)


def _views_of(base: TensorBase) -> list[TensorBase]:
    storage = base._storage
    if storage is None:
        return []
    return [t for t in storage.tensors() if t._view is not None and t._view.base is base]


def _set_history(tensor: TensorBase, node: Node, nr: int = 0) -> None:
    tensor._grad_fn = node
    tensor._output_nr = nr
    tensor._mode = REQUIRES_GRAD


def _follow_again(tensor: TensorBase) -> None:
    """Give a view the history that repeating its view operations on the base gives."""
    fresh = tensor._view.base
    for op, args, nr in tensor._view.steps:
        fresh = op.function(fresh, *args)
        fresh = fresh if nr is None else fresh[nr]
    tensor._grad_fn = fresh._grad_fn
    tensor._output_nr = fresh._output_nr
    tensor._mode = fresh._mode


class Overwritten(Node):
    """The history of a tensor after a change that depends on nothing that requires grad."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__((), ())

    def apply(self, grad: Any, create_graph: bool) -> tuple[()]:
        return ()


def cut_history(target: TensorBase) -> None:
    """After an in-place change that passes no gradient on: to the old values, zero goes."""
    rebase(target, Overwritten(), through_self=False)


def become_volatile(target: TensorBase) -> None:
    """After an in-place change by a volatile operand: nothing over this memory has a history."""
    base = target if target._view is None else target._view.base
    for tensor in (target, base, *_views_of(base)):
        tensor._mode = VOLATILE
        tensor._grad_fn = None
        tensor._output_nr = 0
