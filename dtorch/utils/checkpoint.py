"""Checkpointing: computing a part of a network twice instead of keeping what its gradient needs.

Reference: Chen et al. 2016, "Training deep nets with sublinear memory cost", arXiv:1604.06174.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dtorch.amp.autocast import regions_here
from dtorch.autograd.backward import backward
from dtorch.autograd.function import Function
from dtorch.autograd.graph import saved_tensors_hooks
from dtorch.core.base import REQUIRES_GRAD, TensorBase
from dtorch.core.errors import ArgumentError, DtypeError, GradError
from dtorch.core.generator import fork_rng, get_rng_state, set_rng_state
from dtorch.core.grad_mode import enable_grad

__all__ = ["checkpoint", "checkpoint_sequential"]


class _Replay:
    """Calls a function again as it was called first: same arguments, random numbers and casts."""

    def __init__(
        self,
        function: Callable[..., Any],
        args: Sequence[Any],
        kwargs: dict[str, Any],
        preserve_rng_state: bool,
    ) -> None:
        self.function = function
        self.args = tuple(args)
        self.kwargs = kwargs
        self.rng_state = get_rng_state() if preserve_rng_state else None
        self.regions = regions_here()

    @contextlib.contextmanager
    def random_numbers(self) -> Iterator[None]:
        if self.rng_state is None:
            yield
            return
        with fork_rng():
            set_rng_state(self.rng_state)
            yield

    def run(self, args: Sequence[Any]) -> Any:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self.random_numbers())
            stack.enter_context(enable_grad())
            for region in self.regions:
                stack.enter_context(region)
            return self.function(*args, **self.kwargs)


def _apart(value: Any) -> Any:
    """A tensor as a leaf over the same memory; anything else as it is."""
    if not isinstance(value, TensorBase):
        return value
    leaf: Any = value.detach()  # type: ignore[attr-defined]  # a Tensor
    return leaf.requires_grad_() if value._mode == REQUIRES_GRAD else leaf


def detach_variable(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Leaves over the memory of tensors, which require grad where these do.

    Raises:
        RuntimeError: it is no tuple.
    """
    if not isinstance(inputs, tuple):
        raise DtypeError(f"detach_variable: got {type(inputs).__name__}, expected a tuple")
    return tuple(_apart(value) for value in inputs)


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """``function(*args, **kwargs)``, of which nothing is kept for the gradient but the arguments.

    Backward calls the function again. It must compute the same.

    Args:
        use_reentrant: True: forward is not recorded at all, and backward runs a backward pass of
            its own; then at least one argument must require grad. False (the default): forward is
            recorded, and only what operations save is left out.
        preserve_rng_state: give the second call the random numbers of the first.

    Example:
        >>> import dtorch
        >>> x = dtorch.ones(2, requires_grad=True)
        >>> checkpoint(lambda t: (t * t).exp(), x).sum().backward()
        >>> x.grad
        tensor([5.4366, 5.4366])
    """
    replay = _Replay(function, args, kwargs, preserve_rng_state)
    if use_reentrant:
        if kwargs:
            raise ArgumentError(
                f"checkpoint: keyword arguments {sorted(kwargs)} need use_reentrant=False"
            )
        return _Reentrant.apply(replay, *args)
    saved = _Saved(replay)
    with saved_tensors_hooks(saved.pack, saved.unpack):
        return function(*args, **kwargs)


class _Saved:
    """Stands for the tensors that operations save in forward; a second call brings them."""

    def __init__(self, replay: _Replay) -> None:
        self.replay = replay
        self.count = 0
        self.shapes: list[tuple[int, ...]] = []
        self.tensors: dict[int, Any] = {}

    def pack(self, tensor: Any) -> int:
        self.shapes.append(tuple(tensor.shape))
        self.count += 1
        return self.count - 1

    def unpack(self, number: int) -> Any:
        if number not in self.tensors:
            self._compute_again()
        return self.tensors.pop(number)

    def _compute_again(self) -> None:
        found: list[Any] = []

        def keep(tensor: Any) -> Any:
            plain = tensor.detach()
            found.append(plain)
            return plain

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            self.replay.run([_apart(arg) for arg in self.replay.args])
        shapes = [tuple(tensor.shape) for tensor in found]
        if shapes != self.shapes:
            raise GradError(
                f"checkpoint: the second call of the function saved {len(found)} tensors of other "
                f"shapes than the {self.count} of the first; it must compute the same both times"
            )
        self.tensors = dict(enumerate(found))


class _Reentrant(Function):
    """The kind of checkpoint that leaves one node."""

    @staticmethod
    def forward(ctx: Any, replay: _Replay, *args: Any) -> Any:
        ctx.replay = replay
        ctx.positions = [i for i, arg in enumerate(args) if isinstance(arg, TensorBase)]
        ctx.save_for_backward(*(args[i] for i in ctx.positions))
        replay.args = tuple(None if isinstance(a, TensorBase) else a for a in args)
        return replay.function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        args = list(ctx.replay.args)
        for i, tensor in zip(ctx.positions, ctx.saved_tensors, strict=True):
            args[i] = _apart(tensor)
        result = ctx.replay.run(args)
        outputs = result if isinstance(result, tuple) else (result,)
        linked: list[Any] = [
            (o, g) for o, g in zip(outputs, grads, strict=True)
            if isinstance(o, TensorBase) and o._mode == REQUIRES_GRAD and g is not None
        ]  # fmt: skip
        if not linked:
            raise GradError(
                "checkpoint: no output of the second call requires grad; pass use_reentrant=False"
            )
        with enable_grad():
            backward([o for o, _ in linked], [g for _, g in linked])
        return (None, *(a._grad if isinstance(a, TensorBase) else None for a in args))


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
) -> Any:
    """Call functions one after the other, with a checkpoint for each of ``segments`` pieces.

    Args:
        functions: a Sequential, or a list of functions of one argument.
        segments: number of pieces; the last is not checkpointed.
    """
    steps = list(functions.children()) if hasattr(functions, "children") else list(functions)
    if not 1 <= segments <= max(len(steps), 1):
        raise ArgumentError(
            f"checkpoint_sequential: segments is {segments}, expected 1 to {len(steps)}"
        )
    size = len(steps) // segments
    for start in range(0, size * (segments - 1), size):
        piece = _Piece(steps[start : start + size])
        input = checkpoint(
            piece, input, use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state
        )
    return _Piece(steps[size * (segments - 1) :])(input)


class _Piece:
    """Functions one after the other."""

    def __init__(self, functions: Sequence[Callable[[Any], Any]]) -> None:
        self.functions = functions

    def __call__(self, input: Any) -> Any:
        for function in self.functions:
            input = function(input)
        return input
