"""What is told about failed workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dtorch.launch.engines import Exit
from dtorch.launch.failure import Failure, read_record, without_bootstrap
from dtorch.launch.job import Program

PROGRAM = Program("script", "train.py")


def failure(code: int, **changes: object) -> Failure:
    settings = {
        "rank": 1,
        "pid": 42,
        "exit": Exit(code),
        "time": 0.0,
        "hung_after": None,
        "record": None,
        "stacks": "",
    }
    return Failure(**{**settings, **changes})


@pytest.mark.parametrize(
    ("code", "text", "exit_code"),
    [
        (3, "rank 1 of 2 (pid 42) failed with exit code 3: train.py", 3),
        (-9, "rank 1 of 2 (pid 42) was killed by SIGKILL: train.py", 137),
        (-40, "rank 1 of 2 (pid 42) was killed by signal 40: train.py", 168),
    ],
)
def test_summary_names_rank_pid_cause_and_program(code, text, exit_code):
    assert failure(code).summary(PROGRAM, 2) == text
    assert failure(code).exit_code == exit_code


def test_hang_after_success_is_a_failure():
    hung = failure(0, hung_after=1.5)
    assert hung.exit_code == 1
    summary = hung.summary(Program("module", "pkg"), 2)
    assert summary.startswith("rank 1 of 2 (pid 42) hangs at exit: ")
    assert "did nothing for 1.5 s; killed (--exit-timeout" in summary
    assert summary.endswith(": -m pkg")


def test_record_of_another_process_is_not_taken(tmp_path: Path):
    path = tmp_path / "rank0.json"
    assert read_record(path, 1) is None
    path.write_text(
        json.dumps({"pid": 1, "time": 2.5, "message": "m", "where": "w", "traceback": "t\nm\n"})
    )
    assert read_record(path, 2) is None
    record = read_record(path, 1)
    assert record is not None
    assert (record.time, record.text) == (2.5, "t\nm\n")


def test_frames_of_the_bootstrap_are_not_shown():
    dump = (
        'Current thread:\n  File "train.py", line 1 in f\n  File "/x/bootstrap.py", line 9 in g\n'
    )
    assert without_bootstrap(dump) == 'Current thread:\n  File "train.py", line 1 in f\n'
