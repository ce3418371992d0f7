"""Signals at moments where they must not act, each sent by the code itself: no chance, no clock."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap
import threading

import pytest

from dtorch.core import backend
from dtorch.core.interrupts import finalizer, undisturbed


def interrupt():
    signal.raise_signal(signal.SIGINT)


def blocked():
    return signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_signal_takes_effect_at_the_end_of_an_undisturbed_block():
    steps, before = [], signal.getsignal(signal.SIGINT)

    def work():
        with undisturbed():
            interrupt()
            steps.append(1)
            interrupt()
            steps.append(2)
        steps.append(3)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == [1, 2]
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.SIGINT not in blocked()
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_of_undisturbed_blocks_the_outermost_counts():
    steps = []
    with contextlib.suppress(KeyboardInterrupt), undisturbed():
        with undisturbed():
            interrupt()
        steps.append(1)
    assert steps == [1]


def test_a_handler_that_is_set_in_an_undisturbed_block_stays():
    before = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with undisturbed():
            signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_in_other_threads_nothing_is_blocked():
    found = []

    def work():
        with undisturbed():
            found.append(blocked())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [blocked()]


@pytest.mark.skipif(backend.native is None, reason="no native module")
def test_ctrl_c_in_a_finalizer_is_raised_where_the_program_goes_on():
    done = []

    class Thing:
        @finalizer
        def __del__(self):
            if not done:
                done.append("begun")
                interrupt()
            done.append("ended")

    def work():
        thing = Thing()
        del thing
        sum(range(3))  # the next step of the program, at the latest

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["begun", "ended"]


def run(body):
    """Output of a program that ends well and says nothing else."""
    program = textwrap.dedent(body)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


FORK = """
    import os, signal, sys, threading
    import dtorch
    from dtorch.core.interrupts import at_fork
    {more}
    def say(text):
        os.write(1, (text + " ").encode())  # at once: two processes write
    def interrupt():
        signal.raise_signal(signal.SIGINT)
    def use(name):
        leaf = dtorch.ones(2, requires_grad=True)
        (leaf * 2).sum().backward()
        {use}
        say(name)
    at_fork({moment}=interrupt)
    pid = -1
    try:
        pid = os.fork()
        say("not interrupted " + ("in the parent" if pid else "in the child"))
    except KeyboardInterrupt:
        pass
    if os.getpid() != {me}:
        use("child")
        os._exit(0)
    os.wait()
    use("parent")
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])
    try:
        interrupt()
    except KeyboardInterrupt:
        say("still")
"""


@pytest.mark.parametrize(
    ("moment", "calm"),
    [
        ("before", "in the child"),
        ("after_in_parent", "in the child"),
        ("after_in_child", "in the parent"),
    ],
)
@pytest.mark.parametrize("shared", [False, True], ids=["tensors", "shared memory"])
def test_ctrl_c_around_a_fork_leaves_nothing_locked(moment, calm, shared):
    more = "keep = dtorch.ones(3).share_memory_(); import dtorch.multiprocessing" if shared else ""
    use = "dtorch.ones(3).share_memory_()" if shared else ""
    printed = run("import os\n" + textwrap.dedent(
        FORK.format(more=more, use=use, moment=moment, me="me")
    ).replace("pid = -1", "me = os.getpid()"))  # fmt: skip
    assert sorted(printed) == sorted(f"not interrupted {calm} child parent still".split())


def test_a_thread_may_fork():
    printed = run("""
        import os, signal, threading, dtorch
        keep = dtorch.ones(3).share_memory_()
        def work():
            if not (pid := os.fork()):
                dtorch.ones(3).share_memory_()
                assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])
                print("child", flush=True)
                os._exit(0)
            os.waitpid(pid, 0)
            assert not signal.pthread_sigmask(signal.SIG_BLOCK, [])
            print("thread")
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    """)
    assert printed == ["child", "thread"]
