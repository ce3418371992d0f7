"""The command lines that run programs written for PyTorch."""

from __future__ import annotations

import subprocess
import sys

import pytest

import dtorch.compat

TRAINING = """\
import multiprocessing, sys
import torch
import torch.nn as nn
from torch.autograd import Variable


def in_child(queue):
    import torch
    queue.put((torch.__version__, torch.ones(2).sum().item()))


if __name__ == "__main__":
    torch.manual_seed(0)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(Variable(torch.ones(4, 3))).pow(2).mean().backward()
        optimizer.step()
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=in_child, args=(queue,))
    child.start()
    print(*queue.get(timeout=60), *sys.argv[1:])
    child.join()
    sys.exit(3)
"""


def run(*command: str, cwd) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("target", [("program.py",), ("-m", "program")])
def test_a_program_runs_as_python_would_run_it_with_its_child_processes(tmp_path, target):
    (tmp_path / "program.py").write_text(TRAINING)
    done = run("-m", "dtorch.compat", *target, "--lr", "-m", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.split() == [dtorch.compat.TORCH_VERSION, "2.0", "--lr", "-m"]


def test_a_program_that_misses_something_is_not_started(tmp_path):
    (tmp_path / "program.py").write_text("print('started')\nimport torch\ntorch.rnadn(2)\n")
    done = run("-m", "dtorch.compat", "program.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "program.py:3: torch.rnadn is not there; the nearest: torch.randn" in done.stderr

    done = run("-m", "dtorch.compat", "--scan", "program.py", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.startswith("program.py:3: torch.rnadn")


def test_a_program_that_is_started_anyway_ends_with_what_it_misses(tmp_path):
    (tmp_path / "program.py").write_text("import torch\nprint('started')\ntorch.rnadn(2)\n")
    done = run("-m", "dtorch.compat", "--anyway", "program.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "started\n")
    assert done.stderr.index("AttributeError") < done.stderr.index(
        "program.py:3: torch.rnadn is not"
    )


def test_the_launcher_runs_programs_written_for_pytorch(tmp_path):
    program = "import os, torch\nprint(torch.__version__, os.environ['RANK'])\n"
    (tmp_path / "program.py").write_text(program)
    launch = ("-m", "dtorch.launch", "--compat", "--nproc-per-node", "2")
    done = run(*launch, "program.py", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    expected = {f"[rank{rank}] {dtorch.compat.TORCH_VERSION} {rank}" for rank in range(2)}
    assert set(done.stdout.splitlines()) == expected

    (tmp_path / "program.py").write_text("import torch\ntorch.rnadn(2)\n")
    done = run(*launch, "program.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "program.py:2: torch.rnadn" in done.stderr


@pytest.mark.parametrize("target", [("nothing.py",), ("-m", "no_such_module_at_all"), ()])
def test_a_program_that_does_not_exist_is_named(tmp_path, target):
    done = run("-m", "dtorch.compat", *target, cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no such" in done.stderr or "required" in done.stderr
