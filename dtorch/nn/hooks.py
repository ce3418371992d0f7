"""Hooks of modules: functions called around ``forward`` and when gradients pass a module."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from dtorch.core.base import REQUIRES_GRAD, TensorBase, wrap
from dtorch.core.errors import GradError
from dtorch.core.grad_mode import is_grad_enabled
from dtorch.core.graph import Node, RemovableHandle, edge_of

if TYPE_CHECKING:
    from dtorch.nn.module import Module


class ForwardHook(NamedTuple):
    """A hook around ``forward`` and how it wants to be called."""

    function: Callable[..., Any]
    with_kwargs: bool = False
    always_call: bool = False


def add_hook(hooks: OrderedDict[int, Any], hook: Any, prepend: bool = False) -> RemovableHandle:
    """Register a hook, last or (``prepend``) first."""
    handle = RemovableHandle(hooks, hook)
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


# Hooks of all modules, each with its use and what modules keep for one of that use.
on_every_module: OrderedDict[int, tuple[str, Any]] = OrderedDict()


def _hooks_of(kind: str, own: OrderedDict[int, Any]) -> list[tuple[int, Any]]:
    """The hooks for one module, numbered: those of all modules first."""
    of_all = [(nr, hook) for nr, (use, hook) in on_every_module.items() if use == kind]
    return [*of_all, *own.items()]


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`dtorch.nn.Module.register_forward_pre_hook` of all modules, before their own.

    >>> from dtorch import nn, ones
    >>> with nn.modules.module.register_module_forward_pre_hook(lambda layer, input: print(layer)):
    ...     _ = nn.Sequential(nn.ReLU())(ones(1))
    Sequential(
      (0): ReLU()
    )
    ReLU()
    """
    return add_hook(on_every_module, ("forward_pre", ForwardHook(hook)))


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """`dtorch.nn.Module.register_forward_hook` of all modules, before their own."""
    return add_hook(on_every_module, ("forward", ForwardHook(hook, with_kwargs, always_call)))


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`dtorch.nn.Module.register_full_backward_hook` of all modules, before their own.

    Raises:
        RuntimeError: there is one by `register_module_backward_hook`.
    """
    return _add_backward_hook(hook, True)


def register_module_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`dtorch.nn.Module.register_backward_hook` of all modules, before their own.

    Raises:
        RuntimeError: there is one by `register_module_full_backward_hook`.
    """
    return _add_backward_hook(hook, False)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """`dtorch.nn.Module.register_full_backward_pre_hook` of all modules, before their own."""
    return add_hook(on_every_module, ("backward_pre", hook))


def _add_backward_hook(hook: Callable[..., Any], full: bool) -> RemovableHandle:
    there = [found for use, found in on_every_module.values() if use == "backward"]
    if any(is_full != full for _, is_full in there):
        raise GradError(
            "register_module_backward_hook and register_module_full_backward_hook cannot both be "
            "used; remove the hooks of the other kind first"
        )
    return add_hook(on_every_module, ("backward", (hook, full)))


def call_with_hooks(module: Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run ``forward`` with the hooks around it."""
    result = None
    called: set[int] = set()
    try:
        for _, hook in _hooks_of("forward_pre", module._forward_pre_hooks):
            args, kwargs = _replaced_input(module, hook, args, kwargs)
        backward = _hooks_of("backward", module._backward_hooks)
        before = _hooks_of("backward_pre", module._backward_pre_hooks)
        gates = _Gates(module, backward, before) if backward or before else None
        if gates is not None:
            args = gates.around_inputs(args)
        result = module.forward(*args, **kwargs)
        for number, hook in _hooks_of("forward", module._forward_hooks):
            called.add(number)
            changed = _after(module, hook, args, kwargs, result)
            result = result if changed is None else changed
        if gates is not None:
            result = gates.around_outputs(result)
        return result
    except Exception:
        for number, hook in _hooks_of("forward", module._forward_hooks):
            if hook.always_call and number not in called:
                _after(module, hook, args, kwargs, result)
        raise


def _replaced_input(
    module: Module, hook: ForwardHook, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if hook.with_kwargs:
        changed = hook.function(module, args, kwargs)
        if changed is None:
            return args, kwargs
        if not isinstance(changed, tuple) or len(changed) != 2:
            raise TypeError(
                "forward pre-hook with kwargs returned "
                f"{type(changed).__name__}, expected None or a pair (args, kwargs)"
            )
        return changed
    changed = hook.function(module, args)
    if changed is None:
        return args, kwargs
    return (changed if isinstance(changed, tuple) else (changed,)), kwargs


def _after(
    module: Module, hook: ForwardHook, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any
) -> Any:
    if hook.with_kwargs:
        return hook.function(module, args, kwargs, result)
    return hook.function(module, args, result)


class WithoutModule:
    """A hook that is called without the module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def __call__(self, module: Module, *args: Any) -> Any:
        return self.function(*args)


# -- backward hooks -----------------------------------------------------------------------------


class _Gate(Node):
    """Hands gradients through unchanged, except that a function may look at or replace them."""

    __slots__ = ("look",)

    def __init__(self, tensors: Sequence[TensorBase], look: Callable[..., Any]) -> None:
        super().__init__(
            tuple(edge_of(t) for t in tensors),
            tuple((t.array.shape, t.array.dtype) for t in tensors),
            len(tensors),
        )
        self.look = look

    @property
    def label(self) -> str:
        return "ModuleHookBackward"

    def apply(self, grad: Any, create_graph: bool) -> Sequence[Any]:
        grads = list(grad) if self.n_outputs > 1 else [grad]
        shown = tuple(g if create_graph or g is None else wrap(g) for g in grads)
        changed = self.look(shown)
        if changed is None:
            return grads
        return [g if create_graph or g is None else g.array for g in changed]


class _Gates:
    """The two places where the backward hooks of one call of a module see gradients."""

    def __init__(
        self, module: Module, hooks: list[tuple[int, Any]], before: list[tuple[int, Any]]
    ) -> None:
        self.module = module
        self.full = [hook for _, (hook, is_full) in hooks if is_full]
        self.legacy = [hook for _, (hook, is_full) in hooks if not is_full]
        self.before = [hook for _, hook in before]
        self.grad_output: tuple[Any, ...] = ()
        self.n_inputs = 0
        self.watches_inputs = False

    def around_inputs(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.n_inputs = len(args)
        if not self.full or not is_grad_enabled():
            return args
        positions = [i for i, arg in enumerate(args) if _requires_grad(arg)]
        if not positions:
            return args
        self.watches_inputs = True

        def look(grads: tuple[Any, ...]) -> Any:
            return self._call_full(positions, grads)

        through = _through([args[i] for i in positions], look)
        replaced = list(args)
        for i, tensor in zip(positions, through, strict=True):
            replaced[i] = tensor
        return tuple(replaced)

    def around_outputs(self, result: Any) -> Any:
        if self.legacy:
            self._hook_last_operation(result)
        if not (self.full or self.before) or not is_grad_enabled():
            return result
        outputs = result if isinstance(result, tuple) else (result,)
        positions = [i for i, out in enumerate(outputs) if _requires_grad(out)]
        if not positions:
            return result

        def look(grads: tuple[Any, ...]) -> Any:
            return self._receive(len(outputs), positions, grads)

        through = _through([outputs[i] for i in positions], look)
        replaced = list(outputs)
        for i, tensor in zip(positions, through, strict=True):
            replaced[i] = tensor
        return tuple(replaced) if isinstance(result, tuple) else replaced[0]

    def _receive(self, n: int, positions: list[int], grads: tuple[Any, ...]) -> Any:
        grad_output = _spread(grads, positions, n)
        changed = False
        for hook in self.before:
            replaced = hook(self.module, grad_output)
            if replaced is not None:
                grad_output = replaced if isinstance(replaced, tuple) else (replaced,)
                changed = True
        self.grad_output = grad_output
        if self.full and not self.watches_inputs:
            self._call_full([], ())
        return tuple(grad_output[i] for i in positions) if changed else None

    def _call_full(self, positions: list[int], grads: tuple[Any, ...]) -> Any:
        grad_input = _spread(grads, positions, self.n_inputs)
        changed = False
        for hook in self.full:
            replaced = hook(self.module, grad_input, self.grad_output)
            if replaced is not None:
                grad_input = replaced if isinstance(replaced, tuple) else (replaced,)
                changed = True
        if not changed:
            return None
        if len(grad_input) != self.n_inputs:
            raise GradError(
                f"full backward hook of {type(self.module).__name__} returned {len(grad_input)} "
                f"gradients, expected {self.n_inputs}, one for each positional input"
            )
        return tuple(grad_input[i] for i in positions)

    def _hook_last_operation(self, result: Any) -> None:
        first = result
        while not isinstance(first, TensorBase):
            if isinstance(first, dict):
                first = next((v for v in first.values() if isinstance(v, TensorBase)), None)
            elif isinstance(first, (tuple, list)) and first:
                first = first[0]
            else:
                return
        node = first._grad_fn
        if node is None:
            return
        module = self.module
        for hook in self.legacy:

            def call(grad_input: Any, grad_output: Any, hook: Any = hook) -> Any:
                return hook(module, grad_input, grad_output)

            node.register_hook(call)


def _requires_grad(value: Any) -> bool:
    return isinstance(value, TensorBase) and value._mode == REQUIRES_GRAD


def _spread(grads: tuple[Any, ...], positions: list[int], n: int) -> tuple[Any, ...]:
    """Gradients put to their positions among ``n`` values, None elsewhere."""
    spread: list[Any] = [None] * n
    for i, grad in zip(positions, grads, strict=True):
        spread[i] = grad
    return tuple(spread)


def _through(tensors: list[Any], look: Callable[..., Any]) -> list[Any]:
    """The same tensors, behind a `_Gate`."""
    node = _Gate(tensors, look)
    results = []
    for nr, tensor in enumerate(tensors):
        out = tensor.detach()
        out._mode = REQUIRES_GRAD
        out._grad_fn = node
        out._output_nr = nr
        results.append(out)
    return results
