"""Unpickling checkpoints: names of the reference implementation, and only safe ones."""

from __future__ import annotations

import contextlib
import importlib
import io
import math
import pickle
import re
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NoReturn

from dtorch.core import dtype as dtypes
from dtorch.core.errors import DeviceError, DtorchError
from dtorch.core.storage import Storage
from dtorch.core.typed_storage import typed_storage
from dtorch.serialization import names
from dtorch.serialization.errors import CheckpointError, RefusedError
from dtorch.serialization.machine import PickleMachine
from dtorch.serialization.objects import OwnClass, OwnObjects, find_own_kind
from dtorch.serialization.rebuild import FileStorage, Rebuild
from dtorch.serialization.room import Room
from dtorch.serialization.safe_globals import find_safe_global

# A name in a file -> the method of `Rebuild` that does its work.
_METHODS = {
    ("torch._utils", "_rebuild_tensor"): "tensor",
    names.REBUILD_TENSOR: "tensor_v2",
    ("torch._utils", "_rebuild_tensor_v3"): "tensor_v3",
    ("torch._utils", "_rebuild_qtensor"): "quantised",
    names.REBUILD_PARAMETER: "parameter",
    ("torch._utils", "_rebuild_parameter_with_state"): "parameter_with_state",
    names.REBUILD_SUBCLASS: "subclass",
    names.TENSOR: "tensor_class",
    names.PARAMETER: "parameter_class",
    ("torch.autograd.variable", "Variable"): "variable",
    names.SIZE: "size",
    names.DEVICE: "device",
    names.REBUILD_SPARSE: "sparse",
    names.REBUILD_META: "meta",
    names.GET_LAYOUT: "layout",
    ("collections", "OrderedDict"): "ordered_dict",
    ("collections", "Counter"): "counter",
    ("collections", "defaultdict"): "default_dict",
    ("torch.nn.backends.thnn", "_get_thnn_function_backend"): "backend",
    ("builtins", "dict"): "dict",
    ("builtins", "set"): "set",
    ("builtins", "frozenset"): "frozenset",
    ("_codecs", "encode"): "encode",
    ("builtins", "bytes"): "bytes",
    ("builtins", "bytearray"): "bytearray",
}
_OTHER_KINDS = (
    "_rebuild_sparse_csr_tensor", "_rebuild_nested_tensor",
    "_rebuild_device_tensor_from_numpy", "_rebuild_device_tensor_from_cpu_tensor",
    "_rebuild_wrapper_subclass",
)  # fmt: skip
# Objects that no pickle can change: a built-in type, dtypes, texts.
OBJECTS: dict[tuple[str, str], Any] = {
    ("builtins", "complex"): complex,
    **{("torch", d.name): d for d in dtypes.ALL},
    **{("torch", name): name for name in ("per_tensor_affine", "per_channel_affine")},
    **{("torch", name): name for name in names.STORAGE_DTYPES},
    **{("torch", name): name for name in names.TENSOR_NAMES},
    **{("torch.cuda", name): name for name in names.TENSOR_NAMES},
    **{("torch.cuda", name): name for name in names.STORAGE_DTYPES},
    ("torch.storage", names.UNTYPED_STORAGE): names.UNTYPED_STORAGE,
    ("torch.storage", "_UntypedStorage"): names.UNTYPED_STORAGE,
}
_DTYPE_NAME = re.compile(r"(q?u?int|b?float|bits|complex)\d\w*")
_DAMAGE_ERRORS = (DtorchError, AttributeError, EOFError, IndexError, KeyError, TypeError, ValueError,
                 OverflowError, RecursionError, AssertionError, struct.error,
                 pickle.UnpicklingError)  # fmt: skip

Persistent = Callable[[Any], Any]


class _Names:
    """What checkpoints name, for either kind of unpickler."""

    def __init__(self, persistent: Persistent, rebuild: Rebuild) -> None:
        self._persistent = persistent
        self._rebuild = rebuild

    def persistent_load(self, pid: Any) -> Any:
        """What a persistent id stands for."""
        return self._persistent(pid)

    def _find(self, module: str, name: str) -> Any:
        """What is known of a global; None for others."""
        key = module, name
        if key in _METHODS:
            return getattr(self._rebuild, _METHODS[key])
        if key in OBJECTS:
            return OBJECTS[key]
        if module == "torch._utils" and name in _OTHER_KINDS:
            return self._rebuild.refused(name)
        if module == "torch" and _DTYPE_NAME.fullmatch(name):
            raise CheckpointError(
                f"load: the file has a tensor of torch.{name}, a dtype that dtorch does not have; "
                "convert it where the file was written"
            )
        return None


class SafeUnpickler(_Names, PickleMachine):
    """Unpickles a file that nobody vouches for: knows only names that can do no harm.

    Args:
        data: the pickle, or its beginning, as for `PickleMachine`.
        persistent: gives the storage, or whatever else, that a persistent id stands for.
        options: of `PickleMachine`.
    """

    def __init__(self, data: bytes, persistent: Persistent, room: Room, **options: Any) -> None:
        _Names.__init__(self, persistent, Rebuild(room))
        PickleMachine.__init__(self, data, room, **options)
        self._objects = OwnObjects(room)

    def load(self) -> Any:
        """The object that the pickle makes."""
        obj = PickleMachine.load(self)
        self._objects.finish()
        return obj

    def find_class(self, module: str, name: str) -> Any:
        """What a global stands for."""
        module = "builtins" if module == "__builtin__" else module
        found = self._find(module, name)
        if found is None:
            found = find_safe_global(module, name)
        if found is None:
            found = find_own_kind(module, name)
        return _refuse(module, name) if found is None else found

    def _new(self, cls: Any, args: Any, named: Any) -> Any:
        if type(cls) is OwnClass:
            return self._objects.new(cls, args, named)
        return super()._new(cls, args, named)

    def _build(self, obj: Any, state: Any) -> None:
        if self._objects.has(obj):
            self._objects.give_state(obj, state)
        else:
            super()._build(obj, state)


class TrustingUnpickler(_Names, pickle.Unpickler):
    """Unpickles a file from somebody who is trusted: runs what it asks for."""

    def __init__(self, file: Any, persistent: Persistent, **options: Any) -> None:
        _Names.__init__(self, persistent, Rebuild(Room(math.inf)))
        pickle.Unpickler.__init__(self, file, **options)

    def find_class(self, module: str, name: str) -> Any:
        """What a global stands for."""
        found = self._find("builtins" if module == "__builtin__" else module, name)
        if found is not None:
            return found
        if module.split(".", 1)[0] in ("torch", "torchvision"):
            return find_own(module, name)
        return super().find_class(module, name)


def _refuse(module: str, name: str) -> NoReturn:
    raise RefusedError(
        f"load: the file needs {module}.{name}, which is not on the list of safe names; if you "
        f"trust it, allow it with dtorch.serialization.add_safe_globals([{name}]), or load the "
        "whole file with weights_only=False, which runs whatever code the file contains"
    )


def find_own(module: str, name: str) -> Any:
    """The class or function here for a name of the reference implementation.

    Its modules are split otherwise, so the packages around a module are asked, too.

    Raises:
        CheckpointError: there is none.
    """
    package, _, rest = module.partition(".")
    own = "dtorch.vision" if package == "torchvision" else "dtorch"
    path = f"{own}.{rest}" if rest else own
    while path:
        try:
            found: Any = importlib.import_module(path)
            for part in name.split("."):
                found = getattr(found, part)
        except (ModuleNotFoundError, AttributeError):
            path = path.rpartition(".")[0]
        else:
            return found
    raise CheckpointError(f"load: the file needs {module}.{name}, which dtorch does not have")


def unpickle(
    data: bytes, persistent: Persistent, room: Room, weights_only: bool, **options: Any
) -> Any:
    """The object of one pickle.

    Raises:
        CheckpointError: it is damaged, or names what is not allowed.
    """
    if not weights_only:
        return make_unpickler(io.BytesIO(data), persistent, **options).load()
    return run(SafeUnpickler(data, persistent, room, **texts_of(options)))


def texts_of(options: dict[str, Any]) -> dict[str, Any]:
    """Those of the arguments for unpickling that say how texts are encoded."""
    unknown = sorted(set(options) - {"encoding", "errors", "fix_imports", "pickle_module"})
    if unknown:
        raise TypeError(f"load: unexpected arguments {unknown}")
    return {name: options[name] for name in ("encoding", "errors") if name in options}


def make_unpickler(
    file: Any, persistent: Persistent, pickle_module: Any = None, **options: Any
) -> pickle.Unpickler:
    """The unpickler for one pickle in a file that is trusted."""
    if pickle_module is None or pickle_module is pickle:
        return TrustingUnpickler(file, persistent, **options)
    cls = type("ModuleUnpickler", (TrustingUnpickler, pickle_module.Unpickler), {})
    return cls(file, persistent, **options)  # type: ignore[no-any-return]


def run(machine: PickleMachine) -> Any:
    """Unpickle; what a damaged file makes go wrong is told as CheckpointError."""
    with telling_damage():
        return machine.load()


@contextlib.contextmanager
def telling_damage() -> Iterator[None]:
    """Raise as CheckpointError what damage makes go wrong in unpickling."""
    try:
        yield
    except (CheckpointError, DeviceError):
        raise
    except _DAMAGE_ERRORS as error:
        raise CheckpointError(
            f"load: the pickle in the file is damaged: {type(error).__name__}: {error}"
        ) from error


def public_storage(storage: FileStorage) -> Any:
    """What stands for a storage outside: one of core, typed where the file says a type."""
    if not isinstance(storage.storage, Storage) or storage.type_name == names.UNTYPED_STORAGE:
        return storage.storage
    return typed_storage(storage.storage, storage.dtype)


def without_types(obj: Any, given: Iterable[FileStorage]) -> Any:
    """The object, where storages that were saved by themselves are those of core."""
    if all(storage.is_viewed for storage in given):
        return obj
    holder = [obj]
    todo: list[Any] = [holder]
    seen: set[int] = set()
    while todo:
        container = todo.pop()
        if id(container) in seen:
            continue
        seen.add(id(container))
        pairs = container.items() if isinstance(container, dict) else enumerate(container)
        for key, value in pairs:
            if isinstance(value, FileStorage):
                container[key] = public_storage(value)
            elif isinstance(value, (dict, list)):
                todo.append(value)
            elif type(value) is tuple:
                todo.extend(item for item in value if isinstance(item, (dict, list)))
                if any(isinstance(item, FileStorage) for item in value):
                    container[key] = tuple(
                        public_storage(item) if isinstance(item, FileStorage) else item
                        for item in value
                    )
    return holder[0]
