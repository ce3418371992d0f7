"""What every engine does with one worker, and with a job of them. A new engine is a row of ENGINE_ROWS."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dtorch.launch.engines import ENGINES, Exit, Handle, StartError
from dtorch.launch.job import Program, WorkerSpec

# By name: what a job's command line has to add so that the engine finds its machines.
ENGINE_ROWS: dict[str, list[str]] = {"local": []}


def test_every_engine_has_a_row():
    assert set(ENGINES) == set(ENGINE_ROWS)


@pytest.fixture(params=ENGINE_ROWS)
def name(request) -> str:
    return request.param


def spec(*command: str, **variables: str) -> WorkerSpec:
    return WorkerSpec(
        3, list(command), {"PATH": os.environ["PATH"], **variables}, Path("none"), True
    )


def wait_for(condition: Callable[[], object]) -> object:
    deadline = time.monotonic() + 120
    while (value := condition()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    return value


def wait_for_line(handle: Handle, stream: str = "stdout") -> bytes:
    read = b""
    while not read.endswith(b"\n"):
        ready, _, _ = select.select([handle.output_fds[stream]], [], [], 120)
        assert ready
        read += os.read(handle.output_fds[stream], 10_000)
    return read


def open_descriptors() -> list[str]:
    return os.listdir("/proc/self/fd")


@pytest.fixture
def start(name) -> Iterator[Callable[..., Handle]]:
    before = open_descriptors()
    handles = []

    def start(*command: str, **variables: str) -> Handle:
        handles.append(ENGINES[name]().start(spec(*command, **variables)))
        return handles[-1]

    yield start
    for handle in handles:
        handle.kill()
        wait_for(handle.poll)
        handle.close()
    assert open_descriptors() == before


def python(source: str) -> tuple[str, ...]:
    return sys.executable, "-c", source


def test_exit_code_and_output_are_seen(start):
    handle = start(*python("import sys; print('out'); print('err', file=sys.stderr); exit(3)"))
    assert handle.spec.rank == 3
    assert wait_for(handle.poll) == Exit(3)
    assert wait_for_line(handle) == b"out\n"
    assert wait_for_line(handle, "stderr") == b"err\n"
    assert os.read(handle.output_fds["stdout"], 100) == b""


def test_end_is_told_by_a_descriptor_where_there_is_one(start):
    handle = start("true")
    if handle.exit_fd is not None:
        assert select.select([handle.exit_fd], [], [], 120)[0]
    assert wait_for(handle.poll) == Exit(0)


def test_worker_has_the_variables_it_is_given_and_the_engines_own_alone(start, monkeypatch):
    monkeypatch.setenv("OF_THE_LAUNCHER", "1")
    handle = start(
        *python("import json, os; print(json.dumps(dict(os.environ)))"), RANK="3", OTHER="a b"
    )
    names = set(json.loads(wait_for_line(handle)))
    assert {"RANK", "OTHER", "PATH"} <= names
    assert all(name.startswith(("DTORCH_", "LC_")) for name in names - {"RANK", "OTHER", "PATH"})


def test_control_channel_leads_to_the_launcher(start):
    source = "import os; os.write(int(os.environ['DTORCH_CONTROL_FD']), b'hello')"
    handle = start(*python(source))
    assert select.select([handle.control_fd], [], [], 120)[0]
    assert os.read(handle.control_fd, 100) == b"hello"


def test_stacks_of_a_crash_can_be_read(start, tmp_path):
    script = tmp_path / "crash.py"
    script.write_text("import ctypes\nctypes.string_at(0)\n")
    handle = start(*Program("script", str(script), ()).command())
    assert wait_for(handle.poll) == Exit(-signal.SIGSEGV)
    assert 'crash.py", line 2' in handle.stacks()


def test_signal_reaches_the_worker_alone(start):
    handle = start("sh", "-c", "sleep 600 & echo up; wait")
    wait_for_line(handle)
    handle.signal(signal.SIGTERM)
    assert wait_for(handle.poll) == Exit(-signal.SIGTERM)
    assert handle.has_rest()


def test_interrupt_arrives_as_one(start):
    handle = start(*python("print('up', flush=True); import time; time.sleep(600)"))
    wait_for_line(handle)
    handle.signal(signal.SIGINT)
    assert wait_for(handle.poll) == Exit(-signal.SIGINT)


def test_kill_reaches_all_that_the_worker_started(start):
    handle = start("sh", "-c", "sleep 600 & echo up; wait")
    wait_for_line(handle)
    handle.kill()
    assert wait_for(handle.poll) == Exit(-signal.SIGKILL)
    wait_for(lambda: True if not handle.has_rest() else None)


def test_rest_is_asked_to_stop(start):
    handle = start("sh", "-c", "sleep 600 &")
    assert wait_for(handle.poll) == Exit(0)
    assert handle.has_rest()
    handle.stop_rest()
    wait_for(lambda: True if not handle.has_rest() else None)


def test_suspended_worker_takes_no_signal_until_it_is_resumed(start):
    handle = start("sh", "-c", "trap 'exit 7' TERM; echo up; while :; do sleep 0.01; done")
    wait_for_line(handle)
    handle.suspend()
    handle.signal(signal.SIGTERM)
    time.sleep(0.1)
    assert handle.poll() is None
    handle.resume()
    assert wait_for(handle.poll) == Exit(7)


def test_missing_program_leaves_nothing(name):
    before = open_descriptors()
    with pytest.raises(StartError, match=r"cannot start rank 3 \(/none\): No such file"):
        ENGINES[name]().start(spec("/none"))
    assert open_descriptors() == before


def test_killed_rank_is_named_and_the_others_are_stopped(launcher, name):
    script = launcher.script(
        """
        import os, signal, time
        if os.environ["RANK"] == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(600)
        """
    )
    result = launcher.run("--engine", name, *ENGINE_ROWS[name], "--nproc-per-node", "3", script)
    assert result.code == 128 + signal.SIGKILL
    (told,) = result.stderr.splitlines()
    assert told.startswith("dtorch-launch: rank 1 of 3 (pid ")
    assert told.endswith(f"was killed by SIGKILL: {script}")


def test_interrupted_job_ends_with_its_code_and_leaves_nothing(launcher, name):
    script = launcher.script(
        """
        import os, pathlib, time
        pathlib.Path("up" + os.environ["RANK"]).touch()
        time.sleep(600)
        """
    )
    process = launcher.start("--engine", name, *ENGINE_ROWS[name], "--nproc-per-node", "2", script)
    launcher.wait_for_files("up0", "up1")
    process.send_signal(signal.SIGINT)
    result = launcher.finish(process)
    assert result.code == 128 + signal.SIGINT
    assert result.stderr.splitlines()[-1] == "dtorch-launch: stopped by SIGINT"
    assert "Traceback" not in result.stderr
