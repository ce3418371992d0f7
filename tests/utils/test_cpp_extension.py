"""Extensions in C++, compiled and called with tensors."""

from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
from typing import Any

import pytest

import dtorch

pytest.importorskip("pybind11", reason="pybind11 is not installed (extra 'ffi')")
if shutil.which("c++") is None:
    pytest.skip("there is no C++ compiler", allow_module_level=True)

from dtorch.utils import cpp_extension

SOURCE = """
namespace py = pybind11;

py::array_t<float> scaled(py::array_t<float> a, float factor) {
  py::array_t<float> out(a.request().shape);
  for (py::ssize_t i = 0; i < a.size(); i++) out.mutable_data()[i] = a.data()[i] * factor;
  return out;
}

void negate(py::array_t<double> a) {
  auto view = a.mutable_unchecked<2>();
  for (py::ssize_t i = 0; i < view.shape(0); i++)
    for (py::ssize_t k = 0; k < view.shape(1); k++) view(i, k) = -view(i, k);
}
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: Any) -> Any:
    folder = tmp_path_factory.mktemp("built")
    options = {"functions": {"scaled": "times a factor", "negate": ""}, "build_directory": folder}
    options["extra_cflags"] = ["-O0", "-g0"]
    return cpp_extension.load_inline("inline_one", SOURCE, **options), folder, options


def test_functions_get_the_memory_of_tensors_and_give_arrays(built):
    module, _, _ = built
    found = dtorch.from_numpy(module.scaled(dtorch.ones(2, 2), 3))
    assert found.tolist() == [[3, 3], [3, 3]]
    assert "times a factor" in module.scaled.__doc__
    given = dtorch.ones(3, 2).double().t()
    module.negate(given)
    assert given.tolist() == [[-1] * 3] * 2
    with pytest.raises(TypeError):
        module.scaled("text", 1)


def test_what_was_compiled_before_is_found_again(built):
    _, folder, options = built
    (file,) = folder.glob("*.so")
    before = file.stat().st_mtime_ns
    again = cpp_extension.load_inline("inline_one", SOURCE, **options)
    assert again.scaled(dtorch.ones(1), 2).tolist() == [2]
    assert [f.stat().st_mtime_ns for f in folder.glob("*.so")] == [before]


@pytest.mark.parametrize("header", ["torch/extension.h", "ATen/ATen.h"])
def test_sources_that_need_aten_are_refused_with_what_to_do(header, tmp_path):
    with pytest.raises(RuntimeError, match=rf"{header}.*array_t"):
        cpp_extension.load_inline("x", f"  #include <{header}>", build_directory=tmp_path)
    assert not list(tmp_path.glob("*.so"))


def test_what_is_not_built_is_refused(tmp_path):
    file = tmp_path / "a.cu"
    file.touch()
    at = {"build_directory": tmp_path}
    for call in (
        lambda: cpp_extension.load("x", [str(file)], **at),
        lambda: cpp_extension.load_inline("x", "", cuda_sources="x", **at),
        lambda: cpp_extension.load("x", "a.cpp", is_python_module=False, **at),
        lambda: cpp_extension.CUDAExtension("x", []),
    ):
        with pytest.raises(RuntimeError, match=r"compile|is_python_module"):
            call()
    with pytest.raises(FileNotFoundError, match=r"absent\.cpp"):
        cpp_extension.load("x", "absent.cpp", **at)
    with pytest.raises(ValueError, match="no sources"):
        cpp_extension.load("x", [], **at)
    assert cpp_extension.CUDA_HOME is None
    assert cpp_extension.library_paths() == []


def test_sources_that_do_not_compile_are_an_error(tmp_path, capfd):
    (tmp_path / "bad.cpp").write_text("int f( {")
    with pytest.raises(RuntimeError, match="bad could not be compiled"):
        cpp_extension.load("bad", str(tmp_path / "bad.cpp"), build_directory=tmp_path)


def test_setup_scripts_written_for_pytorch_build(tmp_path):
    # Without pybind11, which takes seconds to compile.
    (tmp_path / "pack.cpp").write_text(
        textwrap.dedent("""
            #include <Python.h>
            #define JOINED(a, b) a##b
            #define START(name) JOINED(PyInit_, name)
            static PyModuleDef module = {PyModuleDef_HEAD_INIT, "pack", "made", -1, nullptr};
            PyMODINIT_FUNC START(TORCH_EXTENSION_NAME)() { return PyModule_Create(&module); }
        """)
    )
    (tmp_path / "setup.py").write_text(
        textwrap.dedent("""
            from setuptools import setup
            from torch.utils.cpp_extension import BuildExtension, CppExtension
            setup(name="pack", ext_modules=[CppExtension("pack", ["pack.cpp"],
                  extra_compile_args={"cxx": ["-O0"]})],
                  cmdclass={"build_ext": BuildExtension.with_options(use_ninja=False)})
        """)
    )
    program = [sys.executable, "-m", "dtorch.compat", "setup.py", "-q", "build_ext", "--inplace"]
    done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    code = "import pack; print(pack.__doc__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "made\n"
