"""Programs in C++ that tests compile and run, and the tools that this takes."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

SOURCES = pathlib.Path(__file__).parents[1] / "dtorch" / "native"
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")


def run(*command, timeout=120, **environment):
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def program(name, package):
    """Where a program is. A test without it is skipped, but in CI, which installs it, fails."""
    beside_python = str(pathlib.Path(sys.executable).parent)
    found = shutil.which(name, path=os.pathsep.join([beside_python, os.environ.get("PATH", "")]))
    if found is None:
        reason = f"needs {name} (Debian: apt install {package})"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    return found


def compiled(folder, check, *sources, options=("-O1",)):
    """A check of this folder, compiled with sources of the native module."""
    if COMPILER is None:
        pytest.skip("needs a C++ compiler")
    made = folder / check.stem
    command = [COMPILER, "-std=c++20", "-pthread", f"-I{SOURCES}", *options, "-o", made, check]
    built = run(*command, *(SOURCES / source for source in sources))
    assert built.returncode == 0, built.stderr
    return made
