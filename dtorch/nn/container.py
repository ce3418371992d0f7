"""Modules that hold other modules or parameters in order, or by name."""

from __future__ import annotations

import operator
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any, SupportsIndex, TypeVar, overload

from dtorch.core.base import TensorBase
from dtorch.core.conversion import type_name
from dtorch.core.errors import ArgumentError, DimensionError, DtypeError
from dtorch.core.parameter import Parameter
from dtorch.nn.inference import in_order
from dtorch.nn.module import Module, warn_classic

__all__ = ["Container", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]

M = TypeVar("M", bound="_Listed")


class KindError(DtypeError, AssertionError):
    """Something is no module."""


class Container(Module):
    """Classic base class: its keyword arguments become child modules."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__()
        warn_classic("nn.Container is deprecated; derive from nn.Module instead")
        for name, module in kwargs.items():
            self.add_module(name, module)


class _Listed(Module):
    """Children under the names "0", "1", ..."""

    def _key(self, index: Any) -> str:
        """The name of the child at an index, which may be negative."""
        size = len(self)
        position = operator.index(index)
        if not -size <= position < size:
            raise DimensionError(f"index {position} is out of range for {size} modules")
        return next(islice(self._modules, position % size, None))

    def _set_all(self, modules: Iterable[Module | None]) -> None:
        self._modules.clear()
        for i, module in enumerate(modules):
            self._modules[str(i)] = module

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    @overload
    def __getitem__(self: M, idx: slice) -> M: ...
    @overload
    def __getitem__(self, idx: SupportsIndex) -> Module: ...
    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return self._taken(OrderedDict(list(self._modules.items())[idx]))
        return self._modules[self._key(idx)]

    def _taken(self, modules: OrderedDict[str, Module | None]) -> Any:
        return type(self)(modules.values())

    def __setitem__(self, idx: Any, module: Module) -> None:
        setattr(self, self._key(idx), module)

    def __delitem__(self, idx: Any) -> None:
        values = list(self._modules.values())
        del values[idx]
        self._set_all(values)

    def append(self: M, module: Module) -> M:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index: int, module: Module) -> Any:
        """Add a module before the one at ``index``."""
        if not isinstance(module, Module):
            raise KindError(f"insert: got {type(module).__name__}, expected a Module")
        values = list(self._modules.values())
        if not -len(values) <= index <= len(values):
            raise DimensionError(f"insert: index {index} is out of range for {len(values)} modules")
        values.insert(index, module)
        self._set_all(values)
        return self

    def pop(self, key: Any = -1) -> Module:
        """Remove a module and return it."""
        module: Module = self[key]
        del self[key]
        return module

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if not name.isdigit()]


class Sequential(_Listed):
    """Modules applied one after the other.

    Args:
        args: modules, or one OrderedDict of names and modules.
    Example:
        >>> from dtorch.nn import Linear, ReLU
        >>> Sequential(Linear(2, 3), ReLU())
        Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): ReLU()
        )
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        if len(args) == 1 and isinstance(args[0], dict):
            named: Iterable[tuple[str, Any]] = args[0].items()
        else:
            named = ((str(i), module) for i, module in enumerate(args))
        for name, module in named:
            if not isinstance(module, Module) and module is not None:
                remedy = "; pass Sequential(*modules)" if isinstance(module, (list, tuple)) else ""
                raise TypeError(
                    f"{self._get_name()}: argument {name} is {type(module).__name__}, expected a "
                    f"Module{remedy}"
                )
            self.add_module(name, module)

    def _taken(self, modules: OrderedDict[str, Module | None]) -> Any:
        return type(self)(modules)

    def forward(self, input: Any) -> Any:
        """The output of the last module, each fed with that of the one before."""
        return in_order(self._modules.values(), input)

    def extend(self, sequential: Iterable[Module]) -> Sequential:
        """Add the modules of another Sequential at the end."""
        for module in list(sequential):
            self.append(module)
        return self

    def __add__(self, other: Sequential) -> Sequential:
        if not isinstance(other, Sequential):
            raise ArgumentError(f"Sequential + {type(other).__name__}: expected another Sequential")
        return Sequential(*self, *other)

    def __iadd__(self, other: Sequential) -> Sequential:
        return self.extend(other)

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int):
            raise TypeError(f"Sequential * {type(times).__name__}: expected an int")
        if times < 1:
            raise ArgumentError(f"Sequential * {times}: expected a positive number")
        return Sequential(*(module for _ in range(times) for module in self))

    __rmul__ = __mul__


class ModuleList(_Listed):
    """A list of modules that a module registers.

    Args:
        modules: modules to begin with.

    Example:
        >>> import dtorch
        >>> layers = ModuleList(dtorch.nn.Linear(2, 2) for _ in range(3))
        >>> len(layers), len(list(layers.parameters()))
        (3, 6)
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"ModuleList: got {type(modules).__name__}, expected several modules, such as a list"
            )
        for module in list(modules):
            self.append(module)
        return self

    def __iadd__(self, modules: Iterable[Module]) -> ModuleList:
        return self.extend(modules)

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList(chain(self, other))

    def __repr__(self) -> str:
        """Equal neighbours are shown once, with their number."""
        runs: list[list[Any]] = []  # first index, last index, printed form
        for i, module in enumerate(self):
            form = repr(module)
            if runs and runs[-1][2] == form:
                runs[-1][1] = i
            else:
                runs.append([i, i, form])
        if not runs:
            return f"{self._get_name()}()"
        lines = []
        for first, last, form in runs:
            lead = f"({first}): " if first == last else f"({first}-{last}): {last - first + 1} x "
            lines.append(lead + form.replace("\n", "\n  "))
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"


class ModuleDict(Module):
    """Modules by name, as a dict; the modules are registered.

    Args:
        modules: a mapping or pairs of names and modules.

    Example:
        >>> import dtorch
        >>> layers = ModuleDict({"act": dtorch.nn.ReLU()})
        >>> layers["act"]
        ReLU()
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def update(self, modules: Any) -> None:
        """Add or replace modules, in the order given."""
        for name, module in _pairs("ModuleDict", modules):
            self[name] = module

    def __getitem__(self, key: str) -> Module:
        return self._modules[key]  # type: ignore[return-value]  # None reserves a name

    def __setitem__(self, key: str, module: Module) -> None:
        if key in self._modules:
            setattr(self, key, module)
        else:
            self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: str) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Module:
        """Remove a module and return it."""
        module: Module = self[key]
        del self[key]
        return module

    def keys(self) -> Any:
        """The names."""
        return self._modules.keys()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def items(self) -> Any:
        """Names and modules."""
        return self._modules.items()


def _pairs(kind: str, entries: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(entries, (Mapping, ModuleDict, ParameterDict)):
        return list(entries.items())
    if not isinstance(entries, Iterable):
        raise TypeError(f"{kind}: got {type(entries).__name__}, expected a mapping or pairs")
    pairs = []
    for position, entry in enumerate(entries):
        if not isinstance(entry, Iterable):
            raise TypeError(f"{kind}: entry {position} is {entry!r}, expected a pair")
        if len(list(entry)) != 2:
            raise ValueError(f"{kind}: entry {position} is {entry!r}, expected a pair")
        name, value = entry
        pairs.append((name, value))
    return pairs


def _registered(value: Any) -> Any:
    """Tensors as parameters; other objects, and parameters, as they are."""
    if isinstance(value, TensorBase) and not isinstance(value, Parameter):
        return Parameter(value, value.dtype.category >= 2)  # type: ignore[arg-type, attr-defined]
    return value


class ParameterList(Module):
    """A list of parameters that a module registers; tensors are converted to parameters.

    Args:
        values: parameters to begin with.
        parameters: classic name of ``values``.

    Example:
        >>> import dtorch
        >>> weights = ParameterList([dtorch.zeros(2), dtorch.zeros(3)])
        >>> [name for name, _ in weights.named_parameters()]
        ['0', '1']
    """

    def __init__(self, values: Iterable[Any] | None = None, parameters: Any = None) -> None:
        super().__init__()
        self._size = 0
        values = parameters if values is None else values
        if values is not None:
            self.extend(values)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("_size", len(self._parameters))  # before 1.12

    def __len__(self) -> int:
        return self._size

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(self._size)])

    def _key(self, idx: Any) -> str:
        position = operator.index(idx)
        if not -self._size <= position < self._size:
            raise DimensionError(f"index {position} is out of range for {self._size} parameters")
        return str(position % self._size)

    def __getitem__(self, idx: Any) -> Any:
        if isinstance(idx, slice):
            return type(self)([self[i] for i in range(*idx.indices(self._size))])
        return getattr(self, self._key(idx))

    def __setitem__(self, idx: Any, param: Any) -> None:
        setattr(self, self._key(idx), _registered(param))

    def append(self, value: Any) -> ParameterList:
        """Add a parameter at the end."""
        self._size += 1
        self[self._size - 1] = value
        return self

    def extend(self, values: Iterable[Any]) -> ParameterList:
        """Add parameters at the end."""
        if not isinstance(values, Iterable) or isinstance(values, TensorBase):
            raise TypeError(f"extend: got {type(values).__name__}, expected several parameters")
        for value in list(values):
            self.append(value)
        return self

    def __iadd__(self, values: Iterable[Any]) -> ParameterList:
        return self.extend(values)

    def pop(self, idx: int = -1) -> Any:
        """Remove a parameter and return it."""
        values = list(self)
        value = values.pop(idx)
        for i in range(self._size):
            delattr(self, str(i))
        self._size = 0
        self.extend(values)
        return value

    def extra_repr(self) -> str:
        return "\n".join(f"  ({i}): {_described(value)}" for i, value in enumerate(self))

    def __repr__(self) -> str:
        if not len(self):
            return f"{self._get_name()}()"
        if len(self) == 1:
            return f"{self._get_name()}({self.extra_repr()})"
        return f"{self._get_name()}(\n  " + self.extra_repr().replace("\n", "\n  ") + "\n)"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise DtypeError("a ParameterList holds parameters, it computes nothing")


def _described(value: Any) -> str:
    if not isinstance(value, TensorBase):
        return f"Object of type: {type(value).__name__}"
    kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
    size = "x".join(str(n) for n in value.array.shape)
    return f"{kind} containing: [{value.dtype} of size {size}]"  # type: ignore[attr-defined]


class ParameterDict(Module):
    """Parameters by name, as a dict; tensors are converted to parameters.

    Args:
        parameters: a mapping or pairs of names and parameters.

    Example:
        >>> import dtorch
        >>> weights = ParameterDict({"left": dtorch.zeros(2)})
        >>> weights["left"].requires_grad
        True
    """

    def __init__(self, parameters: Any = None) -> None:
        super().__init__()
        self._keys: dict[str, None] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key: str) -> Any:
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, key)

    def __setitem__(self, key: str, value: Any) -> None:
        self._keys[key] = None
        setattr(self, key, _registered(value))

    def __delitem__(self, key: str) -> None:
        del self._keys[key]
        delattr(self, key)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.__dict__.setdefault("_keys", dict.fromkeys(self._parameters))  # before 1.12

    def __len__(self) -> int:
        return len(self._keys)

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __reversed__(self) -> Iterator[str]:
        return reversed(self._keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def update(self, parameters: Any) -> None:
        """Add or replace parameters, in the order given."""
        for name, value in _pairs("ParameterDict", parameters):
            self[name] = value

    def keys(self) -> Any:
        """The names."""
        return self._keys.keys()

    def values(self) -> Any:
        """The parameters."""
        return [self[key] for key in self._keys]

    def items(self) -> Any:
        """Names and parameters."""
        return [(key, self[key]) for key in self._keys]

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter of a name, or ``default``."""
        return self[key] if key in self._keys else default

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The parameter of a name, set to ``default`` if there is none."""
        if key not in self._keys:
            self[key] = default
        return self[key]

    def pop(self, key: str) -> Any:
        """Remove a parameter and return it."""
        value = self[key]
        del self[key]
        return value

    def popitem(self) -> tuple[str, Any]:
        """Remove the last parameter and return it with its name."""
        key = next(reversed(self._keys))
        return key, self.pop(key)

    def clear(self) -> None:
        """Remove all parameters."""
        for key in list(self._keys):
            del self[key]

    def copy(self) -> ParameterDict:
        """Another dict of the same parameters."""
        return ParameterDict(self)

    def __or__(self, other: Any) -> ParameterDict:
        merged = self.copy()
        merged.update(other)
        return merged

    def __ror__(self, other: Any) -> ParameterDict:
        return ParameterDict(other) | self

    def __ior__(self, other: Any) -> ParameterDict:
        self.update(other)
        return self

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A dict with ``default`` under each of ``keys``."""
        return ParameterDict((key, default) for key in keys)

    def extra_repr(self) -> str:
        lines = []
        for key, value in self.items():
            if not isinstance(value, TensorBase):
                lines.append(f"  ({key}): Object of type: {type(value).__name__}")
                continue
            kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
            size = "x".join(str(n) for n in value.array.shape)
            name = type_name(value.dtype, value.device)  # type: ignore[attr-defined]
            lines.append(f"  ({key}): {kind} containing: [{name} of size {size}]")
        return "\n".join(lines)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise DtypeError("a ParameterDict holds parameters, it computes nothing")
