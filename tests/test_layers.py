"""Arrows between packages go down only, also those the import linter cannot see: made by strings."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
LAYERS = [contract for contract in CONTRACTS if contract["type"] == "layers"]
FILES = sorted(file for folder in ("dtorch", "launch") for file in (ROOT / folder).rglob("*.py"))

# Modules whose names are not written in the code, and whose they are.
NAMED_ELSEWHERE = {
    "dtorch.compat.names": "modules of dtorch, by the names of PyTorch's",
    "dtorch.compat.scan": "what a program imports, without running it",
    "dtorch.core.kernels": "its own modules",
    "dtorch.core.ops": "its own modules",
    "dtorch.hub": "dependencies, in a hubconf.py",
    "dtorch.on_demand": "a package's own modules, which are loaded when first asked for",
    "dtorch.serialization.objects": "packages of classes that may be in a file",
    "dtorch.serialization.safetensors": "libraries of others",
    "dtorch.serialization.unpickler": "classes, in a file",
    "dtorch.vision.optional": "libraries of others",
    "launch.bootstrap": "the program that is started",
}
BY_NAME = {"import_module", "__import__", "find_spec"}


class Arrow(NamedTuple):
    importer: str
    imported: str  # "" where the code does not say it
    line: int


def module_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def arrows_of(file: Path) -> list[Arrow]:
    """Every import of a file wherever it stands, by statement or by string; not those for types."""
    module = module_of(file)
    return [
        Arrow(module, imported, line)
        for node in _nodes_of(ast.parse(file.read_text()))
        for imported, line in _imports_of(node)
    ]


def _nodes_of(tree: ast.AST) -> Iterator[ast.AST]:
    yield tree
    if isinstance(tree, ast.If) and _last_name(tree.test) == "TYPE_CHECKING":
        children = iter(tree.orelse)
    else:
        children = ast.iter_child_nodes(tree)
    for child in children:
        yield from _nodes_of(child)


def _imports_of(node: ast.AST) -> Iterator[tuple[str, int]]:
    match node:
        case ast.Import(names):
            yield from ((alias.name, node.lineno) for alias in names)
        case ast.ImportFrom(package, names):
            yield from ((f"{package}.{alias.name}", node.lineno) for alias in names)
        case ast.Call(function, [name, *_]) if _last_name(function) in BY_NAME:
            yield _text(name), node.lineno
        # A look at what is imported is an import in all but name.
        case ast.Call(
            ast.Attribute(ast.Attribute(ast.Name("sys"), "modules")), [name, *_]
        ) | ast.Subscript(ast.Attribute(ast.Name("sys"), "modules"), name) if _text(
            name
        ).startswith("dtorch"):
            yield _text(name), node.lineno


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def heights_of(contract: dict) -> dict[str, int]:
    """How high each module below the container stands."""
    return {
        name.strip(" ()"): height
        for height, layer in enumerate(reversed(contract["layers"]))
        for name in layer.split("|")
    }


def goes_up(arrow: Arrow, contract: dict) -> bool:
    (container,) = contract["containers"]
    heights = heights_of(contract)
    ends = []
    for module in (arrow.importer, arrow.imported):
        if not module.startswith(f"{container}."):
            return False
        ends.append(module.removeprefix(f"{container}.").split(".")[0])
    importer, imported = ends
    if importer == imported or importer not in heights or imported not in heights:
        return False
    return heights[imported] >= heights[importer]


ARROWS = [arrow for file in FILES for arrow in arrows_of(file)]


@pytest.mark.parametrize("contract", LAYERS, ids=lambda contract: contract["name"])
def test_no_import_goes_up_however_it_is_made(contract):
    assert not [arrow for arrow in ARROWS if goes_up(arrow, contract)]


def test_nothing_below_imports_the_package_itself():
    assert not [arrow for arrow in ARROWS if arrow.imported == "dtorch"]


def test_modules_that_are_named_elsewhere_are_known():
    unnamed = {arrow.importer for arrow in ARROWS if not arrow.imported}
    assert unnamed == set(NAMED_ELSEWHERE)


@pytest.mark.parametrize(
    "code",
    [
        "import dtorch.nn.module",
        "def f():\n    from dtorch import nn",
        "def f():\n    from dtorch.nn.module import Module",
        "importlib.import_module('dtorch.nn')",
        "import_module('dtorch.nn.module').Module",
        "__import__('dtorch.nn')",
        "sys.modules['dtorch.nn']",
        "sys.modules.get('dtorch.nn.module')",
    ],
)
def test_each_way_to_import_is_seen(code, tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    file = tmp_path / "dtorch" / "core" / "backend.py"
    file.parent.mkdir(parents=True)
    file.write_text(code)
    (arrow,) = arrows_of(file)
    assert arrow.importer == "dtorch.core.backend"
    assert goes_up(arrow, LAYERS[0])


def test_packages_above_core_reach_the_memory_of_tensors_by_one_name():
    above = [file for file in FILES if not module_of(file).startswith("dtorch.core")]
    fields = {
        f"{module_of(file)}:{node.lineno}"
        for file in above
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and node.attr == "_array"
        if not (isinstance(node.value, ast.Name) and node.value.id == "self")
    }
    assert not fields
