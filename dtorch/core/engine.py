"""The engine that walks the graph backward.

Among the nodes whose gradient is complete it runs the one with the highest number first: the
reverse of the order of creation. Neither the walk nor the freeing of a graph recurses.

Gradient formulas are polymorphic: they run on bare arrays in a first-order pass, and on tensors,
recorded, when ``create_graph`` is set.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from dtorch.core import classic
from dtorch.core.backend import compiled, tell
from dtorch.core.base import REQUIRES_GRAD, VOLATILE, TensorBase, counter_of, wrap
from dtorch.core.classic import Classic
from dtorch.core.errors import ArgumentError, DtypeError, GradError, ShapeError
from dtorch.core.grad_mode import mode
from dtorch.core.graph import Node, NodeHooks, edge_of
from dtorch.core.half import convert
from dtorch.core.interrupts import at_fork
from dtorch.core.quiet import quietly
from dtorch.core.shapes import sum_to

ndarray = np.ndarray


class _Run:
    """One walk of the engine.

    Args:
        create_graph: run formulas on tensors and record them.
        retain_graph: keep what nodes saved.
        targets: edges whose gradient is captured; None to accumulate into every leaf.
    """

    def __init__(self, create_graph: bool, retain_graph: bool, targets: list[Any] | None) -> None:
        self.create_graph = create_graph
        self.retain_graph = retain_graph
        self.targets = None if targets is None else set(targets)
        self.captured: dict[Any, Any] = {}
        self.grads: dict[Any, Any] = {}  # node or leaf -> gradient so far (a list: several outputs)
        self.owned: set[Any] = set()  # where that gradient is a sum made here: nobody else has it
        self.waiting: dict[Any, int] = {}  # node or leaf -> contributions still to come
        self.ready: list[tuple[int, Node]] = []

    def walk(self, roots: Sequence[tuple[Any, Any]]) -> None:
        edges = [edge for edge, _ in roots]
        wanted = None if self.targets is None else _leading_to(edges, self.targets)
        self._count_contributions(edges, wanted)
        for edge, grad in roots:
            target, nr = edge if type(edge) is tuple else (edge, 0)
            if wanted is None or target in wanted:
                self._add(target, nr, grad)
        for target in list(self.grads):
            if not self.waiting.get(target):
                self._completed(target)
        ready = self.ready
        while ready:
            node = heapq.heappop(ready)[1]
            self._run_node(node, self.grads.pop(node), wanted)

    def _count_contributions(self, roots: list[Any], wanted: set[Any] | None) -> None:
        waiting = self.waiting
        stack = [edge[0] if type(edge) is tuple else edge for edge in roots]
        seen = set()
        while stack:
            node = stack.pop()
            if isinstance(node, TensorBase) or node in seen:
                continue
            seen.add(node)
            for edge in node.edges:
                if edge is None:
                    continue
                target = edge[0] if type(edge) is tuple else edge
                if wanted is not None and target not in wanted:
                    continue
                contributions = waiting.get(target)
                if contributions is None:
                    waiting[target] = 1
                    stack.append(target)
                else:
                    waiting[target] = contributions + 1

    def _run_node(self, node: Node, grad: Any, wanted: set[Any] | None) -> None:
        hooks = node.hooks
        if hooks is not None:
            grad = run_hooks_before(node, hooks, grad, self.create_graph)
        if self.targets is not None:
            self._capture_outputs(node, grad)
            if not any(_target(edge) in wanted for edge in node.edges if edge is not None):  # type: ignore[operator]
                return
        try:
            grads = node.apply(grad, self.create_graph)
        except Exception as error:
            error.add_note(f"in the backward pass of {node.name}")
            raise
        if hooks is not None and hooks.after:
            grads = run_hooks_after(node, hooks, grads, grad, self.create_graph)
        if not self.retain_graph:
            node.release()
        waiting = self.waiting
        for edge, input, g in zip(node.edges, node.inputs, grads, strict=True):
            if edge is None:
                continue
            target, nr = edge if type(edge) is tuple else (edge, 0)
            if wanted is not None and target not in wanted:
                continue
            if g is not None:
                self._add(target, nr, fit(g, input, self.create_graph))
            waiting[target] -= 1
            if not waiting[target]:
                self._completed(target)

    def _add(self, target: Any, nr: int, grad: Any) -> None:
        """Add a contribution to the gradient of an output of a node, or of a leaf."""
        grads = self.grads
        several = not isinstance(target, TensorBase) and target.n_outputs > 1
        if several:
            grads = grads.setdefault(target, [None] * target.n_outputs)
        key = nr if several else target
        so_far = grads[nr] if several else grads.get(target)
        owner = (target, nr) if several else target
        if so_far is None:
            grads[key] = grad
        elif self.create_graph or type(so_far) is not ndarray or type(grad) is not ndarray:
            grads[key] = so_far + grad
        elif owner in self.owned:
            so_far += grad
        else:
            grads[key] = np.add(so_far, grad, out=np.empty_like(so_far))
            self.owned.add(owner)

    def _completed(self, target: Any) -> None:
        if not isinstance(target, TensorBase):
            if target in self.grads:
                heapq.heappush(self.ready, (-target.seq, target))
            else:
                self._skip(target)
            return
        grad = self.grads.pop(target, None)
        if grad is None:
            return
        if self.targets is not None and target in self.targets:
            self.captured[target] = _run_leaf_hooks(target, grad, self.create_graph)
        else:
            finish_leaf(target, grad, target in self.owned, self.create_graph)

    def _skip(self, node: Node) -> None:
        """No gradient arrived at ``node``: its inputs wait for one contribution less each."""
        stack = [node]
        while stack:
            for edge in stack.pop().edges:
                target = _target(edge)
                if target is None or target not in self.waiting:
                    continue
                self.waiting[target] -= 1
                if not self.waiting[target]:
                    if target in self.grads or isinstance(target, TensorBase):
                        self._completed(target)
                    else:
                        stack.append(target)

    def _capture_outputs(self, node: Node, grad: Any) -> None:
        for target in self.targets or ():
            found, nr = target if type(target) is tuple else (target, 0)
            if found is node:
                self.captured[target] = grad[nr] if node.n_outputs > 1 else grad


def fit(grad: Any, input: tuple[tuple[int, ...], np.dtype[Any]], create_graph: bool = False) -> Any:
    """Undo broadcasting and promotion of the input that ``grad`` is the gradient of."""
    shape, numpy_dtype = input
    if tuple(grad.shape) != shape:
        grad = sum_to(grad, shape)
    if create_graph:
        return grad if grad._array.dtype == numpy_dtype else grad.to(numpy_dtype)
    if grad.dtype != numpy_dtype:
        if grad.dtype.kind == "c" and numpy_dtype.kind != "c":
            grad = grad.real
        grad = convert(grad, numpy_dtype)
    return grad


def _target(edge: Any) -> Any:
    return edge[0] if type(edge) is tuple else edge


def _leading_to(roots: Iterable[Any], targets: Iterable[Any]) -> set[Any]:
    """Nodes and leaves from which one of ``targets`` can be reached, itself included."""
    wanted = {_target(edge) for edge in targets}
    order: list[Node] = []
    seen: set[Any] = set()
    stack = [_target(edge) for edge in roots]
    while stack:
        node = stack.pop()
        if node is None or isinstance(node, TensorBase) or node in seen:
            continue
        seen.add(node)
        order.append(node)
        stack.extend(_target(edge) for edge in node.edges)
    # Edges lead to lower numbers, so the lowest first sees each node after all it leads to.
    for node in sorted(order, key=lambda node: node.seq):
        if any(_target(edge) in wanted for edge in node.edges if edge is not None):
            wanted.add(node)
    return wanted


# -- hooks --------------------------------------------------------------------------------------


def _as_tensor(grad: Any, create_graph: bool) -> Any:
    return grad if create_graph or grad is None else wrap(grad)


def _as_grad(tensor: Any, create_graph: bool) -> Any:
    return tensor if create_graph or tensor is None else tensor._array


def _replaced_by_hook(hook: Callable[[Any], Any], grad: Any, create_graph: bool) -> Any:
    before = _as_tensor(grad, create_graph)
    after = hook(before)
    if after is None:
        return grad
    if not isinstance(after, TensorBase):
        raise DtypeError(f"hook on a gradient returned {type(after).__name__}, expected a tensor")
    if after._array.shape != before._array.shape:
        raise ShapeError(
            f"hook on a gradient returned shape {after._array.shape}, expected "
            f"{before._array.shape}"
        )
    if after._array.dtype != before._array.dtype:
        raise DtypeError(
            f"hook on a gradient has changed the type of value: it returned {after.dtype}, expected "  # type: ignore[attr-defined]
            f"{before.dtype}"
        )
    return _as_grad(after, create_graph)


def run_hooks_before(node: Node, hooks: NodeHooks, grad: Any, create_graph: bool = False) -> Any:
    grads = list(grad) if node.n_outputs > 1 else [grad]
    for nr, on_output in hooks.on_output.items():
        for hook in tuple(on_output.values()):
            if grads[nr] is not None:
                grads[nr] = _replaced_by_hook(hook, grads[nr], create_graph)
    for nr, retain in hooks.retained.items():
        if grads[nr] is not None:
            retain(_as_tensor(grads[nr], create_graph))
    for hook in tuple(hooks.before.values()):
        replaced = hook(tuple(_as_tensor(g, create_graph) for g in grads))
        if replaced is not None:
            grads = [_as_grad(g, create_graph) for g in _as_tuple(replaced)]
    return grads if node.n_outputs > 1 else grads[0]


def run_hooks_after(
    node: Node, hooks: NodeHooks, grads: Sequence[Any], grad: Any, create_graph: bool = False
) -> Sequence[Any]:
    outputs = tuple(_as_tensor(g, create_graph) for g in (grad if node.n_outputs > 1 else (grad,)))
    for hook in tuple(hooks.after.values()):
        inputs = tuple(_as_tensor(g, create_graph) for g in grads)
        replaced = hook(inputs, outputs)
        if replaced is not None:
            replaced = _as_tuple(replaced)
            if len(replaced) != len(grads):
                raise GradError(
                    f"{node.name}: hook returned {len(replaced)} gradients, expected {len(grads)}"
                )
            grads = [_as_grad(g, create_graph) for g in replaced]
    return grads


def _as_tuple(value: Any) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


# -- accumulation -------------------------------------------------------------------------------


def _run_leaf_hooks(leaf: TensorBase, grad: Any, create_graph: bool) -> Any:
    if leaf._hooks is not None:
        for hook in tuple(leaf._hooks.on_grad.values()):
            grad = _replaced_by_hook(hook, grad, create_graph)
    return grad


def finish_leaf(leaf: TensorBase, grad: Any, owned: bool, create_graph: bool = False) -> None:
    """Run the hooks of a leaf whose gradient is complete, and accumulate it.

    Args:
        owned: whether only the engine has ``grad``, so that it may become ``leaf.grad`` as it is.
    """
    if leaf._hooks is not None and leaf._hooks.on_grad:
        grad, owned = _run_leaf_hooks(leaf, grad, create_graph), False
    accumulate(leaf, grad, owned, create_graph)
    if leaf._hooks is not None:
        for hook in tuple(leaf._hooks.post_accumulate.values()):
            hook(leaf)


@compiled
class AccumulationLock:
    """Held while `.grad` changes: two threads may run backward over graphs that share leaves.

    The compiled engine and this one take the same lock.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """In a forked child: the thread that held the lock may not live on."""
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


_accumulation = AccumulationLock()
at_fork(after_in_child=_accumulation.renew)


def accumulate(leaf: TensorBase, grad: Any, owned: bool, create_graph: bool) -> None:
    """Add ``grad`` to ``leaf.grad``."""
    with _accumulation:
        so_far = leaf._grad
        if so_far is None:
            if create_graph:
                leaf._grad = grad.clone()
            else:
                leaf._grad = wrap(grad if owned else grad.copy())
        elif create_graph:
            leaf._grad = so_far + grad
        elif type(grad) is type(so_far._array):
            so_far._array += grad
            counter = counter_of(so_far)
            if counter is not None:
                counter.value += 1
        else:
            leaf._grad = wrap(so_far._array + grad)


@compiled
def walk_arrays(roots: list[tuple[Any, Any]], retain_graph: bool) -> None:
    """The first-order pass that accumulates into every leaf."""
    _Run(False, retain_graph, None).walk(roots)


tell("set_engine", run_hooks_before, run_hooks_after, finish_leaf, fit)


# -- entry points -------------------------------------------------------------------------------


def _root(tensor: TensorBase, gradient: Any, create_graph: bool) -> tuple[Any, Any]:
    array = tensor._array
    if tensor._mode == VOLATILE:
        raise GradError("backward: the tensor is volatile, so no graph was recorded")
    if tensor._mode != REQUIRES_GRAD:
        raise GradError(
            "backward: the tensor does not require grad and has no grad_fn; "
            "set requires_grad=True on the inputs it was computed from"
        )
    if gradient is None:
        if array.size != 1 and not getattr(tensor._grad_fn, "stochastic", False):
            raise GradError(
                f"backward: a gradient can be made implicitly only for one element, the tensor "
                f"has shape {tuple(array.shape)}; pass gradient= or reduce it, as by .sum()"
            )
        gradient = wrap(np.ones_like(array))
    elif not isinstance(gradient, TensorBase):
        raise TypeError(f"backward: gradient is {type(gradient).__name__}, expected a tensor")
    if gradient._array.shape != array.shape:
        error = ShapeError(
            f"backward: gradient has shape {tuple(gradient._array.shape)}, "
            f"expected {tuple(array.shape)} like the tensor"
        )
        if not gradient._array.size == array.size == 1:
            raise error
        if not classic.allows(Classic.GRADIENT):
            raise classic.hinted(error)
        gradient = gradient.reshape(array.shape)
    grad = gradient if create_graph else gradient._array
    if not create_graph and grad.dtype != array.dtype:
        grad = grad.astype(array.dtype)
    return edge_of(tensor), grad


@contextmanager
def _backward_pass(create_graph: bool) -> Iterator[None]:
    before = mode.enabled
    mode.enabled = create_graph
    try:
        yield
    finally:
        mode.enabled = before


class _Ends(threading.local):
    """What waits for the end of the backward pass under way in this thread."""

    def __init__(self) -> None:
        self.callbacks: list[Callable[[], None]] = []
        self.depth = 0  # passes within passes end with the outermost


_ends = _Ends()


def at_end_of_backward(callback: Callable[[], None]) -> None:
    """Have a hook's backward pass call ``callback`` once all gradients are there, unless it fails."""
    _ends.callbacks.append(callback)


def to_the_end(run: Callable[[], Any]) -> Any:
    """The result of a backward pass, and what waits for its end done."""
    _ends.depth += 1
    try:
        result = run()
    except BaseException:
        _ends.callbacks.clear()
        raise
    finally:
        _ends.depth -= 1
    while _ends.callbacks and not _ends.depth:
        _ends.callbacks.pop()()
    return result


def run_backward(
    tensors: Sequence[TensorBase],
    gradients: Sequence[Any],
    retain_graph: bool,
    create_graph: bool,
    inputs: Sequence[TensorBase] | None = None,
) -> None:
    """Accumulate the gradients of ``tensors`` into the leaves (or only into ``inputs``)."""
    to_the_end(lambda: _accumulate_all(tensors, gradients, retain_graph, create_graph, inputs))


def _accumulate_all(
    tensors: Sequence[TensorBase],
    gradients: Sequence[Any],
    retain_graph: bool,
    create_graph: bool,
    inputs: Sequence[TensorBase] | None,
) -> None:
    roots = [_root(t, g, create_graph) for t, g in zip(tensors, gradients, strict=True)]
    targets = None if inputs is None else [edge_of(t) for t in inputs]
    if targets == []:
        raise ArgumentError("backward: inputs cannot be empty")
    with _backward_pass(create_graph):
        if inputs is None and not create_graph:
            quietly(walk_arrays, roots, retain_graph)
            return
        run = _Run(create_graph, retain_graph, targets)
        quietly(run.walk, roots)
    if inputs is not None:
        for tensor, target in zip(inputs, targets or (), strict=True):
            if target in run.captured:
                accumulate(tensor, run.captured[target], False, create_graph)
                if isinstance(target, TensorBase) and target._hooks is not None:
                    for hook in tuple(target._hooks.post_accumulate.values()):
                        hook(target)


def resolve_retain(
    retain_graph: bool | None, retain_variables: bool | None, create_graph: bool
) -> bool:
    """What ``retain_graph`` and its classic name ask for together."""
    if retain_variables is not None:
        if retain_graph is not None and retain_graph != retain_variables:
            raise ArgumentError("backward: retain_graph and retain_variables differ")
        retain_graph = retain_variables
    return create_graph if retain_graph is None else bool(retain_graph)


def run_grad(
    outputs: Sequence[TensorBase],
    grad_outputs: Sequence[Any],
    inputs: Sequence[TensorBase],
    retain_graph: bool,
    create_graph: bool,
) -> list[Any]:
    """Gradients of ``outputs`` with respect to ``inputs``, None for one that has no part in them.

    Nothing is accumulated, and only nodes on a path to ``inputs`` run.
    """
    roots = [_root(t, g, create_graph) for t, g in zip(outputs, grad_outputs, strict=True)]
    targets = []
    for position, tensor in enumerate(inputs):
        edge = edge_of(tensor)
        if edge is None:
            raise GradError(f"grad: input {position} does not require grad")
        targets.append(edge)
    run = _Run(create_graph, retain_graph, targets)
    with _backward_pass(create_graph):
        quietly(run.walk, roots)
    return [_as_tensor(run.captured.get(target), create_graph) for target in targets]
