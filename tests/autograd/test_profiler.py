"""Timing operations and their gradients."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import dtorch
from dtorch.autograd.profiler import profile, record_function


def work() -> None:
    x = dtorch.ones(4, requires_grad=True)
    y = (x * 2).exp() - 1
    y.add_(1)
    y.view(2, 2).sum().backward()


def test_operations_and_their_gradients_are_timed() -> None:
    with profile() as prof:
        work()
    names = [event.name for event in prof.function_events]
    for name in ("mul", "exp", "add_", "sum", "MulBackward0", "ExpBackward0", "SumBackward0"):
        assert names.count(name) == 1, (name, names)
    assert all(event.end >= event.start for event in prof.function_events)


def test_nothing_is_timed_outside() -> None:
    with profile() as prof:
        pass
    work()
    assert prof.function_events == []
    with profile(enabled=False) as prof:
        work()
    assert prof.function_events == []


def test_averages_count_calls() -> None:
    with profile() as prof:
        for _ in range(3):
            dtorch.ones(1).exp()
    (average,) = [a for a in prof.key_averages() if a.key == "exp"]
    assert average.count == 3
    assert average.cpu_time * 3 == pytest.approx(average.cpu_time_total)
    assert prof.total_average().count == len(prof.function_events)


def test_inner_events_are_not_counted_twice() -> None:
    with profile() as prof, record_function("outer", "args"):
        dtorch.ones(1).exp()
    outer = next(e for e in prof.function_events if e.name == "outer(args)")
    inner = next(e for e in prof.function_events if e.name == "exp")
    assert outer.self_cpu_time_total == pytest.approx(outer.cpu_time_total - inner.cpu_time_total)


def test_record_function_decorates() -> None:
    @record_function("step")
    def step() -> int:
        return 3

    assert step() == 3
    with profile() as prof:
        assert step() == 3
    assert [e.name for e in prof.function_events] == ["step"]


def test_table_sorts_and_limits() -> None:
    with profile() as prof:
        work()
    text = prof.key_averages().table(sort_by="count", row_limit=2)
    assert "Self CPU %" in text
    assert len([line for line in text.splitlines() if line.endswith(" 1")]) == 2
    with pytest.raises(ValueError, match=r"sort_by.*cpu_time_total"):
        prof.table(sort_by="colour")


def test_chrome_trace(tmp_path: Path) -> None:
    with profile() as prof:
        work()
    path = tmp_path / "trace.json"
    prof.export_chrome_trace(path)
    events = json.loads(path.read_text())["traceEvents"]
    assert {e["name"] for e in events} >= {"mul", "MulBackward0"}
    assert all(e["ph"] == "X" and e["dur"] >= 0 for e in events)


def test_events_follow_each_other_in_their_intervals() -> None:
    assert not dtorch.autograd._profiler_enabled()
    with profile() as prof:
        assert dtorch.autograd._profiler_enabled()
        _ = dtorch.ones(3) * 2 + 4
    end = 0.0
    for event, name in zip(prof.function_events, ("mul", "add"), strict=True):
        assert event.name == name
        assert event.cpu_interval.start > end
        assert event.time_range.elapsed_us() == pytest.approx(event.cpu_time_total)
        assert event.cpu_time_str.endswith("us")
        end = event.time_range.end
