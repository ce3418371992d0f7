"""Layers and optimizers in files that nobody vouches for.

A file names a class and gives the attributes of an object of it. The classes are dtorch's own, under
the paths that they had in every version of PyTorch; the attributes are what a file may contain
anyway. Nothing of the file is called: neither a constructor, nor what an attribute holds.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

from dtorch.core.coo import layout
from dtorch.core.device import device
from dtorch.core.dtype import dtype
from dtorch.core.parameter import Parameter
from dtorch.core.shapes import Size
from dtorch.core.tensor import Tensor
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.room import Room, shown
from dtorch.serialization.safe_globals import is_safe_type

State = dict[str, Any]
Restore = Callable[[Any, State], None]

_VALUES = (type(None), bool, int, float, complex, str, bytes, bytearray, Size, dtype, device, layout,
           Tensor, Parameter)  # fmt: skip
_SEQUENCES = (list, tuple, set, frozenset)
_MAPPINGS = (dict, OrderedDict, defaultdict)
_PATHS = re.compile(
    r"torch\.(nn)(?:\.modules(?:\.\w+)?|\.parallel\.\w+|\.functional)?|dtorch\.(nn)(?:\.\w+){0,2}"
    r"|torch\._C\._(nn)|d?torch\.(optim)(?:\.\w+)?|d?torch\.(legacy\.nn)(?:\.\w+)?"
)
_FUNCTIONS = "dtorch.core.functions"  # where those of nn.functional are
_MOST_WAYS = 1 << 20  # from a layer to those within it


class OwnClass:
    """Stands for a class in a pickle, which can make an empty object of it, but not call it.

    Attributes:
        cls: the class.
        restore: gives an object its attributes, or complains about them.
    """

    __slots__ = ("cls", "restore")

    def __init__(self, cls: type, restore: Restore) -> None:
        self.cls = cls
        self.restore = restore

    def __setstate__(self, state: Any) -> NoReturn:
        raise CheckpointError(f"pickle: it gives a state to the class {self.cls.__name__}")


class OwnFunction:
    """Stands for a function that an attribute may be; a pickle cannot call it."""

    __slots__ = ("function",)

    def __init__(self, function: Any) -> None:
        self.function = function

    def __setstate__(self, state: Any) -> NoReturn:
        raise CheckpointError(f"pickle: it gives a state to the function {self.function}")


_known: dict[tuple[str, str], OwnClass | OwnFunction] = {}


def offer_classes(package: str, classes: Mapping[str, type], restore: Restore) -> None:
    """Let files have objects of these classes.

    Args:
        package: ``nn``, ``optim`` or ``legacy.nn``.
        classes: by the names that they have in files.
        restore: called with an empty object and its attributes, sets them; raises CheckpointError
            where objects of the class cannot have these.
    """
    _known.update({(package, name): OwnClass(cls, restore) for name, cls in classes.items()})


def offer_functions(package: str, functions: Mapping[str, Any]) -> None:
    """Let attributes of such objects be these functions."""
    _known.update({(package, name): OwnFunction(f) for name, f in functions.items()})


def find_own_kind(module: str, name: str) -> OwnClass | OwnFunction | None:
    """What stands for a class or function of dtorch; None for another one."""
    path = _PATHS.fullmatch("dtorch.nn" if module == _FUNCTIONS else module)
    if path is None:
        return None
    package = next(filter(None, path.groups()))
    importlib.import_module(f"dtorch.{package}")  # that of old layers may not be loaded yet
    return _known.get((package, name))


class OwnObjects:
    """The objects of such classes that one pickle makes.

    They stay empty until the pickle has ended and all of it was looked at, because what a pickle
    puts into a list it can still change.

    Args:
        room: what they may take; optimizers copy their tensors, which may be views of one storage.
    """

    def __init__(self, room: Room) -> None:
        self._room = room
        self._made: dict[int, tuple[Any, OwnClass]] = {}
        self._states: dict[int, State] = {}

    def new(self, kind: OwnClass, args: Any, named: Any) -> Any:
        """An empty object."""
        if args or named:
            raise CheckpointError(f"pickle: it makes a {kind.cls.__name__} with arguments")
        obj: Any = object.__new__(kind.cls)
        self._made[id(obj)] = obj, kind
        return obj

    def has(self, obj: Any) -> bool:
        """Whether the object was made here."""
        return id(obj) in self._made

    def give_state(self, obj: Any, state: Any) -> None:
        """Note the attributes of an object."""
        if type(state) not in _MAPPINGS or id(obj) in self._states:
            raise CheckpointError(f"pickle: the state of {shown(obj)} is {shown(state)}")
        self._states[id(obj)] = state

    def finish(self) -> None:
        """Look at all attributes, then give them to the objects.

        Raises:
            CheckpointError: one is nothing that a file may set, or an object got none.
        """
        if not self._made:
            return
        inner: dict[int, list[int]] = {}
        seen: set[int] = set()
        for key, (obj, kind) in self._made.items():
            if key not in self._states:
                raise CheckpointError(f"pickle: {shown(obj)} has no state")
            for name, value in self._states[key].items():
                _expect_settable(kind.cls, name, value)
            inner[key] = self._look_at(kind.cls, self._states[key], seen)
        _expect_tree(inner)
        for key, (obj, kind) in self._made.items():
            state = {
                name: value.function if type(value) is OwnFunction else value
                for name, value in self._states[key].items()
            }
            kind.restore(obj, state)

    def _look_at(self, cls: type, state: State, seen: set[int]) -> list[int]:
        """Ids of the objects among the attributes; the containers in them are looked at once."""
        found = []
        todo = [value for value in state.values() if type(value) is not OwnFunction]
        while todo:
            value = todo.pop()
            kind = type(value)
            if isinstance(value, Tensor):
                self._room.charge(value.numel() * value.element_size())
            if kind in _VALUES or is_safe_type(kind):
                continue
            if id(value) in self._made:
                found.append(id(value))
            elif kind in _SEQUENCES or kind in _MAPPINGS:
                # An object's path counts each time, what is in a container is the same.
                if id(value) not in seen:
                    seen.add(id(value))
                    todo.extend(value)
                    if kind in _MAPPINGS:
                        todo.extend(value.values())
            else:
                raise CheckpointError(f"pickle: an attribute of {cls.__name__} is {shown(value)}")
        return found


def _expect_settable(cls: type, name: Any, value: Any) -> None:
    """Complain about a name that is no attribute, or a method; and about hooks."""
    what = f"load: the file sets {shown(name)} of {cls.__name__}"
    if type(name) is not str or name.startswith("__"):
        raise CheckpointError(f"{what}, which is no attribute")
    own = inspect.getattr_static(cls, name, None)
    if isinstance(own, property):
        return  # nobody sees the attribute behind it
    if callable(own) or hasattr(type(own), "__get__"):
        raise CheckpointError(f"{what}, which is a method")
    if "hook" in name and value and not isinstance(value, bool):
        raise CheckpointError(
            f"{what}: hooks are code of the file; save the state_dict() instead, or, if you trust the "
            "file, load it with weights_only=False"
        )


def _expect_tree(inner: dict[int, list[int]]) -> None:
    """Complain about objects that are within themselves, or within others in very many ways."""
    ways: dict[int, int] = {}  # from an object to those within, itself included
    entered: set[int] = set()
    for root in inner:
        todo = [root]
        while todo:
            key = todo[-1]
            missing = [] if key in ways else [i for i in inner[key] if i not in ways]
            if missing:
                if key in entered:
                    raise CheckpointError("pickle: a layer is within itself; the file is hostile")
                entered.add(key)
                todo.extend(missing)
                continue
            todo.pop()
            ways[key] = 1 + sum(ways[i] for i in inner[key])
            if ways[key] > _MOST_WAYS:
                raise CheckpointError("pickle: layers are within others in too many ways")
