"""Profiles record the steps that a schedule chooses, and write them to files."""

from __future__ import annotations

import gzip
import json
import logging

import pytest

import dtorch
from dtorch.autograd import profiler as times
from dtorch.core.errors import NoDeviceError
from dtorch.profiler import (
    ProfilerAction,
    ProfilerActivity,
    kineto_available,
    profile,
    record_function,
    schedule,
    supported_activities,
    tensorboard_trace_handler,
)


def names(prof) -> dict[str, int]:
    return {row.key: row.count for row in prof.key_averages()}


@pytest.mark.parametrize(
    ("rounds", "expected"),
    [
        ({"wait": 1, "warmup": 1, "active": 2}, "NWRSNWRS"),
        ({"wait": 0, "warmup": 0, "active": 1}, "SSSSSSSS"),
        ({"wait": 1, "warmup": 0, "active": 1, "repeat": 2}, "NSNSNNNN"),
        ({"wait": 1, "warmup": 0, "active": 2, "repeat": 1, "skip_first": 2}, "NNNRSNNN"),
        ({"wait": 2, "warmup": 0, "active": 1, "skip_first": 1, "skip_first_wait": 1}, "NSNNSNNS"),
    ],
)
def test_a_schedule_has_rounds(rounds, expected) -> None:
    letters = {"NONE": "N", "WARMUP": "W", "RECORD": "R", "RECORD_AND_SAVE": "S"}
    action = schedule(**rounds)
    assert "".join(letters[action(step).name] for step in range(8)) == expected


def test_impossible_schedules_are_refused() -> None:
    for wrong in ({"active": 0}, {"active": 1, "wait": -1}, {"active": 1, "warmup": -1}):
        with pytest.raises(ValueError, match="schedule"):
            schedule(**{"wait": 0, "warmup": 0, **wrong})


def test_without_a_schedule_all_is_recorded() -> None:
    with profile() as prof, record_function("part"):
        dtorch.ones(2) + 1
        prof.step()
        dtorch.ones(2) * 2
    assert names(prof) == {"add": 1, "mul": 1, "part": 1}
    assert "add" in prof.key_averages().table(sort_by="self_cpu_time_total", row_limit=5)
    assert "Self CPU" in prof.key_averages().table(sort_by="cuda_time_total", header="here")


def test_each_round_is_handed_over_and_warm_up_is_not_part_of_it() -> None:
    found = []
    with profile(
        schedule=schedule(wait=1, warmup=1, active=2, repeat=2),
        on_trace_ready=lambda prof: found.append((prof.step_num, names(prof))),
    ) as prof:
        for step in range(10):
            dtorch.ones(2) + step
            prof.step()
    rounds = [{"add": 2, f"ProfilerStep#{n}": 1, f"ProfilerStep#{n + 1}": 1} for n in (2, 6)]
    assert found == [(4, rounds[0]), (8, rounds[1])]
    assert not prof.profiler.is_running


def test_a_block_that_ends_early_hands_over_what_there_is() -> None:
    found = []
    with profile(
        schedule=schedule(wait=0, warmup=0, active=5),
        on_trace_ready=lambda prof: found.append(names(prof)),
    ) as prof:
        dtorch.ones(2) + 1
        prof.step()
    assert [sorted(counts) for counts in found] == [["ProfilerStep#0", "ProfilerStep#1", "add"]]


def test_sizes_of_operands_tell_events_apart() -> None:
    with profile(record_shapes=True) as prof:
        for n in (2, 3, 3):
            dtorch.ones(n, 2) + dtorch.ones(2)
    rows = prof.key_averages(group_by_input_shape=True)
    assert {(str(row.input_shapes), row.count) for row in rows} == {
        ("[[2, 2], [2], []]", 1), ("[[3, 2], [2], []]", 2),
    }  # fmt: skip
    assert "Input Shapes" in rows.table()
    assert len(prof.key_averages()) == 1


def test_traces_are_files_for_viewers(tmp_path) -> None:
    with profile(on_trace_ready=tensorboard_trace_handler(tmp_path / "log", "me")) as prof:
        prof.add_metadata("what", "a test")
        prof.add_metadata_json("numbers", "[1, 2]")
        dtorch.ones(2) + 1
    (file,) = (tmp_path / "log").iterdir()
    assert file.name.startswith("me.")
    trace = json.loads(file.read_text())
    assert [event["name"] for event in trace["traceEvents"]] == ["add"]
    assert (trace["what"], trace["numbers"]) == ("a test", [1, 2])
    prof.export_chrome_trace(tmp_path / "trace.json.gz")
    with gzip.open(tmp_path / "trace.json.gz", "rt") as packed:
        assert json.load(packed) == trace


def test_what_cannot_be_timed_is_said(caplog) -> None:
    assert supported_activities() == {ProfilerActivity.CPU}
    assert not kineto_available()
    with pytest.warns(UserWarning, match="CUDA"):
        profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA])
    times.say_not_counted.cache_clear()
    with caplog.at_level(logging.WARNING, "dtorch.profiler"):
        profile(with_stack=True)
        profile(with_stack=True)
        times.profile(profile_memory=True)
    assert [record.args[0] for record in caplog.records] == ["with_stack", "profile_memory"]
    with pytest.raises(AssertionError, match="nothing has been recorded"):
        profile(schedule=lambda step: ProfilerAction.NONE).key_averages()
    with pytest.raises(NotImplementedError, match="export_chrome_trace"):
        profile().export_stacks("file")


def test_nvtx_needs_a_card() -> None:
    with times.emit_nvtx(enabled=False):
        pass
    if not dtorch.cuda.is_available():
        with pytest.raises(NoDeviceError), times.emit_nvtx():
            pass
