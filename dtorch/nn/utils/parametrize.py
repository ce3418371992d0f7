"""Parameters computed from others: a tensor of a module becomes a function of what is trained."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from dtorch.core.errors import ArgumentError
from dtorch.core.grad_mode import no_grad
from dtorch.core.parameter import Parameter
from dtorch.core.tensor import Tensor
from dtorch.nn.container import ModuleDict, ModuleList
from dtorch.nn.module import Module


class _Cache:
    depth = 0
    values: dict[tuple[int, str], Any] = {}  # noqa: RUF012 - shared on purpose, empty outside


@contextmanager
def cached() -> Iterator[None]:
    """Compute each parametrized tensor once inside the block.

    Example:
        >>> import dtorch
        >>> class Twice(dtorch.nn.Module):
        ...     def forward(self, x):
        ...         return 2 * x
        >>> layer = register_parametrization(dtorch.nn.Linear(1, 1), "bias", Twice())
        >>> with cached():
        ...     layer.bias is layer.bias
        True
    """
    _Cache.depth += 1
    try:
        yield
    finally:
        _Cache.depth -= 1
        if not _Cache.depth:
            _Cache.values.clear()


class ParametrizationList(ModuleList):
    """The parametrizations of one tensor, in the order in which they are applied.

    Attributes:
        original: the trained tensor; ``original0``, ``original1``... if the first parametrization
            takes several.

    Example:
        >>> import dtorch
        >>> layer = dtorch.nn.utils.parametrizations.weight_norm(dtorch.nn.Linear(2, 3))
        >>> sorted(name for name, _ in layer.parametrizations.weight.named_parameters())
        ['original0', 'original1']
    """

    def __init__(self, modules: list[Module], original: Tensor, unsafe: bool = False) -> None:
        if not modules:
            raise ArgumentError("ParametrizationList: got no parametrization")
        super().__init__(modules)
        self.unsafe = unsafe
        new: Any = original
        with no_grad():
            for module in reversed(modules):
                if hasattr(module, "right_inverse"):
                    new = module.right_inverse(new)
        self.is_tensor = isinstance(new, Tensor)
        if self.is_tensor:
            self._keep("original", original, new)
        else:
            if not isinstance(new, (tuple, list)):
                raise TypeError(
                    f"right_inverse of {type(modules[0]).__name__} returned {type(new).__name__}, "
                    "expected a tensor or several"
                )
            self.ntensors = len(new)
            for i, part in enumerate(new):
                self._keep(f"original{i}", original, part)
        if not unsafe:
            self._check(original)

    def _keep(self, name: str, original: Tensor, new: Any) -> None:
        if isinstance(original, Parameter):
            if name == "original" and tuple(new.shape) == tuple(original.shape):
                with no_grad():
                    original.copy_(new)
                self.register_parameter(name, original)
            else:
                self.register_parameter(name, Parameter(new.detach(), original.requires_grad))
        else:
            self.register_buffer(name, new)

    def _check(self, original: Tensor) -> None:
        with no_grad():
            result = self()
        if not isinstance(result, Tensor):
            raise TypeError(
                f"a parametrization returned {type(result).__name__}, expected a tensor"
            )
        if result.dtype != original.dtype or tuple(result.shape) != tuple(original.shape):
            raise ArgumentError(
                f"a parametrization turned {original.dtype} {tuple(original.shape)} into "
                f"{result.dtype} {tuple(result.shape)}; pass unsafe=True if that is meant"
            )

    def forward(self) -> Any:
        """The tensor that the parametrizations make."""
        if self.is_tensor:
            value = self[0](self.original)
        else:
            value = self[0](*(getattr(self, f"original{i}") for i in range(self.ntensors)))
        for i in range(1, len(self)):
            value = self[i](value)
        return value

    def right_inverse(self, value: Tensor) -> None:
        """Set what is trained so that the result is ``value``."""
        with no_grad():
            new: Any = value
            for module in reversed(list(self)):
                if not hasattr(module, "right_inverse"):
                    raise NotImplementedError(
                        f"{type(module).__name__} has no right_inverse, so the tensor cannot be set"
                    )
                new = module.right_inverse(new)
            if self.is_tensor:
                self.original.copy_(new)
            else:
                for i, part in enumerate(new):
                    getattr(self, f"original{i}").copy_(part)


def register_parametrization(
    module: Module, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> Module:
    """Make a parameter or buffer the result of a module applied to what is trained instead.

    Args:
        tensor_name: name of the parameter or buffer.
        parametrization: its ``forward`` computes the tensor; ``right_inverse``, if defined, gives
            what to train so that the tensor keeps (or gets) a value.
        unsafe: allow another shape or dtype.
    Returns: the module, whose class becomes one with a property of that name.

    Example:
        >>> import dtorch
        >>> class Twice(dtorch.nn.Module):
        ...     def forward(self, x):
        ...         return 2 * x
        >>> layer = register_parametrization(dtorch.nn.Linear(1, 1), "bias", Twice())
        >>> sorted(layer.state_dict())
        ['parametrizations.bias.original', 'weight']
        >>> dtorch.equal(layer.bias, 2 * layer.parametrizations.bias.original)
        True
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        entries = module.parametrizations[tensor_name]
        current = getattr(module, tensor_name)
        result = parametrization(current)
        if not unsafe and tuple(result.shape) != tuple(current.shape):
            raise ArgumentError(
                f"a parametrization turned {tuple(current.shape)} into {tuple(result.shape)}; pass "
                "unsafe=True if that is meant"
            )
        if hasattr(parametrization, "right_inverse"):
            inverse = parametrization.right_inverse(current)
            entries.append(parametrization)
            with no_grad():
                value = inverse
                for earlier in reversed(list(entries)[:-1]):
                    if hasattr(earlier, "right_inverse"):
                        value = earlier.right_inverse(value)
                if entries.is_tensor:
                    entries.original.copy_(value)
        else:
            entries.append(parametrization)
        return module
    tensor = module._parameters.get(tensor_name, module._buffers.get(tensor_name))
    if tensor is None:
        raise ArgumentError(
            f"{type(module).__name__} has no parameter or buffer {tensor_name!r} to parametrize"
        )
    entries = ParametrizationList([parametrization], tensor, unsafe)
    delattr(module, tensor_name)
    if not is_parametrized(module):
        _change_class(module)
        module.parametrizations = ModuleDict()
    _add_property(type(module), tensor_name)
    module.parametrizations[tensor_name] = entries
    return module


def _change_class(module: Module) -> None:
    """Give the module a class of its own, which can hold its properties."""
    cls = type(module)
    module.__class__ = type(f"Parametrized{cls.__name__}", (cls,), {"parametrized_class": cls})


def _add_property(cls: type[Module], name: str) -> None:
    def get(self: Module) -> Any:
        entries = self._modules["parametrizations"][name]  # type: ignore[index]
        if not _Cache.depth:
            return entries()
        key = (id(self), name)
        if key not in _Cache.values:
            _Cache.values[key] = entries()
        return _Cache.values[key]

    def set_(self: Module, value: Tensor) -> None:
        self._modules["parametrizations"][name].right_inverse(value)  # type: ignore[index]

    setattr(cls, name, property(get, set_))


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether the module, or one tensor of it, is parametrized.

    Example:
        >>> import dtorch
        >>> is_parametrized(dtorch.nn.Linear(1, 1))
        False
    """
    entries = module._modules.get("parametrizations")
    if not isinstance(entries, ModuleDict):
        return False
    return len(entries) > 0 if tensor_name is None else tensor_name in entries


def remove_parametrizations(
    module: Module, tensor_name: str, leave_parametrized: bool = True
) -> Module:
    """Make an ordinary parameter or buffer of a parametrized tensor again.

    Args:
        leave_parametrized: keep the value the parametrizations make, not the trained one.

    Example:
        >>> import dtorch
        >>> class Twice(dtorch.nn.Module):
        ...     def forward(self, x):
        ...         return 2 * x
        >>> layer = register_parametrization(dtorch.nn.Linear(1, 1), "bias", Twice())
        >>> sorted(remove_parametrizations(layer, "bias").state_dict())
        ['bias', 'weight']
    """
    if not is_parametrized(module, tensor_name):
        raise ArgumentError(f"{type(module).__name__} has no parametrization of {tensor_name!r}")
    entries = module.parametrizations[tensor_name]
    if not leave_parametrized and not entries.is_tensor:
        raise ArgumentError(
            f"{tensor_name!r} is trained as {entries.ntensors} tensors, so only its value can stay; "
            "pass leave_parametrized=True"
        )
    original = entries.original if entries.is_tensor else entries.original0
    with no_grad():
        value = getattr(module, tensor_name) if leave_parametrized else original
        value = value.detach().clone()
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if isinstance(original, Parameter):
        module.register_parameter(tensor_name, Parameter(value, original.requires_grad))
    else:
        module.register_buffer(tensor_name, value)
    if not len(module.parametrizations):
        del module._modules["parametrizations"]
        module.__class__ = type(module).parametrized_class  # type: ignore[attr-defined]
    return module
