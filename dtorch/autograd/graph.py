"""The graph of recorded operations: its nodes, and hooks on what they save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtorch.autograd.watched import hooks, pack_saved
from dtorch.core.dispatch import watch
from dtorch.core.graph import Node
from dtorch.core.interrupts import completed
from dtorch.core.record import OpNode

__all__ = ["Node", "save_on_cpu", "saved_tensors_hooks"]


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
