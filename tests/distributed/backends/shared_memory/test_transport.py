"""What is shared memory's own: many ranks on few cores, counters, kills at any moment, stopped ranks."""

import os
import time

import numpy as np
import pytest
from ranks import Stopped

from dtorch.core import backend
from dtorch.distributed.backends.shared_memory.transport import SharedMemoryTransport
from dtorch.distributed.errors import CollectiveTimeout, PeerLost, RendezvousError
from dtorch.distributed.reduce_op import ReduceOp


def group_of(rank, meeting, world, timeout=600.0):
    return SharedMemoryTransport(meeting, rank, world, timeout)


def test_eight_ranks_on_fewer_cores(run_ranks, meeting):
    def body(rank):
        group = group_of(rank, meeting, 8)
        array = np.full(100_000, rank, np.int64)
        for _ in range(5):
            group.barrier()
        group.all_reduce(array, ReduceOp.MAX)
        group.close()
        return int(array.min())

    assert run_ranks(8, body) == [7] * 8


@pytest.mark.skipif(backend.native is None, reason="without the native module nothing is kept")
def test_ranks_together_keep_no_more_freed_memory_than_one_process_alone(
    run_ranks, meeting, fresh_cache_limit
):
    def body(rank):
        limits = []
        for round in range(2):  # the second group is of the same processes
            group_of(rank, f"{meeting}{round}", 3).close()
            limits.append(backend.native.allocator_stats()["cache_limit"])
        return limits

    first, second = zip(*run_ranks(3, body), strict=True)
    assert first == second
    assert min(first) > 0
    assert sum(first) <= fresh_cache_limit


def test_the_count_of_exchanges_may_wrap_around(run_ranks, meeting):
    def body(rank):
        group = group_of(rank, meeting, 2)

        def meet_without_counting():
            token = np.zeros(1)
            for sender in (0, 1):
                if rank == sender:
                    group.send(token, 1 - rank, tag=0)
                else:
                    group.recv(token, sender, tag=0)

        meet_without_counting()
        start = 0xFFFFFFFF - 9
        group._peers.sequence = start
        group._region.words[rank * group._region.WORD] = start
        meet_without_counting()
        for step in range(30):
            array = np.full(10, rank + step)
            group.all_reduce(array, ReduceOp.SUM)
            assert (array == 1 + 2 * step).all()
        group.close()

    run_ranks(2, body)


def test_random_kills_in_the_middle_of_collectives_never_hang(start_ranks):
    def body(rank, name, seed):
        group = group_of(rank, name, 2)
        array = np.ones(500_000, np.float32)
        while True:
            group.all_reduce(array, ReduceOp.AVG)

    for seed in range(6):
        ranks = start_ranks(2, body, f"kill-{os.getpid()}-{seed}", seed)
        time.sleep(0.05 + 0.011 * seed)
        ranks.processes[seed % 2].kill()
        other = 1 - seed % 2
        # On a busy machine it may be killed before the ranks have met.
        assert isinstance(ranks.join().results[other], (PeerLost, RendezvousError))


def test_a_rank_that_was_stopped_is_named_as_such_when_the_time_is_up(start_ranks, meeting):
    stopped = Stopped()

    def body(rank):
        group = group_of(rank, meeting, 3)
        if rank == 2:
            stopped.stop()
        stopped.wait()
        group._peers.timeout = 0.3
        group.all_reduce(np.ones(5), ReduceOp.SUM)

    ranks = start_ranks(3, body).join(ranks=(0, 1))
    errors = [ranks.results[rank] for rank in (0, 1)]
    timeouts = [error for error in errors if isinstance(error, CollectiveTimeout)]
    assert timeouts
    who = f"pid {ranks.processes[2].pid}, stopped by a signal"
    assert f"all_reduce #2: rank 2 ({who}) did not join" in str(timeouts[0])


def test_no_mapping_is_left_after_close(run_ranks, meeting):
    def body(rank):
        def mappings():
            with open("/proc/self/maps") as file:
                return sum("memfd:dtorch" in line for line in file)

        before = mappings()
        group = group_of(rank, meeting, 2)
        group.all_reduce(np.ones(100_000), ReduceOp.SUM)
        group.close()
        del group
        return mappings() - before

    assert run_ranks(2, body) == [0, 0]
