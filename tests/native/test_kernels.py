"""The kernels on processors that are not here: compiled for them, and run on emulated ones."""

import os
import pathlib
import sysconfig
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from compiled_checks import SOURCES, program, run

HERE = pathlib.Path(__file__).parent
ARM_COMPILER = ("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu")


def test_kernels_for_arm64_equal_plain_loops(tmp_path):
    compiler, emulator = program(*ARM_COMPILER), program("qemu-aarch64", "qemu-user")
    cmake, ninja = program("cmake", "cmake"), program("ninja", "ninja-build")
    configured = run(
        cmake, "-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}", "-S", HERE, "-B", tmp_path,
        "-DCMAKE_BUILD_TYPE=Release", "-DDTORCH_WARNINGS_AS_ERRORS=ON",
        "-DCMAKE_SYSTEM_NAME=Linux", "-DCMAKE_SYSTEM_PROCESSOR=aarch64",
        f"-DCMAKE_CXX_COMPILER={compiler}", CXX="",
    )  # fmt: skip
    assert configured.returncode == 0, configured.stderr
    check = "kernels_check_baseline"
    built = run(cmake, "--build", tmp_path, "--target", check, timeout=900)
    assert built.returncode == 0, built.stdout + built.stderr
    result = run(emulator, tmp_path / check, timeout=300)
    assert (result.returncode, result.stdout, result.stderr) == (0, "all checks hold\n", "")


def test_the_whole_module_is_accepted_by_a_compiler_for_arm64():
    compiler, nanobind = program(*ARM_COMPILER), pytest.importorskip("nanobind")
    headers = (sysconfig.get_path("include"), np.get_include(), nanobind.include_dir())
    options = ["-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
    options += [f"-I{SOURCES}", *(f"-isystem{path}" for path in headers)]
    if not (pathlib.Path(headers[0]) / "Python.h").exists():
        pytest.skip("needs the headers of Python (Debian: apt install python3-dev)")
    sources = sorted(SOURCES.glob("*.cpp"))
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        results = list(threads.map(lambda source: run(compiler, *options, source), sources))
    assert sources
    assert [result.stderr for result in results] == [""] * len(sources)
