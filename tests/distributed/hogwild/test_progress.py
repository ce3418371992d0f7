"""The display of a run."""

import io

import pytest

from dtorch.distributed.hogwild import progress
from dtorch.distributed.hogwild.progress import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def test_a_terminal_has_one_line_that_is_rewritten(clock):
    stream = Terminal()
    shown = Progress(True, stream)
    for steps in (1000, 2000):
        clock[0] += 1
        shown.update(steps, 2, {"loss": 0.25})
    shown.end()
    first, *rest = stream.getvalue().split("\r")[1:]
    assert first == "hogwild: 2 workers  1,000 steps  1,000 steps/s  1 s  loss 0.25"
    assert rest == ["hogwild: 2 workers  2,000 steps  1,000 steps/s  2 s  loss 0.25\n"]


def test_elsewhere_a_line_comes_now_and_then(clock):
    stream = io.StringIO()
    shown = Progress(True, stream)
    for _ in range(25):
        clock[0] += 1
        shown.update(7, 1, {})
    assert stream.getvalue().count("\n") == 2


def test_nothing_is_shown_when_it_is_off(clock):
    stream = Terminal()
    shown = Progress(False, stream)
    clock[0] += 100
    shown.update(1, 1, {})
    shown.end()
    assert stream.getvalue() == ""
