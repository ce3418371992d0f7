"""Writes the type stubs of all operations: ``python -m dtorch.core.stubs``.

``op_methods.pyi`` gets the methods of tensors, ``functions.pyi`` the functions, and the stubs in
``public`` the names that each public module offers of them. All follow from the blocks of the operations: their parameters, defaults and annotations. Bodies work on arrays as
well as on tensors and therefore say ``Any`` where a caller passes a tensor; the operation knows
which parameters those are. Other parameters that say ``Any`` are typed by their name, which means
the same everywhere (`arguments.BY_NAME`). Keywords and positions of classic spellings are left out: they
work, and a type checker points at them.
"""

from __future__ import annotations

import builtins
import inspect
import math
import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from dtorch.core import functions, public
from dtorch.core.arguments import BY_NAME
from dtorch.core.elementwise import ElementwiseOp
from dtorch.core.op import METHODS, Op, public_ops
from dtorch.core.other_names import changing
from dtorch.core.views import ViewOp

WIDTH = 100
Parameter = inspect.Parameter

GENERATED = "Generated from the registry of operations by ``make stubs``; do not edit."
HEADER = '''"""{generated}"""

import builtins
from collections.abc import Sequence
from typing import Any, {typing}TypeAlias, overload

import numpy as np

{imports}

Number: TypeAlias = builtins.complex | np.number[Any]
Operand: TypeAlias = Tensor | Number
Ints: TypeAlias = int | Sequence[int]
'''

# Names known in every stub: from the header, or builtin.
KNOWN = {"Any", "DType", "Place", "Ints", "None", "Number", "Operand", "Sequence", "Tensor", "np"}


CHANGING = changing()


class Stub:
    """One stub file in the making.

    Attributes:
        names: what the scope of the signatures defines itself, hiding builtin types of that name.
        imports: names by the module they come from.
    """

    def __init__(self, names: Iterable[str], indent: str) -> None:
        self.names = frozenset(names)
        self.indent = indent
        self.imports: dict[str, set[str]] = {
            "dtorch.core.device": {"Place"},
            "dtorch.core.dtype": {"DType", "dtype"},
            "dtorch.core.tensor": {"Tensor"},
        }
        self.lines: list[str] = []

    def text(self, body: str, typing: str = "") -> str:
        """The whole file; ``body`` stands between header and signatures."""
        imports = "\n".join(
            _wrapped(f"from {module} import ", sorted(names))
            for module, names in sorted(self.imports.items())
        )
        return (
            HEADER.format(generated=GENERATED, imports=imports, typing=typing)
            + body
            + "\n".join(self.lines)
            + "\n"
        )

    # -- types --------------------------------------------------------------------------------

    def translate(self, annotation: str, scope: dict[str, Any], any_means: str) -> str:
        """An annotation of a body as the stub writes it; what it names is imported."""

        def name(match: re.Match[str]) -> str:
            word = match[0]
            if word in ("Any", "Array"):
                return any_means
            if word == "TensorBase":
                return "Tensor"
            if word in KNOWN:
                return word
            if word not in scope and hasattr(builtins, word):
                return f"builtins.{word}" if word in self.names else word
            found = scope[word]
            self.imports.setdefault(found.__module__, set()).add(found.__name__)
            return str(found.__name__)

        return re.sub(r"[A-Za-z_]\w*", name, annotation)

    def of_parameter(self, parameter: Parameter, function: Callable[..., Any], tensor: str) -> str:
        """The type of a parameter; ``tensor`` is what Any means in it, empty for no tensor."""
        annotation = _written(parameter.annotation)
        scope = inspect.unwrap(function).__globals__
        if tensor:
            kind = self.translate(annotation, scope, tensor)
        elif annotation not in ("Any", "Array"):
            kind = self.translate(annotation, scope, "Any")
        elif parameter.kind is Parameter.VAR_POSITIONAL:
            kind = "Ints" if parameter.name in ("shape", "size", "sizes") else "Any"
        elif parameter.kind is Parameter.VAR_KEYWORD:
            kind = "Any"
        else:
            kind = BY_NAME.get(parameter.name, "Any")
        if parameter.default is None and kind != "Any" and not kind.endswith("None"):
            kind += " | None"
        return kind

    def of_result(self, function: Callable[..., Any]) -> str:
        """What a function returns. Where that depends on its arguments the first possibility, or
        Any: a union would have to be taken apart by every caller."""
        stated = inspect.signature(function).return_annotation
        if stated is Parameter.empty:
            return "Any"
        annotation = _written(stated)
        first, *others = annotation.split(" | ")
        kind = self.translate(first, inspect.unwrap(function).__globals__, "Tensor")
        return f"{kind} | Any" if others else kind

    def of_outputs(self, op: Op) -> str:
        """What the function of an operation returns."""
        if isinstance(op, ViewOp) and op.several:
            return "tuple[Tensor, ...]"
        if op.returns == 1:
            return self.of_result(op.body)
        packed = self.of_result(type(op).pack)
        return f"tuple[{', '.join(['Tensor'] * op.returns)}]" if packed == "Tensor" else packed

    # -- signatures ---------------------------------------------------------------------------

    def add(
        self, name: str, parameters: Sequence[str], result: str, before: str = "", after: str = ""
    ) -> None:
        """One signature, broken as the formatter breaks it."""
        indent = self.indent
        head, tail = f"{indent}def {name}(", f") -> {result}: ...{after}"
        if before:
            self.lines.append(indent + before)
        line = head + ", ".join(parameters) + tail
        if len(line) - len(after) <= WIDTH:
            self.lines.append(line)
            return
        inner = f"{indent}    " + ", ".join(parameters)
        if len(inner) <= WIDTH:
            self.lines += [head, inner, indent + tail]
        else:
            self.lines += [head, *(f"{indent}    {p}," for p in parameters), indent + tail]

    def add_op(self, name: str, op: Op, *, method: bool, inplace: bool = False) -> None:
        """The function of an operation, or one of its methods."""
        parameters = _parameters(op)
        shown = [self._shown(op, p) for p in parameters]
        keyword_only = [p.kind is Parameter.KEYWORD_ONLY for p in parameters]
        if method:
            shown[0] = "self"
        tail: list[str] = []
        if any(keyword_only):
            at = keyword_only.index(True)
            shown, tail = shown[:at], ["*", *shown[at:]]
        result = ("Self" if method else "Tensor") if inplace else self.of_outputs(op)
        if op.has_out and not inplace and result != "bool":
            outputs = f"tuple[{', '.join(['Tensor'] * op.returns)}]" if op.returns > 1 else "Tensor"
            tail = [*(tail or ["*"]), f"out: {outputs} | None = None"]
        if op.variadic is None:
            self.add(name, [*shown, *tail], result)
            return
        several = shown.pop()
        what, _, kind = several.partition(": ")
        one = kind.removeprefix("Sequence[").removesuffix("]").removesuffix(" | Sequence[int]")
        one = "int" if one == "Ints" else one
        many = f"Sequence[{one}]"
        keywords = tail[1:] if tail[:1] == ["*"] else tail
        self.add(name, [*shown, f"{what}: {many}", *tail], result, "@overload")
        self.add(name, [*shown, f"*{what}: {one}", *keywords], result, "@overload")

    def _shown(self, op: Op, parameter: Parameter) -> str:
        tensor = ""
        if parameter.name in op.tensors:
            mixed = isinstance(op, ElementwiseOp) and len(op.tensors) > 1
            tensor = "Operand" if mixed else "Tensor"
        kind = self.of_parameter(parameter, op.body, tensor)
        return f"{parameter.name}: {kind}{_default(parameter)}"

    def add_function(self, name: str, function: Callable[..., Any], *, method: bool) -> None:
        """A function that belongs to no operation."""
        parameters = list(inspect.signature(function).parameters.values())
        shown: list[str] = []
        for i, p in enumerate(parameters):
            stars = "**" if p.kind is Parameter.VAR_KEYWORD else ""
            stars = "*" if p.kind is Parameter.VAR_POSITIONAL else stars
            starred = any(s.startswith("*") for s in shown)
            if p.kind is Parameter.KEYWORD_ONLY and not starred:
                shown.append("*")
            tensor = "Tensor" if p.name in ("tensor", "tensors") else ""
            kind = self.of_parameter(p, function, tensor)
            first = method and i == 0
            shown.append("self" if first else f"{stars}{p.name}: {kind}{_default(p)}")
        inplace = method and name.endswith("_") and not name.endswith("__")
        self.add(name, shown, "Self" if inplace else self.of_result(function))

    def add_method(self, name: str, value: Any) -> None:
        """What `dtorch.core.op.method` gave to tensors."""
        op = getattr(value, "op", None)
        if isinstance(value, property):
            getter: Any = value.fget
            op = getattr(getter, "op", None)
            self.add(name, ["self"], "Tensor" if op else self.of_result(getter), "@property")
        elif op is not None and value in (op.function, op.inplace_function):
            self.add_op(name, op, method=True, inplace=name.endswith("_"))
        else:
            self.add_function(name, value, method=True)

    def add_operator(self, name: str, op: Op) -> None:
        """A special method."""
        if len(op.tensors) == 1:
            self.add(name, ["self"], self.of_outputs(op))
            return
        inplace = name.startswith("__i") and name[3:] in {n[2:] for n in op.operators}
        mixed = isinstance(op, ElementwiseOp)
        other = "other: Operand | np.ndarray[Any, Any]" if mixed else "other: Tensor"
        # object compares with everything and says bool.
        after = "  # type: ignore[override]" if name in ("__eq__", "__ne__") else ""
        self.add(name, ["self", other], "Self" if inplace else "Tensor", after=after)


def _written(annotation: Any) -> str:
    """An annotation as it stands in the source, whether or not the module postpones them."""
    if annotation is Parameter.empty:
        return "Any"
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _parameters(op: Op) -> list[Parameter]:
    """The parameters of a call."""
    parameters = inspect.signature(op.body).parameters
    return [parameters[name] for name in op.params]


def _default(parameter: Parameter) -> str:
    """How a default is written in a signature."""
    value = parameter.default
    if value is Parameter.empty:
        return ""
    if isinstance(value, str):
        return f' = "{value}"'
    if value is None or isinstance(value, (int, tuple)):
        return f" = {value!r}"
    is_finite = isinstance(value, float) and math.isfinite(value)
    return f" = {value!r}" if is_finite else " = ..."


def _wrapped(head: str, names: Sequence[str]) -> str:
    line = head + ", ".join(names)
    if len(line) <= WIDTH:
        return line
    return "\n".join([head + "(", *(f"    {name}," for name in names), ")"])


def methods() -> str:
    """The text of ``op_methods.pyi``."""
    ops = public_ops()
    stub = Stub({name for name, op in ops.items() if op.method} | set(METHODS), "    ")
    found: dict[str, Callable[[], None]] = {}
    for name, op in ops.items():
        if op.method:
            found[name] = partial(stub.add_op, name, op, method=True)
        if op.inplace:
            changing = f"{name}_"
            found[changing] = partial(stub.add_op, changing, op, method=True, inplace=True)
        for operator in op.operators:
            found[operator] = partial(stub.add_operator, operator, op)
    for name, value in METHODS.items():
        found[name] = partial(stub.add_method, name, value)
    for _, add in sorted(found.items()):
        add()
    head = '\nclass OpMethods:\n    """Methods that operations give to tensors."""\n\n'
    return stub.text(head + "    __slots__ = ()\n\n", "Self, ")


def function_signatures() -> str:
    """The text of ``functions.pyi``."""
    names = sorted(vars(functions)["__all__"])
    stub, ops = Stub(names, ""), public_ops()
    for name in names:
        if name in ops:
            stub.add_op(name, ops[name], method=False)
        elif name in CHANGING:
            stub.add_op(name, ops[CHANGING[name]], method=False, inplace=True)
        else:
            stub.add_function(name, getattr(functions, name), method=False)
    return stub.text("\n")


def public_names(home: str) -> str:
    """The text of a stub in ``public``."""
    names = public.names_of(home)
    shown = [own if own == name else f"{own} as {name}" for name, own in names.items()]
    listed = "".join(f'    "{name}",\n' for name in names)
    return (
        f'"""{GENERATED}"""\n\n'
        + _wrapped("from dtorch.core.functions import ", shown)
        + f"\n\n__all__ = [\n{listed}]\n"
    )


FILES: dict[str, Callable[[], str]] = {
    "op_methods.pyi": methods,
    "functions.pyi": function_signatures,
    **{f"public/{home}.pyi": partial(public_names, home) for home in public.HOMES},
}


def main() -> None:
    """Write the stubs beside this file."""
    for name, text in FILES.items():
        path = Path(__file__).parent / name
        path.write_text(text(), encoding="utf-8")
        print(f"{path}: {path.read_text(encoding='utf-8').count(chr(10))} lines")


if __name__ == "__main__":
    main()
