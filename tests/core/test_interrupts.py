"""Signals at moments where they must not act, each sent by the code itself: no chance, no clock."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest
from interruption import interruptions

import dtorch
from dtorch.autograd import profiler
from dtorch.autograd.anomaly_mode import is_anomaly_enabled
from dtorch.autograd.graph import saved_tensors_hooks
from dtorch.core import backend
from dtorch.core.dispatch import observers
from dtorch.core.interrupts import completed, undisturbed


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
def test_ctrl_c_in_a_completed_finalizer_is_raised_where_the_program_goes_on():
    done = []

    class Thing:
        @completed
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


def same(tensor):
    return tensor


SWITCHES = {
    "no_grad": dtorch.no_grad,
    "enable_grad": dtorch.enable_grad,
    "inference_mode": dtorch.inference_mode,
    "autocast": lambda: dtorch.autocast("cpu"),
    "detect_anomaly": lambda: dtorch.autograd.detect_anomaly(),
    "saved_tensors_hooks": lambda: saved_tensors_hooks(same, same),
    "profile": profiler.profile,
    "fork_rng": dtorch.random.fork_rng,
    "safe_globals": lambda: dtorch.serialization.safe_globals([Exception]),
}


def state_of_the_process():
    leaf = dtorch.ones(1, 1, requires_grad=True)
    return {
        "recording": dtorch.is_grad_enabled(),
        "inference": dtorch.is_inference_mode_enabled(),
        "casts": (dtorch.is_autocast_enabled("cpu"), str((leaf @ leaf).dtype)),
        "anomaly": is_anomaly_enabled(),
        "observers": len(observers),
        "random": dtorch.get_rng_state().tolist(),
        "allowed": len(dtorch.serialization.get_safe_globals()),
    }


@pytest.mark.skipif(backend.native is None, reason="then Ctrl-C may come before an exit begins")
@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.filterwarnings("ignore:anomaly mode")
def test_ctrl_c_at_any_step_leaves_a_switch_as_it_was(name):
    def work():
        with SWITCHES[name]():
            pass

    before = state_of_the_process()
    places = [place for place in interruptions(work) if state_of_the_process() != before]
    assert places == []


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
    from dtorch.core import backend
    from dtorch.core.interrupts import at_fork
    if backend.native is None:
        sys.unraisablehook = lambda _: None  # then Ctrl-C is lost, and no more
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
    calm = {calm} if backend.native else {"in the parent", "in the child"}
    expected = [f"not interrupted {who}" for who in calm]
    assert sorted(printed) == sorted(" ".join([*expected, "child parent still"]).split())


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


def test_numpy_finds_a_module_imported_in_which_it_would_turn_ctrl_c_into_another_error():
    printed = run("""
        import sys
        class Finder:
            def find_spec(name, path, target=None):
                if name == "numpy":
                    print("datetime" in sys.modules)
        sys.meta_path.insert(0, Finder)
        import dtorch
    """)
    assert printed == ["True"]


def test_threads_that_compute_while_the_program_ends_do_not_abort_it():
    printed = run("""
        import threading, dtorch
        def compute():
            leaf, large = dtorch.ones(9, requires_grad=True), dtorch.ones(200, 200)
            while True:
                (leaf * 2).sum().backward()
                (large @ large).exp()
                begun.set()
        begun = threading.Event()
        for _ in range(4):
            threading.Thread(target=compute, daemon=True).start()
        begun.wait()
        print("end")
    """)
    assert printed == ["end"]


def test_no_collection_of_weak_references_loses_an_interrupt_in_its_callbacks():
    package = Path(dtorch.__file__).parent
    using = [
        file
        for file in package.rglob("*.py")
        if any(f"weakref.Weak{kind}(" in file.read_text() for kind in ("Set", "KeyDictionary",
                                                                       "ValueDictionary"))
    ]  # fmt: skip
    assert using == []
