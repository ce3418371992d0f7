"""Running a function as several ranks."""

import multiprocessing
import os
import secrets
import signal
import time
import traceback
from multiprocessing import connection

import pytest

from dtorch.multiprocessing.processes import is_stopped

fork = multiprocessing.get_context("fork")


class Ranks:
    """Forked processes, each running ``body(rank, *args)``; what they return, raise or die of.

    Attributes:
        processes: by rank.
        results: value returned or exception raised, by rank; absent for a killed one.
    """

    def __init__(self, world_size, body, *args):
        self.results = {}
        self._ends = {}
        self.processes = []
        for rank in range(world_size):
            here, there = fork.Pipe(duplex=False)
            process = fork.Process(target=_run, args=(there, body, rank, args), daemon=True)
            process.start()
            there.close()
            self._ends[here] = rank
            self.processes.append(process)

    def join(self, ranks=None, timeout=120.0):
        """Wait for all, or for some of the ranks; returns self."""
        end = time.monotonic() + timeout
        waiting = {p: rank for p, rank in self._ends.items() if ranks is None or rank in ranks}
        processes = [self.processes[rank] for rank in waiting.values()]
        while waiting:
            ready = connection.wait(list(waiting), max(end - time.monotonic(), 0))
            assert ready, f"ranks {sorted(waiting.values())} did not end within {timeout} s"
            for pipe in ready:
                rank = waiting.pop(pipe)
                try:
                    self.results[rank] = pipe.recv()
                except EOFError:
                    continue
        for process in processes:
            process.join(max(end - time.monotonic(), 0.1))
            assert not process.is_alive()
        return self

    def values(self):
        """Results in the order of the ranks; a rank's exception is raised here."""
        for rank, result in self.results.items():
            if isinstance(result, BaseException):
                raise AssertionError(f"rank {rank} failed") from result
        return [self.results[rank] for rank in range(len(self.processes))]

    def close(self):
        for process in self.processes:
            process.kill()
            process.join()
            process.close()
        for pipe in self._ends:
            pipe.close()


def _run(end, body, rank, args):
    try:
        result = body(rank, *args)
    except BaseException as error:  # noqa: BLE001 - the test looks at it
        error.add_note(traceback.format_exc())
        result = error
    end.send(result)


class Stopped:
    """For one rank to be stopped, and for the others to know that it is."""

    def __init__(self):
        self._pid = fork.Value("i", 0)

    def stop(self):
        """Stop this process."""
        self._pid.value = os.getpid()
        os.kill(os.getpid(), signal.SIGSTOP)

    def wait(self):
        """Until it is stopped."""
        while not (self._pid.value and is_stopped(self._pid.value)):
            time.sleep(0.001)


@pytest.fixture
def start_ranks():
    """``start_ranks(world_size, body, *args)`` -> Ranks, ended with the test."""
    started = []

    def start(world_size, body, *args):
        started.append(Ranks(world_size, body, *args))
        return started[-1]

    yield start
    for ranks in started:
        ranks.close()


@pytest.fixture
def run_ranks(start_ranks):
    """``run_ranks(world_size, body, *args)`` -> what each rank returned."""

    def run(world_size, body, *args):
        return start_ranks(world_size, body, *args).join().values()

    return run


@pytest.fixture
def meeting():
    """A name under which only this test's ranks meet."""
    return f"test-{os.getpid()}-{secrets.token_hex(4)}"
