"""Statements are measured on the threads asked for, and shown beside each other."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import dtorch
from dtorch.utils import benchmark, dlpack


def test_times_are_of_one_run() -> None:
    clock = iter(range(100))
    timer = benchmark.Timer("pass", timer=lambda: float(next(clock)), label="nothing")
    measured = timer.timeit(5)
    assert (measured.number_per_run, measured.median, measured.mean) == (5, 0.2, 0.2)
    assert "nothing" in repr(measured)


def test_blocks_are_repeated_until_there_is_enough() -> None:
    seen = []
    timer = benchmark.Timer("x + 1", globals={"x": dtorch.ones(2)}, num_threads=1)
    threads = dtorch.get_num_threads()
    measured = timer.blocked_autorange(lambda *run: seen.append(run), min_run_time=0.02)
    assert dtorch.get_num_threads() == threads
    assert sum(measured.raw_times) >= 0.02
    assert len(seen) == len(measured.raw_times)
    assert timer.adaptive_autorange(10.0, min_run_time=0.001).median > 0
    with pytest.raises(ValueError, match="only Python"):
        benchmark.Timer("1", language="cpp")


def test_measurements_stand_beside_each_other() -> None:
    results = [
        benchmark.Timer("pass", label="add", sub_label=size, description=what).timeit(3)
        for size in ("few", "many") for what in ("old", "new")
    ]  # fmt: skip
    lines = str(benchmark.Compare(results)).splitlines()
    assert lines[0].split() == ["add", "|", "threads", "|", "old", "|", "new"]
    assert [line.split()[0] for line in lines[2:]] == ["few", "many"]


def test_a_program_is_looked_at_by_both_profilers(tmp_path) -> None:
    program = tmp_path / "program.py"
    program.write_text("import sys, dtorch\nprint(sys.argv[1:], (dtorch.ones(2) + 1).sum().item())")
    done = subprocess.run(
        [sys.executable, "-m", "dtorch.utils.bottleneck", str(program), "--epochs", "3"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.count("['--epochs', '3'] 4.0") == 2
    assert "tottime" in done.stdout
    assert "Self CPU" in done.stdout


def test_memory_goes_between_libraries_in_capsules() -> None:
    x = dtorch.zeros(3)
    twin = dlpack.from_dlpack(dlpack.to_dlpack(x))
    twin.fill_(2)
    assert x.tolist() == [2, 2, 2]
    array = np.zeros(2)
    dlpack.from_dlpack(array).fill_(1)
    assert array.tolist() == [1, 1]
    with pytest.raises(TypeError, match="__dlpack__"):
        dlpack.from_dlpack(3)
