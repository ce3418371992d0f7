"""The example runs alone and under the launcher, and says what it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dtorch.serialization import load

SCRIPT = Path(__file__).parents[2] / "examples" / "digits.py"


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, **environment},
        check=False,
    )


@pytest.mark.parametrize(
    "launcher", [(), ("-m", "dtorch.launch", "--nproc-per-node", "2")], ids=["alone", "two ranks"]
)
def test_digits_trains_saves_and_ends_with_the_accuracy(launcher, tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("tqdm")
    checkpoint = tmp_path / "new" / "digits.pth"
    done = run(*launcher, str(SCRIPT), "--epochs", "3", "--checkpoint", str(checkpoint))
    assert done.returncode == 0, done.stderr
    lines = [line.removeprefix("[rank0] ") for line in done.stdout.splitlines()]
    assert [line.split()[:2] for line in lines[:3]] == [["epoch", str(n)] for n in (1, 2, 3)]
    name, _, accuracy = lines[-1].rpartition(" ")
    assert name == "test accuracy"
    assert float(accuracy) > 0.93
    assert load(checkpoint)["epoch"] == 3
    assert "training: 100%" in done.stderr


def test_digits_names_the_extra_that_is_missing(tmp_path):
    (tmp_path / "sklearn.py").write_text("raise ImportError('none here', name='sklearn')\n")
    done = run(str(SCRIPT), PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "dtorch[examples]" in done.stderr
    assert "Traceback" not in done.stderr
