"""The weights in an archive of TorchScript, a program with its state; the program is not run.

Its pickle makes modules as objects of classes that the program defines, and sets their attributes.
Here all of them are plain holders of attributes.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, NoReturn

from dtorch.core.tensor import Tensor
from dtorch.serialization.errors import CheckpointError
from dtorch.serialization.room import Room
from dtorch.serialization.unpickler import Persistent, SafeUnpickler, run

_CLASSES = "__torch__"
_NATIVE_CLASSES = "__torch__.torch.classes."
_LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")

_DEEPEST = 100  # modules within modules


class _Holder:
    """An object of the program: its attributes."""

    __slots__ = ("attributes",)
    name = ""  # of its class; each class of the program is a subclass

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, dict) or not all(type(name) is str for name in state):
            raise CheckpointError(
                f"TorchScript: {self.name} keeps its state as {type(state).__name__}, which only its "
                "code can read; load the file where it was written and save its state_dict()"
            )
        self.attributes = state


class ScriptUnpickler(SafeUnpickler):
    """Unpickles the record of an archive of TorchScript."""

    def find_class(self, module: str, name: str) -> Any:
        """What a global stands for."""
        if module.startswith(_NATIVE_CLASSES):
            return _refused(f"{module}.{name}")
        if module.split(".", 1)[0] == _CLASSES:
            return type("Holder", (_Holder,), {"__slots__": (), "name": f"{module}.{name}"})
        if module == "torch.jit._pickle":
            if name in _LISTS:
                return _the_list
            if name == "restore_type_tag":
                return _without_type
        return super().find_class(module, name)


def _refused(name: str) -> type:
    """A class for objects whose state is no attributes, such as packed quantised weights."""

    def refuse(cls: type) -> NoReturn:
        raise CheckpointError(
            f"TorchScript: the file has a {name}, whose state only its code can read; load it where "
            "it was written and save the weights as plain tensors"
        )

    return type("Refused", (), {"__new__": refuse})


def _the_list(values: list[Any]) -> list[Any]:
    return values


def _without_type(value: Any, _type: str) -> Any:
    return value


def read_state_dict(record: bytes, persistent: Persistent, room: Room) -> OrderedDict[str, Tensor]:
    """The tensors in the attributes of a module and of the modules in it, by dotted names.

    Whether one is a parameter, a buffer or neither, only the program knows.

    Args:
        record: the pickle of the module.
        persistent: gives the storage that a persistent id stands for.
        room: what may be made of it.
    Raises:
        CheckpointError: it is damaged, names what is not allowed, or has no tensors.
    """
    module = run(ScriptUnpickler(record, persistent, room))
    if not isinstance(module, _Holder):
        raise CheckpointError(f"TorchScript: the file has {type(module).__name__}, not a module")
    reader = _StateReader(len(record))
    reader.visit(module, "", 0)
    if not reader.found:
        raise CheckpointError(
            "TorchScript: the file has no state apart from its code (that of a frozen module has "
            "not); load the module it was made from and save its state_dict()"
        )
    return reader.found


class _StateReader:
    """Collects tensors.

    Args:
        room: how long all names together may be. A hostile file could make them grow with the
            power of its size, by modules that lie in each other again and again.
    """

    def __init__(self, room: int) -> None:
        self.found: OrderedDict[str, Tensor] = OrderedDict()
        self._room = room
        self._known: dict[int, Tensor] = {}  # tied parameters stay one tensor

    def visit(self, holder: _Holder, prefix: str, depth: int) -> None:
        attributes = getattr(holder, "attributes", {})
        for name, value in attributes.items():
            if isinstance(value, Tensor):
                full = self._name(prefix, name, depth)
                self.found[full] = self._known.setdefault(id(value), value.detach())
        for name, value in attributes.items():
            if isinstance(value, _Holder):
                self.visit(value, self._name(prefix, name, depth) + ".", depth + 1)

    def _name(self, prefix: str, name: Any, depth: int) -> str:
        self._room -= len(prefix) + len(name)
        if self._room < 0 or depth > _DEEPEST:
            raise CheckpointError("TorchScript: its modules lie within each other without an end")
        return f"{prefix}{name}"
