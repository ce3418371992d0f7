"""Programs that say ``import torch`` run on dtorch as they are, learn, and refuse wrong flags."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dtorch.serialization import load, save

EXAMPLES = Path(__file__).parents[2] / "examples"

# What the last number of such a kind has to reach, in percent where nothing else is said.
MEASURES = {
    "mnist": (r"accuracy ([\d.]+)", "at least", 93),
    "cifar_resnet": (r"accuracy ([\d.]+)", "at least", 80),
    # 3.4 is what the grammar leaves to the best of models, 67 the number of words.
    "word_language_model": (r"perplexity of test.txt ([\d.]+)", "at most", 4.5),
    "word_language_model --model Transformer --epochs 2": (r"of test.txt ([\d.]+)", "at most", 5.5),
    "dcgan --epochs 4": (r"its variation by ([\d.]+)", "at most", 0.15),
    "vae": (r"test loss ([\d.]+)", "at most", 200),
    "super_resolution": (r"PSNR ([\d.]+) dB", "at least", 23),
    "siamese": (r"of digits never seen ([\d.]+)", "at least", 75),
    "mnist_hogwild --epochs 2": (r"accuracy ([\d.]+)", "at least", 90),
    "time_sequence --steps 4": (r"loss ([\d.]+)", "at most", 0.002),
    "neural_style": (r"style loss ([\d.]+)", "at most", 0.005),
    "char_transformer": (r"well spelt lines ([\d.]+)", "at least", 60),
    "gcn": (r"accuracy ([\d.]+)", "at least", 90),
    "gat": (r"accuracy ([\d.]+)", "at least", 85),
    "reinforce": (r"running mean ([\d.]+)", "at least", 45),
    "actor_critic": (r"stand for ([\d.]+) steps", "at least", 60),
}
# Losses that show no progress: of two networks that play against each other, of players, and one
# that begins with 0.
WITHOUT_PROGRESS = {"dcgan", "reinforce", "actor_critic", "neural_style"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which all examples share the data that the first of them makes."""
    return {**os.environ, "TMPDIR": str(tmp_path_factory.mktemp("data"))}


def run(*command: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dtorch.compat", *command],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("command", MEASURES)
def test_an_example_learns(command: str, data: dict[str, str]) -> None:
    name, *flags = command.split()
    done = run(str(EXAMPLES / f"{name}.py"), "--quick", *flags, environment=data)
    assert (done.returncode, done.stderr) == (0, "")
    pattern, bound, value = MEASURES[command]
    reached = float(re.findall(pattern, done.stdout)[-1])
    assert reached >= value if bound == "at least" else reached <= value, done.stdout
    losses = [float(loss) for loss in re.findall(r"(?:^|\W)loss ([\d.]+)", done.stdout)]
    if name not in WITHOUT_PROGRESS:
        assert losses[-1] < losses[0] / 1.4, done.stdout


def test_pictures_are_files_that_others_read(tmp_path: Path, data: dict[str, str]) -> None:
    image = pytest.importorskip("PIL.Image")
    script = str(EXAMPLES / "neural_style.py")
    done = run(script, "--quick", "--steps=1", f"--pictures={tmp_path}", environment=data)
    assert (done.returncode, done.stderr) == (0, "")
    with image.open(tmp_path / "style.png") as picture:
        assert (picture.mode, picture.size) == ("RGB", (3 * 48, 48))
        sky, plain = picture.getpixel((40, 2)), picture.getpixel((2, 46))
    assert sky[2] > sky[1] > sky[0]
    assert plain[1] > max(plain[0], plain[2])


def test_a_run_that_was_cut_off_goes_on(tmp_path: Path, data: dict[str, str]) -> None:
    script, file = str(EXAMPLES / "cifar_resnet.py"), tmp_path / "checkpoint.pth"
    command = [script, "--quick", "--epochs=2", "--batch-size=500", f"--checkpoint={file}"]
    whole = run(*command, environment=data).stdout.splitlines()
    assert [line.split(":")[0] for line in whole] == ["epoch 1", "epoch 2"]
    checkpoint = load(file)
    checkpoint["epoch"] = 1
    checkpoint["scheduler"]["last_epoch"] = 2
    save(checkpoint, file)
    resumed = run(*command, "--resume", environment=data)
    assert (resumed.returncode, resumed.stderr) == (0, "")
    assert [line.split(":")[0] for line in resumed.stdout.splitlines()] == ["epoch 2"]
    assert load(file)["epoch"] == 2


WRONG = """\
import contextlib, importlib, io, sys
sys.path.insert(0, sys.argv[1])
for line in sys.stdin:
    name, *flags = line.split()
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            importlib.import_module(name).arguments(flags)
        except SystemExit as end:
            print(end.code, said.getvalue().splitlines()[-1])
        else:
            print("taken", line)
"""
REFUSED = {
    "mnist --epochs 0": "--epochs and --batch-size have to be at least 1",
    "cifar_resnet --batch-size 501": "--batch-size from 1 to 500",
    "cifar_resnet --resume": "--resume needs the --checkpoint",
    "word_language_model --model Elman": "invalid choice: 'Elman'",
    "word_language_model --size 30": "--size has to be a multiple of 4",
    "dcgan --nz 0": "have to be at least 1",
    "vae --code 0": "have to be at least 1",
    "super_resolution --upscale-factor 3": "invalid choice: 3",
    "siamese --lr fast": "invalid float value: 'fast'",
    "mnist_hogwild --num-processes 0": "have to be at least 1",
    "time_sequence --epochs 2": "unrecognized arguments: --epochs 2",
    "neural_style --size 8": "--size 16",
    "char_transformer --heads 5": "--size has to be a multiple of --heads",
    "char_transformer --block-size 8": "--block-size has to be at least 32",
    "gcn --hidden 0": "--epochs and --hidden have to be at least 1",
    "gat --heads 0": "have to be at least 1",
    "reinforce --episodes 0": "have to be at least 1",
    "actor_critic --carts 0": "have to be at least 1",
}


def test_wrong_flags_are_refused_by_name(tmp_path: Path, data: dict[str, str]) -> None:
    script = tmp_path / "wrong.py"
    script.write_text(WRONG)
    done = subprocess.run(
        [sys.executable, "-m", "dtorch.compat", str(script), str(EXAMPLES)],
        input="\n".join(REFUSED),
        env=data,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    for (command, message), said in zip(REFUSED.items(), done.stdout.splitlines(), strict=True):
        assert said.startswith("2 "), command
        assert message in said
