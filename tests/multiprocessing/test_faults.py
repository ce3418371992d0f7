"""Processes that are killed, stopped and starved: nothing leaks, nothing hangs, and it is told."""

import faulthandler
import gc
import os
import select
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import dtorch
from dtorch import multiprocessing
from dtorch.multiprocessing import arena

fork = multiprocessing.get_context("fork")
ROOT = Path(__file__).resolve().parents[2]


def blocks_in_use():
    gc.collect()
    return arena.usage().blocks


def descriptors():
    return len(os.listdir("/proc/self/fd"))


def wait_until(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.01)


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def churn(receive, send, seed):
    """Allocate, receive, keep, pass on and forget tensors for ever."""
    random = np.random.default_rng(seed)
    kept = []
    while True:
        kept.append(dtorch.full((int(random.integers(1, 30_000)),), float(seed)))
        while receive.poll():
            kept.append(receive.recv())
        if select.select([], [send], [], 0)[1]:  # else the ring may stand still
            send.send(kept[int(random.integers(len(kept)))])
        while len(kept) > 10:
            del kept[int(random.integers(len(kept)))]


def test_three_processes_that_trade_tensors_and_are_killed_at_random_leave_nothing():
    arena.send(arena.allocate(1))  # the broker runs, and this process has an arena
    before, open_before = blocks_in_use(), descriptors()
    rng = np.random.default_rng(int(time.time()))
    for round_ in range(5):
        # 0 -> 1 -> 2 -> 0, and this process sends into the ring and takes out of it
        pipes = [fork.Pipe(duplex=False) for _ in range(3)]
        workers = []
        for k in range(3):
            receive, send = pipes[k][0], pipes[(k + 1) % 3][1]
            workers.append(fork.Process(target=churn, args=(receive, send, 10 * round_ + k)))
            workers[-1].start()
        for _ in range(20):
            pipes[int(rng.integers(3))][1].send(dtorch.zeros(int(rng.integers(1, 50_000))))
        for victim in rng.permutation(3).tolist():
            time.sleep(float(rng.uniform(0, 0.02)))
            workers[victim].kill()
        for worker in workers:
            worker.join()
            worker.close()
        for receive, send in pipes:
            receive.close()
            send.close()
    wait_until(lambda: blocks_in_use() <= before, 100)
    assert descriptors() == open_before
    assert arena.usage().attached == 0


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT])
def test_what_a_process_held_is_free_at_once_whatever_ended_it(number):
    before = blocks_in_use()
    here, there = fork.Pipe()
    process = fork.Process(target=hold_and_wait, args=(there,), daemon=True)
    process.start()
    here.send([dtorch.zeros(1000), dtorch.zeros(300_000)])
    here.recv()
    assert blocks_in_use() == before + 2
    os.kill(process.pid, number)
    process.join()
    assert process.exitcode == -number
    assert blocks_in_use() == before


def hold_and_wait(end):
    faulthandler.disable()  # the test runner's
    tensors = end.recv()
    end.send(None)
    while True:
        signal.pause()
    del tensors


def test_a_stopped_process_keeps_what_it_holds_and_hinders_nobody():
    before = blocks_in_use()
    here, there = fork.Pipe()
    process = fork.Process(target=hold_and_wait, args=(there,), daemon=True)
    process.start()
    here.send([dtorch.zeros(1000)])
    here.recv()
    os.kill(process.pid, signal.SIGSTOP)
    try:
        for _ in range(100):
            arena.receive(arena.send(arena.allocate(100_000)))
        assert blocks_in_use() == before + 1
    finally:
        process.kill()
        process.join()
    assert blocks_in_use() == before


PARENT = """
    import os, signal, sys, time
    import dtorch
    from dtorch import multiprocessing
    from dtorch.distributed.hogwild import Hogwild

    def work(index, tensor):
        os.write(1, f"{os.getpid()}\\n".encode())  # in one piece
        time.sleep(60)

    def train(worker):
        work(worker.rank, worker.model.weight)

    if __name__ == "__main__":
        what, method = sys.argv[1:]
        if what == "hogwild":
            Hogwild(
                train, dtorch.nn.Linear(1, 1), nprocs=2, progress=False, start_method=method
            ).run()
        else:
            signal.signal(signal.SIGTERM, lambda *_: None)  # which a forked child has, too
            multiprocessing.start_processes(
                work, (dtorch.zeros(1000).share_memory_(),), 2, start_method=method)
"""


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.parametrize("what", ["processes", "hogwild"])
def test_no_worker_outlives_a_killed_parent_by_a_second(tmp_path, what, method):
    path = tmp_path / "parent.py"
    path.write_text(textwrap.dedent(PARENT))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(path), what, method]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(is_running(pid) for pid in workers)
        parent.kill()
        wait_until(lambda: not any(is_running(pid) for pid in workers), 100)


SMALL_SHM = """
    import os
    import dtorch
    from dtorch import multiprocessing

    def total(queue, answers):
        answers.put(float(queue.get().sum()))

    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        queue, answers = context.Queue(), context.Queue()
        process = context.Process(target=total, args=(queue, answers))
        process.start()
        queue.put(dtorch.ones(32 << 20))
        print(os.statvfs("/dev/shm").f_blocks * os.statvfs("/dev/shm").f_frsize >> 20,
              answers.get(timeout=100))
        process.join()
"""


def test_a_small_dev_shm_is_no_limit(run_script):
    if os.getuid() or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare to mount a /dev/shm of 64 MB")
    mount = 'mount -t tmpfs -o size=64m tmpfs /dev/shm && exec "$@"'
    prefix = ("unshare", "-m", "sh", "-c", mount, "sh")
    if subprocess.run([*prefix, "true"], capture_output=True).returncode:
        pytest.skip("this system lets nobody mount a /dev/shm of 64 MB")
    assert run_script(SMALL_SHM, prefix=prefix) == "64 33554432.0\n"


EXHAUSTED = """
    import dtorch
    kept = []
    try:
        for _ in range(100):
            kept.append(dtorch.ones(4 << 20).share_memory_())
    except MemoryError as error:
        print(error)
    del kept[:]
    print(float(dtorch.ones(1000).share_memory_().sum()))
"""


@pytest.fixture
def small_group():
    """Folder of a control group that may use 160 MiB."""
    for folder, name in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = folder / f"dtorch-test-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / name).write_text(str(160 << 20))
        except OSError:
            group.rmdir()
            continue
        yield group
        members = group / "cgroup.procs"
        wait_until(lambda: not members.read_text().strip(), 100)  # noqa: B023 - this is the last turn
        group.rmdir()
        return
    pytest.skip("this system lets nobody make a control group that limits memory")


def test_a_full_control_group_is_told_before_the_kernel_kills(run_script, small_group):
    enter = ("sh", "-c", f'echo $$ > {small_group}/cgroup.procs; exec "$@"', "sh")
    told, works = run_script(EXHAUSTED, prefix=enter).splitlines()
    assert told.startswith("shared memory: asked for 16.0 MiB, ")
    assert "left of the 160.0 MiB of " in told
    assert f"{small_group.name}/memory." in told
    assert "MiB used" in told
    assert works == "1000.0"


GREEDY = """
    from dtorch.data import DataLoader
    from dtorch.data.failure import WorkerDied

    class Greedy:
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return len(bytearray(b"x") * (400 << 20)) if index == 5 else index

    if __name__ == "__main__":
        try:
            list(DataLoader(Greedy(), 2, num_workers=1))
        except WorkerDied as error:
            print(error)
"""


def test_a_loader_worker_that_takes_too_much_memory_is_told_as_such(run_script, small_group):
    enter = ("sh", "-c", f'echo $$ > {small_group}/cgroup.procs; exec "$@"', "sh")
    told = run_script(GREEDY, prefix=enter)
    assert "SIGKILL" in told
    assert "dataset indices [4, 5]" in told
    assert "the kernel has killed 1 in its control group for want of memory" in told


NO_DESCRIPTORS = """
    import os, resource, socket
    import dtorch
    import dtorch.multiprocessing
    tensor = dtorch.zeros(1000)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    pairs = [socket.socketpair() for _ in range(20)]
    files = []
    try:
        while True:
            files.append(os.open("/", os.O_RDONLY))
    except OSError:
        pass
    try:
        tensor.share_memory_()
    except OSError as error:
        print(error)
    for pair in pairs:
        pair[0].close()
        pair[1].close()
    tensor.share_memory_()
    print(float(tensor.sum()))
"""


def test_want_of_descriptors_is_told_with_who_has_them(run_script):
    told, works = run_script(NO_DESCRIPTORS).splitlines()
    assert "all 64 descriptors of this process are in use (40 sockets, " in told
    assert " files" in told
    assert works == "0.0"


POSIX = """
    import os
    del os.memfd_create  # as on systems that have none
    import dtorch
    from dtorch import multiprocessing
    from dtorch.multiprocessing import arena, status

    def add(queue, answers):
        tensor = queue.get()
        tensor += 1
        answers.put(dtorch.full((5,), 7.0))

    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        queue, answers = context.Queue(), context.Queue()
        before = os.listdir("/dev/shm")
        process = context.Process(target=add, args=(queue, answers))
        process.start()
        tensor = dtorch.zeros(1000)
        queue.put(tensor)
        print(answers.get().tolist(), float(tensor.sum()))
        process.join()
        print(os.listdir("/dev/shm") == before, len([a for a in status.arenas() if a.owner == os.getpid()]))
        del tensor
        print(arena.usage().blocks)
"""


def test_posix_shared_memory_stands_in_where_memfd_is_missing(run_script):
    assert run_script(POSIX) == "[7.0, 7.0, 7.0, 7.0, 7.0] 1000.0\nTrue 1\n0\n"


def test_fork_after_threads_were_started_is_safe():
    x = dtorch.ones(1000, 1000)
    expected = float((x @ x).exp().sum())  # the threads run now
    here, there = fork.Pipe(duplex=False)
    workers = [fork.Process(target=compute, args=(there, x), daemon=True) for _ in range(2)]
    for worker in workers:
        worker.start()
    for _ in workers:
        assert here.poll(100)
        assert here.recv() == expected
    for worker in workers:
        worker.join(100)
        assert worker.exitcode == 0
    assert float((x @ x).exp().sum()) == expected


def compute(end, x):
    end.send(float((x @ x).exp().sum()))
