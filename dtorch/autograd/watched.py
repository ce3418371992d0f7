"""Watching the graph: what anomaly mode, saved-tensor hooks and the profiler share.

While somebody watches, operations take no short cut, every new node is shown to the observers,
and its backward runs through `watched_apply`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from dtorch.core.base import REQUIRES_GRAD, SavedOutput, TensorBase, version_of, wrap
from dtorch.core.graph import Node, check_version, edge_of
from dtorch.core.record import OpNode

# Called with (node, its gradients, start in ns) after the backward of a node.
after_backward: list[Callable[[Any, Sequence[Any], int], None]] = []


class WatchedNode(OpNode):
    """An operation's node whose backward is watched, or whose saved tensors are packed."""

    __slots__ = ()

    def apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        return watched_apply(self, super().apply, grad, create_graph)

    def _unpack(self, create_graph: bool) -> list[Any]:
        packed_at = [i for i, s in enumerate(self.saved or ()) if isinstance(s, Packed)]
        if not packed_at:
            return super()._unpack(create_graph)
        saved = self.saved
        self.saved = tuple(None if isinstance(s, Packed) else s for s in saved or ())
        try:
            values = super()._unpack(create_graph)
        finally:
            self.saved = saved
        for i in packed_at:
            tensor = saved[i].unpack(create_graph, self)  # type: ignore[index]
            values[i] = tensor if create_graph else tensor.array
        return values


def watched_apply(
    node: Node, apply: Callable[[Any, bool], Sequence[Any]], grad: Any, create_graph: bool
) -> Sequence[Any]:
    """Run the backward of a node; add where it was recorded to its exceptions, tell listeners."""
    start = time.perf_counter_ns()
    try:
        grads = apply(grad, create_graph)
    except Exception as error:
        if node.hooks is not None and node.hooks.trace:
            error.add_note(f"{node.name} was recorded here:\n{node.hooks.trace}")
        raise
    for listener in after_backward:
        listener(node, grads, start)
    return grads


class Alias(Node):
    """Leads to a leaf from another tensor object that stands for it."""

    __slots__ = ()

    def __init__(self, leaf: TensorBase) -> None:
        super().__init__((leaf,), ((leaf.array.shape, leaf.array.dtype),))

    def apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        return [grad]


class Packed:
    """What a pack hook made of a saved tensor, and how to get back.

    Args:
        content: result of the pack hook.
        unpack_hook: the function that turns it into a tensor again.
        like: the saved tensor, for its place in the graph.
        nr: its number, if it is an output of the node that saves it.
    """

    __slots__ = ("content", "edge", "nr", "unpack_hook")

    def __init__(
        self, content: Any, unpack_hook: Callable[[Any], Any], like: Any, nr: int | None
    ) -> None:
        self.content = content
        self.unpack_hook = unpack_hook
        self.nr = nr
        self.edge = edge_of(like) if nr is None else None

    def unpack(self, link: bool, node: Any) -> Any:
        """The tensor; with its history if ``link``, where ``node`` is the one that saved it."""
        tensor = self.unpack_hook(self.content)
        if not isinstance(tensor, TensorBase):
            raise TypeError(
                f"saved_tensors_hooks: unpack_hook returned {type(tensor).__name__}, expected a "
                "tensor"
            )
        edge = self.edge if self.nr is None else (node, self.nr)
        if not link or edge is None:
            return tensor
        linked = wrap(tensor.array)
        if isinstance(edge, TensorBase):
            edge = Alias(edge)
        linked._grad_fn, linked._output_nr = edge if type(edge) is tuple else (edge, 0)
        linked._mode = REQUIRES_GRAD
        return linked


class _Hooks(threading.local):
    """Pairs of saved-tensor hooks of a thread, the innermost last; None where there is none."""

    def __init__(self) -> None:
        self.pairs: list[tuple[Callable[[Any], Any], Callable[[Any], Any]] | None] = []


hooks = _Hooks()


def packed(tensor: Any, nr: int | None = None) -> Any:
    """``tensor`` as the saved-tensor hooks of this thread keep it."""
    pair = hooks.pairs[-1] if hooks.pairs else None
    if pair is None:
        return tensor
    pack, unpack = pair
    version = version_of(tensor)
    content = pack(tensor)
    check_version(
        "saved_tensors_hooks", "the tensor given to pack_hook", version, version_of(tensor)
    )
    return Packed(content, unpack, tensor, nr)


def pack_saved(node: OpNode) -> None:
    """Let the saved-tensor hooks of this thread keep what ``node`` saved."""
    node.saved = tuple(
        packed(value) if isinstance(value, TensorBase)
        else packed(wrap(value.array), value.nr) if isinstance(value, SavedOutput)
        else value
        for value in node.saved or ()
    )  # fmt: skip
    node.__class__ = WatchedNode
