"""The committed stubs are those of the registry, and what they say is true of every sample."""

from __future__ import annotations

import ast
import importlib
import inspect
from pathlib import Path
from typing import Any

import pytest
from op_samples import every_sample, samples_of

from dtorch.core import functions, public, stubs
from dtorch.core.base import TensorBase
from dtorch.core.op import Op, public_ops
from dtorch.core.op_methods import OpMethods
from dtorch.core.tensor import Tensor

CORE = Path(inspect.getfile(functions)).parent


def test_every_operation_has_a_home_that_offers_it_or_none():
    assert {op.home for op in public_ops().values()} - {*public.HOMES, ""} == set()
    for home in public.HOMES:
        module = importlib.import_module(f"dtorch.core.public.{home}")
        assert sorted(module.__all__) == sorted(public.names_of(home))


def definitions(text: str) -> dict[str, list[ast.FunctionDef]]:
    """All definitions of each name in a stub; several for overloads."""
    found: dict[str, list[ast.FunctionDef]] = {}
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, []).append(node)
    return found


FUNCTIONS = definitions(stubs.function_signatures())


@pytest.mark.parametrize("name", stubs.FILES)
def test_committed_stub_is_that_of_the_registry(name):
    committed = (CORE / name).read_text(encoding="utf-8")
    assert committed == stubs.FILES[name](), f"{name} is stale; run make stubs"


def test_every_function_of_the_stub_exists_and_the_other_way_round():
    assert set(FUNCTIONS) == set(functions.__all__)


def test_every_method_of_the_stub_exists_and_the_other_way_round():
    stub = set(definitions(stubs.methods()))
    assert [name for name in sorted(stub) if not hasattr(Tensor, name)] == []
    given = {name for name, value in vars(OpMethods).items() if callable(value)}
    assert sorted(given - stub) == []


def matches(value: Any, annotation: str) -> bool:
    """Whether a value is of the type that a stub states."""
    if annotation.endswith("| Any"):
        return True
    if isinstance(value, TensorBase):
        return annotation.split(" | ")[0] in ("Tensor", "Operand")
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value).__name__ == annotation
    if isinstance(value, tuple):
        return annotation.startswith("tuple[")
    if isinstance(value, list):
        return annotation.startswith(("list[", "Sequence["))
    return annotation in (type(value).__name__, "Any")


def returned(name: str) -> str:
    """What the stub says a function returns."""
    result = FUNCTIONS[name][0].returns
    assert result is not None
    return ast.unparse(result)


@every_sample()
def test_results_of_samples_are_of_the_type_in_the_stub(op: Op, number: int):
    args, kwargs = samples_of(op)[number]
    result = op.function(*args, **kwargs)
    kind = returned(op.name)
    assert matches(result, kind), f"{op.name} returned {type(result).__name__}, not {kind}"


@every_sample(lambda op, number: op.variadic is None)
def test_tensors_and_numbers_of_samples_go_where_the_stub_takes_them(op: Op, number: int):
    args, kwargs = samples_of(op)[number]
    arguments = FUNCTIONS[op.name][0].args
    annotations = {a.arg: ast.unparse(a.annotation) for a in arguments.args + arguments.kwonlyargs}
    for name, value in zip(op.params, op.bind(args, kwargs), strict=True):
        kind = annotations[name].removesuffix(" | None")
        if isinstance(value, TensorBase):
            assert "Tensor" in kind or "Operand" in kind or kind == "Any", f"{name}: {kind}"
        elif isinstance(value, (int, float)) and name in op.tensors:
            assert "Operand" in kind or "float" in kind or "complex" in kind, f"{name}: {kind}"
        elif isinstance(value, (list, tuple)) and name in op.tensors:
            assert "Sequence" in kind, f"{name}: {kind}"
