"""What a program uses of PyTorch that dtorch does not have, read off its source before it runs."""

from __future__ import annotations

import ast
import difflib
import functools
import importlib.metadata
import os
import re
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any, NamedTuple

from dtorch.compat.names import ROOTS, find_ours, is_moved, is_theirs, load

_GUARDS = {"ImportError", "ModuleNotFoundError", "AttributeError", "Exception", "BaseException"}


class Absence(NamedTuple):
    """A name that a program uses and dtorch does not have.

    Attributes:
        path, line: where.
        name: the name, as PyTorch's: ``torch.nn.Linaer``.
        nearest: the most similar name there is, or "".
    """

    path: str
    line: int
    name: str
    nearest: str

    def __str__(self) -> str:
        hint = f"; the nearest: {self.nearest}" if self.nearest else ""
        return f"{self.path}:{self.line}: {self.name} is not there{hint}"


def scan(path: str | os.PathLike[str], search_path: Sequence[str] | None = None) -> list[Absence]:
    """What a program and the modules it imports use that is absent, in the order of the files read.

    Nothing of the program is run. Names are followed from the imports of PyTorch in each file; what
    objects are asked for is not seen. Uses that ``hasattr``, or a ``try`` with the exception that a
    missing name raises, are prepared for are left out.

    Args:
        path: the program's file.
        search_path: where its imports are looked for; default: beside it, then as Python does.

    Raises:
        OSError: the file cannot be read.
        SyntaxError: it is no Python.
    """
    first = Path(path).resolve()
    places = [str(first.parent), *sys.path] if search_path is None else list(search_path)
    return [
        absence
        for source in _sources(first, places)
        for name, line in source.uses
        if (absence := _absence(source.path, line, name)) is not None
    ]


def _absence(path: Path, line: int, name: str) -> Absence | None:
    missing = find_missing(name)
    if missing is None:
        return None
    try:
        shown = str(path.relative_to(Path.cwd()))
    except ValueError:
        shown = str(path)
    return Absence(shown, line, missing, nearest_to(missing))


# Packages by the names of theirs have it of their own.
_VERSIONS = {f"{root}.__version__" for root in ROOTS}


def find_missing(name: str) -> str | None:
    """The shortest part of a dotted name of PyTorch's that does not exist; None if all of it does.

    >>> find_missing("torch.nn.Linear"), find_missing("torch.nn.Linaer.forward")
    (None, 'torch.nn.Linaer')
    """
    parts = name.split(".")
    found: Any = None
    for count in range(1, len(parts) + 1):
        known = ".".join(parts[:count])
        if is_moved(known):
            found = load(known)
            continue
        if known in _VERSIONS:
            return None
        if found is not None and hasattr(found, parts[count - 1]):
            found = getattr(found, parts[count - 1])
            if not isinstance(found, (types.ModuleType, type)):
                return None  # what objects have is not known here
            continue
        if isinstance(found, type) or find_ours(known) is None:
            return known
        found = load(known)
    return None


def nearest_to(name: str) -> str:
    """The name most similar to one that does not exist, or an empty string."""
    parent, _, last = name.rpartition(".")
    if not parent or find_ours(parent) is None:
        return ""
    public = [known for known in dir(load(parent)) if not known.startswith("_")]
    close = difflib.get_close_matches(last, public, 1)
    return f"{parent}.{close[0]}" if close else ""


def describe_absent(name: str) -> str:
    """The message of an error for a name that dtorch does not have."""
    near = nearest_to(name)
    hint = f"; the nearest: {near}" if near else ""
    return f"{name} does not exist in dtorch, which stands in for PyTorch here{hint}"


def find_program(program: str, is_module: bool = False) -> str:
    """The file that ``python program``, or ``python -m program``, runs.

    Raises:
        FileNotFoundError, ModuleNotFoundError: there is none.
    """
    if not is_module:
        path = Path(program, "__main__.py") if Path(program).is_dir() else Path(program)
        if not path.is_file():
            raise FileNotFoundError(f"{program}: there is no such file")
        return str(path)
    for name in (f"{program}.__main__", program):
        places: Sequence[str] | None = ["", *sys.path]
        spec = None
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            spec = PathFinder.find_spec(".".join(parts[:count]), places)
            places = [] if spec is None else spec.submodule_search_locations or []
        if spec is not None and spec.origin is not None and spec.origin.endswith(".py"):
            return spec.origin
    raise ModuleNotFoundError(f"-m {program}: there is no such module", name=program)


def report_after_failure() -> None:
    """Have this process end with the list of what its program misses, if that is why it fails."""
    hook = sys.excepthook

    def report(kind: type[BaseException], error: BaseException, trace: Any) -> None:
        hook(kind, error, trace)
        program = getattr(sys.modules["__main__"], "__file__", None)
        if program is not None and _is_for_an_absence(error):
            print(f"\nWhat {program} uses and dtorch does not have:", file=sys.stderr)
            for absence in scan(program):
                print(absence, file=sys.stderr)

    sys.excepthook = report


def _is_for_an_absence(error: BaseException) -> bool:
    if isinstance(error, ImportError):
        return is_theirs(error.name or "") or (error.name or "").partition(".")[0] == "dtorch"
    owner = getattr(error, "obj", None)
    return isinstance(owner, types.ModuleType) and (
        is_theirs(owner.__name__) or owner.__name__.partition(".")[0] == "dtorch"
    )


class _KeywordError(SyntaxError):
    """A file uses a word as a name that has become a keyword."""


# -- reading sources ------------------------------------------------------------------------------


@dataclass
class _Source:
    """A file: what it uses of PyTorch, and what else it imports.

    Attributes:
        path: the file.
        package: the package it is in, for relative imports.
        uses: dotted names of PyTorch's, with their lines.
        imports: absolute names of other modules.
    """

    path: Path
    package: str
    uses: list[tuple[str, int]] = field(default_factory=list)
    imports: list[str] = field(default_factory=list)


def _sources(first: Path, places: Sequence[str]) -> Iterator[_Source]:
    """The program, and then what its imports lead to."""
    todo: list[tuple[Path, str]] = [(first, "")]
    seen = {first}
    while todo:
        path, package = todo.pop(0)
        try:
            source = _read(path, package)
        except (SyntaxError, ValueError, OSError) as error:
            if path == first or isinstance(error, _KeywordError):
                raise
            continue  # a library's file for another version of Python
        yield source
        for name in source.imports:
            for found, its_package in _files_of(name, places):
                if found not in seen:
                    seen.add(found)
                    todo.append((found, its_package))


def _files_of(name: str, places: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """The files that the import of a module reads, with the package of each."""
    root = name.partition(".")[0]
    if root in sys.stdlib_module_names or root in (*ROOTS, "dtorch"):
        return
    if not _needs_torch(root, places):
        return
    path: Sequence[str] | None = places
    parts = name.split(".")
    for count in range(1, len(parts) + 1):
        known = ".".join(parts[:count])
        spec = PathFinder.find_spec(known, path)
        if spec is None:
            return
        path = spec.submodule_search_locations
        if spec.origin is not None and spec.origin.endswith(".py"):
            yield Path(spec.origin).resolve(), known if path else known.rpartition(".")[0]
        if path is None:
            return


def _needs_torch(root: str, places: Sequence[str]) -> bool:
    """Whether an installed package says that it works with PyTorch; a program's own files do."""
    if PathFinder.find_spec(root, places[:1]) is not None:
        return True  # beside the program
    requirements = _requirements(root)
    return requirements is None or any(
        re.match(r"torch(vision)?\b", requirement) for requirement in requirements
    )


def _requirements(root: str) -> list[str] | None:
    """What the distributions require that install the module; None if none does."""
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.requires(root) or []
    owners = _distributions().get(root)
    if owners is None:
        return None
    return [each for name in owners for each in importlib.metadata.requires(name) or ()]


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """Names of distributions by those of their modules: slow, as it reads a list of all files."""
    return importlib.metadata.packages_distributions()


def _read(path: Path, package: str) -> _Source:
    source = _Source(path, package)
    try:
        tree = ast.parse(path.read_bytes(), str(path))
    except SyntaxError as error:
        if re.search(r"\basync\s*=", error.text or ""):
            raise _KeywordError(
                f"{path}:{error.lineno}: async= cannot be written since Python 3.7, where it is a "
                "keyword, and no mode changes that; write non_blocking="
            ) from None
        raise
    _Reader(source, tree).visit(tree)
    return source


class _Reader(ast.NodeVisitor):
    """Collects the imports of a file, and the dotted names that begin with those of PyTorch."""

    def __init__(self, source: _Source, tree: ast.Module) -> None:
        self.source = source
        self.bound: dict[str, str] = {}  # a name in the file -> what it is of PyTorch's
        self.guarded: set[str] = set()
        self.depth = 0  # of `try` statements that are prepared for missing names
        for node in ast.walk(tree):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._bind(node)
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                self._note_guard(node)

    def _bind(self, node: ast.Import | ast.ImportFrom) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                if not is_theirs(alias.name):
                    self.source.imports.append(alias.name)
                elif alias.asname:
                    self.bound[alias.asname] = alias.name
                else:
                    root = alias.name.partition(".")[0]
                    self.bound[root] = root
            return
        module = self._absolute(node)
        for alias in node.names:
            if is_theirs(module):
                self.bound[alias.asname or alias.name] = f"{module}.{alias.name}"
            elif module:
                self.source.imports += [module, f"{module}.{alias.name}"]

    def _absolute(self, node: ast.ImportFrom) -> str:
        if not node.level:
            return node.module or ""
        package = self.source.package.split(".")
        above = package[: len(package) - node.level + 1]
        return ".".join(filter(None, (*above, node.module)))

    def _note_guard(self, node: ast.Call) -> None:
        """``hasattr(torch, "name")`` and ``getattr(torch, "name", None)`` are prepared for it."""
        if isinstance(node.func, ast.Name) and node.func.id in ("hasattr", "getattr"):
            if len(node.args) < 2 or not isinstance(node.args[1], ast.Constant):
                return
            owner = self._dotted(node.args[0])
            if owner is not None and (node.func.id == "hasattr" or len(node.args) > 2):
                self.guarded.add(f"{owner}.{node.args[1].value!s}")

    def _dotted(self, node: ast.AST) -> str | None:
        if isinstance(node, ast.Name):
            return self.bound.get(node.id)
        if isinstance(node, ast.Attribute):
            owner = self._dotted(node.value)
            return None if owner is None else f"{owner}.{node.attr}"
        return None

    def _use(self, name: str, line: int) -> None:
        if self.depth or any(name == g or name.startswith(f"{g}.") for g in self.guarded):
            return
        self.source.uses.append((name, line))

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            if is_theirs(alias.name):
                self._use(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = self._absolute(node)
        if is_theirs(module):
            for alias in node.names:
                self._use(module if alias.name == "*" else f"{module}.{alias.name}", node.lineno)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        name = self._dotted(node)
        if name is None:
            self.generic_visit(node)
        elif isinstance(node.ctx, ast.Load):
            self._use(name, node.lineno)

    def visit_If(self, node: ast.If) -> None:
        if _is_for_checkers(node.test):
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        prepared = any(_catches_absence(handler) for handler in node.handlers)
        self.depth += prepared
        for child in node.body:
            self.visit(child)
        self.depth -= prepared
        for other in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(other)


def _is_for_checkers(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def _catches_absence(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(isinstance(kind, ast.Name) and kind.id in _GUARDS for kind in types)
