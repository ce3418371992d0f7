"""The autograd graph: its nodes, where they lead to, and the hooks on them.

A node is one recorded operation. Its edges lead to the nodes that made its inputs, or to leaf
tensors, where gradients accumulate. Nodes carry a sequence number; an edge always leads from a
higher to a lower one. `dtorch.core.engine` walks them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from itertools import count
from typing import Any

from dtorch.core.base import REQUIRES_GRAD, NodeBase, TensorBase
from dtorch.core.errors import VersionError


class NodeName(str):
    """The name of a node, an attribute; PyTorch's nodes have a method of that name."""

    __slots__ = ()

    def __call__(self) -> str:
        return str(self)


class Node(NodeBase):
    """One recorded operation; its fields are those of `dtorch.core.base.NodeBase`."""

    __slots__ = ()
    stochastic = False  # whether a reward takes the place of a gradient

    def __init__(self, edges: tuple[Any, ...], inputs: tuple[Any, ...], n_outputs: int = 1) -> None:
        self.edges = edges
        self.inputs = inputs
        self.n_outputs = n_outputs

    def apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        """Gradients for the edges.

        Args:
            grad: gradient of the output; a list with None where there is none, if there are
                several outputs. Arrays, or tensors if ``create_graph``.
        """
        raise NotImplementedError

    def release(self) -> None:
        """Forget what was saved for the gradient."""

    @property
    def name(self) -> NodeName:
        """What errors and prints call the node; ``name()`` gives it, too."""
        return NodeName(self.label)

    @property
    def label(self) -> str:
        """The name, for subclasses to say."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{self.name}>"

    @property
    def public(self) -> Any:
        """What users see of the node: itself, of a class with its name, as ``type`` is asked."""
        kind: Any = type(self)
        label = self.label
        if kind.__name__ != label:
            self.__class__ = _named(kind, label)
        return self

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """``(node, output number)`` for each edge; leaves appear as `AccumulateGrad`."""
        return tuple(edge_as_pair(edge) for edge in self.edges)

    @property
    def previous_functions(self) -> tuple[tuple[Any, int], ...]:
        """The classic `next_functions`, where leaves stand for themselves."""
        return tuple((itself(node), nr) for node, nr in self.next_functions)

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_inputs, grad_outputs)`` after the node ran; it may replace the first."""
        return RemovableHandle(self._hooks().after, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_outputs)`` before the node runs; it may replace them."""
        return RemovableHandle(self._hooks().before, hook)

    def _hooks(self) -> NodeHooks:
        if self.hooks is None:
            self.hooks = NodeHooks()
        return self.hooks  # type: ignore[no-any-return]  # None or hooks


@cache
def _named(kind: Any, label: str) -> Any:
    return type(label, (kind,), {"__slots__": (), "__module__": kind.__module__})


class AccumulateGrad:
    """What `Node.next_functions` shows for a leaf: the place where its gradient accumulates."""

    __slots__ = ("variable",)
    next_functions: tuple[tuple[Any, int], ...] = ()

    def __init__(self, variable: TensorBase) -> None:
        self.variable = variable

    @property
    def name(self) -> NodeName:
        return NodeName("AccumulateGrad")

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


def edge_as_pair(edge: Any) -> tuple[Any, int]:
    """What users see of an edge: ``(node, output number)``."""
    if edge is None:
        return None, 0
    node, nr = edge if type(edge) is tuple else (edge, 0)
    return (AccumulateGrad(node) if isinstance(node, TensorBase) else node.public), nr


def itself(node: Any) -> Any:
    """The leaf that an `AccumulateGrad` stands for; other nodes as they are."""
    return node.variable if isinstance(node, AccumulateGrad) else node


class NodeHooks:
    """Hooks of a node: on the gradient of an output, and around the node itself.

    Attributes:
        trace: in anomaly mode, the lines of the program that recorded the node.
    """

    __slots__ = ("after", "before", "on_output", "retained", "trace")

    def __init__(self) -> None:
        self.on_output: dict[int, dict[int, Callable[[Any], Any]]] = {}
        self.retained: dict[int, Callable[[Any], None]] = {}
        self.before: dict[int, Callable[..., Any]] = {}
        self.after: dict[int, Callable[..., Any]] = {}
        self.trace = ""


class LeafHooks:
    """Hooks of a leaf: on its summed gradient, and after that was accumulated."""

    __slots__ = ("on_grad", "post_accumulate")

    def __init__(self) -> None:
        self.on_grad: dict[int, Callable[[Any], Any]] = {}
        self.post_accumulate: dict[int, Callable[[Any], Any]] = {}


class RemovableHandle:
    """Takes a registered hook away again: ``handle.remove()``, or at the end of a ``with``."""

    _next_id = count().__next__
    __slots__ = ("hooks", "id")

    def __init__(self, hooks_dict: dict[int, Any], hook: Callable[..., Any] | None = None) -> None:
        self.hooks = hooks_dict
        self.id = RemovableHandle._next_id()
        if hook is not None:
            hooks_dict[self.id] = hook

    def remove(self) -> None:
        """Remove the hook; removing it twice does nothing."""
        self.hooks.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def edge_of(tensor: TensorBase) -> Any:
    """The edge that leads to where the gradient of ``tensor`` goes."""
    if tensor._mode != REQUIRES_GRAD:
        return None
    node = tensor._grad_fn
    if node is None:
        return tensor
    return (node, tensor._output_nr) if tensor._output_nr else node


def check_version(name: str, what: str, expected: int, actual: int) -> None:
    """Complain if a saved tensor was changed since.

    Raises:
        VersionError: naming the operation and both versions.
    """
    if actual != expected:
        raise VersionError(
            f"{name}: {what}, needed for the gradient, was modified in place: it is at version "
            f"{actual}, expected {expected}; modify a clone() instead, or after backward()"
        )
