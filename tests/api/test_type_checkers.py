"""Type checkers take an ordinary user's program, and find the mistakes that are marked in it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dtorch

PACKAGE = Path(dtorch.__file__).parent
PROGRAM = Path(__file__).with_name("checked_program.py")
SETTINGS = {"typeCheckingMode": "standard", "reportUnusedExpression": False}

# Both with what they find unless told otherwise; mypy with what its strict mode adds.
COMMANDS = {
    "mypy": ["--strict", "--no-incremental", "--config-file=", PROGRAM.name],
    "basedpyright": ["--pythonpath", sys.executable, "--project", "settings.json"],
}


@pytest.fixture
def project(tmp_path):
    """A user's folder with the program; dtorch is installed elsewhere, not a part of it."""
    shutil.copy(PROGRAM, tmp_path)
    (tmp_path / "settings.json").write_text(json.dumps({**SETTINGS, "include": [PROGRAM.name]}))
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "dtorch").symlink_to(PACKAGE)
    return tmp_path


def complaints(checker: str, project: Path) -> dict[int, str]:
    """The first complaint of a type checker about each line."""
    if importlib.util.find_spec(checker) is None:
        pytest.skip(f"{checker} is not installed (extra 'dev')")
    ran = subprocess.run(
        [sys.executable, "-m", checker, *COMMANDS[checker]],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project / "installed")},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found: dict[int, str] = {}
    pattern = rf"{re.escape(PROGRAM.name)}:(\d+):(?:\d+ -)? *(?:error|warning):? *(.*)"
    for line, text in re.findall(pattern, ran.stdout):
        found.setdefault(int(line), text)
    return found


@pytest.mark.parametrize("checker", COMMANDS)
def test_checkers_complain_about_the_marked_lines_of_a_program_alone(project, checker):
    lines = PROGRAM.read_text(encoding="utf-8").splitlines()
    marked = {number for number, line in enumerate(lines, 1) if line.endswith("# error")}
    found = complaints(checker, project)
    needless = {lines[n - 1].strip(): found[n] for n in sorted(found.keys() - marked)}
    missed = [lines[n - 1].strip() for n in sorted(marked - found.keys())]
    assert (needless, missed) == ({}, [])


def test_types_are_shipped_with_the_package():
    assert (PACKAGE / "py.typed").is_file()
