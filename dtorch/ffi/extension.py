"""Making an extension: what is compiled, and the package that gives its functions."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dtorch.ffi.declarations import Declarations, read

INCLUDE = Path(__file__).with_name("include")

_PACKAGE = '''"""Functions in C, compiled by dtorch.ffi."""

from dtorch.ffi.calls import bind

from .{module} import ffi, lib

{functions}

__all__ = {names}
'''


def create_extension(
    name: str,
    headers: str | Sequence[str],
    sources: Sequence[str],
    verbose: bool = True,
    with_cuda: bool = False,
    package: bool = False,
    relative_to: str = ".",
    **kwargs: Any,
) -> Any:
    """What compiles an extension in C when its ``build()`` is called.

    The functions come as the package ``name``, which is written beside the file ``relative_to``;
    its parents are made too.

    Args:
        name: dotted name of the package.
        headers: files with the declarations of the functions to export, and of them only.
        sources: files in C. They include ``TH/TH.h`` for tensors, and may include others.
        verbose: show the compiler's commands.
        with_cuda: not there.
        package: the object is for ``cffi_modules`` of a ``setup.py``.
        relative_to: the file whose folder the other files are looked for in.
        kwargs: of cffi's ``set_source``: ``define_macros``, ``libraries``, ``extra_compile_args``,
            ``include_dirs``, ``extra_objects``, ...
    Returns: a ``cffi.FFI`` with a method ``build``.
    Raises:
        ImportError: cffi is not installed.
        FileNotFoundError: a header or a source is not there.
        ArgumentError: the declarations cannot be read.
        RuntimeError: from ``build``: there is no compiler, or it refuses the sources.

    A call raises RuntimeError where C calls ``THError``, and TypeError for tensors of another type
    than declared. Pointers to tensors that a function returns become tensors.
    """
    cffi = _cffi()
    if with_cuda:
        raise RuntimeError(
            "create_extension: with_cuda is True, but C functions get no tensors of a card here; "
            "leave it out, and pass tensors by cpu()"
        )
    folder = Path(os.path.abspath(os.path.dirname(relative_to) or "."))
    texts = [headers] if isinstance(headers, str) else list(headers)
    files = [folder / header for header in texts]
    for file in [*files, *(folder / source for source in sources)]:
        if not file.is_file():
            raise FileNotFoundError(f"create_extension: there is no file {file}")
    declared = read("\n".join(file.read_text() for file in files))
    path = name.lstrip(".").split(".")
    target = folder.joinpath(*path)
    module = f"_{path[-1]}"
    ffi = cffi.FFI()
    ffi.cdef(declared.for_cffi)
    ffi.set_source(
        ".".join([*path, module]) if package else module,
        declared.source([str(file) for file in files]),
        sources=[str(folder / source) for source in sources],
        include_dirs=[str(INCLUDE), str(folder), *kwargs.pop("include_dirs", [])],
        # A function of TH that TH.h does not have is told here, not when the extension is imported.
        extra_compile_args=[
            "-Werror=implicit-function-declaration",
            *kwargs.pop("extra_compile_args", []),
        ],
        **kwargs,
    )
    _write_package(folder, path, module, declared)
    ffi.build = functools.partial(_build, ffi, target, verbose)
    return ffi


def _cffi() -> Any:
    try:
        import cffi  # noqa: PLC0415 - few programs compile
    except ModuleNotFoundError as error:
        raise ImportError(
            "create_extension needs the package cffi, which is not installed: "
            "pip install 'dtorch[ffi]'",
            name="cffi",
        ) from error
    return cffi


def _write_package(folder: Path, path: list[str], module: str, declared: Declarations) -> None:
    for part in path:
        folder = folder / part
        folder.mkdir(exist_ok=True)
        (folder / "__init__.py").touch()
    functions = "\n".join(f'{name} = bind(ffi, lib, "{name}")' for name in declared.names)
    text = _PACKAGE.format(module=module, functions=functions, names=declared.names)
    (folder / "__init__.py").write_text(text)


def _build(ffi: Any, target: Path, verbose: bool) -> None:
    cffi = _cffi()
    with tempfile.TemporaryDirectory(prefix="dtorch-ffi-") as folder:
        try:
            built = ffi.compile(tmpdir=folder, verbose=verbose)
        except (cffi.VerificationError, OSError) as error:
            raise RuntimeError(
                f"create_extension: {target.name} could not be compiled: {error}; the compiler's "
                "messages stand above; if there is none, install one (Debian: apt install gcc)"
            ) from error
        shutil.copy(built, target)
