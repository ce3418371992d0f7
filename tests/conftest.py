"""What all tests share: a fixed seed, and signals that are not ignored."""

from __future__ import annotations

import gc
import multiprocessing
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from dtorch.core.generator import manual_seed

# Shells start background jobs with SIGINT ignored, and nohup ignores SIGHUP; the programs that tests
# send signals to would inherit that.
for _signal, _handler in (
    (signal.SIGINT, signal.default_int_handler),
    (signal.SIGHUP, signal.SIG_DFL),
):
    if signal.getsignal(_signal) is signal.SIG_IGN:
        signal.signal(_signal, _handler)


def pytest_collection_finish() -> None:
    """Leave the tests themselves, of which there are many, to no collection that a test causes."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seed() -> None:
    manual_seed(0)


@pytest.fixture
def fresh_cache_limit() -> int:
    """What a process keeps for reuse that shares the memory with no other; this one may by now."""
    program = (
        "from dtorch.core.backend import native; print(native.allocator_stats()['cache_limit'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return int(done.stdout)


@pytest.fixture(autouse=True)
def _processes_end() -> Iterator[None]:
    """A test that fails leaves no process behind, not even one that was stopped."""
    before = set(multiprocessing.active_children())
    yield
    for process in set(multiprocessing.active_children()) - before:
        process.kill()
        process.join()
