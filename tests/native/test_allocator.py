import multiprocessing
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from dtorch.core import backend

MIB = 1 << 20

# Python 3.12 warns of every fork beside threads; that ours survive it is what the tests show.
may_fork_beside_threads = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork:DeprecationWarning"
)


@pytest.fixture
def installed(native):
    """The allocator in this thread with an empty cache; afterwards as it was found."""
    was_installed = native.allocator_installed()
    limit = native.allocator_stats()["cache_limit"]
    native.install_allocator()
    native.empty_cache()
    yield native
    native.set_cache_limit(limit)
    if not was_installed:
        native.uninstall_allocator()


def run_in_new_interpreter(code, **environment):
    result = subprocess.run(
        # Python 3.12 warns of every fork beside threads; whether that hangs is what we test.
        [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return result.returncode, result.stdout.strip(), result.stderr.strip()


@pytest.mark.parametrize(
    "nbytes",
    [0, 1, 63, 64, 65, 1000, 1023, 1024, 1025, 4096, 100_000, MIB - 64, MIB, 3 * MIB, 17 * MIB],
)
def test_arrays_of_every_size_are_aligned_to_64_bytes(installed, nbytes):
    arrays = [np.empty(nbytes, np.uint8) for _ in range(3)]
    assert all(array.ctypes.data % 64 == 0 for array in arrays)
    for value, array in enumerate(arrays):
        array[...] = value
    assert all((array == value).all() for value, array in enumerate(arrays))


def test_freed_memory_is_used_again(installed):
    array = np.empty(5 * MIB, np.uint8)
    address = array.ctypes.data
    del array
    before = installed.allocator_stats()
    again = np.empty(5 * MIB - 100, np.uint8)
    after = installed.allocator_stats()
    assert again.ctypes.data == address
    assert after["hits"] == before["hits"] + 1
    assert after["misses"] == before["misses"]


@pytest.mark.parametrize("nbytes", [8, 1000, 2000, 300_000, 5 * MIB])
def test_zeros_are_zero_in_memory_that_was_used_before(installed, nbytes):
    for _ in range(3):
        dirty = np.empty(nbytes, np.uint8)
        dirty[...] = 255
        del dirty
        zeros = np.zeros(nbytes, np.uint8)
        assert not zeros.any()
        zeros[...] = 255
        del zeros


def test_statistics_follow_what_is_in_use_and_cached(installed):
    before = installed.allocator_stats()
    array = np.empty(8 * MIB, np.uint8)
    during = installed.allocator_stats()
    assert during["bytes_in_use"] - before["bytes_in_use"] == 8 * MIB
    assert during["bytes_cached"] == 0
    del array
    after = installed.allocator_stats()
    assert after["bytes_in_use"] == before["bytes_in_use"]
    assert after["bytes_cached"] == 8 * MIB
    assert after["peak_bytes"] >= 8 * MIB
    assert installed.empty_cache() == 8 * MIB
    assert installed.allocator_stats()["bytes_cached"] == 0


def test_cache_stays_below_its_limit_and_gives_back_what_lay_longest(installed):
    installed.set_cache_limit(10 * MIB)
    arrays = [np.empty(4 * MIB, np.uint8) for _ in range(5)]
    addresses = [array.ctypes.data for array in arrays]
    returned = installed.allocator_stats()["returned"]
    while arrays:
        arrays.pop(0)
        assert installed.allocator_stats()["bytes_cached"] <= 10 * MIB
    assert installed.allocator_stats()["bytes_cached"] == 8 * MIB
    assert installed.allocator_stats()["returned"] == returned + 3
    assert {np.empty(4 * MIB, np.uint8).ctypes.data for _ in range(2)} <= set(addresses[3:])


def test_lowering_the_limit_gives_memory_back_at_once(installed):
    np.empty(8 * MIB, np.uint8)
    assert installed.allocator_stats()["bytes_cached"] == 8 * MIB
    installed.set_cache_limit(MIB)
    assert installed.allocator_stats()["bytes_cached"] == 0


@pytest.mark.parametrize("start", [1, 100, 1000, 5000, MIB, 3 * MIB])
@pytest.mark.parametrize("factor", [0, 0.1, 0.6, 1.01, 1.5, 20])
def test_resize_in_place_keeps_contents(installed, start, factor):
    array = np.arange(start, dtype=np.uint8)
    expected = array.copy()
    size = int(start * factor)
    array.resize(size, refcheck=False)
    kept = min(start, size)
    assert (array[:kept] == expected[:kept]).all()
    assert not array[kept:].any()


def test_numpy_functions_that_reallocate_work(installed):
    assert np.fromiter((i for i in range(10_000)), np.int64).sum() == 49_995_000
    assert np.fromiter(iter([]), np.int64).size == 0
    assert np.resize(np.arange(3), 10_000)[9_999] == 0
    rows = np.loadtxt(["1 2 3"] * 2000)
    assert rows.shape == (2000, 3)
    assert np.fromstring("1 2 3 " * 2000, sep=" ").sum() == 12_000
    assert np.array(["a", "bcd"] * 1000)[1] == "bcd"
    assert np.array([{}, None] * 1000, dtype=object)[1] is None


def test_arrays_made_before_and_after_installing_live_together(native):
    was_installed = native.allocator_installed()
    native.uninstall_allocator()
    before = [np.full(n, 1.0) for n in (3, 300, 300_000)]
    native.install_allocator()
    during = [np.full(n, 2.0) for n in (3, 300, 300_000)]
    sums = [a + b for a, b in zip(before, during, strict=True)]
    del before
    native.uninstall_allocator()
    after = [np.full(n, 3.0) for n in (3, 300, 300_000)]
    assert all((a == b).all() for a, b in zip(sums, after, strict=True))
    del during, sums, after
    if was_installed:
        native.install_allocator()


def test_installing_twice_is_harmless(installed):
    installed.install_allocator()
    assert installed.allocator_installed()
    installed.uninstall_allocator()
    assert not installed.allocator_installed()
    installed.uninstall_allocator()
    assert not installed.allocator_installed()


def test_new_thread_has_the_numpy_allocator_until_it_installs(installed):
    seen = []

    def look():
        seen.append(installed.allocator_installed())
        backend.install_allocator_in_this_thread()
        seen.append(installed.allocator_installed())

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [False, os.environ.get("DTORCH_ALLOCATOR") != "0"]


def test_blocks_may_be_freed_by_another_thread(installed):
    passed = []
    sizes = [8, 700, 5000, 2 * MIB] * 200

    def make():
        installed.install_allocator()
        passed.extend(np.full(size, size % 251, np.uint8) for size in sizes)

    maker = threading.Thread(target=make)
    maker.start()
    maker.join()
    assert all((array == size % 251).all() for size, array in zip(sizes, passed, strict=True))
    passed.clear()


def test_many_threads_never_share_a_block(installed):
    failures = []

    def churn(value):
        installed.install_allocator()
        rng = np.random.default_rng(value)
        kept = []
        for size in rng.integers(1, 200_000, 400) // rng.choice([1, 50, 500], 400):
            kept.append(np.full(size + 1, value, np.uint8))
            if len(kept) > 20:
                array = kept.pop(int(rng.integers(20)))
                if not (array == value).all():
                    failures.append(value)

    threads = [threading.Thread(target=churn, args=(value,)) for value in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def _free_and_allocate(arrays, verdict):
    arrays.clear()
    fresh = [np.full(n, 7, np.uint8) for n in (8, 1000, 5000, 3 * MIB)]
    verdict.put(all((array == 7).all() for array in fresh))


@may_fork_beside_threads
def test_forked_child_frees_what_its_parent_allocated(installed):
    context = multiprocessing.get_context("fork")
    arrays = [np.full(n, 1, np.uint8) for n in (8, 1000, 5000, 3 * MIB)]
    verdict = context.SimpleQueue()
    child = context.Process(target=_free_and_allocate, args=(arrays, verdict))
    child.start()
    assert verdict.get()
    child.join(timeout=30)
    assert child.exitcode == 0
    assert all((array == 1).all() for array in arrays)


FORK_WHILE_OTHER_THREADS_ALLOCATE = """
import os, threading, numpy as np
from dtorch.core import backend
stop = threading.Event()
def churn():
    backend.install_allocator_in_this_thread()
    while not stop.is_set():
        for size in (100, 5000, 3_000_000):
            np.empty(size, np.uint8)
threads = [threading.Thread(target=churn) for _ in range(3)]
for thread in threads: thread.start()
for _ in range(30):
    pid = os.fork()
    if pid == 0:
        for size in (100, 5000, 3_000_000):
            np.ones(size, np.uint8)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
stop.set()
for thread in threads: thread.join()
print("done")
"""


def test_fork_while_other_threads_allocate_does_not_hang(native):
    code, out, err = run_in_new_interpreter(FORK_WHILE_OTHER_THREADS_ALLOCATE)
    assert (code, out, err) == (0, "done", "")


SUMMARY = """
import numpy
from dtorch.core import backend
print(backend.native.allocator_installed(), backend.native.allocator_stats()["cache_limit"])
"""


def test_environment_switches_the_allocator_off(native):
    code, out, _ = run_in_new_interpreter(SUMMARY, DTORCH_ALLOCATOR="0")
    assert code == 0
    assert out.startswith("False")


def test_environment_bounds_the_cache(native):
    code, out, _ = run_in_new_interpreter(SUMMARY, DTORCH_CACHE_LIMIT="12345")
    assert code == 0
    assert out.endswith(" 12345")


def test_wrong_bound_in_the_environment_is_named(native):
    code, _, err = run_in_new_interpreter(SUMMARY, DTORCH_CACHE_LIMIT="1 GiB")
    assert code != 0
    assert "DTORCH_CACHE_LIMIT is '1 GiB', expected a number of bytes" in err


def test_arrays_that_outlive_the_interpreter_cause_no_message(native):
    code = "import sys; from dtorch.core import backend; import numpy; sys.kept = numpy.ones(10**6)"
    assert run_in_new_interpreter(code) == (0, "", "")


def test_impossible_size_is_a_memory_error(installed):
    with pytest.raises(MemoryError):
        np.empty(1 << 60, np.uint8)
    with pytest.raises(MemoryError):
        np.zeros(1 << 45, np.float64)


WITHOUT_ADDRESS_SPACE = """
import resource, numpy as np
from dtorch.core import backend
with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), used + (2 << 30)))
kept = [np.full(10, i) for i in range(1000)]
assert all((a == i).all() for i, a in enumerate(kept))
try:
    np.empty(3 << 30, np.uint8)
except MemoryError:
    print("refused")
np.empty(1 << 30, np.uint8)  # goes into the cache, which must make room for the next one
np.empty(3 << 29, np.uint8)
print("served")
"""


@pytest.mark.skipif(
    "libasan" in os.environ.get("LD_PRELOAD", ""),
    reason="the sanitizer's own reservation is above the limit that the test sets",
)
def test_full_address_space_empties_the_cache_before_it_fails(native):
    code, out, err = run_in_new_interpreter(WITHOUT_ADDRESS_SPACE, OMP_NUM_THREADS="1")
    assert (code, out.split(), err) == (0, ["refused", "served"], "")


def test_ranks_of_a_machine_together_keep_no_more_than_one_alone(native):
    code = "from dtorch.core import backend; print(backend.native.allocator_stats()['cache_limit'])"
    alone = int(run_in_new_interpreter(code, DTORCH_CACHE_LIMIT="", LOCAL_WORLD_SIZE="1")[1])
    rank = int(run_in_new_interpreter(code, DTORCH_CACHE_LIMIT="", LOCAL_WORLD_SIZE="8")[1])
    assert 0 < 8 * rank <= alone
    kept = run_in_new_interpreter(code, DTORCH_CACHE_LIMIT="12345", LOCAL_WORLD_SIZE="8")[1]
    assert kept == "12345"
