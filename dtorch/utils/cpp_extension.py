"""Extensions in C++ whose functions take tensors as arrays of NumPy, made with pybind11.

A function that takes ``pybind11::array_t<float>`` is called with tensors of that type and works on
their memory; tensors of other types are copied, so say ``.noconvert()`` where it writes. What it
returns as an array, `dtorch.from_numpy` makes a tensor. ATen's C++ tensors, and with them
``torch/extension.h``, are not there.

Compiling needs ``pip install dtorch[ffi]`` and a C++ compiler.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from dtorch.core.errors import ArgumentError
from dtorch.ffi.extension import INCLUDE

try:
    import pybind11
    import setuptools
    from setuptools.command.build_ext import build_ext
except ModuleNotFoundError as _error:
    raise ImportError(
        f"cpp_extension needs the package {_error.name}, which is not installed: "
        "pip install 'dtorch[ffi]'",
        name=_error.name,
    ) from _error

__all__ = [
    "CUDA_HOME", "BuildExtension", "CUDAExtension", "CppExtension", "include_paths",
    "library_paths", "load", "load_inline",
]  # fmt: skip

CUDA_HOME = None  # no compiler of NVIDIA's is used

_ATEN = re.compile(r'^\s*#\s*include\s*[<"]((?:torch|ATen|c10)/[^>"]*)[>"]', re.MULTILINE)
_START = """#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
"""


class BuildExtension(build_ext):  # type: ignore[misc]  # setuptools has no types
    """The command ``build_ext`` of a ``setup.py`` for extensions of `CppExtension`."""

    @classmethod
    def with_options(cls, **options: Any) -> Any:
        """This command; options are for compilers that are not used here."""
        return cls

    def build_extension(self, ext: Any) -> None:
        """Compile one extension; ``TORCH_EXTENSION_NAME`` is the name of its module.

        Raises:
            RuntimeError: a source needs ATen, or does not compile.
        """
        for source in ext.sources:
            _refuse_aten(Path(source))
        module = ext.name.rpartition(".")[2]
        ext.define_macros = [*ext.define_macros, ("TORCH_EXTENSION_NAME", module)]
        ext.extra_compile_args = _flags(ext.extra_compile_args)
        super().build_extension(ext)


def CppExtension(  # noqa: N802 - the name of the reference API
    name: str, sources: Sequence[str], *args: Any, **kwargs: Any
) -> Any:
    """An extension in C++ for ``setuptools.setup(ext_modules=[...])``, with the headers it needs."""
    kwargs["include_dirs"] = [*kwargs.get("include_dirs", []), *include_paths()]
    kwargs.setdefault("language", "c++")
    return setuptools.Extension(name, list(sources), *args, **kwargs)


def CUDAExtension(  # noqa: N802 - the name of the reference API
    name: str, sources: Sequence[str], *args: Any, **kwargs: Any
) -> NoReturn:
    """Not there.

    Raises:
        RuntimeError: always; it says what to do instead.
    """
    raise RuntimeError(
        f"CUDAExtension: {name} cannot be built: dtorch compiles nothing for cards; build a "
        "CppExtension of the sources for the processor, or use cupy.RawKernel"
    )


def include_paths(device_type: str = "cpu", cuda: bool = False) -> list[str]:
    """Folders with the headers of pybind11, and with ``TH/TH.h``."""
    return [str(pybind11.get_include()), str(INCLUDE)]


def library_paths(device_type: str = "cpu", cuda: bool = False) -> list[str]:
    """Folders with libraries to link: none."""
    return []


def load(
    name: str,
    sources: str | Sequence[str],
    extra_cflags: Sequence[str] | None = None,
    extra_cuda_cflags: Sequence[str] | None = None,
    extra_ldflags: Sequence[str] | None = None,
    extra_include_paths: Sequence[str] | None = None,
    build_directory: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    with_cuda: bool | None = None,
    is_python_module: bool = True,
    **options: Any,
) -> ModuleType:
    """Compile an extension in C++ and import it; what was compiled before is not compiled again.

    Args:
        name: of the module, which the sources know as ``TORCH_EXTENSION_NAME``.
        sources: files in C++, one of them with ``PYBIND11_MODULE``.
        extra_cflags, extra_ldflags, extra_include_paths: for the compiler and the linker.
        build_directory: where the result is kept. Default: a folder of this name in
            ``$TORCH_EXTENSIONS_DIR``, or in ``~/.cache/dtorch/extensions``.
        verbose: show the compiler's commands.
        extra_cuda_cflags, with_cuda, is_python_module, options: CUDA sources, libraries that are no
            modules and programs are refused; the rest has no effect.
    Raises:
        FileNotFoundError: a source is not there.
        RuntimeError: a source needs ATen or CUDA, there is no compiler, or it refuses them.
    """
    files = [Path(source) for source in ([sources] if isinstance(sources, str) else sources)]
    _refuse("load", files, with_cuda, is_python_module, options)
    settings = {
        "extra_compile_args": list(extra_cflags or []),
        "extra_link_args": list(extra_ldflags or []),
        "include_dirs": [str(path) for path in extra_include_paths or []],
    }
    folder = _folder(name, build_directory)
    target = (
        folder / f"{name}-{_digest(files, settings)}{importlib.machinery.EXTENSION_SUFFIXES[0]}"
    )
    if not target.exists():
        extension = CppExtension(name, [str(file) for file in files], **settings)
        _build(extension, target, verbose)
    return _imported(name, target)


def load_inline(
    name: str,
    cpp_sources: str | Sequence[str],
    cuda_sources: str | Sequence[str] | None = None,
    functions: str | Sequence[str] | dict[str, str] | None = None,
    extra_cflags: Sequence[str] | None = None,
    extra_cuda_cflags: Sequence[str] | None = None,
    extra_ldflags: Sequence[str] | None = None,
    extra_include_paths: Sequence[str] | None = None,
    build_directory: str | os.PathLike[str] | None = None,
    verbose: bool = False,
    with_cuda: bool | None = None,
    **options: Any,
) -> ModuleType:
    """`load` of C++ in strings, before which pybind11's headers are included.

    Args:
        cpp_sources: the code.
        functions: names of functions in it to export, or a dict of these and their documentation.
    """
    if cuda_sources:
        raise RuntimeError(f"load_inline: {name} has cuda_sources; dtorch compiles none")
    texts = [cpp_sources] if isinstance(cpp_sources, str) else list(cpp_sources)
    names = [functions] if isinstance(functions, str) else functions or {}
    documented = names if isinstance(names, dict) else dict.fromkeys(names, "")
    text = _START + "\n".join(texts)
    if documented:
        lines = "".join(
            f'  m.def("{function}", &{function}, R"doc({about})doc");\n'
            for function, about in documented.items()
        )
        text += f"\nPYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {{\n{lines}}}\n"
    file = _folder(name, build_directory) / f"{name}.cpp"
    if not file.exists() or file.read_text() != text:
        _replace(file, text)
    return load(
        name, [str(file)], extra_cflags, extra_cuda_cflags, extra_ldflags, extra_include_paths,
        build_directory, verbose, with_cuda, **options,
    )  # fmt: skip


def _refuse(
    what: str, files: list[Path], with_cuda: bool | None, module: bool, options: dict[str, Any]
) -> None:
    if with_cuda or any(file.suffix in (".cu", ".cuh") for file in files):
        raise RuntimeError(f"{what}: there are sources for CUDA; dtorch compiles none")
    if not module or options.get("is_standalone"):
        raise RuntimeError(
            f"{what}: is_python_module is False, or is_standalone True; modules for Python are all "
            "that is built"
        )
    if not files:
        raise ArgumentError(f"{what}: got no sources")
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"{what}: there is no file {file}")
        _refuse_aten(file)


def _refuse_aten(file: Path) -> None:
    found = _ATEN.search(file.read_text(errors="replace"))
    if found:
        raise RuntimeError(
            f"{file} includes {found.group(1)}: ATen's C++ tensors are not there in dtorch; write "
            "its functions over pybind11::array_t of <pybind11/numpy.h>, which share the memory "
            "of tensors, or in C over TH/TH.h (see dtorch.ffi), or call a version in Python"
        )


def _flags(given: Any) -> list[str]:
    flags = list(given.get("cxx", [])) if isinstance(given, dict) else list(given or [])
    return flags if any(flag.startswith("-std=") for flag in flags) else ["-std=c++17", *flags]


def _folder(name: str, directory: str | os.PathLike[str] | None) -> Path:
    root = os.environ.get("TORCH_EXTENSIONS_DIR") or "~/.cache/dtorch/extensions"
    folder = Path(directory) if directory is not None else Path(root).expanduser() / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _digest(files: list[Path], settings: dict[str, list[str]]) -> str:
    digest = hashlib.sha256(repr((settings, sys.version, pybind11.__version__)).encode())
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _build(extension: Any, target: Path, verbose: bool) -> None:
    with tempfile.TemporaryDirectory(prefix="dtorch-extension-") as folder:
        command = BuildExtension(setuptools.Distribution({"ext_modules": [extension]}))
        command.build_lib = command.build_temp = folder
        command.ensure_finalized()
        command.verbose = verbose
        try:
            command.run()
        except Exception as error:  # of setuptools, which has a class for each way to fail
            if isinstance(error, RuntimeError):
                raise
            raise RuntimeError(
                f"load: {extension.name} could not be compiled: {error}; the compiler's messages "
                "stand above; if there is none, install one (Debian: apt install g++)"
            ) from error
        _replace(target, Path(command.get_ext_fullpath(extension.name)))


def _replace(target: Path, content: str | Path) -> None:
    """Put a text, or another file, in the place of a file at once: others may be reading it."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(descriptor)
    if isinstance(content, str):
        Path(name).write_text(content)
    else:
        shutil.copy(content, name)
    os.replace(name, target)


def _imported(name: str, file: Path) -> ModuleType:
    loader = importlib.machinery.ExtensionFileLoader(name, str(file))
    spec = importlib.util.spec_from_file_location(name, file, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module
