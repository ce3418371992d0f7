import os
import pathlib
import sys

import numpy as np
import pytest
from compiled_checks import compiled, run

HERE = pathlib.Path(__file__).parent


def test_parallel_for_covers_ranges_passes_exceptions_on_nests_and_survives_fork(tmp_path):
    check = compiled(
        tmp_path, HERE / "thread_pool_check.cpp", "thread_pool.cpp", "system_limits.cpp"
    )
    result = run(check)
    assert (result.returncode, result.stdout, result.stderr) == (0, "all checks hold\n", "")


def test_number_of_threads_is_what_was_set(native):
    before = native.get_num_threads()
    native.set_num_threads(5)
    assert native.get_num_threads() == 5
    native.set_num_threads(before)


@pytest.mark.parametrize(("value", "count"), [("3", "3"), ("2,4", "2")])
def test_omp_num_threads_is_honoured(native, value, count):
    code = "from dtorch.core import backend; print(backend.get_num_threads())"
    assert run(sys.executable, "-c", code, OMP_NUM_THREADS=value).stdout.strip() == count


@pytest.mark.parametrize("value", ["", "0", "many"])
def test_without_a_usable_omp_num_threads_the_affinity_decides(native, value):
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
from dtorch.core import backend
print(backend.get_num_threads())
"""
    assert run(sys.executable, "-c", code, OMP_NUM_THREADS=value).stdout.strip() == "1"


def test_no_thread_is_started_before_the_first_large_kernel(native):
    code = """
import os
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
from dtorch.core import backend
def threads(): return len(os.listdir("/proc/self/task"))
backend.set_num_threads(3)
small = np.zeros((4, 4), np.float32)
backend.native.softmax(small, small)
before = threads()
large = np.zeros((4096, 512), np.float32)
backend.native.softmax(large, large)
print(before, threads())
"""
    assert run(sys.executable, "-c", code).stdout.split() == ["1", "3"]


# Python 3.12 warns of every fork beside threads; that the pool survives it is what this shows.
@pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")
def test_forked_child_runs_kernels(native, threads):
    x = np.random.default_rng(0).standard_normal((4096, 64)).astype(np.float32)
    expected = np.empty_like(x)
    native.softmax(x, expected)
    pid = os.fork()
    if pid == 0:
        out = np.empty_like(x)
        native.softmax(x, out)
        os._exit(0 if (out == expected).all() else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_work_is_done_by_the_threads_there_are_where_the_system_refuses_more(native):
    code = """
import os, resource
os.environ["OPENBLAS_NUM_THREADS"] = "1"
import numpy as np
from dtorch.core import backend
x = np.random.default_rng(0).standard_normal((4096, 64)).astype(np.float32)
alone, together = np.empty_like(x), np.empty_like(x)
backend.set_num_threads(1)
backend.native.softmax(x, alone)
backend.set_num_threads(100)
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
stack = resource.getrlimit(resource.RLIMIT_STACK)[0]
resource.setrlimit(resource.RLIMIT_AS, (used + 20 * max(stack, 1 << 20), resource.RLIM_INFINITY))
for _ in range(3):
    backend.native.softmax(x, together)
    assert (alone == together).all()
    together[...] = 0
threads = len(os.listdir("/proc/self/task"))
assert 1 <= threads < 100, threads
"""
    result = run(sys.executable, "-c", code)
    assert (result.returncode, result.stderr) == (0, "")
