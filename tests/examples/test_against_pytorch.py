"""The examples have the same losses under PyTorch, for ten steps from the same weights.

``make test-torch TORCH_PYTHON=...`` runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# What is drawn at random in a step is part of its batch, and nothing drops out: so both compute the
# same. Learning rates are such that a difference does not grow a thousandfold in ten steps.
EXAMPLES = {
    "mnist": ["--dropout=0"],
    "cifar_resnet": ["--lr=0.01"],
    "word_language_model": ["--dropout=0", "--layers=2"],
    "word_language_model Transformer": ["--dropout=0", "--model=Transformer", "--lr=0.001"],
    "dcgan": ["--lr=0.0002"],
    "vae": [],
    "super_resolution": [],
    "siamese": [],
    "mnist_hogwild": [],
    "time_sequence": ["--max-iter=4"],
    "neural_style": ["--max-iter=1"],
    "char_transformer": [],
    "gcn": ["--dropout=0"],
    "gat": ["--dropout=0"],
    "reinforce": [],
    "actor_critic": [],
}
Losses = dict[str, list[float | list[float]]]

# Both round to float32, 6e-8, in another order of sums, so first losses differ by a few of that. A
# step passes it on, multiplied by what the loss curves: what is measured after ten of them is from
# 1e-7 to 4e-6 (batch normalisation over 20 pictures).
FIRST_STEP, TEN_STEPS = 2e-6, 1e-4
DIFFERENCES = {
    # The first step of L-BFGS is tiny, and the second takes the curvature from what it changed: the
    # difference of two gradients that have five digits in common.
    "neural_style": (FIRST_STEP, 5e-3),
    # Rewards of mean 0 make a sum whose terms cancel.
    "reinforce": (5e-5, 5e-4),
}


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> tuple[Losses, Losses]:
    """Those of dtorch and those of PyTorch, of all examples."""
    python = os.environ.get("DTORCH_TEST_TORCH_PYTHON")
    if not python or not Path(python).exists():
        pytest.skip("needs PyTorch: DTORCH_TEST_TORCH_PYTHON names no interpreter")
    folder = tmp_path_factory.mktemp("examples")
    script = Path(__file__).with_name("ten_steps.py")
    # PyTorch's threads wait for each other in loops: on a busy machine, for minutes.
    environment = {**os.environ, "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}

    def run(mode: str, *interpreter: str) -> Losses:
        command = [*interpreter, script, mode, folder, json.dumps(EXAMPLES)]
        done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, check=True)
        return json.loads(done.stdout)

    ours = run("record", sys.executable, "-m", "dtorch.compat")
    return ours, run("replay", python, "-W", "ignore")


@pytest.mark.parametrize("example", EXAMPLES)
def test_ten_steps_have_the_losses_of_pytorch(example: str, losses: tuple[Losses, Losses]) -> None:
    ours, theirs = (found[example] for found in losses)
    assert len(ours) == len(theirs) == 10
    first, later = DIFFERENCES.get(example, (FIRST_STEP, TEN_STEPS))
    assert ours[0] == pytest.approx(theirs[0], rel=first)
    for mine, other in zip(ours[1:], theirs[1:], strict=True):
        assert mine == pytest.approx(other, rel=later)
