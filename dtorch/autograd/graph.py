"""The graph of recorded operations: its nodes, and hooks on what they save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dtorch.autograd.watched import hooks, pack_saved, start_watching, stop_watching
from dtorch.core.graph import Node
from dtorch.core.record import OpNode

__all__ = ["Node", "saved_tensors_hooks"]


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
        self.pair = (_unwatched(pack_hook), unpack_hook)

    def __enter__(self) -> None:
        hooks.pairs.append(self.pair)
        start_watching(_observe)

    def __exit__(self, *_: object) -> None:
        stop_watching(_observe)
        hooks.pairs.pop()


def _unwatched(pack: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """``pack`` without packing what it saves itself."""

    def run(tensor: Any) -> Any:
        hooks.pairs.append(None)
        try:
            return pack(tensor)
        finally:
            hooks.pairs.pop()

    return run
