"""Running a script of its own as a user would."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run_script(tmp_path):
    """``run_script(text)`` -> its standard output; it must end well and say nothing else."""

    def run(text, timeout=200, prefix=()):
        path = tmp_path / "script.py"
        path.write_text(textwrap.dedent(text))
        done = subprocess.run(
            [*prefix, sys.executable, "-W", "error", str(path)],
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "PYTHONPATH": str(_ROOT)},
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return done.stdout

    return run
