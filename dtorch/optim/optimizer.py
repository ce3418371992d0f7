"""Optimizer: what all of them share. Parameters in groups with options, and a state for each."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from typing import Any, TypeVar, overload

import numpy as np

from dtorch.core import classic
from dtorch.core.base import TensorBase, shared_version, wrap
from dtorch.core.classic import Classic
from dtorch.core.coo import CooArray
from dtorch.core.errors import ArgumentError, GradError, ShapeError
from dtorch.core.grad_mode import enable_grad, no_grad
from dtorch.core.graph import RemovableHandle
from dtorch.core.half import convert, widened
from dtorch.core.quiet import quietly
from dtorch.core.tensor import Tensor
from dtorch.nn.parameter import is_lazy

ndarray = np.ndarray
T = TypeVar("T")
Begin = Callable[[ndarray], ndarray]


class _Required:
    """Default of an option that must be given."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    if getattr(step, "__wrapped__", None) is not None:
        return step

    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if "_step_pre_hooks" not in vars(self):  # one around another, never set up itself
            return step(self, *args, **kwargs)
        for hook in tuple(self._step_pre_hooks.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                args, kwargs = changed
        result = step(self, *args, **kwargs)
        self._steps_taken += 1
        for hook in tuple(self._step_post_hooks.values()):
            hook(self, args, kwargs)
        return result

    hooked.__name__, hooked.__qualname__ = "step", step.__qualname__
    hooked.__doc__ = step.__doc__
    hooked.__wrapped__ = step  # type: ignore[attr-defined]  # keeps the signature
    return hooked


class Optimizer:
    """Base class of optimizers.

    Args:
        params: tensors, pairs of names and tensors, or dicts of a group's tensors (``"params"``)
            and its options.
        defaults: options of groups that do not state their own.

    Attributes:
        param_groups: list of dicts, each with ``"params"`` and options.
        state: dict of a dict for each parameter.

    Raises:
        TypeError: a bare tensor instead of several, or something else than tensors.
        ValueError: no parameters, a parameter twice, or one that was computed.

    A subclass states what it does with a group in ``_step_group``, or overrides ``step``.

    Example:
        >>> import dtorch
        >>> model = dtorch.nn.Linear(2, 1)
        >>> groups = [{"params": [model.weight], "lr": 0.5}, {"params": [model.bias]}]
        >>> optimizer = dtorch.optim.SGD(groups, lr=0.1)
        >>> [group["lr"] for group in optimizer.param_groups]
        [0.5, 0.1]
    """

    # Names of those numbers in the state of a parameter that do not have its dtype.
    _numbers: tuple[str, ...] = ("step",)

    def __init__(self, params: Any, defaults: dict[str, Any]) -> None:
        self.defaults = defaults
        self.state: defaultdict[Any, Any] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self._step_pre_hooks: OrderedDict[int, Any] = OrderedDict()
        self._step_post_hooks: OrderedDict[int, Any] = OrderedDict()
        self._steps_taken = 0
        if isinstance(params, TensorBase):
            raise TypeError(f"{self._name}: params is a tensor, expected several, such as [tensor]")
        if not isinstance(params, Iterable):
            remedy = (
                "call it: " if callable(params) and not hasattr(params, "parameters") else "pass "
            )
            what = params.__name__ if remedy != "pass " else "model.parameters"
            raise TypeError(
                f"{self._name}: params is {type(params).__name__}, expected several tensors; "
                f"{remedy}{what}()"
            )
        groups = list(params)
        if not groups:
            raise ArgumentError(
                f"{self._name}: got an empty list of parameters; an iterator, as "
                "model.parameters() is, gives them once, and may be used up"
            )
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Hooks of steps, and the note that one was taken, belong to every ``step``."""
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.__dict__["step"])  # type: ignore[method-assign]

    @property
    def _name(self) -> str:
        return type(self).__name__

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group: a dict of ``"params"`` and, if they differ from the defaults, options."""
        if not isinstance(param_group, dict):
            raise TypeError(
                f"add_param_group: got {type(param_group).__name__}, expected a dict with 'params'"
            )
        group = dict(param_group)
        params = group["params"]
        if isinstance(params, set):
            raise TypeError("params: a set has no order, expected a list")
        params = [params] if isinstance(params, TensorBase) else list(params)
        names = [p[0] for p in params if isinstance(p, tuple)]
        if names:
            if len(names) != len(params):
                raise ArgumentError("params: some are named and some are not, expected one kind")
            params = [p[1] for p in params]
        for position, p in enumerate(params):
            if not isinstance(p, TensorBase):
                raise TypeError(
                    f"{self._name}: parameter {position} is {type(p).__name__}, expected a tensor"
                )
            if p._grad_fn is not None:
                raise ArgumentError(
                    f"{self._name}: parameter {position} was computed by {p._grad_fn.name}; only "
                    "leaf tensors can be optimized"
                )
        group["params"] = params
        if names:
            group["param_names"] = names
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ArgumentError(f"{self._name}: the option {name!r} is required")
            group.setdefault(name, default)
        self._refuse_duplicates(params)
        self.param_groups.append(group)

    def _refuse_duplicates(self, params: list[Any]) -> None:
        others = {id(p) for group in self.param_groups for p in group["params"]}
        own: set[int] = set()
        for position, p in enumerate(params):
            twice = f"{self._name}: parameter {position} of shape {tuple(p.shape)} is there twice"
            if id(p) in others:
                raise ArgumentError(twice)
            if id(p) in own:
                warnings.warn(
                    f"{twice} in one group, which has duplicate parameters; each is stepped as "
                    "often as it is there",
                    stacklevel=5,
                )
            own.add(id(p))

    # -- stepping -------------------------------------------------------------------------------

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], T]) -> T: ...
    @_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Change the parameters by their gradients.

        Args:
            closure: computes the loss and its gradients; called with recording enabled.
        Returns: what ``closure`` returned, or None.
        """
        loss = loss_of(closure)
        with no_grad():
            for group in self.param_groups:
                quietly(self._step_group, group)
        return loss

    def _states(self, group: dict[str, Any], p: Any) -> dict[str, Begin] | None:
        """What a parameter of a group remembers between steps: for each name, what gives the first
        values for the array of the parameter. None: ``step`` sees to it."""
        return None

    def _kept(self, group: dict[str, Any], p: Any) -> dict[str, Begin]:
        """`_states`, and what the first step begins otherwise."""
        return self._states(group, p) or {}

    def _begin(self, p: Any, states: dict[str, Begin] | None) -> None:
        """Begin the state of a parameter where it lacks something."""
        for name, begin in (states or {}).items():
            if self.state[p].get(name) is None:
                self.state[p][name] = wrap(begin(p.array))

    def _step_group(self, group: dict[str, Any]) -> None:
        """What an algorithm does: change the parameters of a group; see `turns`."""
        raise NotImplementedError(f"{self._name} defines no step()")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or (``set_to_none=False``, and in classic mode) zero them."""
        set_to_none = set_to_none and not classic.allows(Classic.ZERO_GRAD)
        for group in self.param_groups:
            for p in group["params"]:
                if set_to_none:
                    p._grad = None
                elif p._grad is not None:
                    p._grad.detach_()
                    p._grad.zero_()

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` before each step; it may replace both."""
        return RemovableHandle(self._step_pre_hooks, hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(optimizer, args, kwargs)`` after each step."""
        return RemovableHandle(self._step_post_hooks, hook)

    # -- state ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """``{"state": ..., "param_groups": ...}`` with parameters numbered by position."""
        numbers: dict[int, int] = {}
        groups = []
        for group in self.param_groups:
            packed = {name: value for name, value in group.items() if name != "params"}
            for p in group["params"]:
                numbers.setdefault(id(p), len(numbers))
            packed["params"] = [numbers[id(p)] for p in group["params"]]
            groups.append(packed)
        state = {
            numbers[id(key)] if isinstance(key, TensorBase) else key: value
            for key, value in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state that `state_dict` gave; a copy of it.

        Raises:
            ValueError: other numbers of groups, or of parameters in a group; or the state of a
                parameter has another shape.
        """
        own, given = self.param_groups, copy.deepcopy(state_dict["param_groups"])
        if len(own) != len(given):
            raise ArgumentError(
                f"load_state_dict: the state has {len(given)} parameter groups, the optimizer "
                f"{len(own)}"
            )
        for i, (mine, theirs) in enumerate(zip(own, given, strict=True)):
            if len(mine["params"]) != len(theirs["params"]):
                raise ArgumentError(
                    f"load_state_dict: group {i} of the state has {len(theirs['params'])} "
                    f"parameters, that of the optimizer {len(mine['params'])}"
                )
        by_key = {
            key: p
            for mine, theirs in zip(own, given, strict=True)
            for key, p in zip(theirs["params"], mine["params"], strict=True)
        }
        options = {
            id(p): {**mine, **theirs}
            for mine, theirs in zip(own, given, strict=True)
            for p in mine["params"]
        }
        state: defaultdict[Any, Any] = defaultdict(dict)
        for key, value in state_dict["state"].items():
            if key in by_key:
                p = by_key[key]
                self._expect_shapes(key, p, self._kept(options[id(p)], p), value)
                state[p] = self._state_for(p, value)
            else:
                state[key] = copy.deepcopy(value)
        self.state = state
        self.param_groups = [
            {**theirs, "params": mine["params"]} for mine, theirs in zip(own, given, strict=True)
        ]
        self.__setstate__({})

    def _expect_shapes(self, key: Any, p: Any, kept: dict[str, Begin], state: Any) -> None:
        """Complain of a state that is not of the sizes of its parameter."""
        for name, begin in kept.items() if isinstance(state, dict) and not is_lazy(p) else ():
            value = state.get(name)
            if not isinstance(value, Tensor):
                continue
            expected = begin(p.array).shape
            if value.shape != expected and (expected or value.numel() != 1):
                raise ShapeError(
                    f"load_state_dict: {name!r} of parameter {key} has shape "
                    f"{tuple(value.shape)}, expected {expected}"
                )

    def _state_for(self, param: Any, value: Any, name: Any = "") -> Any:
        """A copy of a state whose floating tensors, but for numbers, have the dtype of the parameter."""
        if isinstance(value, Tensor):
            if name in self._numbers:
                return value.clone()
            if param.dtype.category == value.dtype.category >= 2:
                return value.to(param.dtype, copy=True)
            return value.clone()
        if isinstance(value, dict):
            return {k: self._state_for(param, v, k) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._state_for(param, v, name) for v in value)
        return copy.deepcopy(value)

    def share_memory(self) -> None:
        """Begin the state of every parameter now, and move it to memory that processes share.

        Optimizers begin their state at the first step, which every process would do for itself.
        Numbers that are not tensors stay with each process.
        """
        self._begin_states()
        for state in self.state.values():
            for value in state.values() if isinstance(state, dict) else ():
                if isinstance(value, Tensor):
                    value.share_memory_()

    def _begin_states(self) -> None:
        """Begin the states of all parameters."""
        for group in self.param_groups:
            for p in group["params"]:
                states = self._states(group, p)
                if states is None:
                    return self._begin_states_by_step()
                self._begin(p, states)
        return None

    def _begin_states_by_step(self) -> None:
        """A step with gradients of zeros makes all states; what else it did is undone."""
        if self.state:
            return
        params = [p for group in self.param_groups for p in group["params"]]
        before = [(p, p._grad, p.array.copy()) for p in params]
        try:
            for p in params:
                p._grad = wrap(np.zeros_like(p.array))
            type(self).step.__wrapped__(self)  # type: ignore[attr-defined]  # no hooks
        finally:
            for p, grad, array in before:
                p._grad = grad
                p.array[...] = array
                changed(p)
        for state in self.state.values():
            if isinstance(state.get("step"), Tensor):
                state["step"].array[...] = 0

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Options that older states lack get their default."""
        self.__dict__.update(state)
        if "defaults" not in self.__dict__:  # before 1.0
            self.defaults = _options_of(type(self).__init__)
        self.__dict__.setdefault("_step_pre_hooks", OrderedDict())
        self.__dict__.setdefault("_step_post_hooks", OrderedDict())
        self.__dict__.setdefault("_steps_taken", 0)
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            lines += ["", f"Parameter Group {i}"]
            lines += [f"    {k}: {group[k]}" for k in sorted(group) if k != "params"]
        return f"{self._name} (\n" + "\n".join(lines[1:]) + "\n)"


def _options_of(constructor: Any) -> dict[str, Any]:
    """Options of an algorithm, and their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(constructor).parameters.items()
        if parameter.default is not parameter.empty
    }


def revive(optimizer: Optimizer, state: dict[str, Any]) -> None:
    """Make an empty optimizer what a file says, with the checks of a new one.

    Args:
        state: what `Optimizer.__getstate__` gives.
    """
    optimizer.__setstate__({**state, "state": defaultdict(dict), "param_groups": []})
    for group in state["param_groups"]:
        optimizer.add_param_group(dict(group))
    optimizer.state.update(state["state"])
    optimizer.load_state_dict(optimizer.state_dict())


# -- what algorithms are written with -----------------------------------------------------------


def loss_of(closure: Callable[[], Any] | None) -> Any:
    """The loss that ``closure`` computes, with recording enabled."""
    if closure is None:
        return None
    with enable_grad():
        return closure()


class Turn:
    """What a parameter is stepped with: real numbers of single precision or more.

    Complex numbers are seen as pairs of real ones, and a single number as a list of one. float16
    and bfloat16 are widened; `close` rounds what became of them, once.

    Attributes:
        param: the parameter.
        array, grad: its numbers and those of its gradient.
    """

    __slots__ = ("_narrow", "_states", "array", "grad", "param")

    def __init__(self, param: Any, states: dict[Any, dict[str, Any]], grad: ndarray) -> None:
        self.param = param
        self.grad = grad if _is_plain(grad) else real(widened(grad))
        self._states = states
        self._narrow: list[tuple[ndarray, ndarray]] = []
        self.array = self._opened(param.array)

    def _opened(self, array: ndarray) -> ndarray:
        if _is_plain(array):
            return array
        wide = widened(array)
        if wide is not array:
            self._narrow.append((array, wide))
        return real(wide)

    def state(self, name: str) -> ndarray:
        """The numbers of a state that has the dtype of the parameter."""
        return self._opened(self._states[self.param][name].array)

    def number(self, name: str) -> ndarray:
        """A state that is one number, as a 0-dim array."""
        return self._states[self.param][name].array  # type: ignore[no-any-return]

    def count(self) -> int:
        """The number of the step."""
        counter = self.number("step")
        counter += 1
        return int(counter)

    def close(self) -> None:
        """Round what was computed in single precision."""
        for array, wide in self._narrow:
            array[...] = convert(wide, array.dtype)


def _is_plain(array: ndarray) -> bool:
    return array.dtype.char in "fd" and array.ndim > 0


def real(array: ndarray) -> ndarray:
    """The real numbers of an array, one at least in a row."""
    if array.dtype.kind == "c":
        return array[..., None].view(array.real.dtype)
    return array if array.ndim else array.reshape(1)


def zeros(array: ndarray) -> ndarray:
    """Begins a state of the shape and dtype of the parameter."""
    return np.zeros_like(array)


def filled(value: float) -> Begin:
    """Begins such a state with ``value`` everywhere, in real and imaginary parts."""

    def begin(array: ndarray) -> ndarray:
        is_complex = array.dtype.kind == "c"
        return np.full_like(array, complex(value, value) if is_complex else value)

    return begin


def number(value: float) -> Begin:
    """Begins a state that is one number."""
    return lambda array: np.asarray(value, np.float32)


counter = number(0)


def turns(
    optimizer: Optimizer, group: dict[str, Any], params: Iterable[Any] | None = None,
    sparse: Callable[[Any, CooArray], None] | None = None,
) -> Iterable[Turn]:  # fmt: skip
    """The turn of each parameter with a gradient. It is closed, and noted that the parameter was
    changed, when the next one is asked for.

    Args:
        params: those of the group that are asked for. Default: all.
        sparse: handles a parameter with a sparse gradient, which then is not among them.
    Raises:
        GradError: the gradient is sparse, which this optimizer does not take.
    """
    for p in group["params"] if params is None else params:
        grad = p._grad
        if grad is None:
            continue
        array = grad.array
        if group.get("maximize"):
            array = -array
        if isinstance(array, CooArray):
            if sparse is None:
                raise GradError(
                    f"{optimizer._name}: sparse gradients are not supported; use SparseAdam, SGD "
                    "or Adagrad"
                )
            sparse(p, array.coalesce())
        else:
            if not optimizer.state.get(p):
                optimizer._begin(p, optimizer._states(group, p))
            turn = Turn(p, optimizer.state, array)
            yield turn
            turn.close()
        changed(p)


def changed(param: Any) -> None:
    """Note that the array of ``param`` was changed."""
    shared_version(param).value += 1


def plus(grad: ndarray, param: ndarray, weight_decay: float) -> ndarray:
    """``grad + weight_decay * param``, or the gradient itself where there is nothing to add."""
    if weight_decay == 0:
        return grad
    out: ndarray = np.multiply(param, weight_decay)
    out += grad
    return out


def move(average: ndarray, value: ndarray, beta: float) -> None:
    """``average = beta * average + (1 - beta) * value``, in place."""
    average *= beta
    average += value * (1 - beta)


def move_square(average: ndarray, value: ndarray, beta: float) -> None:
    """``average = beta * average + (1 - beta) * value**2``, in place."""
    average *= beta
    square = np.multiply(value, value)
    square *= 1 - beta
    average += square


def check_options(optimizer: str, **options: tuple[Any, float, float | None]) -> None:
    """Complain about options outside their range: ``name=(value, least, below)``."""
    for name, (value, least, below) in options.items():
        if not isinstance(value, (int, float, np.number, TensorBase)):
            raise TypeError(f"{optimizer}: {name} is {type(value).__name__}, expected a number")
        number = float(value)  # type: ignore[arg-type]  # tensors of one element can be converted
        if not number >= least or (below is not None and not number < below):
            limit = f"at least {least:g}" if below is None else f"{least:g} <= {name} < {below:g}"
            raise ArgumentError(f"{optimizer}: {name} is {value}, expected {limit}")
