"""Module: the base class of layers and networks."""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any, TypeVar

from dtorch.core import classic
from dtorch.core.base import TensorBase
from dtorch.core.classic import Classic
from dtorch.core.conversion import dtype_of_type
from dtorch.core.creation import empty_like
from dtorch.core.device import device
from dtorch.core.dtype import as_dtype, dtype
from dtorch.core.errors import ArgumentError, GradError
from dtorch.core.grad_mode import no_grad
from dtorch.core.graph import RemovableHandle
from dtorch.core.memory_format import is_for
from dtorch.core.parameter import Parameter
from dtorch.core.tensor import Tensor
from dtorch.nn import state_dict as states
from dtorch.nn.failure import explained
from dtorch.nn.hooks import (
    ForwardHook,
    WithoutModule,
    add_hook,
    call_with_hooks,
    on_every_module,
)
from dtorch.nn.parameter import Buffer, is_lazy

Self = TypeVar("Self", bound="Module")
Named = Iterator[tuple[str, Any]]


def _named_after(cls: type, init: Any) -> Any:
    """The ``__init__`` of a base that users do not know, under the name of a class that they do:
    Python says it where arguments are missing or unknown."""
    own = FunctionType(
        init.__code__, init.__globals__, init.__name__, init.__defaults__, init.__closure__
    )
    functools.update_wrapper(own, init)
    del own.__dict__["__wrapped__"]
    own.__kwdefaults__ = init.__kwdefaults__
    own.__qualname__ = f"{cls.__qualname__}.__init__"
    return own


def _no_forward(self: Module, *input: Any) -> Any:
    """Compute the output; to be defined by subclasses."""
    raise NotImplementedError(f'Module [{type(self).__name__}] is missing the "forward" method')


class Module:
    """Base class of layers and networks.

    Assigning a `Parameter` or a `Module` to an attribute registers it: `parameters`, `state_dict`,
    `to` and the like then reach it. Subclasses compute in ``forward``.

    Attributes:
        training: whether the module is in training mode; see `train`.

    Example:
        >>> import dtorch
        >>> from dtorch.nn import Linear, Module
        >>> class Net(Module):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.last = Linear(4, 1)
        ...     def forward(self, input):
        ...         return self.last(input).relu()
        >>> net = Net()
        >>> [name for name, _ in net.named_parameters()]
        ['last.weight', 'last.bias']
        >>> tuple(net(dtorch.ones(3, 4)).shape)
        (3, 1)
    """

    dump_patches = False
    _version = 1
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    _non_persistent_buffers_set: set[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        init = cls.__init__
        if "__init__" not in cls.__dict__ and init.__qualname__.startswith("_"):
            cls.__init__ = _named_after(cls, init)  # type: ignore[method-assign]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if args or kwargs:
            given = [*map(repr, args), *kwargs]
            raise TypeError(f"{type(self).__name__}() takes no arguments, got {', '.join(given)}")
        self.__dict__.update(_fresh_fields())

    # Declared as a variable: what parameters it takes is up to the subclass.
    forward: Callable[..., Any] = _no_forward

    def __call__(self, *input: Any, **kwargs: Any) -> Any:
        """Run `forward`, with the registered hooks around it."""
        own = self.__dict__
        try:
            if (
                own["_forward_pre_hooks"] or own["_forward_hooks"] or own["_backward_hooks"]
                or own["_backward_pre_hooks"] or on_every_module
            ):  # fmt: skip
                return call_with_hooks(self, input, kwargs)
            return self.forward(*input, **kwargs)
        except Exception as error:
            instead = explained(error, Module.__call__.__code__)
            if instead is None:
                raise
            raise instead from None

    # -- registration ---------------------------------------------------------------------------

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under ``name``; None reserves the name.

        Raises:
            TypeError: not a `Parameter`.
            ValueError: the parameter was computed, so it is no leaf.
            KeyError: the name is in use, empty, or has a dot.
        """
        self._check_name(name, self._parameters, "parameter")
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"register_parameter: {name!r} is {type(param).__name__}, expected a Parameter "
                    "or None"
                )
            if param._grad_fn is not None:
                raise ArgumentError(
                    f"register_parameter: {name!r} was computed by {param._grad_fn.name}; a "
                    "parameter must be a leaf, compute from it in forward() instead"
                )
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a buffer: a tensor that belongs to the state but is not trained.

        Args:
            tensor: the tensor, or None to reserve the name.
            persistent: whether it is part of the state dict.
        """
        self._check_name(name, self._buffers, "buffer")
        if tensor is not None and not isinstance(tensor, Tensor):
            raise TypeError(
                f"register_buffer: {name!r} is {type(tensor).__name__}, expected a tensor or None"
            )
        self._buffers[name] = tensor
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child module under ``name``."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(
                f"add_module: {name!r} is {type(module).__name__}, expected a Module or None"
            )
        self._check_name(name, self._modules, "module")
        self._modules[name] = module

    def register_module(self, name: str, module: Module | None) -> None:
        """Another name of `add_module`."""
        self.add_module(name, module)

    def _check_name(self, name: str, table: Mapping[str, Any], kind: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a {kind} is {type(name).__name__}, expected a str")
        if "." in name or not name:
            raise KeyError(f"{name!r} cannot name a {kind}: it is empty or has a dot")
        if name not in table and hasattr(self, name):
            raise KeyError(f"{name!r} cannot name a {kind}: the attribute exists already")

    # -- attributes -----------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for table in ("_parameters", "_buffers", "_modules"):
            found = own.get(table)
            if found is not None and name in found:
                return found[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        parameters = own.get("_parameters")
        if isinstance(value, Parameter):
            self._expect_initialized(parameters, name)
            self._forget(name, "_buffers", "_modules")
            self.register_parameter(name, value)
            return
        if isinstance(value, Module):
            self._expect_initialized(parameters, name)
            self._forget(name, "_parameters", "_buffers")
            own["_modules"][name] = value
            return
        if parameters is not None:
            if name in parameters:
                if value is not None:
                    raise TypeError(
                        f"{name!r} is a parameter, got {type(value).__name__}, expected a "
                        "Parameter or None"
                    )
                parameters[name] = None
                return
            if name in own["_modules"]:
                if value is not None:
                    raise TypeError(
                        f"{name!r} is a module, got {type(value).__name__}, expected a Module or None"
                    )
                own["_modules"][name] = None
                return
            if name in own["_buffers"] or isinstance(value, Buffer):
                if value is not None and not isinstance(value, TensorBase):
                    raise TypeError(
                        f"{name!r} is a buffer, got {type(value).__name__}, expected a tensor or None"
                    )
                if isinstance(value, Buffer):
                    own.pop(name, None)
                    self.register_buffer(name, value, value.persistent)  # type: ignore[attr-defined]
                else:
                    own["_buffers"][name] = value
                return
        object.__setattr__(self, name, value)

    def _expect_initialized(self, parameters: Any, name: str) -> None:
        if parameters is None:
            raise AttributeError(
                f"cannot assign {name!r}: call super().__init__() first in "
                f"{type(self).__name__}.__init__()"
            )

    def _forget(self, name: str, *tables: str) -> None:
        """A name moves from another kind of attribute to the one being registered."""
        own = self.__dict__
        own.pop(name, None)
        for table in tables:
            own[table].pop(name, None)
        own["_non_persistent_buffers_set"].discard(name)

    def __delattr__(self, name: str) -> None:
        for table in (self._parameters, self._buffers, self._modules):
            if name in table:
                del table[name]
                self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        names = {*super().__dir__(), *self._parameters, *self._buffers, *self._modules}
        return sorted(name for name in names if not name[0].isdigit())

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What files of older versions lack is as in a fresh module; options that a layer did not
        have then are attributes of its class."""
        self.__dict__.update(_fresh_fields())
        self.__dict__.update(state)

    # -- walking --------------------------------------------------------------------------------

    def children(self) -> Iterator[Module]:
        """The modules directly below, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Names and modules directly below, each once."""
        seen: set[int] = set()
        for name, module in self._modules.items():
            if module is not None and id(module) not in seen:
                seen.add(id(module))
                yield name, module

    def modules(self) -> Iterator[Module]:
        """This module and all below, depth first, each once."""
        for _, module in self.named_modules():
            yield module

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Dotted names and modules, this one first."""
        seen = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                below = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(seen, below, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, those shared by several modules once."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Dotted names and parameters."""
        return self._named_members("_parameters", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Dotted names and buffers."""
        return self._named_members("_buffers", prefix, recurse, remove_duplicate)

    def _named_members(
        self, table: str, prefix: str, recurse: bool, remove_duplicate: bool
    ) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        modules: Any = (
            self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
            if recurse
            else [(prefix, self)]
        )
        for lead, module in modules:
            for name, member in getattr(module, table).items():
                if member is None or id(member) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(member))
                yield (f"{lead}.{name}" if lead else name), member

    def get_submodule(self, target: str) -> Module:
        """The module with the dotted name ``target``; itself for an empty name."""
        module: Module = self
        for name in target.split(".") if target else ():
            found = getattr(module, name, None)
            if not isinstance(found, Module):
                raise AttributeError(f"{type(module).__name__} has no module {name!r} ({target!r})")
            module = found
        return module

    def get_parameter(self, target: str) -> Parameter:
        """The parameter with the dotted name ``target``."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._parameters.get(name)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no parameter {target!r}")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer with the dotted name ``target``."""
        path, _, name = target.rpartition(".")
        found = self.get_submodule(path)._buffers.get(name)
        if found is None:
            raise AttributeError(f"{type(self).__name__} has no buffer {target!r}")
        return found

    def apply(self: Self, fn: Callable[[Module], Any]) -> Self:
        """Call ``fn`` with every module, children before their parent; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # -- conversion -----------------------------------------------------------------------------

    def _apply(self: Self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Replace the memory of parameters, their gradients and buffers by what ``fn`` makes of
        it; the Parameter objects stay."""
        if recurse:
            for module in self.children():
                module._apply(fn)
        with no_grad():
            for parameter in self._parameters.values():
                if parameter is None or is_lazy(parameter):
                    continue
                _convert_data(parameter, fn)
                if parameter._grad is not None:
                    _convert_data(parameter._grad, fn)
            for name, buffer in self._buffers.items():
                if buffer is not None and not is_lazy(buffer):
                    self._buffers[name] = fn(buffer)
        return self

    def to(self: Self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device or convert to a floating dtype, as ``Tensor.to``; integers keep theirs.
        ``memory_format`` is for parameters and buffers of as many dims as it is made for.

        Raises:
            TypeError: the dtype is an integer's, or the arguments are none of ``(device, dtype,
                non_blocking)``, ``(dtype, non_blocking)``, ``(tensor, non_blocking)``.
            RuntimeError: ``copy`` is given; parameters stay where they are, `copy.deepcopy` copies.
        """
        if "copy" in kwargs or len(args) > 3:
            raise ArgumentError(
                "to: a module takes no copy argument, it is changed in place; copy.deepcopy() it "
                "first"
            )
        if any(isinstance(a, (str, device)) for a in args[1:]):
            raise TypeError(f"to: the device comes first and once, got {args!r}")
        elsewhere = [a for a in args if not isinstance(a, (dtype, TensorBase))]
        wanted = kwargs.get("dtype") or next((a for a in args if isinstance(a, dtype)), None)
        if wanted is not None and as_dtype(wanted).category < 2:
            raise TypeError(f"to: dtype is {wanted}, expected a floating-point or complex one")
        wanted_format = kwargs.pop("memory_format", None)
        moving = {k: v for k, v in kwargs.items() if k != "dtype"}
        elsewhere += [a.device for a in args if isinstance(a, Tensor)]

        def convert(tensor: Tensor) -> Tensor:
            if tensor.dtype.category >= 2:
                tensor = tensor.to(*args, **kwargs)
            else:
                tensor = tensor.to(*elsewhere, **moving)
            if is_for(wanted_format, tensor.ndim):
                tensor = tensor.to(memory_format=wanted_format)
            return tensor

        return self._apply(convert)

    def type(self: Self, dst_type: Any) -> Self:
        """Convert all parameters and buffers to a dtype or tensor type."""
        dtype_of_type(dst_type)  # a type that is none is refused, though there is no parameter
        return self._apply(lambda tensor: tensor.type(dst_type))

    def float(self: Self) -> Self:
        """Convert floating parameters and buffers to float32."""
        return self._apply(lambda tensor: tensor.float() if tensor.is_floating_point() else tensor)

    def double(self: Self) -> Self:
        """Convert floating parameters and buffers to float64."""
        return self._apply(lambda tensor: tensor.double() if tensor.is_floating_point() else tensor)

    def half(self: Self) -> Self:
        """Convert floating parameters and buffers to float16."""
        return self._apply(lambda tensor: tensor.half() if tensor.is_floating_point() else tensor)

    def bfloat16(self: Self) -> Self:
        """Convert floating parameters and buffers to bfloat16."""
        return self._apply(
            lambda tensor: tensor.bfloat16() if tensor.is_floating_point() else tensor
        )

    def cpu(self: Self) -> Self:
        """Move parameters and buffers to the CPU."""
        return self._apply(lambda tensor: tensor.cpu())

    def cuda(self: Self, device: Any = None) -> Self:
        """Move parameters and buffers to a CUDA device, the current one by default."""
        return self._apply(lambda tensor: tensor.cuda(device))

    def to_empty(self: Self, *, device: Any, recurse: bool = True) -> Self:
        """Give parameters and buffers new, uninitialised memory on ``device``."""
        return self._apply(lambda tensor: empty_like(tensor, device=device), recurse)

    def share_memory(self: Self) -> Self:
        """Move parameters and buffers to memory that other processes can see."""
        return self._apply(lambda tensor: tensor.share_memory_())

    # -- modes ----------------------------------------------------------------------------------

    def train(self: Self, mode: bool = True) -> Self:
        """Set training mode here and below; it matters to dropout, batch norm and the like."""
        if not isinstance(mode, bool):
            raise ArgumentError(f"train: mode is {mode!r}, expected True or False")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self: Self) -> Self:
        """Set evaluation mode here and below."""
        return self.train(False)

    def requires_grad_(self: Self, requires_grad: bool = True) -> Self:
        """Set whether operations on the parameters are recorded."""
        for parameter in self.parameters():
            parameter.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all parameters, or (``set_to_none=False``, and in classic mode)
        zero them."""
        set_to_none = set_to_none and not classic.allows(Classic.ZERO_GRAD)
        for parameter in self.parameters():
            if set_to_none:
                parameter.grad = None
            elif parameter.grad is not None:
                parameter.grad.detach_()
                parameter.grad.zero_()

    # -- state ----------------------------------------------------------------------------------

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """Parameters and persistent buffers by dotted name.

        Args:
            destination: dict to fill. Default: a new OrderedDict.
            prefix: put before every name.
            keep_vars: give the parameters themselves, not detached tensors over their memory.
        """
        if args:  # classic positions
            destination = args[0]
            prefix = args[1] if len(args) > 1 else prefix
            keep_vars = args[2] if len(args) > 2 else keep_vars
        if destination is None:
            destination = OrderedDict()
            destination._metadata = OrderedDict()  # as in its files
        local = {"version": self._version}
        if hasattr(destination, "_metadata"):
            destination._metadata[prefix[:-1]] = local
        for hook in self._state_dict_pre_hooks.values():
            hook(self, prefix, keep_vars)
        self._save_to_state_dict(destination, prefix, keep_vars)
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(
                    destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars
                )
        for hook in self._state_dict_hooks.values():
            changed = hook(self, destination, prefix, local)
            destination = destination if changed is None else changed
        return destination  # type: ignore[no-any-return]  # a hook may have replaced it

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        for name, tensor in states.own_state(self).items():
            destination[prefix + name] = tensor if keep_vars or is_lazy(tensor) else tensor.detach()
        if self.has_extra_state():
            destination[f"{prefix}_extra_state"] = self.get_extra_state()

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> states.IncompatibleKeys:
        """Copy the tensors of ``state_dict`` into the parameters and buffers of the same name.

        Args:
            strict: complain about missing and unexpected keys; sizes must agree in any case.
            assign: put the tensors in the place of the parameters instead of copying.
        Returns: named tuple ``(missing_keys, unexpected_keys)``.
        Raises:
            StateDictError: lists everything that does not fit; nothing was loaded then. It is a
                RuntimeError and a KeyError.
        """
        return states.load(self, state_dict, strict, assign)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, local_metadata: dict[str, Any], strict: bool,
        missing_keys: list[str], unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        """Take what is this module's own from ``state_dict``; subclasses may convert older forms."""
        states.check(self, state_dict, prefix, local_metadata, missing_keys, error_msgs)
        if self.has_extra_state():
            key = f"{prefix}_extra_state"
            if key in state_dict:
                self.set_extra_state(state_dict[key])
            elif strict:
                missing_keys.append(key)

    def has_extra_state(self) -> bool:
        """Whether the class defines `get_extra_state`."""
        return type(self).get_extra_state is not Module.get_extra_state

    def get_extra_state(self) -> Any:
        """State besides tensors, kept in the state dict; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} defines no get_extra_state()")

    def set_extra_state(self, state: Any) -> None:
        """Take back what `get_extra_state` gave; for subclasses to define."""
        raise NotImplementedError(f"{type(self).__name__} defines no set_extra_state()")

    # -- hooks ----------------------------------------------------------------------------------

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, input)`` before `forward`; what it returns, if not None, replaces the
        input. ``input`` is the tuple of positional arguments."""
        return add_hook(self._forward_pre_hooks, ForwardHook(hook, with_kwargs), prepend)

    def register_forward_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:  # fmt: skip
        """Call ``hook(module, input, output)`` after `forward`; what it returns, if not None,
        replaces the output.

        Args:
            always_call: call it also when `forward` raises.
        """
        return add_hook(self._forward_hooks, ForwardHook(hook, with_kwargs, always_call), prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are
        complete; what it returns, if not None, replaces ``grad_input``."""
        self._refuse_mixture(True)
        return add_hook(self._backward_hooks, (hook, True), prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Classic form: ``grad_input`` is that of the last operation of the module only; see
        `register_full_backward_hook`."""
        self._refuse_mixture(False)
        return add_hook(self._backward_hooks, (hook, False))

    def _refuse_mixture(self, full: bool) -> None:
        if any(is_full != full for _, is_full in self._backward_hooks.values()):
            raise GradError(
                "register_backward_hook and register_full_backward_hook cannot both be used on one "
                "module; remove the hooks of the other kind first"
            )

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the gradient passes the module; what it
        returns, if not None, replaces ``grad_output``."""
        return add_hook(self._backward_pre_hooks, hook, prepend)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before `state_dict` collects."""
        return add_hook(self._state_dict_pre_hooks, hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` when the module's part is
        collected."""
        return add_hook(self._state_dict_hooks, hook)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys,
        unexpected_keys, error_msgs)`` before the module's part is compared."""
        return add_hook(self._load_state_dict_pre_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Classic name of `register_state_dict_post_hook`; the hook may return another dict."""
        return self.register_state_dict_post_hook(hook)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable[..., Any], with_module: bool = False
    ) -> RemovableHandle:
        """Classic `register_load_state_dict_pre_hook`; the hook gets the module only if
        ``with_module``."""
        return self.register_load_state_dict_pre_hook(hook if with_module else WithoutModule(hook))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after the comparison; it may change the lists."""
        return add_hook(self._load_state_dict_post_hooks, hook)

    # -- printing -------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What the printed form says about the module itself; for subclasses to define."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = extra.split("\n") if extra else []
        children = [
            f"({name}): " + repr(module).replace("\n", "\n  ")
            for name, module in self._modules.items()
        ]
        if not children and len(lines) <= 1:
            return f"{self._get_name()}({extra})"
        body = "\n  ".join(lines + children)
        return f"{self._get_name()}(\n  {body}\n)"


def _fresh_fields() -> dict[str, Any]:
    """The fields of a new module; also what an older pickle may lack."""
    fields: dict[str, Any] = {"training": True, "_parameters": {}, "_buffers": {}, "_modules": {}}
    fields["_non_persistent_buffers_set"] = set()
    for hooks in (
        "_forward_pre_hooks", "_forward_hooks", "_backward_hooks", "_backward_pre_hooks",
        "_state_dict_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks",
        "_load_state_dict_post_hooks",
    ):  # fmt: skip
        fields[hooks] = OrderedDict()
    return fields


def _convert_data(tensor: Tensor, fn: Callable[[Tensor], Tensor]) -> None:
    data = tensor.data
    converted = fn(data)
    if converted is not data:
        tensor.data = converted


def warn_classic(text: str) -> None:
    """Tell once about a classic spelling."""
    warnings.warn(text, DeprecationWarning, stacklevel=3)
