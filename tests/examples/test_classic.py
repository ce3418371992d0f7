"""Programs in the manner of 2017 run unedited in classic mode, and learn what they are to learn."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples" / "classic"

# How each program reports its progress, and in which direction that goes.
PROGRAMS = {
    "regression": (r"\tLoss: ([\d.]+)", "down"),
    "mnist": (r"Loss: ([\d.]+)", "down"),
    "mnist_hogwild": (r"Test Loss: ([\d.]+)", "down"),
    "vae": (r"Loss: ([\d.]+)", "down"),
    "dcgan": (r"Loss_D: ([\d.]+)", "down"),
    "super_resolution": (r"Loss: ([\d.]+)", "down"),
    "word_language_model": (r"Loss: +([\d.]+)", "down"),
    "time_sequence": (r"Loss: ([\d.]+)", "down"),
    "reinforce": (r"Average length: ([\d.]+)", "up"),
    "actor_critic": (r"Average length: ([\d.]+)", "up"),
}

# Idioms that are errors today, as they are written today.
TODAY = [
    (r"total_loss\[0\]", "total_loss.item()"),
    (r"\.data(\.numpy\(\))?\[0\]", ".item()"),
    (r"type\(h\) == Variable", "isinstance(h, torch.Tensor)"),
    (r"torch\.load\((\w+)\)", r"torch.load(\1, weights_only=False)"),
    (r"reconstruction\(recon_x, x\)", "reconstruction(recon_x, x.view(-1, 784))"),
    (r"idx2word\[word_idx\]", "idx2word[word_idx.item()]"),
]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_of_2017_runs_in_classic_mode_and_learns(name, tmp_path):
    pytest.importorskip("PIL")
    program = FOLDER / f"{name}.py"
    done = run("-m", "dtorch.compat", "--classic", str(program), "--quick")
    assert done.returncode == 0, done.stderr
    assert f"{program}:" in done.stderr
    assert "ClassicWarning: classic mode: " in done.stderr
    assert "Traceback" not in done.stderr
    pattern, direction = PROGRAMS[name]
    progress = [float(number) for number in re.findall(pattern, done.stdout)]
    assert len(progress) > 1, done.stdout
    change = progress[-1] - progress[0]
    assert change < 0 if direction == "down" else change > 0, progress
    if name in ("vae", "word_language_model"):
        assert _written_today(name, tmp_path) == done.stdout


def _written_today(name: str, folder: Path) -> str:
    """What the program prints whose idioms are those of today, without classic mode."""
    text = (FOLDER / f"{name}.py").read_text()
    for idiom, today in TODAY:
        text = re.sub(idiom, today, text)
    (folder / "program.py").write_text(text)
    shutil.copy(FOLDER / "made.py", folder)
    done = run("-m", "dtorch.compat", str(folder / "program.py"), "--quick")
    assert done.returncode == 0, done.stderr
    assert "ClassicWarning" not in done.stderr
    return done.stdout


def test_every_program_is_listed():
    assert {path.stem for path in FOLDER.glob("*.py")} == {*PROGRAMS, "made"}
