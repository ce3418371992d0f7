"""Each collective with a rank that dies, leaves, raises or stands still: the other one is told."""

import os
import signal
import time

import pytest
from ranks import Stopped

import dtorch
from dtorch import distributed as dist
from dtorch.nn import Linear
from dtorch.nn.parallel import DistributedDataParallel


def ones():
    return dtorch.ones(3)


COLLECTIVES = {
    "barrier": dist.barrier,
    "broadcast from here": lambda: dist.broadcast(ones(), 0),
    "broadcast from there": lambda: dist.broadcast(ones(), 1),
    "all_reduce": lambda: dist.all_reduce(ones()),
    "all_reduce of much": lambda: dist.all_reduce(dtorch.ones(3_000_000)),
    "all_reduce of shared memory": lambda: dist.all_reduce(ones().share_memory_()),
    "all_reduce, asynchronous": lambda: dist.all_reduce(ones(), async_op=True).wait(),
    "reduce": lambda: dist.reduce(ones(), 0),
    "all_gather": lambda: dist.all_gather([ones(), ones()], ones()),
    "all_gather_into_tensor": lambda: dist.all_gather_into_tensor(dtorch.ones(6), ones()),
    "gather": lambda: dist.gather(ones(), [ones(), ones()], 0),
    "scatter": lambda: dist.scatter(ones(), [ones(), ones()], 0),
    "reduce_scatter": lambda: dist.reduce_scatter(ones(), [ones(), ones()]),
    "all_to_all": lambda: dist.all_to_all([ones(), ones()], [ones(), ones()]),
    "send": lambda: dist.send(ones(), 1),
    "recv": lambda: dist.recv(ones(), 1),
    "recv from any": lambda: dist.recv(ones()),
    "all_gather_object": lambda: dist.all_gather_object([None, None], "text"),
    "broadcast_object_list": lambda: dist.broadcast_object_list(["text"], 1),
    "DistributedDataParallel": lambda: DistributedDataParallel(Linear(2, 2)),
    "new_group": dist.new_group,
}


def fail():
    raise ValueError("no more data")


FAULTS = {
    "dies": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exits": lambda: os._exit(0),
    "raises": fail,
    "leaves": dist.destroy_process_group,
}


def joined(rank, meeting):
    dist.init_process_group(init_method=f"file:///{meeting}", rank=rank, world_size=2, timeout=600)
    dist.barrier()


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("collective", COLLECTIVES)
def test_a_rank_that_is_gone_is_named_at_once(start_ranks, meeting, collective, fault):
    def body(rank):
        joined(rank, meeting)
        if rank == 1:
            FAULTS[fault]()
            time.sleep(600 if fault == "leaves" else 0)
        COLLECTIVES[collective]()

    ranks = start_ranks(2, body)
    error = ranks.join(ranks=(0,)).results[0]
    assert isinstance(error, (dist.PeerLost, dist.RendezvousError))
    assert f"rank 1 (pid {ranks.processes[1].pid})" in str(error)


@pytest.mark.parametrize("collective", [name for name in COLLECTIVES if name != "recv from any"])
def test_a_rank_that_was_stopped_is_named_when_the_time_is_up(start_ranks, meeting, collective):
    stopped = Stopped()

    def body(rank):
        joined(rank, meeting)
        if rank == 1:
            stopped.stop()
        stopped.wait()
        for part in (dist.group.WORLD._transport._peers, dist.membership._state):
            part.timeout = 0.3
        COLLECTIVES[collective]()

    ranks = start_ranks(2, body)
    error = ranks.join(ranks=(0,)).results[0]
    assert isinstance(error, (dist.CollectiveTimeout, dist.RendezvousError))
    assert f"(pid {ranks.processes[1].pid}, stopped by a signal)" in str(error)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_rank_that_is_gone_does_not_keep_the_others_from_leaving(start_ranks, meeting, fault):
    def body(rank):
        joined(rank, meeting)
        if rank == 1:
            FAULTS[fault]()
            return None
        dist.destroy_process_group()
        return "left"

    assert start_ranks(2, body).join(ranks=(0,)).results[0] == "left"
