"""Workers as child processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtorch.launch.engines import ENGINES, Exit, Handle, LocalEngine, StartError
from dtorch.launch.job import WorkerSpec


def spec(*command: str, captured: bool = True) -> WorkerSpec:
    return WorkerSpec(0, list(command), dict(os.environ), Path("none"), captured)


def wait_for(condition: Callable[[], object]) -> object:
    deadline = time.monotonic() + 120
    while (value := condition()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return value


def open_descriptors() -> list[str]:
    return os.listdir("/proc/self/fd")


@pytest.fixture
def start() -> Iterator[Callable[..., Handle]]:
    before = open_descriptors()
    handles = []

    def start(*command: str) -> Handle:
        handles.append(LocalEngine().start(spec(*command)))
        return handles[-1]

    yield start
    for handle in handles:
        handle.kill()
        wait_for(handle.poll)
        handle.close()
    assert open_descriptors() == before


def test_engine_is_found_by_its_name():
    assert ENGINES["local"] is LocalEngine


def test_exit_code_and_output_are_seen(start):
    handle = start(sys.executable, "-c", "print('out'); exit(3)")
    assert wait_for(handle.poll) == Exit(3)
    assert os.read(handle.output_fds["stdout"], 100) == b"out\n"
    assert os.read(handle.output_fds["stderr"], 100) == b""


def test_signal_reaches_the_worker_alone(start):
    handle = start("sh", "-c", "sleep 600 & wait")
    wait_for(lambda: len(members(handle)) == 2 or None)
    handle.signal(signal.SIGTERM)
    assert wait_for(handle.poll) == Exit(-signal.SIGTERM)
    assert handle.has_rest()


def test_kill_reaches_all_that_the_worker_started(start):
    handle = start("sh", "-c", "sleep 600 & wait")
    wait_for(lambda: len(members(handle)) == 2 or None)
    handle.kill()
    assert wait_for(handle.poll) == Exit(-signal.SIGKILL)
    wait_for(lambda: True if not handle.has_rest() else None)


def test_rest_is_asked_to_stop(start):
    handle = start("sh", "-c", "sleep 600 &")
    assert wait_for(handle.poll) == Exit(0)
    assert handle.has_rest()
    handle.stop_rest()
    wait_for(lambda: True if not handle.has_rest() else None)


def test_missing_program_leaves_nothing():
    before = open_descriptors()
    with pytest.raises(StartError, match=r"cannot start rank 0 \(/none\): No such file"):
        LocalEngine().start(spec("/none"))
    assert open_descriptors() == before


def members(handle: Handle) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == handle.pid:
                found.append(int(entry.name))
    return found
