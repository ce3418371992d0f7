"""spawn(): results through shared tensors, and the first failure told in full."""

import contextlib
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import dtorch
from dtorch.core import backend
from dtorch.core.errors import ArgumentError
from dtorch.multiprocessing import (
    ProcessExitedException,
    ProcessRaisedException,
    spawn,
    start_processes,
)


def write(index, tensor):
    tensor[index] = index + 1


def test_arguments_are_shared_with_the_processes():
    tensor = dtorch.zeros(3).share_memory_()
    assert start_processes(write, (tensor,), nprocs=3, start_method="fork") is None
    assert tensor.tolist() == [1, 2, 3]


def fail(index):
    if index == 1:
        raise ValueError("no such thing as 41")
    time.sleep(1000)


def test_the_first_exception_is_raised_with_its_traceback_and_the_others_end():
    with pytest.raises(ProcessRaisedException, match="no such thing as 41") as info:
        start_processes(fail, nprocs=3, start_method="fork")
    assert info.value.error_index == 1
    assert "in fail" in str(info.value)
    again = pickle.loads(pickle.dumps(info.value))
    assert (again.error_index, again.error_pid) == (1, info.value.error_pid)


def die(index):
    os.kill(os.getpid(), signal.SIGKILL)


def leave(index):
    raise SystemExit(7)


def test_a_killed_process_is_reported_by_its_signal():
    with pytest.raises(ProcessExitedException, match="SIGKILL") as info:
        start_processes(die, start_method="fork")
    assert info.value.signal_name == "SIGKILL"
    assert info.value.exit_code == -signal.SIGKILL


def test_an_exit_status_is_reported():
    with pytest.raises(ProcessExitedException, match="exit code 7") as info:
        start_processes(leave, start_method="fork")
    assert info.value.exit_code == 7


def test_without_join_the_caller_waits_itself():
    context = start_processes(doze, join=False, start_method="fork")
    assert context.join(timeout=0.01) is False
    assert context.pids() == [context.processes[0].pid]
    assert context.join(timeout=100) is True


def doze(index):
    time.sleep(0.3)


def test_no_processes_is_refused():
    with pytest.raises(ArgumentError, match="nprocs is 0"):
        spawn(doze, nprocs=0)


SPAWNED = """
    import dtorch
    from dtorch import multiprocessing

    def write(index, tensor, parameter):
        tensor[index] = index + 1
        assert parameter.requires_grad
        parameter.data.fill_(4)

    if __name__ == "__main__":
        tensor = dtorch.zeros(2)
        parameter = dtorch.zeros(2, requires_grad=True)
        multiprocessing.spawn(write, (tensor, parameter), nprocs=2)
        print(tensor.tolist(), parameter.tolist())
"""


def test_spawned_processes_share_tensors_given_as_arguments(run_script):
    assert run_script(SPAWNED) == "[1.0, 2.0] [4.0, 4.0]\n"


def tell_cache_limit(index, limits):
    limits[index] = backend.native.allocator_stats()["cache_limit"]


@pytest.mark.skipif(backend.native is None, reason="without the native module nothing is kept")
def test_processes_together_keep_no_more_freed_memory_than_one_alone(fresh_cache_limit):
    limits = dtorch.zeros(3, dtype=dtorch.int64)
    spawn(tell_cache_limit, (limits,), nprocs=3)
    assert int(limits.min()) > 0
    assert int(limits.sum()) <= fresh_cache_limit


INTERRUPTED = """
import os, time
from dtorch.multiprocessing import spawn

def work(index):
    os.write(1, b"%d\\n" % os.getpid())  # in one piece: two processes write
    time.sleep(1000)

if __name__ == "__main__":
    spawn(work, nprocs=2)
"""


@pytest.mark.parametrize("stopped", [0, 1], ids=["running", "one of them stopped"])
def test_an_interrupt_of_the_parent_alone_ends_the_processes(tmp_path, stopped):
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED)
    parent = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    try:
        children = [int(parent.stdout.readline()) for _ in range(2)]
        for pid in children[:stopped]:
            os.kill(pid, signal.SIGSTOP)
        parent.send_signal(signal.SIGINT)
        assert parent.wait(200) == -signal.SIGINT
        for pid in children:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()
        parent.stdout.close()
