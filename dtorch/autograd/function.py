"""Function: operations that users define, with a forward and a backward of their own.

Two styles. In the static one ``forward`` and ``backward`` are static methods that get a context,
and the call is ``MyFunction.apply(...)``. In the classic one they are methods, parameters go to
``__init__``, and the call is ``MyFunction(...)(...)``; an instance serves one call.
"""

from __future__ import annotations

import functools
import inspect
import warnings
import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from dtorch.autograd.nested import flatten, pick, unflatten
from dtorch.autograd.node import FunctionNode, Once, SavedTensor, as_view_of
from dtorch.core.base import INFERENCE, REQUIRES_GRAD, VOLATILE, TensorBase
from dtorch.core.errors import GradError
from dtorch.core.grad_mode import mode, no_grad
from dtorch.core.graph import RemovableHandle, edge_as_pair, itself
from dtorch.core.inplace import become_volatile, bump
from dtorch.core.tensor import Tensor

F = TypeVar("F", bound=Callable[..., Any])


def _no_forward(self: Function, *input: Any) -> Any:
    """Compute the outputs."""
    raise NotImplementedError(f"{type(self).__name__} does not define forward")


def _no_backward(self: Function, *grad_output: Any) -> Any:
    """Gradients of the arguments from those of the outputs."""
    raise NotImplementedError(f"{type(self).__name__} does not define backward")


class Function:
    """Base of operations with a gradient formula of their own.

    In a call, ``forward`` runs unrecorded. ``backward`` gets the gradient of each output and
    returns one for each argument of the call, None where there is none.

    Attributes:
        needs_input_grad: for each argument of the call, whether its gradient is wanted.
        saved_tensors: what `save_for_backward` kept; checked for changes in place when read.

    Example:
        >>> import dtorch
        >>> class Cube(Function):
        ...     @staticmethod
        ...     def forward(ctx, x):
        ...         ctx.save_for_backward(x)
        ...         return x**3
        ...     @staticmethod
        ...     def backward(ctx, grad):
        ...         (x,) = ctx.saved_tensors
        ...         return grad * 3 * x**2
        >>> x = dtorch.tensor(2.0, requires_grad=True)
        >>> Cube.apply(x).backward()
        >>> x.grad
        tensor(12.)
    """

    needs_input_grad: tuple[bool, ...] = ()
    num_inputs = 0
    num_outputs = 0
    requires_grad = False
    to_save: tuple[Any, ...] | None = None
    dirty_tensors: tuple[Tensor, ...] = ()
    non_differentiable: tuple[Tensor, ...] = ()
    materialize_grads = True
    stochastic = False  # whether a reward takes the place of the gradient of its output

    _edges: tuple[Any, ...] = ()
    _saved: tuple[SavedTensor | None, ...] | None = ()
    _node: Callable[[], FunctionNode | None] | None = None
    _used = False
    _hooks: dict[int, Callable[..., Any]] | None = None  # of a classic function, before its call

    # -- what a subclass defines ----------------------------------------------------------------
    # Declared as variables: parameters, and the style, are up to the subclass.

    forward: Callable[..., Any] = _no_forward
    backward: Callable[..., Any] = _no_backward

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        """Fill the context after a static ``forward`` that takes none."""

    # -- calls ------------------------------------------------------------------------------------

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Call a static-style function.

        Raises:
            GradError: the class is of the classic style.
        """
        if cls.forward is _no_forward:
            raise NotImplementedError(f"{cls.__name__} does not define forward")
        if not cls._is_static():
            raise GradError(
                f"{cls.__name__}: forward is no staticmethod; call an instance, as by "
                f"{cls.__name__}(...)(...)"
            )
        context = object.__new__(cls)
        if cls.setup_context is Function.setup_context:
            return context._call(args, functools.partial(cls.forward, context))

        def forward(*args: Any) -> Any:
            output = cls.forward(*args)
            cls.setup_context(context, args, output)
            return output

        return context._call(args, forward)

    def __call__(self, *args: Any) -> Any:
        """Call a classic-style function; an instance serves one call.

        Raises:
            GradError: the class is of the static style, or the instance was called before.
        """
        name = type(self).__name__
        if self._is_static():
            raise GradError(f"{name}: forward is a staticmethod; call {name}.apply(...)")
        if self._used:
            raise GradError(f"{name}: an instance serves one call; make another one")
        self._used = True
        return self._call(args, self.forward)

    @classmethod
    def _is_static(cls) -> bool:
        return isinstance(inspect.getattr_static(cls, "forward"), staticmethod)

    def _call(self, args: tuple[Any, ...], forward: Callable[..., Any]) -> Any:
        modes = [arg._mode if isinstance(arg, TensorBase) else 0 for arg in args]
        combined = functools.reduce(int.__or__, modes, 0)
        volatile = bool(combined & VOLATILE)
        recording = bool(mode.enabled) and bool(combined & REQUIRES_GRAD) and not volatile
        self.num_inputs = len(args)
        self.needs_input_grad = tuple(recording and m == REQUIRES_GRAD for m in modes)
        self.requires_grad = recording
        with no_grad():
            result = forward(*args)
        results = result if isinstance(result, tuple) else (result,)
        self.num_outputs = len(results)
        outs = (
            self._record(args, results) if recording else self._unrecorded(results, args, combined)
        )
        self.to_save = None
        return outs if isinstance(result, tuple) else outs[0]

    def _unrecorded(
        self, results: tuple[Any, ...], args: tuple[Any, ...], combined: int
    ) -> tuple[Any, ...]:
        """The outputs of a call that leaves no node behind."""
        for tensor in self.dirty_tensors:
            bump(tensor)
        outs = tuple(
            as_view_of(r) if _is_among(r, args) and not _is_among(r, self.dirty_tensors) else r
            for r in results
        )
        for out in outs:
            if isinstance(out, TensorBase) and combined & VOLATILE:
                become_volatile(out)
            elif isinstance(out, TensorBase) and mode.enabled is None and combined & REQUIRES_GRAD:
                out._mode = INFERENCE
        return outs

    def _record(self, args: tuple[Any, ...], results: tuple[Any, ...]) -> tuple[Any, ...]:
        """The outputs of a call, with its node as their history."""
        node = FunctionNode(self, args, results)
        self._edges = node.edges
        self._node = weakref.ref(node)
        node.check_dirty(self.dirty_tensors, args, results)
        for tensor in self.dirty_tensors:
            bump(tensor)
        made: dict[int, Any] = {}  # what forward returns twice is one output
        for nr, result in enumerate(results):
            if id(result) not in made:
                made[id(result)] = self._output(node, nr, result, args)
        outs = tuple(made[id(result)] for result in results)
        self._saved = tuple(
            None if t is None else SavedTensor(t, self._output_number(t, args, results))
            for t in self.to_save or ()
        )
        node.notify()
        return outs

    def _output(self, node: FunctionNode, nr: int, result: Any, args: tuple[Any, ...]) -> Any:
        if not isinstance(result, TensorBase) or _is_among(result, self.non_differentiable):
            return result
        if _is_among(result, self.dirty_tensors):
            node.overwrite(result, nr)
            return result
        if result.array.dtype.kind not in "fcV" and not self.stochastic:
            return result
        linked = result._grad_fn is not None or result._mode == REQUIRES_GRAD
        if linked or result._view is not None or _is_among(result, args):
            result = as_view_of(result)
        node.produce(result, nr)
        return result

    def _output_number(
        self, tensor: Any, args: tuple[Any, ...], results: tuple[Any, ...]
    ) -> int | None:
        """Which output a saved tensor is; None for an argument or something in between."""
        if _is_among(tensor, args) and not _is_among(tensor, self.dirty_tensors):
            return None
        return next((nr for nr, r in enumerate(results) if r is tensor), None)

    # -- for forward --------------------------------------------------------------------------------

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keep arguments or outputs of the call for the gradient; once, and only in forward.

        Raises:
            GradError: called a second time.
            TypeError: something is no tensor.
        """
        if self.to_save is not None:
            raise GradError("save_for_backward: can be called only once")
        for tensor in tensors:
            if tensor is not None and not isinstance(tensor, TensorBase):
                raise TypeError(
                    f"save_for_backward: got {type(tensor).__name__}, expected tensors or None; "
                    "keep other things as attributes"
                )
        self.to_save = tensors

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keep tensors for ``jvp``, which nothing here calls: see `dtorch.func.jvp`."""
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Tensor) -> None:
        """Say which arguments forward changed in place; they must be returned."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Tensor) -> None:
        """Say which outputs have no gradient."""
        self.non_differentiable = args

    def mark_shared_storage(self, *pairs: tuple[Tensor, Tensor]) -> None:
        """Nothing: shared memory is found by itself."""
        warnings.warn(
            "mark_shared_storage is not needed: shared memory is found by itself",
            DeprecationWarning,
            stacklevel=2,
        )

    def set_materialize_grads(self, value: bool) -> None:
        """Whether backward gets zeros (True, the default) or None for outputs without gradient."""
        self.materialize_grads = bool(value)

    # -- for backward -------------------------------------------------------------------------------

    @property
    def saved_tensors(self) -> tuple[Tensor | Any, ...]:
        """What `save_for_backward` kept: tensors, and None where it was given None.

        Raises:
            GradError: backward freed it.
            VersionError: a tensor was changed in place since.
        """
        if self._saved is None:
            raise GradError(
                f"{type(self).__name__}: the graph was already used by backward and its saved "
                "tensors freed; pass retain_graph=True to the earlier backward"
            )
        node = self._call_node
        return tuple(
            None if kept is None else kept.unpack(type(self).__name__, i, node)
            for i, kept in enumerate(self._saved)
        )

    @property
    def saved_variables(self) -> tuple[Tensor | Any, ...]:
        """A deprecated name of `saved_tensors`."""
        warnings.warn(
            "saved_variables is deprecated; use saved_tensors", DeprecationWarning, stacklevel=2
        )
        return self.saved_tensors

    @property
    def _call_node(self) -> FunctionNode | None:
        """The node of the call, while an output of it lives."""
        return None if self._node is None else self._node()

    def name(self) -> str:
        """The name of the class."""
        return type(self).__name__

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>" if self._used else object.__repr__(self)

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(grad_inputs, grad_outputs)`` after ``backward`` ran; it may replace the first.

        An instance of the classic style takes hooks before its call and after it.
        """
        if self._call_node is not None:
            return self._call_node.register_hook(hook)
        self._hooks = {} if self._hooks is None else self._hooks
        return RemovableHandle(self._hooks, hook)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """``(node, output number)`` for each tensor among the arguments."""
        return tuple(map(edge_as_pair, self._edges))

    @property
    def previous_functions(self) -> tuple[tuple[Any, int], ...]:
        """The classic `next_functions`, where leaves stand for themselves."""
        return tuple((itself(node), nr) for node, nr in self.next_functions)


def _is_among(value: Any, tensors: Sequence[Any]) -> bool:
    return any(value is tensor for tensor in tensors)


FunctionCtx = Function  # what contexts are instances of


class InplaceFunction(Function):
    """A function with an option to work in place.

    Attributes:
        inplace: that option.
    """

    def __init__(self, inplace: bool = False) -> None:
        self.inplace = inplace


class NestedIOFunction(Function):
    """A classic function whose arguments and outputs are nested tuples and lists of tensors.

    Subclasses define ``forward_extended`` and ``backward_extended``; None may stand anywhere.

    Example:
        >>> import dtorch
        >>> class Scale(NestedIOFunction):
        ...     def forward_extended(self, pair):
        ...         return pair[0] * 2, [pair[1] * 3]
        ...     def backward_extended(self, first, others):
        ...         return ((first * 2, others[0] * 3),)
        >>> x = dtorch.ones(1, requires_grad=True)
        >>> first, (second,) = Scale()((x, x))
        >>> first.item(), second.item()
        (2.0, 3.0)
    """

    def __call__(self, *args: Any) -> Any:
        flat, self._input_shape = flatten(args)
        outputs = super().__call__(*flat)
        return unflatten(outputs, self._output_shape)

    def forward(self, *args: Any) -> tuple[Any, ...]:
        """Nest the arguments and call ``forward_extended``."""
        result = self.forward_extended(*unflatten(args, self._input_shape))
        flat, self._output_shape = flatten(result)
        return tuple(flat)

    def backward(self, *grad_output: Any) -> tuple[Any, ...]:
        """Nest the gradients and call ``backward_extended``."""
        nested = unflatten(grad_output, self._output_shape)
        arguments = nested if isinstance(nested, tuple) else (nested,)
        result = self.backward_extended(*arguments)
        result = result if isinstance(result, tuple) else (result,)
        return tuple(pick(result, self._input_shape))

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep arguments or outputs, nested as they may be."""
        flat, self._saved_shape = flatten(tensors)
        super().save_for_backward(*flat)

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What `save_for_backward` kept, nested as it was."""
        kept: tuple[Any, ...] = unflatten(super().saved_tensors, self._saved_shape)
        return kept

    def mark_dirty(self, *args: Any) -> None:
        """Say which arguments forward changed in place, nested as they may be."""
        super().mark_dirty(*flatten(args)[0])

    def mark_non_differentiable(self, *args: Any) -> None:
        """Say which outputs have no gradient, nested as they may be."""
        super().mark_non_differentiable(*flatten(args)[0])

    def forward_extended(self, *input: Any) -> Any:
        """Compute the outputs from nested arguments."""
        raise NotImplementedError(f"{type(self).__name__} does not define forward_extended")

    def backward_extended(self, *grad_output: Any) -> Any:
        """Nested gradients of the arguments from nested ones of the outputs."""
        raise NotImplementedError(f"{type(self).__name__} does not define backward_extended")


def once_differentiable(fn: F) -> F:
    """Decorate a static ``backward`` whose result cannot be differentiated again.

    It runs unrecorded. Differentiating its result raises GradError, instead of giving a wrong
    second gradient.
    """

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any) -> Any:
        with no_grad():
            result = fn(ctx, *args)
        return Once.mark(ctx._node and ctx._node(), args, result)

    return wrapper  # type: ignore[return-value]  # same signature by wraps


def traceable(fn_cls: type[F]) -> type[F]:
    """Nothing; a decorator of earlier versions."""
    return fn_cls
