"""Children end with the process that started them, also where they cannot notice it themselves."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
import textwrap

import pytest

from dtorch.multiprocessing.parent_death import die_with_parent

LONG_S = 60  # nothing here takes as long, on however busy a machine

PARENT = """
    import multiprocessing, os, sys, threading, time
    from dtorch.multiprocessing.parent_death import die_with_parent

    def child(pipe, started_by_main_thread):
        die_with_parent(started_by_main_thread)
        pipe.send(os.getpid())
        time.sleep(600)

    def start():
        context = multiprocessing.get_context("{method}")
        here, there = context.Pipe()
        by_main_thread = threading.current_thread() is threading.main_thread()
        context.Process(target=child, args=(there, by_main_thread)).start()
        print(here.recv(), flush=True)

    if __name__ == "__main__":
        {start}
        time.sleep(600)
"""


def is_running(pidfd):
    return not select.select([pidfd], [], [], 0)[0]


@contextlib.contextmanager
def parent_and_child(tmp_path, method, start="start()"):
    """A process and a pidfd of the child that it has started."""
    script = tmp_path / "parent.py"
    script.write_text(textwrap.dedent(PARENT.format(method=method, start=start)))
    # What a parent that is killed leaves is removed here; addresses of sockets have to be short.
    left = tempfile.TemporaryDirectory()
    process = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "TMPDIR": left.name},
    )
    try:
        child = int(process.stdout.readline())
        pidfd = os.pidfd_open(child)
        try:
            yield process, child, pidfd
        finally:
            os.close(pidfd)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.close()
        left.cleanup()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_stopped_child_is_gone_after_its_parent_was_killed(tmp_path, method):
    with parent_and_child(tmp_path, method) as (parent, child, pidfd):
        os.kill(child, signal.SIGSTOP)  # so nothing in it can look for its parent
        parent.kill()
        assert select.select([pidfd], [], [], LONG_S)[0]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_child_outlives_the_thread_that_started_it_but_not_the_process(tmp_path, method):
    start = "thread = threading.Thread(target=start); thread.start(); thread.join(); print('ended', flush=True)"
    with parent_and_child(tmp_path, method, start) as (parent, _, pidfd):
        assert parent.stdout.readline() == b"ended\n"
        assert is_running(pidfd)
        parent.kill()
        assert select.select([pidfd], [], [], LONG_S)[0]


def test_a_child_ends_though_a_later_one_of_the_same_parent_lives_on(tmp_path):
    start = "start(); os.fork() or time.sleep(600)"
    with parent_and_child(tmp_path, "fork", start) as (parent, _, pidfd):
        parent.kill()
        assert select.select([pidfd], [], [], LONG_S)[0]


def test_a_process_without_a_parent_in_multiprocessing_is_refused():
    with pytest.raises(RuntimeError, match="not started by multiprocessing"):
        die_with_parent(True)
