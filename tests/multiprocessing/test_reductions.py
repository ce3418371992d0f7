"""Tensors through queues and pipes: shared, not copied, and with their aliases."""

import contextlib
import gc
import os
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
from dtorch.core.errors import GradError, ShapeError, StorageError
from dtorch.core.tensor import Tensor
from dtorch.multiprocessing import arena
from dtorch.multiprocessing.reductions import rebuild_tensor, reduce_tensor

fork = multiprocessing.get_context("fork")


@pytest.mark.parametrize(
    ("offset", "shape", "strides"),
    [(0, (5,), (4,)), (4, (4,), (4,)), (-4, (1,), (4,)), (0, ((1 << 32) + 1,), (1 << 32,)),
     (13, (1,), (4,)), (0, (2,), (-4,)), (0, (1 << 62,), (0,))],
    ids=str,
)  # fmt: skip
def test_a_tensor_outside_of_the_shared_block_it_came_with_is_refused(offset, shape, strides):
    rebuild, (handle, dtype, *_) = reduce_tensor(dtorch.arange(4.0))
    with pytest.raises((ShapeError, ValueError)):
        rebuild(handle, dtype, offset, shape, strides)


@pytest.mark.parametrize(
    "change", [{1: 0}, {1: 1 << 62}, {2: 1 << 40}, {2: -1}, {3: -1}, {3: 1 << 40}], ids=str
)
def test_a_block_outside_of_its_arena_is_refused(change):
    x = dtorch.arange(4.0)
    rebuild, (handle, *place) = reduce_tensor(x)
    changed = tuple(change.get(at, value) for at, value in enumerate(handle))
    with pytest.raises(StorageError):
        rebuild(changed, *place)
    assert rebuild(handle, *place).tolist() == [0, 1, 2, 3]


@contextlib.contextmanager
def peer(function):
    """A forked process running ``function(end)`` at the other end of the pipe given."""
    here, there = fork.Pipe()
    process = fork.Process(target=function, args=(there,), daemon=True)
    process.start()
    there.close()
    try:
        yield here
    finally:
        process.kill()
        process.join()
        process.close()
        here.close()


def echo(end):
    while True:
        end.send(end.recv())


@pytest.mark.parametrize("size", [(), (0,), (3,), (2, 3, 4), (1, 0, 2)])
@pytest.mark.parametrize(
    "dtype",
    [dtorch.float32, dtorch.float64, dtorch.int64, dtorch.uint8, dtorch.bool_, dtorch.complex64],
)
def test_every_dtype_and_shape_arrives_unchanged(dtype, size):
    array = np.random.default_rng(0).integers(0, 2, size).astype(dtype.numpy)
    with peer(echo) as end:
        end.send(dtorch.from_numpy(array.copy()))
        back = end.recv()
    assert back.dtype is dtype
    assert tuple(back.shape) == size
    assert (back.numpy() == array).all()


def test_bfloat16_arrives_unchanged():
    tensor = dtorch.ones(3, dtype=dtorch.bfloat16)
    with peer(echo) as end:
        end.send(tensor)
        assert end.recv().dtype is dtorch.bfloat16


def test_writes_of_either_side_are_seen_by_the_other():
    def write(end):
        tensor = end.recv()
        tensor[0] = 7
        end.send(None)
        end.recv()
        end.send(float(tensor[1]))

    tensor = dtorch.zeros(3)
    with peer(write) as end:
        end.send(tensor)
        end.recv()
        assert tensor.tolist() == [7, 0, 0]
        assert tensor.is_shared()
        tensor[1] = 5
        end.send(None)
        assert end.recv() == 5


def test_views_of_one_storage_arrive_as_views_of_one_storage():
    def write(end):
        first, second, third = [*end.recv(), end.recv()]
        first[0, 0] = 9
        end.send((float(second[0]), float(third[0, 0]), third.stride(), third.storage_offset()))

    base = dtorch.zeros(4, 5)
    row = base[0]
    with peer(write) as end:
        end.send((base, row))
        end.send(base[:, :3].t())  # in another message
        assert end.recv() == (9, 9, (1, 5), 0)
        assert float(row[0]) == 9


def test_a_tensor_that_comes_back_is_a_view_of_the_storage_it_left():
    tensor = dtorch.zeros(5)
    with peer(echo) as end:
        end.send(tensor)
        back = end.recv()
        end.send(back)
        again = end.recv()
    back[2] = 1
    again[3] = 2
    assert tensor.tolist() == [0, 0, 1, 2, 0]
    assert again.untyped_storage() is tensor.untyped_storage()


def test_older_views_follow_a_tensor_into_shared_memory():
    base = dtorch.zeros(2, 3)
    view = base[1]
    view.share_memory_()
    base[1, 1] = 4
    assert view.tolist() == [0, 4, 0]
    assert base.is_shared()


def test_leaves_keep_requires_grad_and_their_gradient():
    leaf = dtorch.ones(3, requires_grad=True)
    (leaf * 2).sum().backward()
    with peer(echo) as end:
        end.send(leaf)
        back = end.recv()
    assert back.requires_grad
    assert back.is_leaf
    assert back.grad.tolist() == [2, 2, 2]
    back.grad[0] = 5
    assert leaf.grad.tolist() == [5, 2, 2]


def test_a_computed_tensor_with_history_is_refused():
    tensor = dtorch.ones(3, requires_grad=True) * 2
    with pytest.raises(GradError, match="detach"):
        reduce_tensor(tensor)
    with pytest.raises(RuntimeError):
        reduce_tensor(tensor)


def test_hooks_stay_behind_with_a_warning():
    leaf = dtorch.ones(3, requires_grad=True)
    leaf.register_hook(lambda grad: grad)
    with pytest.warns(UserWarning, match="hooks"):
        rebuild, args = reduce_tensor(leaf)
    assert rebuild is rebuild_tensor
    assert args[0] is Tensor


class Named(Tensor):
    """As Parameter is: made after the reducers were registered."""


def test_subclasses_and_attributes_arrive():
    with peer(echo) as end:
        tensor = dtorch.zeros(2)
        tensor.note = "hello"
        end.send(tensor)
        assert end.recv().note == "hello"
        end.send(Named._wrap(np.ones(2)))
        back = end.recv()
    assert type(back) is Named
    assert back.is_shared()


def test_storages_are_shared_too():
    storage = dtorch.zeros(4).untyped_storage()
    with peer(echo) as end:
        end.send(storage)
        assert end.recv() is storage


def test_memory_is_free_when_both_sides_are_done():
    gc.collect()
    before = arena.usage().blocks
    with peer(echo) as end:
        for size in (1, 1000, 300_000):
            end.send(dtorch.zeros(size))
            end.recv()
        tensor = dtorch.zeros(5)
        end.send(tensor)
        end.recv()
        assert arena.usage().blocks >= before + 1
        del tensor
    gc.collect()
    assert arena.usage().blocks == before


def test_plain_objects_pass_as_ever():
    with peer(echo) as end:
        end.send({"a": [1, 2.5, "x"], "b": np.arange(3)})
        back = end.recv()
    assert back["a"] == [1, 2.5, "x"]


SENDER_EXITS = """
    import os
    import dtorch
    from dtorch import multiprocessing

    def produce(queue, n):
        for i in range(n):
            queue.put(dtorch.ones(256) * i)

    if __name__ == "__main__":
        for method in ("fork", "spawn", "forkserver"):
            context = multiprocessing.get_context(method)
            queue = context.Queue()
            process = context.Process(target=produce, args=(queue, 10))
            process.start()
            process.join()
            print(method, [int(queue.get(timeout=100)[3]) for _ in range(10)])
"""


def test_tensors_arrive_after_their_sender_exited_with_every_start_method(run_script):
    lines = run_script(SENDER_EXITS).splitlines()
    assert lines == [f"{m} {list(range(10))}" for m in ("fork", "spawn", "forkserver")]


FEW_DESCRIPTORS = """
    import os
    import dtorch
    from dtorch import multiprocessing

    def keep(queue, answers, n):
        tensors = [queue.get() for _ in range(n)]
        total = sum(float(tensor[0]) for tensor in tensors)
        answers.put((len(tensors), total, len(os.listdir("/proc/self/fd"))))

    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        queue, answers = context.Queue(), context.Queue()
        process = context.Process(target=keep, args=(queue, answers, 5000))
        process.start()
        tensors = [dtorch.ones(256) for _ in range(5000)]
        before = len(os.listdir("/proc/self/fd"))
        for tensor in tensors:
            queue.put(tensor)
        count, total, descriptors = answers.get(timeout=100)
        process.join()
        print(count, total, descriptors < 24, len(os.listdir("/proc/self/fd")) - before <= 3)
"""


def test_five_thousand_live_tensors_pass_with_64_descriptors(run_script):
    limited = ("sh", "-c", 'ulimit -n 64; exec "$@"', "sh")
    assert run_script(FEW_DESCRIPTORS, prefix=limited) == "5000 5000.0 True True\n"


NOTHING_LEFT = """
    import dtorch
    from dtorch import multiprocessing

    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        queue = context.SimpleQueue()
        queue.put(dtorch.ones(100_000))
        address = dtorch.multiprocessing.arena.send(
            dtorch.multiprocessing.arena.allocate(1))[-1]
        print(address)
"""


def test_the_broker_ends_with_the_program(run_script):
    wait_until_closed(run_script(NOTHING_LEFT).strip())


def wait_until_closed(address):
    """Until nobody listens at an abstract address any more."""
    assert address.startswith("dtorch-")
    end = time.monotonic() + 100
    while address in Path("/proc/net/unix").read_text():
        assert time.monotonic() < end, "the broker did not end"
        time.sleep(0.01)


KILLED = """
    import os, signal
    import dtorch
    from dtorch import multiprocessing
    from dtorch.multiprocessing import arena

    def hold(end):
        tensors = end.recv()
        end.send(None)
        signal.pause()

    if __name__ == "__main__":
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe()
        context.Process(target=hold, args=(there,), daemon=True).start()
        tensors = [dtorch.ones(1000) for _ in range(10)]
        here.send(tensors)
        here.recv()
        here.send(tensors)  # stays under way
        print(arena.send(arena.allocate(1))[-1], flush=True)
        here.close()
        there.close()
        os.killpg(0, signal.SIGKILL)
"""


def test_nothing_survives_a_program_that_is_killed(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(textwrap.dedent(KILLED))
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=200,
        start_new_session=True, env={**os.environ, "PYTHONPATH": str(root)},
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL
    wait_until_closed(done.stdout.strip())
