"""What is told about failed workers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dtorch.launch.engines import Exit
from dtorch.launch.failure import (
    ErrorRecord,
    Failure,
    cause_first,
    read_record,
    without_bootstrap,
)
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


RECORD = {
    "pid": 1, "time": 2.5, "code": 1, "blames": 7, "message": "m", "where": "w",
    "traceback": "t\nm\n",
}  # fmt: skip


def test_record_of_another_process_is_not_taken(tmp_path: Path):
    path = tmp_path / "rank0.json"
    assert read_record(path, 1) is None
    path.write_text(json.dumps(RECORD))
    assert read_record(path, 2) is None
    assert read_record(path, 1) == ErrorRecord(2.5, 1, 7, "m", "w", "t\nm\n")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\xff", b"[" * 60_000, b"[]", b"1", b"{}", b'{"pid": 1}',
        json.dumps({**RECORD, "time": "noon"}).encode(), json.dumps({**RECORD, "code": []}).encode(),
        json.dumps({**RECORD, "code": float("inf")}).encode(),
    ],
)  # fmt: skip
def test_what_is_no_record_is_not_taken(tmp_path: Path, content: bytes):
    path = tmp_path / "rank0.json"
    path.write_bytes(content)
    assert read_record(path, 1) is None


def test_what_is_no_file_is_not_taken(tmp_path: Path):
    assert read_record(tmp_path, 1) is None


def blaming(pid: int, time: float, blames: int | None) -> Failure:
    record = ErrorRecord(time, 1, blames, "lost a peer", "", "")
    return failure(1, pid=pid, time=time, record=record)


@pytest.mark.parametrize(
    ("failures", "order"),
    [
        ([], []),
        ([blaming(1, 5.0, None), blaming(2, 4.0, None)], [2, 1]),
        ([blaming(1, 1.0, 3), blaming(2, 2.0, None), blaming(3, 3.0, None)], [3, 1, 2]),
        ([blaming(1, 1.0, 2), blaming(2, 2.0, 3), blaming(3, 3.0, None)], [3, 1, 2]),
        ([blaming(1, 1.0, 9), blaming(2, 2.0, None)], [1, 2]),
        ([blaming(1, 1.0, 1)], [1]),
        ([blaming(1, 1.0, 2), blaming(2, 2.0, 1)], [1, 2]),
    ],
)
def test_the_first_failure_is_told_unless_it_says_that_another_one_caused_it(failures, order):
    assert [failure.pid for failure in cause_first(failures)] == order


def test_consequence_without_a_message_tells_the_exit_code():
    record = ErrorRecord(0.0, 1, None, "", "", "")
    assert failure(1, record=record).consequence() == (
        "rank 1 (pid 42) after that: failed with exit code 1"
    )


def test_frames_of_the_bootstrap_are_not_shown():
    dump = (
        'Current thread:\n  File "train.py", line 1 in f\n  File "/x/bootstrap.py", line 9 in g\n'
    )
    assert without_bootstrap(dump) == 'Current thread:\n  File "train.py", line 1 in f\n'


def test_want_of_memory_is_told_where_the_kernel_says_so():
    assert failure(-9, memory_kills=1).summary(PROGRAM, 2) == (
        "rank 1 of 2 (pid 42) was killed by SIGKILL, as the kernel does for want of memory "
        "(1 process of this control group meanwhile): train.py"
    )
    assert "memory" not in failure(-11, memory_kills=1).summary(PROGRAM, 2)
