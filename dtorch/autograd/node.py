"""The graph node of a user-defined function, and what it keeps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dtorch.autograd.watched import packed, watched_apply
from dtorch.core.base import (
    REQUIRES_GRAD,
    TensorBase,
    set_counter,
    shared_version,
    version_of,
    wrap,
    wrap_view,
)
from dtorch.core.dispatch import observers
from dtorch.core.errors import DtypeError, GradError, ShapeError
from dtorch.core.grad_mode import mode, no_grad
from dtorch.core.graph import Node, check_version, edge_of
from dtorch.core.inplace import rebase
from dtorch.core.ops.view import permute
from dtorch.core.shapes import repeats


def as_view_of(tensor: Any) -> Any:
    """A new tensor over the same memory, without history; recorded changes of it are refused,
    since those of ``tensor`` would go unrecorded."""
    array = tensor.array
    order = tuple(range(array.ndim))
    return wrap_view(tensor, array.view(), permute, (order,), None, True)


class SavedTensor:
    """A tensor kept for the gradient, as `save_for_backward` asked.

    Args:
        nr: the number of the output, if it is one: then its link to the graph would be a cycle,
            and is left out.
    """

    __slots__ = ("nr", "tensor", "version")

    def __init__(self, tensor: TensorBase, nr: int | None) -> None:
        self.nr = nr
        self.version = version_of(tensor)
        if nr is not None:
            counter = shared_version(tensor)
            tensor = wrap(tensor.array)
            set_counter(tensor, counter)
        self.tensor: Any = packed(tensor, nr)

    def unpack(self, name: str, position: int, node: Any) -> Any:
        """The tensor; an output gets its link to ``node`` back."""
        if not isinstance(self.tensor, TensorBase):
            return self.tensor.unpack(bool(mode.enabled), node)
        check_version(name, f"saved tensor {position}", self.version, version_of(self.tensor))
        if self.nr is None or node is None:
            return self.tensor
        output = wrap(self.tensor.array)
        set_counter(output, shared_version(self.tensor))
        node.produce(output, self.nr)
        return output


class FunctionNode(Node):
    """The record of one call of a `Function`; its attributes are those of the function too."""

    __slots__ = ("classic", "function", "out_shapes", "positions")

    def __init__(self, function: Any, args: tuple[Any, ...], results: tuple[Any, ...]) -> None:
        tensors = [(i, arg) for i, arg in enumerate(args) if isinstance(arg, TensorBase)]
        super().__init__(
            tuple(edge_of(t) for _, t in tensors),
            tuple((t.array.shape, t.array.dtype) for _, t in tensors),
            len(results),
        )
        self.function = function
        self.classic = not function._is_static()
        if function._hooks:
            self._hooks().after.update(function._hooks)
        self.positions = tuple(i for i, _ in tensors)
        self.out_shapes = tuple(
            (r.array.shape, r.array.dtype) if isinstance(r, TensorBase) else None for r in results
        )

    def __getattr__(self, name: str) -> Any:
        if name in ("function", "op", "saved"):  # not set yet
            raise AttributeError(name)
        return getattr(self.function, name)

    @property
    def label(self) -> str:
        return type(self.function).__name__ + ("" if self.classic else "Backward")

    @property
    def public(self) -> Any:
        return self.function if self.classic else super().public

    @property
    def stochastic(self) -> bool:  # type: ignore[override]  # of each function
        return bool(self.function.stochastic)

    def release(self) -> None:
        if self.function._saved:
            self.function._saved = None

    def notify(self) -> None:
        """Tell those who watch the recording."""
        for observer in tuple(observers):
            observer(self)

    # -- outputs --------------------------------------------------------------------------------

    def check_dirty(
        self, dirty: Sequence[Any], args: tuple[Any, ...], results: tuple[Any, ...]
    ) -> None:
        """Complain about tensors marked dirty that cannot be.

        Raises:
            GradError: one is no argument, is not returned, is a leaf that requires grad, or is a
                view while there are several outputs.
        """
        for tensor in dirty:
            if not any(tensor is arg for arg in args):
                raise GradError(f"{self.name}: a tensor marked dirty is no argument of the call")
            if not any(tensor is result for result in results):
                raise GradError(f"{self.name}: a tensor marked dirty is not returned")
            view = tensor._view
            for whole in (tensor, tensor if view is None else view.base):
                if whole._mode == REQUIRES_GRAD and whole._grad_fn is None:
                    raise GradError(
                        f"{self.name}: a leaf that requires grad, or a view of one, was changed in "
                        "place"
                    )
            if view is not None and len(results) > 1:
                raise GradError(
                    f"{self.name}: a view cannot be changed in place by a function with several "
                    "outputs"
                )

    def produce(self, tensor: Any, nr: int) -> None:
        """Make this the history of an output."""
        tensor._grad_fn = self
        tensor._output_nr = nr
        tensor._mode = REQUIRES_GRAD

    def overwrite(self, tensor: Any, nr: int) -> None:
        """Make this the history of an argument that was changed in place."""
        if tensor._view is None:
            rebase(tensor, self, through_self=False, nr=nr)
        else:
            at = self.edges.index(edge_of(tensor)) if tensor._mode == REQUIRES_GRAD else None
            rebase(tensor, _FirstEdge(self, at), through_self=at is not None)

    # -- backward -------------------------------------------------------------------------------

    def apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        return watched_apply(self, self._apply, grad, create_graph)

    def _apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        grads = list(grad) if self.n_outputs > 1 else [grad]
        function = self.function
        tensors = [self._materialized(g, i, create_graph) for i, g in enumerate(grads)]
        result = self._call(function, tensors)
        returned = list(result) if isinstance(result, (tuple, list)) else [result]
        count = function.num_inputs
        while len(returned) > count and returned[-1] is None:
            returned.pop()
        if len(returned) != count:
            raise GradError(
                f"{self.name}: backward returned {len(returned)} gradients, expected {count}, one "
                "for each argument of the call"
            )
        for i, g in enumerate(returned):
            if g is not None and i not in self.positions:
                raise GradError(
                    f"{self.name}: backward returned a gradient for argument {i}, which is no "
                    "tensor; return None for it"
                )
        return [
            self._checked(i, returned[i], input, create_graph)
            for i, input in zip(self.positions, self.inputs, strict=True)
        ]

    def _call(self, function: Any, grads: list[Any]) -> Any:
        if not self.classic:
            return type(function).backward(function, *grads)
        with no_grad():
            result = function.backward(*grads)
        return Once.mark(self, grads, result)

    def _materialized(self, grad: Any, nr: int, create_graph: bool) -> Any:
        if grad is None:
            like = self.out_shapes[nr]
            if like is None or not self.function.materialize_grads:
                return None
            return wrap(np.zeros(*like))
        if create_graph:
            return grad
        if isinstance(grad, np.ndarray) and (repeats(grad) or not grad.flags.writeable):
            grad = grad.copy()  # functions may write to it
        return wrap(grad)

    def _checked(self, position: int, grad: Any, input: Any, create_graph: bool) -> Any:
        if grad is None:
            return None
        if not isinstance(grad, TensorBase):
            raise DtypeError(
                f"{self.name}: backward returned {type(grad).__name__} for argument {position}, "
                "expected a tensor or None"
            )
        shape, expected = grad.array.shape, input[0]
        lead = len(shape) - len(expected)
        fits = lead >= 0 and all(
            want in (1, size) for size, want in zip(shape[lead:], expected, strict=True)
        )
        if not fits:
            raise ShapeError(
                f"{self.name}: backward returned shape {tuple(shape)} for argument {position} of "
                f"shape {tuple(expected)}"
            )
        return grad if create_graph else grad.array


class _FirstEdge(Node):
    """A function's node with one of its edges put first, where the history of a view is sought.

    Args:
        at: number of that edge; None to leave the order.
    """

    __slots__ = ("node", "order")

    def __init__(self, node: FunctionNode, at: int | None) -> None:
        count = len(node.edges)
        first = [] if at is None else [at]
        self.order = [*first, *(i for i in range(count) if i != at)]
        super().__init__(
            tuple(node.edges[i] for i in self.order), tuple(node.inputs[i] for i in self.order)
        )
        self.node = node

    @property
    def label(self) -> str:
        return self.node.label

    @property
    def public(self) -> Any:
        return self.node.public

    def release(self) -> None:
        self.node.release()

    def apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        grads = self.node.apply(grad, create_graph)
        return [grads[i] for i in self.order]


class Once(Node):
    """The history of a gradient that cannot be differentiated: it says so when it is tried.

    Args:
        call: node of the call whose gradient it is.
        grads: what the gradient was computed from besides.
    """

    __slots__ = ("call_name",)

    def __init__(self, call: FunctionNode, grads: list[Any]) -> None:
        super().__init__(
            (*call.edges, *(edge_of(g) for g in grads)),
            (*call.inputs, *((g.array.shape, g.array.dtype) for g in grads)),
        )
        self.call_name = call.name

    @classmethod
    def mark(cls, call: FunctionNode | None, grads: Sequence[Any], result: Any) -> Any:
        """``result``, one gradient or several, with this history where it is recorded."""
        if not mode.enabled or call is None:
            return result
        if isinstance(result, (tuple, list)):
            return tuple(cls.mark(call, grads, r) for r in result)
        if not isinstance(result, TensorBase):
            return result
        linked = [g for g in grads if isinstance(g, TensorBase) and g._mode == REQUIRES_GRAD]
        copy: Any = result.detach()  # type: ignore[attr-defined]  # a Tensor
        copy._grad_fn = cls(call, linked)
        copy._mode = REQUIRES_GRAD
        return copy

    def apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        raise GradError(
            f"{self.call_name}: its backward can be differentiated once only; write it in the "
            "static style, with operations on tensors, to differentiate it again"
        )
