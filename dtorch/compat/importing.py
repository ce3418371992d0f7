"""The hook that makes ``import torch`` give dtorch."""

from __future__ import annotations

import importlib
import os
import sys
import types
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from dtorch.compat.names import (
    ROOTS,
    TORCH_VERSION,
    TORCHVISION_VERSION,
    find_ours,
    is_moved,
    is_theirs,
    load,
    theirs_of_moved,
)
from dtorch.core import naming
from dtorch.core.errors import ArgumentError

# Packages by the names of theirs, each of which installs the hook: found on the path of every
# interpreter that is started, so that no process has to be told in another way.
PACKAGES = Path(__file__).with_name("packages")
# Set for a program that is started though something it names is missing: when it fails for that, it
# ends with the list of what is.
REPORT_VARIABLE = "DTORCH_COMPAT_REPORT"


class _Root(types.ModuleType):
    """``torch`` or ``torchvision``: dtorch's module, but for the version."""

    def __init__(self, name: str, version: str) -> None:
        ours = load(name)
        super().__init__(name, ours.__doc__)
        self.__dict__.update(__version__=version, __path__=[], __file__=ours.__file__, _ours=ours)
        # Libraries look for the spec to know whether PyTorch is installed.
        self.__spec__ = ModuleSpec(name, None, origin=ours.__file__, is_package=True)
        if name == "torch":
            self.__dict__.update(version=load("torch.version"), torch=self)

    def __getattr__(self, name: str) -> Any:
        try:
            return getattr(self.__dict__["_ours"], name)
        except AttributeError:
            if is_moved(f"{self.__name__}.{name}"):
                return load(f"{self.__name__}.{name}")
            raise AttributeError(_absent(f"{self.__name__}.{name}"), name=name, obj=self) from None

    def __setattr__(self, name: str, value: Any) -> None:
        # Programs that replace a function of torch mean it for everybody; Python sets the rest.
        if name.startswith("__") or isinstance(value, types.ModuleType):
            super().__setattr__(name, value)
        else:
            setattr(self.__dict__["_ours"], name, value)

    def __delattr__(self, name: str) -> None:
        if name in self.__dict__:
            super().__delattr__(name)
        else:
            delattr(self.__dict__["_ours"], name)

    def __dir__(self) -> list[str]:
        return sorted({*dir(self.__dict__["_ours"]), "__version__"})


def _absent(name: str) -> str:
    from dtorch.compat.scan import describe_absent  # noqa: PLC0415  # only where something fails

    return describe_absent(name)


class _Finder(MetaPathFinder, Loader):
    """Finds the modules of PyTorch and torchvision among dtorch's."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        if not is_theirs(fullname):
            moved = theirs_of_moved(fullname)
            return None if moved is None else ModuleSpec(fullname, self, is_package=True)
        if find_ours(fullname) is None:
            raise ModuleNotFoundError(_absent(fullname), name=fullname)
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> None:
        return None  # an empty one, in whose place `exec_module` puts what is meant

    def exec_module(self, module: types.ModuleType) -> None:
        name = theirs_of_moved(module.__name__) or module.__name__
        sys.modules[module.__name__] = _meant_by(name)


def _meant_by(name: str) -> types.ModuleType:
    if name in ROOTS:
        return _Root(name, TORCHVISION_VERSION if name == "torchvision" else TORCH_VERSION)
    return load(name)


_FINDER = _Finder()


def install() -> None:
    """Let ``import torch`` and ``import torchvision`` give dtorch, here and in child processes.

    Does nothing the second time.

    Raises:
        ArgumentError: PyTorch itself has been imported before.
    """
    if is_installed():
        return
    for name in ROOTS:
        module = sys.modules.get(name)
        if module is not None and not _is_stand_in(module):
            raise ArgumentError(
                f"dtorch.compat: {name} {getattr(module, '__version__', '')} has been imported "
                f"from {module.__file__}; install dtorch.compat before anything imports it"
            )
    sys.meta_path.insert(0, _FINDER)
    naming.go_by("torch")
    if str(PACKAGES) not in sys.path:
        sys.path.insert(0, str(PACKAGES))
    os.environ["PYTHONPATH"] = python_path(os.environ.get("PYTHONPATH"))
    importlib.invalidate_caches()


def uninstall() -> None:
    """Undo `install`: the next ``import torch`` finds PyTorch, or nothing.

    Modules that have imported dtorch by those names keep it.
    """
    if not is_installed():
        return
    naming.go_by(naming.OWN)
    sys.meta_path.remove(_FINDER)
    for name in [name for name in sys.modules if is_theirs(name)]:
        del sys.modules[name]
    if str(PACKAGES) in sys.path:
        sys.path.remove(str(PACKAGES))
    others = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]
    others = [part for part in others if part != str(PACKAGES)]
    if others:
        os.environ["PYTHONPATH"] = os.pathsep.join(others)
    else:
        os.environ.pop("PYTHONPATH", None)


def stand_in(name: str) -> None:
    """Put dtorch in the place of the module ``name`` that is being imported; see `PACKAGES`."""
    install()
    sys.modules[name] = _meant_by(name)
    if os.environ.pop(REPORT_VARIABLE, None):
        from dtorch.compat.scan import report_after_failure  # noqa: PLC0415  # only where asked for

        report_after_failure()


def is_installed() -> bool:
    """Whether ``import torch`` gives dtorch."""
    return _FINDER in sys.meta_path


def python_path(path: str | None) -> str:
    """``PYTHONPATH`` for interpreters in which ``import torch`` gives dtorch."""
    parts = [part for part in (path or "").split(os.pathsep) if part and part != str(PACKAGES)]
    return os.pathsep.join((str(PACKAGES), *parts))


def _is_stand_in(module: types.ModuleType) -> bool:
    return isinstance(module, _Root) or str(module.__file__ or "").startswith(str(PACKAGES))
