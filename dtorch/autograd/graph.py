"""The graph of recorded operations: its nodes, and hooks on what they save."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from dtorch.autograd.watched import hooks, pack_saved
from dtorch.core.dispatch import watch
from dtorch.core.engine import at_end_of_backward
from dtorch.core.errors import ArgumentError
from dtorch.core.graph import Node, RemovableHandle
from dtorch.core.interrupts import completed
from dtorch.core.record import OpNode

__all__ = ["Node", "register_multi_grad_hook", "save_on_cpu", "saved_tensors_hooks"]


_pairs: dict[int, Any] = {}  # of all threads, each as often as it is entered


def _observe(node: Any) -> None:
    if isinstance(node, OpNode) and hooks.pairs and hooks.pairs[-1] is not None:
        pack_saved(node)


class saved_tensors_hooks:  # noqa: N801 - the public name of the reference API
    """In the block, keep for gradients what ``pack_hook`` makes of tensors.

    Args:
        pack_hook: called with each tensor that an operation saves; returns anything.
        unpack_hook: called with that when the gradient needs it; returns a tensor of the same
            values.

    Example:
        >>> import dtorch
        >>> x = dtorch.ones(2, requires_grad=True)
        >>> with saved_tensors_hooks(lambda t: t.half(), lambda kept: kept.float()):
        ...     y = (x * x).sum()
        >>> y.backward()
        >>> x.grad
        tensor([2., 2.])
    """

    def __init__(self, pack_hook: Callable[[Any], Any], unpack_hook: Callable[[Any], Any]) -> None:
        self.hooks = (_unwatched(pack_hook), unpack_hook)

    def __enter__(self) -> None:
        pair = (*self.hooks,)
        _pairs[id(pair)] = pair
        try:
            watch(_observe, True)
        except BaseException:
            _forget(pair)
            raise
        hooks.pairs += [pair]

    @completed
    def __exit__(self, *_: object) -> None:
        _forget(hooks.pairs[-1])
        del hooks.pairs[-1]


class save_on_cpu(saved_tensors_hooks):  # noqa: N801 - the public name of the reference API
    """In the block, keep what gradients need in the memory of the CPU, and bring it back to its
    device when it is needed.

    Args:
        pin_memory: of no effect where there is no card.

    Example:
        >>> import dtorch
        >>> x = dtorch.ones(2, requires_grad=True)
        >>> with save_on_cpu():
        ...     y = (x * x).sum()
        >>> y.backward()
        >>> x.grad
        tensor([2., 2.])
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(
            lambda tensor: (tensor.device, tensor.cpu()), lambda kept: kept[1].to(kept[0])
        )


@completed
def _forget(pair: Any) -> None:
    _pairs.pop(id(pair), None)
    watch(_observe, bool(_pairs))


def _unwatched(pack: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``pack`` without packing what it saves itself."""

    def run(tensor: Any) -> Any:
        hooks.pairs += [None]
        try:
            return pack(tensor)
        finally:
            del hooks.pairs[-1]

    return run


class _Arrived(dict[int, Any]):
    """Gradients of one backward pass by the place of their tensors; the end of the pass holds it."""


class _Passes(threading.local):
    """The pass under way in this thread, if there is one."""

    arrived: Callable[[], _Arrived | None] = staticmethod(lambda: None)


class _Handles(RemovableHandle):
    """Removes several hooks."""

    __slots__ = ("handles",)

    def __init__(self, handles: Sequence[RemovableHandle]) -> None:
        super().__init__({})
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()


def register_multi_grad_hook(
    tensors: Sequence[Any], fn: Callable[[Any], Any], *, mode: str = "all"
) -> RemovableHandle:
    """Call ``fn`` once in each backward pass that reaches one of several tensors.

    Args:
        tensors: each requires grad.
        fn: called with a list of the gradients, None for tensors that got none; with ``mode="any"``
            with the gradient that comes first. What it returns is ignored.
        mode: ``"all"`` to wait for the gradients of all, until the pass has ended; or ``"any"``.

    Returns: a handle; its ``remove`` takes the hook away.

    Raises:
        GradError: a tensor does not require grad.

    Example:
        >>> import dtorch
        >>> x, y = dtorch.ones(1, requires_grad=True), dtorch.ones(1, requires_grad=True)
        >>> handle = register_multi_grad_hook((x, y), print)
        >>> (x * 2).sum().backward()
        [tensor([2.]), None]
    """
    if mode not in ("all", "any"):
        raise ArgumentError(f"register_multi_grad_hook: mode is {mode!r}, expected 'all' or 'any'")
    passes = _Passes()

    def begin(grad: Any) -> _Arrived:
        arrived = _Arrived()

        def end() -> None:
            if mode == "all":
                fn([arrived.get(place) for place in range(len(tensors))])
            passes.arrived = lambda: None

        at_end_of_backward(end)
        passes.arrived = weakref.ref(arrived)
        if mode == "any":
            fn(grad)
        return arrived

    def hook_of(place: int) -> Callable[[Any], None]:
        def hook(grad: Any) -> None:
            arrived = passes.arrived()
            if arrived is None:
                arrived = begin(grad)
            arrived[place] = grad

        return hook

    return _Handles([tensor.register_hook(hook_of(i)) for i, tensor in enumerate(tensors)])
