"""Declarations of functions in C, and the code in C that calls them."""

from __future__ import annotations

import copy
import re
from typing import Any, NamedTuple

from dtorch.core.errors import ArgumentError

# The numbers of each kind of tensor, in C.
NUMBERS = {
    "Byte": "unsigned char",
    "Char": "signed char",
    "Short": "short",
    "Int": "int",
    "Long": "int64_t",
    "Float": "float",
    "Double": "double",
}
PREFIX = "dtorch_call_"  # before the name of a function: the one that is called from Python

# As TH.h has them.
_STRUCTS = "".join(
    f"""
typedef struct {{
  {number} *data; int64_t size[16]; int64_t stride[16]; int64_t offset; int64_t room;
  int nDimension; int owned; int count;
}} TH{kind}Tensor;
typedef struct {{ {number} *data; int64_t size; }} TH{kind}Storage;
"""
    for kind, number in NUMBERS.items()
)
_TYPES = [f"{sign}int{bits}_t" for sign in ("", "u") for bits in (8, 16, 32, 64)]
_TYPES += ["size_t", "ssize_t", "ptrdiff_t", "intptr_t", "uintptr_t", "bool"]
# Types that declarations may name; which they are is the compiler's business.
_PRELUDE = "".join(f"typedef int {name};\n" for name in _TYPES) + _STRUCTS

_HELPERS = """
const char *dtorch_error(void);
void dtorch_release(void *memory);
"""
_SOURCE = """
#include <TH/TH.h>
__thread jmp_buf *th_call;
__thread char th_message[512];
static const char *dtorch_error(void) { return th_message; }
static void dtorch_release(void *memory) { free(memory); }
"""
# An error in C jumps here, past the frames of the extension and none of Python's.
_CALL = """
static %(declaration)s {
  jmp_buf here, *before = th_call;
  th_message[0] = 0;
  if (setjmp(here)) {
    th_call = before;
    %(failed)s
  }
  th_call = &here;
  %(call)s
  th_call = before;
  %(done)s
}
"""


class Declarations(NamedTuple):
    """Functions that an extension exports.

    Attributes:
        names: of the functions.
        for_cffi: the declarations of what Python calls.
        calls: the code of that, in C.
    """

    names: list[str]
    for_cffi: str
    calls: str

    def source(self, headers: list[str]) -> str:
        """The code in C of the extension itself."""
        return _SOURCE + "".join(f'#include "{header}"\n' for header in headers) + self.calls


def read(text: str) -> Declarations:
    """The declarations in a text; lines of the preprocessor and comments are left out.

    Raises:
        ArgumentError: the text cannot be read, or declares no function, or one that takes any
            number of arguments.
    """
    from pycparser import c_ast, c_generator, c_parser  # noqa: PLC0415 - comes with cffi

    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.DOTALL)
    text = re.sub(r"^[ \t]*#.*?(?<!\\)$", "", text, flags=re.DOTALL | re.MULTILINE)
    try:
        tree = c_parser.CParser().parse(f'{_PRELUDE}\n# 1 "header"\n{text}')
    except c_parser.ParseError as error:
        raise ArgumentError(
            f"create_extension: the declarations cannot be read: {error}; a header may have "
            "declarations only, and types that they or TH.h declare"
        ) from None
    known = len(c_parser.CParser().parse(_PRELUDE).ext)
    generator = c_generator.CGenerator()
    names, types, declarations, calls = [], [], [], []
    for node in tree.ext[known:]:
        if isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
            wrapper = _wrapper(c_ast, node)
            declaration = generator.visit(wrapper)
            names.append(node.name)
            declarations.append(f"{declaration};")
            calls.append(_call(c_ast, generator, node, wrapper, declaration))
        else:
            types.append(f"{generator.visit(node)};")
    if not names:
        raise ArgumentError("create_extension: the headers declare no function")
    return Declarations(
        names, "\n".join([_STRUCTS, *types, *declarations, _HELPERS]), "".join(calls)
    )


def _wrapper(c_ast: Any, node: Any) -> Any:
    """The declaration of a function under its other name, with a name for each argument."""
    made = copy.deepcopy(node)
    made.storage, made.funcspec = [], []
    _innermost(c_ast, made.type).declname = made.name = PREFIX + node.name
    for place, param in enumerate(_params(made)):
        if isinstance(param, c_ast.EllipsisParam):
            raise ArgumentError(
                f"create_extension: {node.name} takes any number of arguments; declare those it "
                "gets"
            )
        _innermost(c_ast, param.type).declname = param.name = f"a{place}"
    if _takes_nothing(c_ast, made):
        _innermost(c_ast, made.type.args.params[0].type).declname = None
    return made


def _call(c_ast: Any, generator: Any, node: Any, wrapper: Any, declaration: str) -> str:
    count = 0 if _takes_nothing(c_ast, wrapper) else len(_params(wrapper))
    call = f"{node.name}({', '.join(f'a{place}' for place in range(count))});"
    result = generator.visit(c_ast.Typename(None, [], None, _result_type(c_ast, wrapper)))
    if result == "void":
        parts = {"call": call, "failed": "return;", "done": ""}
    else:
        parts = {
            "call": f"{result} result = {call}",
            "failed": f"static {result} none; return none;",
            "done": "return result;",
        }
    return _CALL % {"declaration": declaration, **parts}


def _result_type(c_ast: Any, wrapper: Any) -> Any:
    result = copy.deepcopy(wrapper.type.type)
    _innermost(c_ast, result).declname = None
    return result


def _params(node: Any) -> list[Any]:
    return node.type.args.params if node.type.args else []


def _takes_nothing(c_ast: Any, node: Any) -> bool:
    """Whether the arguments are ``(void)``."""
    params = _params(node)
    if len(params) != 1 or not isinstance(params[0].type, c_ast.TypeDecl):
        return not params
    return getattr(params[0].type.type, "names", None) == ["void"]


def _innermost(c_ast: Any, node: Any) -> Any:
    while not isinstance(node, c_ast.TypeDecl):
        node = node.type
    return node
