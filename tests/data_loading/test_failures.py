"""Workers that raise, die, hang or are left alone."""

from __future__ import annotations

import contextlib
import faulthandler
import gc
import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from interruption import interruptions

import dtorch
from dtorch.data import DataLoader, IterableDataset, WorkerDied, iterators
from dtorch.data.channel import Channel
from dtorch.multiprocessing import arena
from dtorch.multiprocessing.processes import start_time


def children():
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            state, parent = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                found.append(int(folder.name))
    return set(found)


@pytest.fixture(autouse=True)
def nothing_is_left():
    before, descriptors = children(), len(os.listdir("/proc/self/fd"))
    yield
    gc.collect()
    assert children() <= before
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 2  # an arena, the entropy source


class Numbers:
    def __init__(self, size=100):
        self.size = size

    def __len__(self):
        return self.size

    def __getitem__(self, index):
        return index


class Raising(Numbers):
    def __init__(self, error, at=(5,)):
        super().__init__(12)
        self.error = error
        self.at = at

    def __getitem__(self, index):
        if index in self.at:
            raise self.error
        return index


class NeedsTwo(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


def test_an_exception_is_raised_at_its_place_and_iteration_goes_on():
    iterator = iter(DataLoader(Raising(ValueError("bad sample")), 2, num_workers=2))
    assert [next(iterator).tolist() for _ in range(2)] == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match="bad sample") as caught:
        next(iterator)
    text = str(caught.value)
    assert "dataset index 5" in text
    assert "worker 0 (pid " in text or "worker 1 (pid " in text
    assert "in __getitem__" in text
    assert [batch.tolist() for batch in iterator] == [[6, 7], [8, 9], [10, 11]]


def test_the_text_of_a_key_error_can_be_read():
    with pytest.raises(KeyError) as caught:
        list(DataLoader(Raising(KeyError("missing")), 2, num_workers=1))
    assert "\\n" not in str(caught.value)
    assert "dataset index 5" in str(caught.value)


def test_an_exception_that_cannot_be_made_again_becomes_a_runtime_error():
    with pytest.raises(RuntimeError, match="NeedsTwo"):
        list(DataLoader(Raising(NeedsTwo(1, 2)), num_workers=1))


def test_an_exception_of_a_local_class_arrives_as_its_base():
    class Local(LookupError):
        pass

    with pytest.raises(LookupError, match="Local"):
        list(DataLoader(Raising(Local("x")), num_workers=1))


def bad_collate(samples):
    raise ArithmeticError("cannot collate")


def test_an_exception_in_collate_names_the_batch():
    with pytest.raises(ArithmeticError, match=r"indices \[0, 1, 2\]"):
        list(DataLoader(Numbers(3), 3, num_workers=1, collate_fn=bad_collate))


def test_a_batch_that_cannot_be_pickled_is_told():
    with pytest.raises(Exception, match=r"(?s)sending the batch.*pickle"):
        list(DataLoader(Numbers(1), num_workers=1, collate_fn=lambda samples: threading.Lock()))


def bad_init(worker_id):
    raise OSError("no licence")


def test_an_exception_in_the_init_function_is_raised():
    with pytest.raises(OSError, match="no licence"):
        next(iter(DataLoader(Numbers(), num_workers=2, worker_init_fn=bad_init)))


class BrokenStream(IterableDataset):
    def __iter__(self):
        yield 1
        raise ValueError("the stream broke")


def test_an_exception_in_a_stream_names_how_far_it_came():
    iterator = iter(DataLoader(BrokenStream(), num_workers=1))
    assert next(iterator).item() == 1
    with pytest.raises(ValueError, match="after 1 samples"):
        next(iterator)


def test_a_dataset_that_cannot_be_pickled_is_named_with_the_remedy():
    class Unpicklable(Numbers):
        def __reduce__(self):
            raise TypeError("a file is open")

    with pytest.raises(TypeError, match=r"(?s)Unpicklable.*a file is open.*num_workers=0"):
        iter(DataLoader(Unpicklable(), num_workers=1, multiprocessing_context="spawn"))


# -- death ---------------------------------------------------------------------------------------


class Dying(Numbers):
    def __init__(self, how):
        super().__init__()
        self.how = how

    def __getitem__(self, index):
        if index == 20:
            self.how()
        return index


def kill_self(number):
    faulthandler.disable()  # pytest's would print a traceback
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_killed_worker_is_named_with_signal_and_indices(number):
    loader = DataLoader(Dying(lambda: kill_self(number)), 4, num_workers=2)
    with pytest.raises(WorkerDied, match=signal.Signals(number).name) as caught:
        list(loader)
    assert caught.value.exitcode == -number
    assert "[20, 21, 22, 23]" in str(caught.value)
    assert f"pid {caught.value.pid}" in str(caught.value)


def test_a_worker_that_exits_is_named_with_its_code():
    with pytest.raises(WorkerDied, match="exited unexpectedly, with code 7"):
        list(DataLoader(Dying(lambda: os._exit(7)), num_workers=2))


def test_death_is_noticed_in_the_middle_of_a_batch():
    class Slow(Numbers):
        def __getitem__(self, index):
            time.sleep(1000 if index == 1 else 0)
            return index

    iterator = iter(DataLoader(Slow(), num_workers=2))
    next(iterator)
    victim = iterator._pool.workers[1]
    os.kill(victim.pid, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        list(iterator)
    with pytest.raises(RuntimeError, match="begin a new one"):
        next(iterator)


class Images(Numbers):
    def __getitem__(self, index):
        return dtorch.full((64, 64), float(index)), index


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_death_at_any_moment_is_told_or_came_too_late(number):
    random = np.random.default_rng(0)
    told = []
    gc.collect()
    blocks = arena.usage().blocks
    for _ in range(10):
        quiet = {"worker_init_fn": lambda worker: faulthandler.disable()}  # of the test runner
        iterator = iter(DataLoader(Images(400), 10, num_workers=2, **quiet))
        victim = iterator._pool.workers[int(random.integers(2))].pid
        taken = [next(iterator)[1] for _ in range(int(random.integers(1, 20)))]
        time.sleep(float(random.random()) * 0.002)
        os.kill(victim, number)
        try:
            taken += [indices for _, indices in iterator]
        except WorkerDied as error:
            told.append((error.pid == victim, error.exitcode))
        assert [int(i) for indices in taken for i in indices] == list(range(10 * len(taken)))
        del iterator
    assert set(told) == {(True, -number)}
    gc.collect()
    assert arena.usage().blocks <= blocks


def test_a_loader_works_again_after_a_death():
    # More batches than are prefetched: the worker cannot have finished its share when it dies.
    loader = DataLoader(Numbers(500), 5, num_workers=2, persistent_workers=True)
    iterator = iter(loader)
    os.kill(iterator._pool.workers[0].pid, signal.SIGKILL)
    with pytest.raises(WorkerDied):
        list(iterator)
    assert len(list(loader)) == 100


# -- hanging ---------------------------------------------------------------------------------------


class Hanging(Numbers):
    def __getitem__(self, index):
        if index == 3:
            time.sleep(1000)
        return index


def test_timeout_names_the_worker_and_where_it_is_and_ends_the_workers():
    loader = DataLoader(Hanging(), num_workers=1, timeout=100)
    iterator = iter(loader)
    assert [next(iterator).item() for _ in range(3)] == [0, 1, 2]
    loader.timeout = 0.3
    pid = iterator._pool.workers[0].pid
    with pytest.raises(RuntimeError, match=r"batch 3 within timeout=0\.3") as caught:
        next(iterator)
    assert f"worker 0 (pid {pid}), fetching dataset indices [3]" in str(caught.value)
    assert "time.sleep" in str(caught.value)
    assert start_time(pid) is None


def test_timeout_names_a_worker_that_was_stopped_in_the_middle_of_a_batch(monkeypatch):
    def send_a_part(channel, message, buffers=()):
        channel.socket.sendall(struct.pack("<QQ", 1000, 0) + b"begun")
        os.kill(os.getpid(), signal.SIGSTOP)

    monkeypatch.setattr(Channel, "send", send_a_part)
    match = r"worker 0 \(pid \d+, stopped by a signal\) said nothing for 0.5 s in the middle"
    with pytest.raises(RuntimeError, match=match):
        list(DataLoader(range(3), num_workers=1, timeout=0.5))


def test_a_loader_that_was_interrupted_at_any_step_goes_on_with_the_next_epoch():
    loader = DataLoader(range(4), num_workers=1, persistent_workers=True)
    iterator = iter(loader)
    for _ in interruptions(lambda: next(iterator), every=11):  # noqa: B023 - the newest one
        with contextlib.suppress(RuntimeError):
            next(iterator)
        iterator = iter(loader)
    assert [number.item() for number in loader] == [0, 1, 2, 3]


def test_timeout_says_that_a_worker_was_stopped():
    loader = DataLoader(Numbers(), num_workers=2, timeout=100)
    iterator = iter(loader)
    next(iterator)
    loader.timeout = 0.3
    pids = [worker.pid for worker in iterator._pool.workers]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    with pytest.raises(RuntimeError, match=r"worker \d \(pid \d+, stopped by a signal\)"):
        list(iterator)
    assert all(start_time(pid) is None for pid in pids)


class Ending(Numbers):
    def __getitem__(self, index):
        return next(iter(())) if index == 5 else index


class EndingStream(IterableDataset):
    def __iter__(self):
        return iter(range(10))


def ending(samples):
    return next(iter(())) if 5 in samples else samples


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("options", "where"),
    [
        ({"dataset": Ending()}, "at dataset index 5"),
        ({"dataset": Ending(), "batch_size": None}, "at dataset index 5"),
        ({"dataset": Numbers(), "collate_fn": ending}, "dataset index"),
        ({"dataset": EndingStream(), "collate_fn": ending}, "collate_fn"),
    ],
)
def test_stop_iteration_is_an_error_and_not_the_end_of_the_epoch(workers, options, where):
    with pytest.raises(RuntimeError, match=f"(?s){where}.*StopIteration|StopIteration.*{where}"):
        list(DataLoader(num_workers=workers, **options))


def test_stop_iteration_in_the_init_function_is_an_error():
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(Numbers(), num_workers=1, worker_init_fn=lambda worker: next(iter(()))))


class Picky(Exception):
    def __init__(self, code):
        super().__init__(int(code))


def test_an_exception_that_fails_to_be_made_of_a_text_becomes_a_runtime_error():
    with pytest.raises(RuntimeError, match="Picky"):
        list(DataLoader(Raising(Picky(7)), num_workers=1))


def test_a_stall_is_reported_with_the_stacks_of_the_workers(monkeypatch):
    monkeypatch.setattr(iterators, "_STALLED_S", 0.2)
    iterator = iter(DataLoader(Hanging(), num_workers=1))
    for _ in range(3):
        next(iterator)
    with pytest.raises(UserWarning, match=r"(?s)waiting for batch 3.*time\.sleep\(1000\)"):
        next(iterator)


def test_a_stopped_worker_is_told_as_such(monkeypatch):
    monkeypatch.setattr(iterators, "_STALLED_S", 0.2)
    monkeypatch.setattr(iterators, "_STACK_S", 0.2)
    iterator = iter(DataLoader(Hanging(), num_workers=1))
    next(iterator)
    os.kill(iterator._pool.workers[0].pid, signal.SIGSTOP)
    with pytest.raises(UserWarning, match="stopped by a signal"):
        list(iterator)


# -- the end ---------------------------------------------------------------------------------------


def test_workers_end_when_an_iteration_is_given_up():
    iterator = iter(DataLoader(Numbers(), num_workers=2))
    next(iterator)
    pids = {worker.pid for worker in iterator._pool.workers}
    del iterator
    assert not pids & children()


def test_workers_end_by_themselves_after_their_last_batch():
    iterator = iter(DataLoader(Numbers(8), num_workers=2))
    pids = [worker.pid for worker in iterator._pool.workers]
    for _ in range(8):
        next(iterator)
    assert_gone(pids)
    assert list(iterator) == []


def test_persistent_workers_end_with_the_loader():
    loader = DataLoader(Numbers(), num_workers=2, persistent_workers=True)
    list(loader)
    assert len(loader._idle_pool.workers) == 2
    del loader


@contextlib.contextmanager
def run_script(body, **options):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(body)], stdout=subprocess.PIPE, text=True, **options
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


SCRIPT = """
    import os, sys, time
    from dtorch.data import DataLoader
    class Slow:
        def __len__(self): return 1000
        def __getitem__(self, i):
            time.sleep({sleep})
            return os.getpid()
    loader = DataLoader(Slow(), num_workers=2, persistent_workers=True)
    it = iter(loader)
    print(next(it).item(), next(it).item(), flush=True)
    {then}
"""


def assert_gone(pids):
    deadline = time.monotonic() + 100  # only a hang takes so long
    while any(start_time(int(pid)) is not None for pid in pids):  # None for a zombie, too
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("then", ["", "sys.exit(3)", "raise SystemExit"])
def test_the_interpreter_ends_with_an_iteration_open(then):
    with run_script(SCRIPT.format(sleep=0.01, then=then)) as process:
        pids = process.stdout.readline().split()
        process.wait(timeout=100)
    assert_gone(pids)


def test_workers_die_with_their_parent():
    with run_script(
        SCRIPT.format(sleep="0.01 if i < 9 else 1000", then="time.sleep(1000)")
    ) as process:
        pids = process.stdout.readline().split()
        process.kill()
        process.wait()
        assert_gone(pids)


def test_many_kept_batches_need_few_descriptors():
    body = """
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        import dtorch
        from dtorch.data import DataLoader, TensorDataset
        data = TensorDataset(dtorch.ones(4000, 3000))
        kept = [x for x, in DataLoader(data, 4, num_workers=2)]
        print(len(kept), int(sum(x.sum().item() for x in kept)), all(x.is_shared() for x in kept))
    """
    with run_script(body) as process:
        assert process.communicate(timeout=100)[0].split() == ["1000", "12000000", "True"]
    assert process.returncode == 0


def test_interrupting_the_loader_leaves_the_workers_to_it():
    with run_script(
        SCRIPT.format(sleep=0.01, then="time.sleep(1000)"),
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:
        pids = process.stdout.readline().split()
        os.killpg(process.pid, signal.SIGINT)
        error = process.communicate(timeout=100)[1]
    assert error.count("KeyboardInterrupt") == 1
    assert_gone(pids)


@pytest.mark.parametrize("moment", range(6))
def test_ctrl_c_while_workers_start_and_end_ends_the_program(moment):
    body = """
        import time
        from dtorch.data import DataLoader
        print("go", flush=True)
        while True:
            for i, batch in enumerate(DataLoader(range(1000), 10, num_workers=2)):
                if i == 3:
                    break
    """
    with run_script(body, stderr=subprocess.PIPE, start_new_session=True) as process:
        process.stdout.readline()
        time.sleep(0.011 * moment)
        os.killpg(process.pid, signal.SIGINT)
        error = process.communicate(timeout=100)[1]
        assert process.returncode == -signal.SIGINT
        assert error.rstrip().endswith("KeyboardInterrupt")
        assert "ignored" not in error


def test_a_program_that_catches_ctrl_c_goes_on_as_before():
    body = """
        import faulthandler, os, signal, threading
        import dtorch, dtorch.multiprocessing as mp
        from dtorch.data import DataLoader
        faulthandler.dump_traceback_later(200, exit=True)
        queue = mp.get_context("fork").Queue()
        leaf = dtorch.ones(100, requires_grad=True)
        def work():
            leaf.grad = None
            for _ in range(20):
                (leaf * 2).sum().backward()
            assert len(list(DataLoader(range(20), 5, num_workers=2))) == 4
            for _ in range(20):
                dtorch.ones(100).share_memory_()
            assert leaf.grad is not None
        def put_and_get():
            queue.put(dtorch.ones(10))
            assert queue.get(timeout=100).tolist() == [1] * 10
        caught = 0
        for moment in range(20):
            timer = threading.Timer(0.002 * moment, os.kill, (os.getpid(), signal.SIGINT))
            try:
                timer.start()
                work()
                timer.join()
            except KeyboardInterrupt:
                caught += 1
            timer.join()
            work()
            put_and_get()
        print(caught, not signal.pthread_sigmask(signal.SIG_BLOCK, []))
    """
    with run_script(body, stderr=subprocess.PIPE) as process:
        output, error = process.communicate(timeout=300)
        assert (output.split(), error) == (["20", "True"], "")


def test_a_forked_child_may_drop_its_copy_of_an_iterator():
    iterator = iter(DataLoader(Numbers(20), num_workers=1))
    next(iterator)
    pid = os.fork()
    if pid == 0:
        del iterator
        gc.collect()
        os._exit(0)
    os.waitpid(pid, 0)
    assert len(list(iterator)) == 19


def test_what_is_left_over_in_shared_memory_is_given_back():
    from dtorch.multiprocessing.arena import usage  # noqa: PLC0415

    class Large(Numbers):
        def __getitem__(self, index):
            return dtorch.ones(10_000)

    gc.collect()
    before = usage().blocks
    for _ in DataLoader(Large(), 2, num_workers=2):
        pass
    del _
    iterator = iter(DataLoader(Large(), 2, num_workers=2))
    next(iterator)
    del iterator
    gc.collect()
    assert usage().blocks <= before
