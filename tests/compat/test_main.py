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


CLASSIC = """\
import multiprocessing
import torch
from torch.autograd import Variable


def in_child(queue):
    queue.put(Variable(torch.ones(2)).sum().data[0])


if __name__ == "__main__":
    loss = Variable(torch.ones(2)).sum()
    print(loss.data[0])
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=in_child, args=(queue,))
    child.start()
    print(queue.get(timeout=60))
    child.join()
"""


@pytest.mark.parametrize("launcher", ["compat", "launch"])
def test_programs_of_2017_run_with_a_flag_that_their_children_inherit(tmp_path, launcher):
    (tmp_path / "program.py").write_text(CLASSIC)
    flags = ("--compat",) if launcher == "launch" else ()
    done = run("-m", f"dtorch.{launcher}", *flags, "--classic", "program.py", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "2.0\n2.0\n"), done.stderr
    assert "program.py:12: ClassicWarning: classic mode: `t[0]` of a 0-dim tensor" in done.stderr


def test_a_program_of_2017_names_the_flag_where_it_fails_without_it(tmp_path):
    (tmp_path / "program.py").write_text("import torch\ntorch.ones(2).sum()[0]\n")
    done = run("-m", "dtorch.compat", "program.py", cwd=tmp_path)
    assert done.returncode == 1
    assert "item() gives its number" in done.stderr
    assert "--classic, or DTORCH_CLASSIC=1" in done.stderr


def test_a_keyword_of_today_is_named_that_no_mode_can_help_with(tmp_path):
    (tmp_path / "trainer.py").write_text("import torch\nx = torch.ones(2)\nx.cuda(async=True)\n")
    (tmp_path / "program.py").write_text("import trainer\n")
    done = run("-m", "dtorch.compat", "--classic", "program.py", cwd=tmp_path)
    assert done.returncode == 2
    assert "trainer.py:3: async= cannot be written since Python 3.7" in done.stderr
